//! Keys of the installed machine: installation, what it keeps, when it is well.

use serde::{Serialize as _, Serializer};

use crate::profile::check;
use crate::profile::keys::{
    At, Need, boolean, bytes, integer, keys, list, one_of, optional_table, password_hash, table,
    text, text_or_table,
};
use crate::profile::problem::Bad;
use isoforge_contract::machine::{
    After, CHARACTER_CLASSES, DefaultAccount, Device, Health, InstallMode, Page, PasswordRules,
    Rule, State,
};
use isoforge_system::hardening::{Hardening, Standard};

keys! {
    /// `[install]`.
    #[derive(Eq)]
    pub struct Install {
        /// The disk to install to: `auto` (the largest that is not the medium), a path below `/dev`,
        /// or a rule. Of several disks that fit a rule the largest is taken.
        #[serde(serialize_with = "device_text")]
        device: Device = text_or_table(check::device, rule).or(Device::Auto),
        /// Which installer the menu boots by default.
        mode: InstallMode = one_of(&[
            ("interactive", InstallMode::Interactive),
            ("unattended", InstallMode::Unattended),
        ])
        .or(InstallMode::Interactive),
        /// What the machine does once it is installed.
        after: After = one_of(&[
            ("reboot", After::Reboot),
            ("poweroff", After::Poweroff),
            ("none", After::None),
        ])
        .or(After::Reboot),
        /// Whether an unattended installation may overwrite an installed appliance.
        force: bool = boolean().or(false),
        /// Pages that the interactive installer shows beside those for disk, account and end.
        pages: Vec<Page> = list(one_of(&[("hostname", Page::Hostname), ("network", Page::Network)]))
            .map(super::each_once)
            .or_empty("none"),
        /// The account that is there where neither site configuration nor installer gives one. Its
        /// password must be changed at the first login.
        account: Option<DefaultAccount> = optional_table(),
        /// What a password must be that somebody types at the installer. One that the profile or a
        /// site's configuration gives as a hash is not looked at.
        password: PasswordRules = table().with_defaults(),
        /// Sizes of partitions, in whole MiB.
        partitions: Partitions = table().with_defaults(),
        /// What the machine must have; of a distribution that kubeadm starts also what that checks.
        require: Require = table().with_defaults(),
    }
}

/// What a cloud-config can say of a disk, which knows no rules.
pub(crate) fn cloud_config_device(device: &Device) -> Option<&str> {
    match device {
        Device::Auto => Some("auto"),
        Device::Path(path) => Some(path),
        Device::Rule(_) => None,
    }
}

fn device_text<S: Serializer>(device: &Device, serializer: S) -> Result<S::Ok, S::Error> {
    cloud_config_device(device).serialize(serializer)
}

keys! {
    impl Rule {
        /// Least size.
        min_bytes as "min_size" = bytes(check::any_size).optional(""),
        /// Largest size.
        max_bytes as "max_size" = bytes(check::any_size).optional(""),
        /// Glob over the model.
        model = text(check::disk_glob).optional(""),
        /// Glob over the serial number.
        serial = text(check::disk_glob).optional(""),
        /// Glob over the transport: `nvme`, `sata`, `virtio`, `usb`.
        transport = text(check::disk_glob).optional(""),
    }
}

fn rule(rule: Rule, at: &At<'_>) -> Device {
    if at.node.value.table().is_some_and(|table| table.is_empty()) {
        at.bad(Bad::new(
            "the rule says nothing of the disk",
            "at least one condition",
        ));
    }
    if matches!((rule.min_bytes, rule.max_bytes), (Some(min), Some(max)) if min > max) {
        at.bad(Bad::new(
            "no disk is at least 'min_size' and at most 'max_size'",
            "'min_size' up to 'max_size'",
        ));
    }
    Device::Rule(rule)
}

keys! {
    impl DefaultAccount {
        /// Its name.
        name = text(check::account).required(),
        /// Its password as crypt(5) has it; `openssl passwd -6` makes such a hash.
        password_hash = password_hash().required(),
        /// Groups beside its own.
        groups = list(text(check::account)).or(vec!["admin".to_owned()]),
    }
    never {
        password: Need::Refused("write its hash as `password_hash`: `openssl passwd -6` makes one"),
    }
}

