//! The layer of the program `appliance`: the program, what it is told by the
//! profile, its units, and the mount points that a read-only root must have.
//!
//! In flavor `kairos`, whose agent installs, upgrades and keeps state, it is
//! the program and its configuration alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use isoforge_base::error::Result;

use super::program::Program;
use super::requirements;
use super::stages::Build;
use crate::overlay::{self, OverlayLayer};
use crate::profile::{Arch, Firmware, Flavor, InstallMode, Kind, Profile};
use crate::render::{Context, node_files};
use isoforge_base::tree::Tree;
use isoforge_contract::machine::{
    self, Boot, CONFIG_PATH, Config, ExtraFilesystem, ExtraPartition, Install, PROGRAM_PATH,
    Requirements, SCHEMA, State,
};
use isoforge_system::boot::{loader, menu};

/// The overlay with the program's units.
pub(super) const NODE_OVERLAY: &str = "overlays/appliance";

/// What progress, errors and the image's history call the layer.
pub(super) const PURPOSE: &str = "appliance program";

/// Least size of the partition for what is kept, where the profile has none.
const PERSISTENT_MIN_BYTES: u64 = 1 << 30;

const MIB: u64 = 1 << 20;

/// What every appliance keeps beside what the profile names: of the container
/// runtime, of Kubernetes and of its network.
const KEPT_DIRECTORIES: [&str; 5] = [
    "/opt/cni",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/etcd",
    "/var/lib/kubelet",
];

/// The same below `/etc`: what is set up on the machine, not in the image.
const KEPT_ETC: [&str; 5] = [
    "/etc/NetworkManager/system-connections",
    "/etc/cni",
    "/etc/kubernetes",
    "/etc/netplan",
    "/etc/systemd/network",
];

/// What components keep beside that, by kind and name.
const KEPT_BY_COMPONENT: [(Kind, &str, &str); 8] = [
    (Kind::Kubernetes, "k3s", "/etc/rancher"),
    (Kind::Kubernetes, "k3s", "/var/lib/rancher"),
    (Kind::Kubernetes, "rke2", "/etc/rancher"),
    (Kind::Kubernetes, "rke2", "/var/lib/rancher"),
    (Kind::Cni, "calico", "/var/lib/calico"),
    (Kind::Csi, "rook-ceph", "/var/lib/rook"),
    (Kind::Registry, "distribution", machine::REGISTRY_FOLDER),
    (Kind::Registry, "zot", machine::REGISTRY_FOLDER),
];

/// Distributions whose clusters kubeadm starts.
const KUBEADM: [&str; 2] = ["kubeadm", "pxk-e"];

/// What the program on a system of `arch` is told. `tree` is what the layer is
/// laid over.
pub(super) fn config(profile: &Profile, arch: Arch, tree: &Tree) -> Config {
    Config {
        schema: SCHEMA,
        name: profile.appliance.name.clone(),
        version: profile.appliance.version.clone(),
        title: profile.title(),
        flavor: profile.os.flavor,
        firmware: firmware(profile, arch, tree),
        install: install(profile),
        boot: Boot {
            cmdline: profile.cmdline(),
            timeout_seconds: profile.boot.timeout_seconds,
            fips: profile.os.fips,
            selinux: menu::has_selinux(tree),
        },
        state: state(profile),
        health: profile.health.clone(),
        registry: super::registry::of(profile),
    }
}

/// Firmware that an installed disk can boot under: a core image for its BIOS
/// is made of GRUB's modules, which the system has to bring.
fn firmware(profile: &Profile, arch: Arch, tree: &Tree) -> Vec<Firmware> {
    let wanted = profile.firmware(arch).into_iter();
    wanted
        .filter(|firmware| match firmware {
            Firmware::Uefi => true,
            Firmware::Bios => loader::find_bios_disk(tree).is_some(),
        })
        .collect()
}

fn install(profile: &Profile) -> Install {
    let install = &profile.install;
    Install {
        unattended: install.mode == InstallMode::Unattended,
        device: install.device.clone(),
        after: install.after,
        force: install.force,
        pages: install.pages.clone(),
        account: install.account.clone(),
        partitions: partitions(profile),
        requirements: requirements(profile),
    }
}

