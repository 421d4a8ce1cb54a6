//! Templates and overlays that are compiled in.

use isoforge_system::overlay::EmbeddedFile;

macro_rules! embed {
    ($($path:literal),* $(,)?) => {
        &[$(EmbeddedFile {
            path: $path,
            bytes: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $path)),
            executable: false,
        }),*]
    };
}

static FILES: &[EmbeddedFile] = embed![
    "overlays/base.toml",
    "overlays/base/etc/machine-id",
    "overlays/base/usr/lib/systemd/system/appliance-ssh-host-keys.service",
    "overlays/iso/README.txt.tera",
    "templates/cloud-config.yaml.tera",
    "templates/grub/menu.cfg.tera",
    "templates/issue.tera",
];

/// What the program `appliance` needs beside itself: its units and where they
/// are started from. They are of one version with the program, so a project
/// can't replace them; its own overlays go over them.
static NODE_FILES: &[EmbeddedFile] = embed![
    "overlays/appliance.toml",
    "overlays/appliance/usr/lib/systemd/network/90-appliance-dhcp.network",
    "overlays/appliance/usr/lib/systemd/system.conf.d/50-appliance-watchdog.conf",
    "overlays/appliance/usr/lib/systemd/system/NetworkManager-wait-online.service.d/10-appliance.conf",
    "overlays/appliance/usr/lib/systemd/system/appliance-accounts-shutdown.service",
    "overlays/appliance/usr/lib/systemd/system/appliance-accounts.path",
    "overlays/appliance/usr/lib/systemd/system/appliance-accounts.service",
    "overlays/appliance/usr/lib/systemd/system/appliance-configure-boot.service",
    "overlays/appliance/usr/lib/systemd/system/appliance-configure-initramfs.service",
    "overlays/appliance/usr/lib/systemd/system/appliance-configure-network.service",
    "overlays/appliance/usr/lib/systemd/system/appliance-confirm.service",
    "overlays/appliance/usr/lib/systemd/system/appliance-host-keys.service",
    "overlays/appliance/usr/lib/systemd/system/appliance-install.target",
    "overlays/appliance/usr/lib/systemd/system/appliance-installer.service",
    "overlays/appliance/usr/lib/systemd/system/appliance-quiet-consoles.service",
    "overlays/appliance/usr/lib/systemd/system/appliance-trial.service",
    "overlays/appliance/usr/lib/systemd/system/appliance-trial.timer",
    "overlays/appliance/usr/lib/systemd/system/systemd-networkd-wait-online.service.d/10-appliance.conf",
    "overlays/appliance/usr/lib/systemd/system/systemd-networkd.service.d/10-appliance.conf",
    "overlays/appliance/usr/lib/systemd/system/var.mount.d/10-appliance.conf",
    "overlays/appliance/usr/lib/udev/rules.d/90-appliance-serial-getty.rules",
];

/// What a system with a registry has beside that.
static REGISTRY_FILES: &[EmbeddedFile] = embed![
    "overlays/registry.toml",
    "overlays/registry/usr/lib/systemd/system/appliance-registry-import.service",
    "overlays/registry/usr/lib/systemd/system/appliance-registry-prepare.service",
    "overlays/registry/usr/lib/systemd/system/appliance-registry-push.service",
    "overlays/registry/usr/lib/systemd/system/appliance-registry-renew.service",
    "overlays/registry/usr/lib/systemd/system/appliance-registry.service",
    "overlays/registry/usr/lib/sysusers.d/appliance-registry.conf",
];

/// What a system with pages on its consoles has beside that.
static CONSOLE_FILES: &[EmbeddedFile] = embed![
    "overlays/console.toml",
    "overlays/console/usr/lib/systemd/system/getty@tty1.service.d/10-appliance-console.conf",
    "overlays/console/usr/lib/systemd/system/serial-getty@.service.d/10-appliance-console.conf",
];

/// The files of the overlay `overlays/appliance`, its manifest included.
#[must_use]
pub(crate) fn node_files() -> &'static [EmbeddedFile] {
    NODE_FILES
}

/// The files of the overlay `overlays/registry`, its manifest included.
#[must_use]
pub(crate) fn registry_files() -> &'static [EmbeddedFile] {
    REGISTRY_FILES
}

/// The files of the overlay `overlays/console`, its manifest included.
#[must_use]
pub(crate) fn console_files() -> &'static [EmbeddedFile] {
    CONSOLE_FILES
}

/// All default files, by path: what a project falls back to, and what
/// `isoforge init` writes. GRUB's stub is not among them: by it the medium is
/// found, and a project has no say in that.
#[must_use]
pub(crate) fn embedded_files() -> &'static [EmbeddedFile] {
    FILES
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_repository_is_compiled_in() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut found = Vec::new();
        for dir in ["overlays", "templates"] {
            for entry in walkdir::WalkDir::new(root.join(dir)).sort_by_file_name() {
                let entry = entry.unwrap();
                if entry.file_type().is_dir() {
                    continue;
                }
                assert!(entry.file_type().is_file(), "{entry:?} is no plain file");
                let path = entry.path().strip_prefix(root).unwrap();
                let by_these_the_medium_is_found = ["stub.cfg.tera"];
                if by_these_the_medium_is_found
                    .contains(&&*path.file_name().unwrap().to_string_lossy())
                {
                    continue;
                }
                let mode = entry.metadata().unwrap().permissions().mode();
                found.push((path.to_str().unwrap().to_owned(), mode & 0o111 != 0));
            }
        }
        found.sort();
        let mut compiled: Vec<_> = embedded_files()
            .iter()
            .chain(node_files())
            .chain(registry_files())
            .chain(console_files())
            .map(|file| (file.path.to_owned(), file.executable))
            .collect();
        compiled.sort();
        assert_eq!(compiled, found, "keep the list in this module in step");
    }

    /// Where the device of a serial console comes after systemd gave up on it, and only
    /// there: not on terminals that are no consoles, and not beside an installer.
    #[test]
    fn a_serial_console_that_comes_late_gets_its_login() {
        let rules = node_files()
            .iter()
            .find(|file| file.path.ends_with("-serial-getty.rules"))
            .unwrap();
        let text = std::str::from_utf8(rules.bytes).unwrap();
        let rule: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            rule,
            [concat!(
                r#"ACTION!="remove", SUBSYSTEM=="tty", "#,
                r#"TEST=="/run/systemd/generator/getty.target.wants/serial-getty@%k.service", "#,
                r#"IMPORT{cmdline}="appliance.slot", "#,
                r#"ENV{SYSTEMD_WANTS}+="serial-getty@%k.service""#,
            )]
        );
    }
}
