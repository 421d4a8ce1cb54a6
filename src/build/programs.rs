//! Programs without which a cluster of kubeadm does not come up.
//!
//! kubeadm looks for most of them before it begins (Kubernetes' preflight checks, of kind
//! `FileExisting`), on the machine, where nobody can add one any more. k3s and rke2 bring
//! their own.

use super::lock::Locked;
use super::machine::has_kubeadm;
use isoforge_base::tree::Tree;
use isoforge_content::requirements::has_command;
use isoforge_contract::arch::Arch;
use isoforge_contract::machine::Flavor;
use isoforge_system::merged::System;

/// What kubeadm, kubelet and kube-proxy run on every version.
const NEEDED: [&str; 4] = ["ip", "iptables", "mount", "nsenter"];

/// What kubeadm only warns of.
const ADVISED: [&str; 4] = ["ebtables", "ethtool", "socat", "tc"];

/// Programs of which one is enough, and what they are.
const RUNTIMES: ([&str; 2], &str) = (
    ["containerd", "crio"],
    "a container runtime (containerd or crio)",
);
const OCI_RUNTIMES: ([&str; 2], &str) = (["runc", "crun"], "runc or crun");

/// Where provider-kubeadm, which starts the clusters of Kairos's systems, has its own
/// programs; it copies them into the search path.
const OF_PROVIDER: &str = "opt/kubeadm/bin";

/// First minor version of Kubernetes 1 that does without it.
const WITHOUT_CRICTL: u32 = 31;
const WITHOUT_CONNTRACK: u32 = 32;

/// Warns of what the system for `arch` lacks, where kubeadm starts the clusters of the
/// profile. `version` is that of Kubernetes, empty where nobody knows it.
pub(super) fn check(build: &Locked<'_>, system: &System, arch: Arch, version: &str) {
    let profile = build.profile();
    if !has_kubeadm(profile) {
        return;
    }
    let lacks = Lacks::of(&system.tree, profile.os.flavor, version);
    let progress = build.session.progress;
    if !lacks.needed.is_empty() {
        progress.warn(format!(
            "the system for {arch} lacks programs that clusters of {} need: {}; add them to the \
             image, or with [[layers]], an overlay or [[kubernetes.files]]",
            profile.kubernetes.distribution,
            lacks.needed.join(", ")
        ));
    }
    if !lacks.advised.is_empty() {
        progress.warn(format!(
            "the system for {arch} lacks programs that clusters can do without but tools ask \
             for: {}",
            lacks.advised.join(", ")
        ));
    }
}

/// Programs by name, or what one of them would be.
#[derive(Debug, Default, PartialEq, Eq)]
struct Lacks {
    needed: Vec<&'static str>,
    advised: Vec<&'static str>,
}

impl Lacks {
    fn of(tree: &Tree, flavor: Flavor, version: &str) -> Self {
        let lacks = |name: &&'static str| !has_command(tree, name);
        let of_kubernetes = |name: &&'static str| {
            let of_provider = format!("{OF_PROVIDER}/{name}");
            let is_provided =
                flavor == Flavor::Kairos && tree.file(of_provider.as_bytes()).is_some();
            lacks(name) && !is_provided
        };
        let one_of = |(names, what): ([&'static str; 2], &'static str)| {
            names.iter().all(|name| lacks(name)).then_some(what)
        };
        // An unknown version may be a new one.
        let minor = minor(version).unwrap_or(u32::MAX);
        let (mut needed, mut advised) = (NEEDED.to_vec(), ADVISED.to_vec());
        if minor < WITHOUT_CRICTL {
            needed.push("crictl");
        }
        match minor < WITHOUT_CONNTRACK {
            true => needed.push("conntrack"),
            false => advised.push("conntrack"),
        }
        needed.sort_unstable();
        advised.sort_unstable();
        let kubernetes = ["kubeadm", "kubelet"].into_iter().filter(of_kubernetes);
        let runtimes = [RUNTIMES, OCI_RUNTIMES].into_iter().filter_map(one_of);
        Self {
            needed: kubernetes
                .chain(needed.into_iter().filter(lacks))
                .chain(runtimes)
                .collect(),
            advised: advised.into_iter().filter(lacks).collect(),
        }
    }
}