/// What the profile asks of the machine; where it says nothing, what kubeadm
/// checks before it starts (Kubernetes' preflight: `NumCPU`, `Mem`) and the
/// modules that container runtimes need.
fn requirements(profile: &Profile) -> Requirements {
    let asked = &profile.install.require;
    let kubeadm = KUBEADM.contains(&profile.kubernetes.distribution.as_str());
    let mut modules = asked.modules.clone();
    if kubeadm {
        modules.extend(["br_netfilter", "overlay"].map(str::to_owned));
    }
    modules.sort();
    modules.dedup();
    Requirements {
        cpus: asked.cpus.or(kubeadm.then_some(2)),
        memory_mib: asked
            .memory
            .map(|bytes| bytes.div_ceil(MIB))
            .or(kubeadm.then_some(1700)),
        disk_mib: asked.disk.map(|bytes| bytes.div_ceil(MIB)),
        modules,
        // Packs ask for them, profiles can't.
        sysctls: Vec::new(),
        nodes: None,
        enforce: asked.enforce,
    }
}

fn partitions(profile: &Profile) -> machine::Partitions {
    let partitions = &profile.install.partitions;
    let persistent = partitions.persistent;
    machine::Partitions {
        esp_mib: partitions.esp / MIB,
        oem_mib: partitions.oem / MIB,
        state_mib: partitions.state.map(|bytes| bytes / MIB),
        persistent_min_mib: persistent.unwrap_or(PERSISTENT_MIN_BYTES) / MIB,
        persistent_mib: persistent.map(|bytes| bytes / MIB),
        extra: partitions
            .extra
            .iter()
            .map(|extra| ExtraPartition {
                label: extra.label.clone(),
                size_mib: extra.size / MIB,
                filesystem: match extra.formatted {
                    true => ExtraFilesystem::Ext4,
                    false => ExtraFilesystem::None,
                },
                mount: extra.mount.clone(),
            })
            .collect(),
    }
}

