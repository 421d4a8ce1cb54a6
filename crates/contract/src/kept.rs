//! What an installed system keeps, beside what its profile names.

use std::collections::BTreeSet;

use crate::machine::{REGISTRY_FOLDER, State};
use crate::manifest::ComponentKind;

/// What every appliance keeps beside what the profile names: of the container
/// runtime, of Kubernetes and of its network.
const DIRECTORIES: [&str; 5] = [
    "/opt/cni",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/etcd",
    "/var/lib/kubelet",
];

/// The same below `/etc`: what is set up on the machine, not in the image.
const ETC: [&str; 5] = [
    "/etc/NetworkManager/system-connections",
    "/etc/cni",
    "/etc/kubernetes",
    "/etc/netplan",
    "/etc/systemd/network",
];

/// What components keep beside that, by kind and name.
const BY_COMPONENT: [(ComponentKind, &str, &str); 8] = [
    (ComponentKind::Kubernetes, "k3s", "/etc/rancher"),
    (ComponentKind::Kubernetes, "k3s", "/var/lib/rancher"),
    (ComponentKind::Kubernetes, "rke2", "/etc/rancher"),
    (ComponentKind::Kubernetes, "rke2", "/var/lib/rancher"),
    (ComponentKind::Cni, "calico", "/var/lib/calico"),
    (ComponentKind::Csi, "rook-ceph", "/var/lib/rook"),
    (ComponentKind::Registry, "distribution", REGISTRY_FOLDER),
    (ComponentKind::Registry, "zot", REGISTRY_FOLDER),
];

/// What a machine with these components keeps, `directories` and `etc` of the
/// profile among it, all absolute paths. A directory within another, or within one
/// of `mounts`, which are partitions of their own, needs no place of its own.
#[must_use]
pub fn state(
    components: &[(ComponentKind, &str)],
    directories: &[String],
    etc: &[String],
    mounts: &[&str],
) -> State {
    let of_components: Vec<&str> = BY_COMPONENT
        .iter()
        .filter(|(kind, name, _)| components.contains(&(*kind, name)))
        .map(|(_, _, path)| *path)
        .collect();
    let all = |always: &[&str], is_etc: bool, wanted: &[String]| {
        let components = of_components.iter();
        let components = components.filter(|path| path.starts_with("/etc/") == is_etc);
        let fixed = always.iter().chain(components).map(|&path| path.to_owned());
        outermost(fixed.chain(wanted.iter().cloned()).collect())
    };
    let mut directories = all(&DIRECTORIES, false, directories);
    directories.retain(|path| !mounts.iter().any(|mount| is_within(path, mount)));
    State {
        directories,
        etc: all(&ETC, true, etc),
    }
}

/// The paths that lie in no other, sorted.
fn outermost(paths: BTreeSet<String>) -> Vec<String> {
    let is_inner = |path: &String| {
        let mut others = paths.iter().filter(|other| *other != path);
        others.any(|other| is_within(path, other))
    };
    paths.iter().filter(|p| !is_inner(p)).cloned().collect()
}

/// Whether `path` is `outer` or below it.
fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