/// The minor number of a version of Kubernetes 1.
fn minor(version: &str) -> Option<u32> {
    let mut numbers = version.split('.');
    (numbers.next() == Some("1")).then_some(())?;
    numbers.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use isoforge_base::tree::{FileData, Inode, Kind, Meta};

    /// A tree of programs, and of links as Debian has them.
    fn tree(programs: &[&str], links: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::new();
        let programs = programs.iter().map(|path| {
            let data = FileData::Inline(std::sync::Arc::from(&b"program"[..]));
            (*path, Kind::File(data))
        });
        let links = links.iter().map(|(path, target)| {
            let target = target.as_bytes().to_vec();
            (*path, Kind::Symlink(target))
        });
        for (path, kind) in programs.chain(links) {
            let meta = Meta::with_mode(0o755);
            tree.insert(path.as_bytes(), Inode { meta, kind }).unwrap();
        }
        tree
    }

    const WHOLE: [&str; 13] = [
        "usr/bin/kubeadm",
        "usr/bin/kubelet",
        "usr/sbin/conntrack",
        "usr/sbin/xtables-nft-multi",
        "usr/bin/ip",
        "usr/bin/mount",
        "usr/bin/nsenter",
        "usr/bin/containerd",
        "usr/sbin/runc",
        "usr/sbin/ebtables",
        "usr/sbin/ethtool",
        "usr/bin/socat",
        "usr/sbin/tc",
    ];

    /// Those by which Debian comes to iptables, all by way of a merged `/sbin`.
    const LINKS: [(&str, &str); 4] = [
        ("sbin", "usr/sbin"),
        ("usr/sbin/iptables", "/etc/alternatives/iptables"),
        ("etc/alternatives/iptables", "/sbin/iptables-nft"),
        ("usr/sbin/iptables-nft", "xtables-nft-multi"),
    ];

    fn lacks_of(tree: &Tree, version: &str) -> Lacks {
        Lacks::of(tree, Flavor::Appliance, version)
    }

    #[test]
    fn links_and_alternatives_lead_to_programs() {
        let whole = tree(&WHOLE, &LINKS);
        assert_eq!(lacks_of(&whole, "1.32.3"), Lacks::default());
        let dangling = tree(&WHOLE, &LINKS[..2]);
        assert_eq!(lacks_of(&dangling, "1.32.3").needed, ["iptables"]);
        let mut no_program = tree(&WHOLE, &LINKS);
        let id = no_program.lookup(b"usr/sbin/conntrack").unwrap();
        no_program.meta_mut(id).mode = 0o644;
        assert_eq!(
            lacks_of(&no_program, "1.30.0").needed,
            ["conntrack", "crictl"]
        );
    }

    #[test]
    fn each_is_told_by_name_and_by_version() {
        let nothing = tree(&[], &[]);
        let of = |version| {
            let lacks = lacks_of(&nothing, version);
            format!("{}\n{}", lacks.needed.join(", "), lacks.advised.join(", "))
        };
        insta::assert_snapshot!(of("1.32.3"), @r"
        kubeadm, kubelet, ip, iptables, mount, nsenter, a container runtime (containerd or crio), runc or crun
        conntrack, ebtables, ethtool, socat, tc
        ");
        insta::assert_snapshot!(of("1.31.0+x"), @r"
        kubeadm, kubelet, conntrack, ip, iptables, mount, nsenter, a container runtime (containerd or crio), runc or crun
        ebtables, ethtool, socat, tc
        ");
        insta::assert_snapshot!(of("1.30.9"), @r"
        kubeadm, kubelet, conntrack, crictl, ip, iptables, mount, nsenter, a container runtime (containerd or crio), runc or crun
        ebtables, ethtool, socat, tc
        ");
        assert_eq!(of(""), of("1.33.0"));
    }

    #[test]
    fn the_provider_of_kairos_has_programs_of_its_own() {
        let mut programs = WHOLE.to_vec();
        programs[0] = "opt/kubeadm/bin/kubeadm";
        programs[1] = "opt/kubeadm/bin/kubelet";
        let tree = tree(&programs, &LINKS);
        let kairos = Lacks::of(&tree, Flavor::Kairos, "1.32.3");
        assert_eq!(kairos, Lacks::default());
        assert_eq!(lacks_of(&tree, "1.32.3").needed, ["kubeadm", "kubelet"]);
    }
}
