//! Kernel, initrd and modules, found where Debian, Ubuntu, Fedora, Red Hat,
//! SUSE and Kairos put them.
//!
//! Where `/boot/vmlinuz` names a kernel (Kairos makes that link), that one is
//! taken; of several others the newest that has an initrd.

use std::cmp::Ordering;

use super::files::{self, BootFile, list};
use super::{Finding, version};
use crate::Error;
use crate::error::unfit;
use isoforge_base::tree::{self, Kind, Tree};
use isoforge_contract::arch::Arch;

/// A kernel with what it needs to come up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// The kernel image.
    pub kernel: BootFile,
    /// The initial RAM disk made for it.
    pub initrd: BootFile,
    /// Its release, as `uname -r` says it; none where neither a file name nor
    /// a single directory of modules tells it.
    pub release: Option<String>,
    /// Its directory of modules (`/usr/lib/modules/…`), where there is one.
    pub modules: Option<String>,
    /// What is noteworthy about the choice.
    pub findings: Vec<Finding>,
}

/// The link that Kairos makes, and that names the kernel for all others.
const LINK: &str = "boot/vmlinuz";

/// Directories of modules, in each of which newer systems keep the kernel too.
const MODULES: &str = "usr/lib/modules";

#[derive(Debug)]
struct Candidate {
    file: BootFile,
    release: Option<String>,
    /// Found by [`LINK`].
    linked: bool,
}

/// Finds kernel, initrd and modules in `tree`.
///
/// # Errors
/// [`Error`] naming every place that was looked at.
pub fn find(tree: &Tree, arch: Arch) -> Result<Kernel, Error> {
    let candidates = candidates(tree, arch);
    let Some(best) = candidates.first() else {
        let looked_at = list(&kernel_patterns(arch));
        let problem = format!("the OS image has no kernel; looked for:{looked_at}");
        let hint = "add a kernel to the image: linux-image-amd64 (Debian), linux-image-generic \
             (Ubuntu), kernel (Fedora, RHEL), kernel-default (SUSE)";
        return Err(unfit(problem).with_hint(hint).into());
    };
    let only = candidates.iter().all(|c| c.release == best.release);
    let mut findings = Vec::new();
    for candidate in &candidates {
        let Some(initrd) = initrd_paths(tree, candidate, only)
            .iter()
            .find_map(|path| files::at(tree, path))
        else {
            findings.push(Finding::warning(
                format!(
                    "the kernel {} has no initrd and is passed over",
                    candidate.file.path
                ),
                "run dracut for it in the image, or remove that kernel",
            ));
            continue;
        };
        return Ok(Kernel {
            modules: modules_of(tree, candidate.release.as_deref()),
            kernel: candidate.file.clone(),
            initrd,
            release: candidate.release.clone(),
            findings,
        });
    }
    let (kernel, looked_at) = (&best.file.path, list(&initrd_paths(tree, best, only)));
    let problem =
        format!("the OS image has no initrd for its kernel {kernel}; looked for:{looked_at}");
    let hint = "make one in the image with dracut (packages dracut and dracut-live, \
         dracut-squash on older releases): dracut --no-hostonly --add dmsquash-live \
         --regenerate-all --force";
    Err(unfit(problem).with_hint(hint).into())
}

/// File name prefixes of kernels in `/boot`.
fn prefixes(arch: Arch) -> &'static [&'static str] {
    match arch {
        Arch::Amd64 => &["vmlinuz-"],
        // SUSE keeps the name that the kernel's makefile gives.
        Arch::Arm64 => &["vmlinuz-", "Image-"],
    }
}

fn kernel_patterns(arch: Arch) -> Vec<String> {
    let mut patterns = vec![LINK.to_owned()];
    for prefix in prefixes(arch) {
        patterns.push(format!("boot/{prefix}*"));
        patterns.push(format!("{MODULES}/*/{}", prefix.trim_end_matches('-')));
    }
    patterns
}