/// What is kept. A directory within another, or within a partition of its own,
/// needs no place of its own.
fn state(profile: &Profile) -> State {
    let named: Vec<(Kind, &str)> = profile
        .components()
        .map(|(kind, component)| (kind, component.name.as_str()))
        .chain([(Kind::Kubernetes, profile.kubernetes.distribution.as_str())])
        .collect();
    let of_components: Vec<&str> = KEPT_BY_COMPONENT
        .iter()
        .filter(|(kind, name, _)| named.contains(&(*kind, name)))
        .map(|(_, _, path)| *path)
        .collect();
    let is_etc = |path: &&str| path.starts_with("/etc/");
    let all = |own: &[&str], etc: bool, wanted: &[String]| {
        let components = of_components.iter().filter(|path| is_etc(path) == etc);
        let fixed = own.iter().chain(components).map(|&path| path.to_owned());
        outermost(fixed.chain(wanted.iter().cloned()).collect())
    };
    let mut directories = all(&KEPT_DIRECTORIES, false, &profile.state.directories);
    let extra = &profile.install.partitions.extra;
    let mounts: Vec<&str> = extra.iter().filter_map(|e| e.mount.as_deref()).collect();
    directories.retain(|path| !mounts.iter().any(|mount| is_within(path, mount)));
    State {
        directories,
        etc: all(&KEPT_ETC, true, &profile.state.etc),
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

/// The layer over `tree`.
pub(super) fn layer(
    build: &Build<'_>,
    arch: Arch,
    program: &Program,
    context: &Context,
    epoch: u32,
    tree: &Tree,
) -> Result<OverlayLayer> {
    let profile = &build.request.loaded.profile;
    let mut config = config(profile, arch, tree);
    requirements::add(build, &mut config.install.requirements);
    let mut layer = match profile.os.flavor {
        Flavor::Kairos => OverlayLayer::default(),
        Flavor::Appliance => overlay(build, context, epoch)?,
    };
    layer.add_file(PROGRAM_PATH, 0o755, Arc::clone(&program.bytes))?;
    layer.add_file(CONFIG_PATH, 0o644, Arc::from(config.to_json()?))?;
    if profile.os.flavor == Flavor::Appliance {
        for path in mount_points(&config) {
            if tree.get(path.as_bytes()).is_none() {
                layer.add_directory(path)?;
            }
        }
    }
    layer.set_mtime(i64::from(epoch));
    Ok(layer)
}

/// The units and their links.
pub(super) fn overlay(build: &Build<'_>, context: &Context, epoch: u32) -> Result<OverlayLayer> {
    Ok(overlay::load_files(
        node_files(),
        NODE_OVERLAY,
        &build.renderer.engine,
        context,
        i64::from(epoch),
    )?)
}

/// Directories that something is mounted on and that a read-only root can't
/// make, without leading slash; what is below `/var` and `/etc` can be made.
fn mount_points(config: &Config) -> impl Iterator<Item = &str> {
    let extra = &config.install.partitions.extra;
    let mounts = extra.iter().filter_map(|extra| extra.mount.as_ref());
    let all = config.state.directories.iter().chain(mounts);
    all.map(|path| path.trim_start_matches('/'))
        .filter(|path| !path.starts_with("var/"))
}

#[cfg(any())]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::profile::{Options, SetOverride, load};
    use isoforge_system::boot::files::testing::tree;

    const MINIMAL: &str = include_str!("../../profiles/minimal.toml");

    fn profile(sets: &[&str]) -> Profile {
        let sets = [&["os.flavor=appliance"], sets].concat();
        let overrides: Vec<_> = sets.iter().map(|s| SetOverride((*s).to_owned())).collect();
        let options = Options {
            overrides: &overrides,
            catalogs: &[],
        };
        match load(Path::new("p.toml"), &options, &|_| Ok(MINIMAL.to_owned())) {
            Ok(loaded) => loaded.profile,
            Err(problems) => panic!("{problems}"),
        }
    }

    #[test]
    fn what_is_kept_comes_from_components_and_profile_without_doubles() {
        let state = state(&profile(&[
            "kubernetes.distribution=k3s",
            "state.directories=[\"/var/lib/rancher/k3s\", \"/opt/mine\"]",
            "install.partitions={ extra = [{ label = \"C\", size = \"1G\", mount = \"/var/lib/containerd\" }] }",
        ]));
        assert_eq!(
            state.directories,
            [
                "/opt/cni",
                "/opt/mine",
                "/var/lib/cni",
                "/var/lib/etcd",
                "/var/lib/kubelet",
                "/var/lib/rancher",
            ]
        );
        assert!(state.etc.contains(&"/etc/rancher".to_owned()));
    }

    #[test]
    fn a_disk_boots_under_bios_only_where_the_system_brings_the_boot_code() {
        let profile = profile(&[]);
        let firmware = |text: &str| config(&profile, Arch::Amd64, &tree(text)).firmware;
        let uefi = Firmware::Uefi;
        assert_eq!(firmware("etc/"), [uefi]);
        assert_eq!(
            firmware("usr/lib/grub/i386-pc/kernel.img\nusr/lib/grub/i386-pc/boot_hybrid.img"),
            [Firmware::Bios, uefi]
        );
        assert_eq!(
            config(&profile, Arch::Arm64, &tree("etc/")).firmware,
            [uefi]
        );
    }

    #[test]
    fn sizes_are_told_in_mib_and_what_the_profile_leaves_open_stays_open() {
        let install = install(&profile(&["install.partitions={ persistent = \"3G\" }"]));
        let partitions = install.partitions;
        assert_eq!((partitions.esp_mib, partitions.oem_mib), (64, 64));
        assert_eq!(partitions.state_mib, None);
        assert_eq!(partitions.persistent_mib, Some(3072));
        assert_eq!(partitions.persistent_min_mib, 3072);
    }

    #[test]
    fn what_kubeadm_asks_of_a_machine_is_asked_unless_the_profile_says_otherwise() {
        let found = requirements(&profile(&["install.require={ memory = \"4G\" }"]));
        assert_eq!((found.cpus, found.memory_mib), (Some(2), Some(4096)));
        assert_eq!(found.modules, ["br_netfilter", "overlay"]);
        assert!(!found.enforce);
        let found = requirements(&profile(&["kubernetes.distribution=debian"]));
        assert_eq!(found, Requirements::default());
    }

    #[test]
    fn mount_points_are_those_that_a_read_only_root_lacks() {
        let profile = profile(&[
            "install.partitions={ extra = [{ label = \"D\", size = \"1G\", mount = \"/srv/d\" }] }",
        ]);
        let config = config(&profile, Arch::Amd64, &tree("etc/"));
        let points: Vec<_> = mount_points(&config).collect();
        assert_eq!(points, ["opt/cni", "srv/d"]);
    }
}
