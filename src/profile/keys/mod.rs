//! The table of all keys of a profile and of a catalog.

mod catalog;
mod cluster;
mod machine;
mod settings;
mod system;

use super::schema::Need::{Default, Later, Refused, Required};
use super::schema::Shape::{Free, Integer, Named, OneOrMore, Table, Tables, Text};
use super::schema::{Fields, Key, Need, Shape};
use cluster::{CLUSTER, COMPONENT, CONTENT_KEYS, KUBERNETES, LAYER};
use machine::{HARDENING, HEALTH, INSTALL, STATE};
use system::{
    APPLIANCE, BOOT, CLOUD_CONFIG, LIMITS, OS, OUTPUT, OVERLAYS, PROVIDER, REGISTRATION,
    REGISTRY_HOST,
};

pub(super) use catalog::CATALOG;
pub(super) use settings::SETTINGS;

/// The version of the format, and the only one.
pub(crate) const SCHEMA_VERSION: i64 = 1;

const LOCK: &str = "the lock file";
const CREDENTIALS: &str =
    "credentials come from the Docker configuration or a credential helper, never from a profile";

const fn key(name: &'static str, shape: Shape, need: Need, help: &'static str) -> Key {
    Key {
        name,
        shape,
        need,
        help,
    }
}

const fn plain(keys: &'static [Key]) -> Fields {
    Fields { keys, choices: &[] }
}

/// The profile.
pub(crate) static PROFILE: Fields = plain(&[
    key(
        "schema",
        Integer {
            min: SCHEMA_VERSION,
            max: SCHEMA_VERSION,
        },
        Required,
        "Version of this format.",
    ),
    key(
        "extends",
        Text,
        Default(""),
        "A profile that this one builds on. Later keys win, tables merge, a list replaces the \
         base's unless its key is written as `\"+name\"`: then it is appended. A key that excludes \
         others (`os.image`, `os.rootfs`, `os.bootstrap` for instance) replaces those of the base.",
    ),
    key(
        "catalog",
        OneOrMore,
        Default("the built-in catalog"),
        "Catalog files whose entries are added to the built-in catalog and win over it.",
    ),
    key("appliance", Table(&APPLIANCE), Required, "What is built."),
    key(
        "registration",
        Table(&REGISTRATION),
        Default(""),
        "Central management; required if `appliance.mode` is `central`.",
    ),
    key("os", Table(&OS), Required, "The operating system."),
    key(
        "kubernetes",
        Table(&KUBERNETES),
        Required,
        "The Kubernetes distribution.",
    ),
    key(
        "layers",
        Tables(&LAYER),
        Default(""),
        "Agents, drivers or vendor files laid over the operating system, in this order. \
         Exactly one of `image`, `archive`, `folder`.",
    ),
    key(
        "cni",
        Table(&COMPONENT),
        Default(""),
        "The network of the cluster.",
    ),
    key(
        "csi",
        Table(&COMPONENT),
        Default(""),
        "The storage of the cluster.",
    ),
    key(
        "registry",
        Table(&COMPONENT),
        Default(""),
        "The registry. `zot` and `distribution` run on the machine itself (`docs/registry.md`); \
         another one is the cluster's.",
    ),
    key(
        "addons",
        Tables(&COMPONENT),
        Default(""),
        "Further components.",
    ),
    key(
        "cluster",
        Table(&CLUSTER),
        Default(""),
        "What is known of the cluster that the machines become.",
    ),
    key(
        "vars",
        Free,
        Default(""),
        "Values for templates, of any type. A table `{ env = \"NAME\" }` or `{ file = \"PATH\" }` \
         is a secret: read when it is needed and never shown.",
    ),
    key(
        "cloud_config",
        Table(&CLOUD_CONFIG),
        Default(""),
        "The configuration of the machine.",
    ),
    key(
        "overlays",
        Table(&OVERLAYS),
        Default(""),
        "Directories laid over what is built.",
    ),
    key("boot", Table(&BOOT), Default(""), "How the ISO boots."),
    key(
        "install",
        Table(&INSTALL),
        Default(""),
        "How the ISO installs.",
    ),
    key(
        "state",
        Table(&STATE),
        Default(""),
        "What an installed machine keeps.",
    ),
    key(
        "health",
        Table(&HEALTH),
        Default(""),
        "When an upgraded machine is well.",
    ),
    key(
        "hardening",
        Table(&HARDENING),
        Default("nothing"),
        "Rules of a guide, laid over the system and below the project's overlays.",
    ),
    key(
        "provider",
        Table(&PROVIDER),
        Default(""),
        "The provider image.",
    ),
    key(
        "content",
        Table(&CONTENT_KEYS),
        Default(""),
        "Further content on the ISO.",
    ),
    key(
        "registries",
        Named(&REGISTRY_HOST),
        Default(""),
        "Settings by registry host, such as `[registries.\"quay.io\"]`: also for mirrors, token \
         services and hosts that redirects lead to. Paths start from the profile's folder. The \
         user's settings file wins key by key.",
    ),
    key(
        "output",
        Table(&OUTPUT),
        Default(""),
        "The form of what is written.",
    ),
    key(
        "limits",
        Table(&LIMITS),
        Default(""),
        "Bounds on what a layer may hold.",
    ),
    key("lock", Free, Later(LOCK), "Settings of the lock file."),
    key(
        "secrets",
        Free,
        Later("secret stores"),
        "Stores that secrets come from.",
    ),
    key(
        "signing",
        Free,
        Later("signatures"),
        "Keys that artifacts are signed with.",
    ),
    key(
        "disks",
        Tables(&plain(&[])),
        Refused("sizes of partitions are written under [install] as `partitions`"),
        "",
    ),
    key(
        "local_ui",
        Free,
        Later("the Local UI"),
        "The web page of the machine.",
    ),
    key(
        "console",
        Free,
        Later("the text console"),
        "The text console of the machine.",
    ),
]);