/// All kernels, the preferred one first.
fn candidates(tree: &Tree, arch: Arch) -> Vec<Candidate> {
    let mut found = Vec::new();
    if let Some(file) = files::at(tree, LINK) {
        found.push(Candidate {
            release: release_of(&file.path, arch).or_else(|| only_modules(tree)),
            file,
            linked: true,
        });
    }
    for prefix in prefixes(arch) {
        for name in files::names(tree, "boot") {
            if let Some(release) = name.strip_prefix(prefix)
                && let Some(file) = files::at(tree, &format!("boot/{name}"))
            {
                found.push(Candidate {
                    file,
                    release: Some(release.to_owned()),
                    linked: false,
                });
            }
        }
        let image = prefix.trim_end_matches('-');
        for release in files::names(tree, MODULES) {
            if let Some(file) = files::at(tree, &format!("{MODULES}/{release}/{image}")) {
                found.push(Candidate {
                    file,
                    release: Some(release.to_owned()),
                    linked: false,
                });
            }
        }
    }
    // Stable: of two files for one release the first found stays first.
    found.sort_by(|a, b| {
        b.linked
            .cmp(&a.linked)
            .then_with(|| newest_first(a.release.as_deref(), b.release.as_deref()))
    });
    found
}

fn newest_first(a: Option<&str>, b: Option<&str>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => version::compare(b, a),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

/// The release in a kernel's path: after the prefix, or the directory of
/// modules that the kernel is in.
fn release_of(path: &str, arch: Arch) -> Option<String> {
    let path = path.trim_start_matches('/');
    let (dir, name) = path.rsplit_once('/')?;
    if let Some(release) = prefixes(arch).iter().find_map(|p| name.strip_prefix(p)) {
        return Some(release.to_owned());
    }
    let release = dir.strip_prefix(MODULES)?.strip_prefix('/')?;
    Some(release.to_owned())
}

/// The release of the only directory of modules.
fn only_modules(tree: &Tree) -> Option<String> {
    let mut names = files::names(tree, MODULES);
    match (names.next(), names.next()) {
        (Some(only), None) => Some(only.to_owned()),
        _ => None,
    }
}

/// The releases that there are modules of.
pub(super) fn module_releases(tree: &Tree) -> Vec<String> {
    let mut releases: Vec<String> = files::names(tree, MODULES)
        .filter(|release| modules_of(tree, Some(release)).is_some())
        .map(str::to_owned)
        .collect();
    releases.sort_by(|a, b| version::compare(b, a));
    releases
}

/// Whether `path` is a file itself, and no link to one.
fn is_plain_file(tree: &Tree, path: &str) -> bool {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    let inode = tree
        .lookup(dir.as_bytes())
        .and_then(|dir| tree.children(dir)?.get(name.as_bytes()))
        .map(|&id| tree.inode(id));
    inode.is_some_and(|inode| matches!(inode.kind, Kind::File(_)))
}

pub(super) fn modules_of(tree: &Tree, release: Option<&str>) -> Option<String> {
    let path = tree
        .resolve(format!("{MODULES}/{}", release?).as_bytes())
        .ok()?;
    tree.children(tree.get(&path)?)?;
    Some(format!("/{}", tree::display(&path)))
}

/// Where a kernel's initrd may be. Names without a release count only for the
/// linked kernel and for an `only` one: else they may be another kernel's.
fn initrd_paths(tree: &Tree, candidate: &Candidate, only: bool) -> Vec<String> {
    let mut paths = Vec::new();
    // A file of that name was made for the kernel beside it; a link may have been
    // left by another one, so what is named after the release goes first.
    if candidate.linked && is_plain_file(tree, "boot/initrd") {
        paths.push("boot/initrd".to_owned());
    }
    if let Some(release) = &candidate.release {
        paths.extend([
            format!("boot/initrd.img-{release}"),
            format!("boot/initramfs-{release}.img"),
            format!("boot/initrd-{release}"),
            format!("boot/initrd-{release}.img"),
            format!("{MODULES}/{release}/initramfs.img"),
            format!("{MODULES}/{release}/initrd"),
        ]);
    }
    if candidate.linked || only {
        for path in ["boot/initrd", "boot/initrd.img", "boot/initramfs.img"] {
            if !paths.iter().any(|known| known == path) {
                paths.push(path.to_owned());
            }
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;
    use isoforge_base::error::{Class, Diagnose as _};
    use isoforge_judges::trees::tree;

    fn found(text: &str) -> String {
        found_for(Arch::Amd64, text)
    }

    fn found_for(arch: Arch, text: &str) -> String {
        let kernel = find(&tree(text), arch).unwrap();
        let findings = kernel.findings.iter().map(|f| f.message.as_str());
        [
            kernel.kernel.path.as_str(),
            &kernel.initrd.path,
            kernel.release.as_deref().unwrap_or("?"),
            kernel.modules.as_deref().unwrap_or("?"),
        ]
        .into_iter()
        .chain(findings)
        .collect::<Vec<_>>()
        .join("\n")
    }

    #[test]
    fn debian_with_two_kernels_gives_the_newer() {
        assert_snapshot!(found(
            "boot/vmlinuz-6.12.9+deb13-amd64
             boot/initrd.img-6.12.9+deb13-amd64
             boot/vmlinuz-6.12.107+deb13-amd64
             boot/initrd.img-6.12.107+deb13-amd64
             usr/lib/modules/6.12.107+deb13-amd64/
             usr/lib/modules/6.12.9+deb13-amd64/
             vmlinuz -> boot/vmlinuz-6.12.9+deb13-amd64
             lib -> usr/lib"
        ), @r"
        /boot/vmlinuz-6.12.107+deb13-amd64
        /boot/initrd.img-6.12.107+deb13-amd64
        6.12.107+deb13-amd64
        /usr/lib/modules/6.12.107+deb13-amd64
        ");
    }

    #[test]
    fn the_link_of_kairos_decides() {
        assert_snapshot!(found(
            "boot/vmlinuz -> vmlinuz-5.15.0-91-generic
             boot/vmlinuz-5.15.0-91-generic
             boot/vmlinuz-5.15.0-100-generic
             boot/initrd.img-5.15.0-100-generic
             boot/initrd
             usr/lib/modules/5.15.0-91-generic/"
        ), @r"
        /boot/vmlinuz-5.15.0-91-generic
        /boot/initrd
        5.15.0-91-generic
        /usr/lib/modules/5.15.0-91-generic
        ");
    }

    #[test]
    fn a_link_left_by_another_kernel_gives_way_to_the_initrd_of_this_one() {
        assert_snapshot!(found(
            "boot/vmlinuz -> vmlinuz-6.4.1-rt
             boot/vmlinuz-6.4.1-rt
             boot/initrd -> initrd-6.4.2-default
             boot/initrd-6.4.2-default
             boot/initrd-6.4.1-rt
             usr/lib/modules/6.4.1-rt/"
        ), @r"
        /boot/vmlinuz-6.4.1-rt
        /boot/initrd-6.4.1-rt
        6.4.1-rt
        /usr/lib/modules/6.4.1-rt
        ");
        // Kairos makes that file for the linked kernel, whatever a package left.
        assert_snapshot!(found(
            "boot/vmlinuz -> vmlinuz-6.4.1-rt
             boot/vmlinuz-6.4.1-rt
             boot/initrd
             boot/initrd.img-6.4.1-rt"
        ), @r"
        /boot/vmlinuz-6.4.1-rt
        /boot/initrd
        6.4.1-rt
        ?
        ");
    }

    #[test]
    fn a_kernel_without_version_takes_that_of_the_only_modules() {
        assert_snapshot!(found(
            "boot/vmlinuz
             boot/initrd
             usr/lib/modules/6.4.0-default/kernel/"
        ), @r"
        /boot/vmlinuz
        /boot/initrd
        6.4.0-default
        /usr/lib/modules/6.4.0-default
        ");
    }

    #[test]
    fn fedora_passes_over_the_rescue_kernel() {
        assert_snapshot!(found(
            "boot/vmlinuz-0-rescue-0123456789abcdef
             boot/initramfs-0-rescue-0123456789abcdef.img
             boot/vmlinuz-6.9.12-200.fc40.x86_64
             boot/initramfs-6.9.12-200.fc40.x86_64.img"
        ), @r"
        /boot/vmlinuz-6.9.12-200.fc40.x86_64
        /boot/initramfs-6.9.12-200.fc40.x86_64.img
        6.9.12-200.fc40.x86_64
        ?
        ");
    }

    #[test]
    fn suse_and_bootable_containers_keep_the_kernel_with_its_modules() {
        assert_snapshot!(found(
            "boot/vmlinuz -> vmlinuz-6.4.0-150600.21-default
             boot/vmlinuz-6.4.0-150600.21-default -> ../usr/lib/modules/6.4.0-150600.21-default/vmlinuz
             usr/lib/modules/6.4.0-150600.21-default/vmlinuz
             boot/initrd-6.4.0-150600.21-default
             boot/initrd -> initrd-6.4.0-150600.21-default"
        ), @r"
        /usr/lib/modules/6.4.0-150600.21-default/vmlinuz
        /boot/initrd-6.4.0-150600.21-default
        6.4.0-150600.21-default
        /usr/lib/modules/6.4.0-150600.21-default
        ");
        assert_snapshot!(found(
            "usr/lib/modules/5.14.0-503.el9.x86_64/vmlinuz
             usr/lib/modules/5.14.0-503.el9.x86_64/initramfs.img"
        ), @r"
        /usr/lib/modules/5.14.0-503.el9.x86_64/vmlinuz
        /usr/lib/modules/5.14.0-503.el9.x86_64/initramfs.img
        5.14.0-503.el9.x86_64
        /usr/lib/modules/5.14.0-503.el9.x86_64
        ");
        assert_snapshot!(found_for(
            Arch::Arm64,
            "boot/Image-6.4.0-150600.21-default
             boot/initrd-6.4.0-150600.21-default"
        ), @r"
        /boot/Image-6.4.0-150600.21-default
        /boot/initrd-6.4.0-150600.21-default
        6.4.0-150600.21-default
        ?
        ");
    }

    #[test]
    fn a_newer_kernel_without_initrd_is_passed_over_and_told() {
        assert_snapshot!(found(
            "boot/vmlinuz-6.12.9
             boot/initrd.img-6.12.9
             boot/initrd.img -> initrd.img-6.12.9
             boot/vmlinuz-6.12.10"
        ), @r"
        /boot/vmlinuz-6.12.9
        /boot/initrd.img-6.12.9
        6.12.9
        ?
        the kernel /boot/vmlinuz-6.12.10 has no initrd and is passed over
        ");
    }

    #[test]
    fn errors_name_every_place() {
        let error = find(&tree("boot/"), Arch::Amd64).unwrap_err();
        assert_eq!(error.class(), Class::Profile);
        assert_snapshot!(error, @r"
        the OS image has no kernel; looked for:
            /boot/vmlinuz
            /boot/vmlinuz-*
            /usr/lib/modules/*/vmlinuz
        ");
        // A link to nothing is no kernel.
        let text = "boot/vmlinuz -> vmlinuz-1\nboot/vmlinuz-2";
        let error = find(&tree(text), Arch::Amd64).unwrap_err();
        assert_eq!(error.class(), Class::Profile);
        assert_snapshot!(error, @r"
        the OS image has no initrd for its kernel /boot/vmlinuz-2; looked for:
            /boot/initrd.img-2
            /boot/initramfs-2.img
            /boot/initrd-2
            /boot/initrd-2.img
            /usr/lib/modules/2/initramfs.img
            /usr/lib/modules/2/initrd
            /boot/initrd
            /boot/initrd.img
            /boot/initramfs.img
        ");
    }
}
