//! The layer of the program `appliance`: the program, what it is told by the
//! profile, its units, and the mount points that a read-only root must have.
//!
//! In flavor `kairos`, whose agent installs, upgrades and keeps state, it is
//! the program and its configuration alone.

use std::sync::Arc;

use crate::Error;
use crate::boot::loader;
use crate::boot::lock::Lock;
use crate::overlay::OverlayLayer;
use isoforge_base::tree::Tree;
use isoforge_contract::machine::{
    BOOT_PASSWORD_PATH, CONFIG_PATH, Config, Firmware, Flavor, PROGRAM_PATH,
};

/// The overlay with the program's units.
pub const OVERLAY: &str = "overlays/appliance";

/// The overlay that starts the program's pages on the machine's consoles.
pub const CONSOLE_OVERLAY: &str = "overlays/console";

/// What progress, errors and the image's history call that layer.
pub const CONSOLE_PURPOSE: &str = "console pages";

/// What progress, errors and the image's history call the layer.
pub const PURPOSE: &str = "appliance program";

/// Those of `wanted` that a disk with the system in `tree` can boot under: a core
/// image for its BIOS is made of GRUB's modules, which the system has to bring.
#[must_use]
pub fn disk_firmware(tree: &Tree, wanted: &[Firmware]) -> Vec<Firmware> {
    let mut found = wanted.to_vec();
    found.retain(|it| *it != Firmware::Bios || loader::find_bios_disk(tree).is_some());
    found
}

/// The layer over `tree`: `units` is the overlay [`OVERLAY`], `program` all of the
/// program, `json` what it reads of `config`, `lock` what the installed disk's menu is
/// locked with: the layer is then kept for its owner alone. `epoch` (seconds since 1970)
/// becomes the time of everything in it.
///
/// # Errors
/// Where a path of the configuration can't be one.
pub fn layer(
    units: OverlayLayer,
    program: &Arc<[u8]>,
    (config, json): (&Config, Vec<u8>),
    lock: Option<&Lock>,
    epoch: u32,
    tree: &Tree,
) -> Result<OverlayLayer, Error> {
    let is_appliance = config.flavor == Flavor::Appliance;
    let mut layer = match is_appliance {
        true => units,
        false => OverlayLayer::default(),
    };
    layer.add_file(PROGRAM_PATH, 0o755, Arc::clone(program))?;
    layer.add_file(CONFIG_PATH, 0o644, Arc::from(json))?;
    if is_appliance {
        if let Some(lock) = lock {
            let text = format!("{}\n", lock.text());
            layer.add_file(BOOT_PASSWORD_PATH, 0o600, Arc::from(text.into_bytes()))?;
            layer.is_private = true;
        }
        for path in mount_points(config) {
            if tree.get(path.as_bytes()).is_none() {
                layer.add_directory(path)?;
            }
        }
    }
    layer.set_mtime(i64::from(epoch));
    Ok(layer)
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

#[cfg(test)]
mod tests {
    use super::*;
    use isoforge_judges::trees::tree;

    #[test]
    fn a_disk_boots_under_bios_only_where_the_system_brings_the_boot_code() {
        let both = [Firmware::Bios, Firmware::Uefi];
        assert_eq!(disk_firmware(&tree("etc/"), &both), [Firmware::Uefi]);
        let with = tree("usr/lib/grub/i386-pc/kernel.img\nusr/lib/grub/i386-pc/boot_hybrid.img");
        assert_eq!(disk_firmware(&with, &both), both);
        assert_eq!(disk_firmware(&with, &[Firmware::Uefi]), [Firmware::Uefi]);
    }

    #[test]
    fn mount_points_are_those_that_a_read_only_root_lacks() {
        let config = r#"{
            "schema": 1, "name": "a", "version": "1", "title": "a", "flavor": "appliance",
            "firmware": ["uefi"],
            "install": {
                "unattended": false, "device": "auto", "after": "reboot", "force": false,
                "pages": [],
                "partitions": {
                    "esp_mib": 64, "oem_mib": 64, "persistent_min_mib": 1024,
                    "extra": [
                        {"label": "D", "size_mib": 1024, "filesystem": "ext4", "mount": "/srv/d"}
                    ]
                },
                "requirements": {"modules": [], "enforce": false}
            },
            "boot": {"cmdline": [], "timeout_seconds": 5, "fips": false, "selinux": false},
            "state": {"directories": ["/opt/cni", "/opt/there", "/var/lib/cni"], "etc": []},
            "health": {"checks": [], "units": [], "time_limit_seconds": 600}
        }"#;
        let config = Config::parse(config.as_bytes()).unwrap();
        let program: Arc<[u8]> = Arc::from(b"program".as_slice());
        let units = OverlayLayer::default();
        let layer = layer(
            units,
            &program,
            (&config, Vec::new()),
            None,
            7,
            &tree("opt/there/"),
        )
        .unwrap();
        let is_there = |path: &str| layer.tree.get(path.as_bytes()).is_some();
        for path in ["opt/cni", "srv/d", PROGRAM_PATH, CONFIG_PATH] {
            assert!(is_there(path), "{path}");
        }
        assert!(!is_there("opt/there") && !is_there("var/lib/cni"));
    }

    #[test]
    fn the_hash_of_the_menus_password_is_roots_alone() {
        let mut config = crate::slots::testing::config();
        let lock = Lock::new("correct horse", "demo");
        let program: Arc<[u8]> = Arc::from(b"program".as_slice());
        let made = |config: &Config, lock: Option<&Lock>| {
            let told = (config, config.to_json().unwrap());
            layer(
                OverlayLayer::default(),
                &program,
                told,
                lock,
                7,
                &tree("etc/"),
            )
            .unwrap()
        };
        let locked = made(&config, Some(&lock));
        assert!(locked.is_private);
        let id = locked.tree.get(BOOT_PASSWORD_PATH.as_bytes()).unwrap();
        assert_eq!(locked.tree.inode(id).meta.mode, 0o600);
        let open = made(&config, None);
        assert!(!open.is_private && open.tree.get(BOOT_PASSWORD_PATH.as_bytes()).is_none());
        // Kairos's agent writes another menu.
        config.flavor = Flavor::Kairos;
        let kairos = made(&config, Some(&lock));
        assert!(kairos.tree.get(BOOT_PASSWORD_PATH.as_bytes()).is_none());
    }
}
