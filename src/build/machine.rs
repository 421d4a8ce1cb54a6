//! What the program `appliance` is told by the profile: what was written there, with
//! every default that depends on something else decided, and sizes in the MiB that
//! partitions have.

use crate::profile::{Kind, Profile};
use crate::sources::kubernetes::component_kind;
use isoforge_base::tree::Tree;
use isoforge_contract::arch::Arch;
use isoforge_contract::kept;
use isoforge_contract::machine::{
    self, Boot, Config, ExtraFilesystem, ExtraPartition, Install, InstallMode, Requirements,
    SCHEMA, State,
};
use isoforge_system::appliance_layer::disk_firmware;
use isoforge_system::boot::cmdline;

/// Least size of the partition for what is kept, where the profile has none.
const PERSISTENT_MIN_BYTES: u64 = 1 << 30;

const MIB: u64 = 1 << 20;

/// Distributions whose clusters kubeadm starts.
const KUBEADM: [&str; 2] = ["kubeadm", "pxk-e"];

/// Whether kubeadm starts the profile's clusters.
pub(super) fn has_kubeadm(profile: &Profile) -> bool {
    KUBEADM.contains(&profile.kubernetes.distribution.as_str())
}

/// What the program on a system of `arch` is told. `tree` is what the layer is
/// laid over.
pub(super) fn config(profile: &Profile, arch: Arch, tree: &Tree) -> Config {
    Config {
        schema: SCHEMA,
        name: profile.appliance.name.clone(),
        version: profile.appliance.version.clone(),
        title: profile.title(),
        flavor: profile.os.flavor,
        firmware: disk_firmware(tree, &profile.firmware(arch)),
        install: install(profile),
        boot: Boot {
            cmdline: profile.cmdline(),
            timeout_seconds: profile.boot.timeout_seconds,
            fips: profile.os.fips,
            selinux: cmdline::has_selinux(tree),
        },
        state: state(profile),
        health: profile.health.clone(),
        registry: super::registry::of(profile),
    }
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
        password: install.password,
        partitions: partitions(profile),
        requirements: requirements(profile),
    }
}

/// What the profile asks of the machine; where it says nothing, what kubeadm
/// checks before it starts (Kubernetes' preflight: `NumCPU`, `Mem`) and the
/// modules that container runtimes need.
fn requirements(profile: &Profile) -> Requirements {
    let asked = &profile.install.require;
    let kubeadm = has_kubeadm(profile);
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

/// What is kept.
fn state(profile: &Profile) -> State {
    let kubernetes = (Kind::Kubernetes, profile.kubernetes.distribution.as_str());
    let components: Vec<_> = profile
        .components()
        .map(|(kind, component)| (kind, component.name.as_str()))
        .chain([kubernetes])
        .map(|(kind, name)| (component_kind(kind), name))
        .collect();
    let extra = &profile.install.partitions.extra;
    let mounts: Vec<&str> = extra.iter().filter_map(|e| e.mount.as_deref()).collect();
    kept::state(
        &components,
        &profile.state.directories,
        &profile.state.etc,
        &mounts,
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::profile::{Options, SetOverride, load};

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
}
