//! Keys of the installed machine: installation, what it keeps, when it is well.

use super::{key, plain};
use crate::profile::schema::Need::{Default, Refused, Required};
use crate::profile::schema::Shape::{
    Flag, Integer, PasswordHash, Size, Table, Tables, Text, TextOr, Texts, Word, Words,
};
use crate::profile::schema::{Fields, Key};

pub(super) static INSTALL: Fields = plain(&[
    key(
        "device",
        TextOr(&RULE),
        Default("`auto`"),
        "The disk to install to: `auto` (the largest that is not the medium), a path below \
         `/dev`, or a rule. Of several disks that fit a rule the largest is taken.",
    ),
    key(
        "mode",
        Word(&["interactive", "unattended"]),
        Default("`interactive`"),
        "Which installer the menu boots by default.",
    ),
    key(
        "after",
        Word(&["reboot", "poweroff", "none"]),
        Default("`reboot`"),
        "What the machine does once it is installed.",
    ),
    key(
        "force",
        Flag,
        Default("`false`"),
        "Whether an unattended installation may overwrite an installed appliance.",
    ),
    key(
        "pages",
        Words(&["hostname", "network"]),
        Default("none"),
        "Pages that the interactive installer shows beside those for disk, account and end.",
    ),
    key(
        "account",
        Table(&ACCOUNT),
        Default(""),
        "The account that is there where neither site configuration nor installer gives one. Its \
         password must be changed at the first login.",
    ),
    key(
        "partitions",
        Table(&PARTITIONS),
        Default(""),
        "Sizes of partitions, in whole MiB.",
    ),
    key(
        "require",
        Table(&REQUIRE),
        Default(""),
        "What the machine must have; of a distribution that kubeadm starts also what that checks.",
    ),
]);

static RULE: Fields = plain(&[
    key("min_size", Size, Default(""), "Least size."),
    key("max_size", Size, Default(""), "Largest size."),
    key("model", Text, Default(""), "Glob over the model."),
    key("serial", Text, Default(""), "Glob over the serial number."),
    key(
        "transport",
        Text,
        Default(""),
        "Glob over the transport: `nvme`, `sata`, `virtio`, `usb`.",
    ),
]);

static ACCOUNT: Fields = plain(&[
    key("name", Text, Required, "Its name."),
    key(
        "password_hash",
        PasswordHash,
        Required,
        "Its password as crypt(5) has it; `openssl passwd -6` makes such a hash.",
    ),
    key(
        "groups",
        Texts,
        Default("`[\"admin\"]`"),
        "Groups beside its own.",
    ),
    PASSWORD,
]);

const PASSWORD: Key = key(
    "password",
    Text,
    Refused("write its hash as `password_hash`: `openssl passwd -6` makes one"),
    "",
);

static PARTITIONS: Fields = plain(&[
    key("esp", Size, Default("`64M`"), "The EFI system partition."),
    key("oem", Size, Default("`64M`"), "The site's configuration."),
    key(
        "state",
        Size,
        Default("enough for three systems, with room to grow"),
        "The systems: two slots and the recovery.",
    ),
    key(
        "persistent",
        Size,
        Default("all that is left, at least `1G`"),
        "What the machine keeps.",
    ),
    key(
        "extra",
        Tables(&EXTRA),
        Default(""),
        "Further partitions, before the one for what the machine keeps.",
    ),
]);

static EXTRA: Fields = plain(&[
    key(
        "label",
        Text,
        Required,
        "Its name: up to 16 letters, digits, `-` and `_`.",
    ),
    key("size", Size, Required, "Its size, in whole MiB."),
    key(
        "filesystem",
        Word(&["ext4", "none"]),
        Default("`ext4`"),
        "What it is formatted with; `none`: left as it is, for a storage driver.",
    ),
    key(
        "mount",
        Text,
        Default("nowhere"),
        "Absolute path where it is mounted.",
    ),
]);

static REQUIRE: Fields = plain(&[
    key(
        "cpus",
        Integer { min: 1, max: 4096 },
        Default("nothing"),
        "Processors.",
    ),
    key("memory", Size, Default("nothing"), "Memory."),
    key("disk", Size, Default("nothing"), "Size of the disk."),
    key(
        "modules",
        Texts,
        Default("nothing"),
        "Kernel modules that the system must have, by name.",
    ),
    key(
        "enforce",
        Flag,
        Default("`false`"),
        "Whether a machine that falls short is refused; else the installer warns.",
    ),
]);

pub(super) static HARDENING: Fields = plain(&[
    key(
        "profile",
        Word(&["stig"]),
        Required,
        "Whose rules: `stig`, those of the Security Technical Implementation Guide that \
         `docs/hardening.md` lists. No certification.",
    ),
    key(
        "except",
        Texts,
        Default("nothing"),
        "Numbers of rules that are not followed, such as `UBTU-22-291010`.",
    ),
]);

pub(super) static STATE: Fields = plain(&[
    key(
        "directories",
        Texts,
        Default(""),
        "Directories below `/var`, `/opt` or `/usr/local` that outlive reboots and upgrades, \
         beside `/var/log`, `/home`, `/root` and those that components have.",
    ),
    key(
        "etc",
        Texts,
        Default(""),
        "Directories below `/etc` that do, beside those that components have.",
    ),
]);

pub(super) static HEALTH: Fields = plain(&[
    key(
        "checks",
        Texts,
        Default(""),
        "Commands that must succeed after an upgrade, each a line for `/bin/sh`.",
    ),
    key(
        "units",
        Texts,
        Default(""),
        "Units of systemd that must be active after an upgrade.",
    ),
    key(
        "time_limit",
        Integer {
            min: 30,
            max: 86_400,
        },
        Default("`600`"),
        "Seconds after the boot until which all of that must hold; else the machine goes back to \
         the system before.",
    ),
]);