keys! {
    impl PasswordRules {
        /// Fewest characters.
        min_length = integer(1, 64).or(PasswordRules::default().min_length),
        /// Of how many kinds at least: small letters, capitals, digits, other characters.
        classes = integer(1, i64::from(CHARACTER_CLASSES)).or(PasswordRules::default().classes),
    }
}

keys! {
    /// `install.partitions`.
    #[derive(Eq)]
    pub struct Partitions {
        /// The EFI system partition.
        esp: u64 = bytes(check::mib::<32>).or(64 << 20),
        /// The site's configuration.
        oem: u64 = bytes(check::mib::<16>).or(64 << 20),
        /// The systems: two slots and the recovery.
        state: Option<u64> = bytes(check::mib::<512>)
            .optional("enough for three systems, with room to grow"),
        /// What the machine keeps.
        persistent: Option<u64> = bytes(check::mib::<256>)
            .optional("all that is left, at least `1G`"),
        /// Further partitions, before the one for what the machine keeps.
        extra: Vec<ExtraPartition> = list(table()).or_empty(""),
    }
}

keys! {
    /// One of `install.partitions.extra`.
    #[derive(Eq)]
    pub struct ExtraPartition {
        /// Its name: up to 16 letters, digits, `-` and `_`.
        label: String = text(check::label).required(),
        /// Its size, in whole MiB.
        size: u64 = bytes(check::mib::<1>).required(),
        /// What it is formatted with; `none`: left as it is, for a storage driver.
        formatted as "filesystem": bool = one_of(&[("ext4", true), ("none", false)]).or(true),
        /// Absolute path where it is mounted.
        mount: Option<String> = text(check::mount_point).optional("nowhere"),
    }
    check |keys, this| {
        if !this.formatted {
            keys.bad("mount", || Bad::new(
                "a partition without a file system can't be mounted",
                "'filesystem', or no 'mount'",
            ));
        }
    }
}

keys! {
    /// `install.require`.
    #[derive(Default, Eq)]
    pub struct Require {
        /// Processors.
        cpus: Option<u32> = integer(1, 4096).optional("nothing"),
        /// Memory.
        memory: Option<u64> = bytes(check::any_size).optional("nothing"),
        /// Size of the disk.
        disk: Option<u64> = bytes(check::any_size).optional("nothing"),
        /// Kernel modules that the system must have, by name.
        modules: Vec<String> = list(text(check::module)).or_empty("nothing"),
        /// Whether a machine that falls short is refused; else the installer warns.
        enforce: bool = boolean().or(false),
    }
}

keys! {
    impl Hardening {
        /// Whose rules: `stig`, those of the Security Technical Implementation Guide that
        /// `docs/hardening.md` lists. No certification.
        standard as "profile" = one_of(&Standard::ALL.map(|standard| (standard.name(), standard)))
            .required_else(Standard::Stig),
        /// Numbers of rules that are not followed, such as `UBTU-22-291010`.
        except = list(text(|text| check::rule_of_guide(text, Standard::Stig))).or_empty("nothing"),
    }
}

keys! {
    impl State {
        /// Directories below `/var`, `/opt` or `/usr/local` that outlive reboots and upgrades,
        /// beside `/var/log`, `/home`, `/root` and those that components have.
        directories = list(text(check::kept_directory)).or_empty(""),
        /// Directories below `/etc` that do, beside those that components have.
        etc = list(text(check::directory_of_etc)).or_empty(""),
    }
}

keys! {
    /// `[console]`.
    #[derive(Eq)]
    pub struct Console {
        /// Whether the machine's own pages stand on screen and serial consoles in place of the
        /// login prompt: what it is and how it is, its first account, its name, power. The prompt is
        /// one key away.
        enabled: bool = boolean().or(false),
    }
}

keys! {
    impl Health {
        /// Commands that must succeed after an upgrade, each a line for `/bin/sh`.
        checks = list(text(check::one_line)).or_empty(""),
        /// Units of systemd that must be active after an upgrade.
        units = list(text(check::unit)).or_empty(""),
        /// Seconds after the boot until which all of that must hold; else the machine goes back to
        /// the system before.
        time_limit_seconds as "time_limit" = integer(30, 86_400).or(600),
    }
}
