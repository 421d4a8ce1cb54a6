//! The typed profile, and with it the statement of every key: doc comments are the
//! help that schema and reference show. Paths are already joined to the directory of
//! the file that wrote them; sizes are in bytes.

mod component;
mod kubernetes;
mod layer;
mod machine;
mod network;
mod registries;
mod system;

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::check;
use super::document::{Table, Value, to_json};
use super::keys::{
    At, Form, Need, free, integer, keys, list, named, one_of, one_or_more, optional_table, placed,
    required_table, secret, secret_in, table, text,
};
use super::problem::Bad;
use super::secret::SecretRef;
use isoforge_contract::arch::Arch;
use isoforge_contract::machine::{Health, State};
use isoforge_network::Network;
use isoforge_oci::registry::HostConfig;
use isoforge_system::hardening::Hardening;

pub use component::{Cluster, Component, Content, ContentImage, ContentSources};
pub(crate) use component::{Given, Picked, macro_answer};
pub use kubernetes::{FileSpec, Kubernetes};
pub(crate) use layer::Filter;
pub use layer::{LayerSource, LayerSpec};
pub(crate) use machine::cloud_config_device;
pub use machine::{Console, ExtraPartition, Install, Partitions, Require};
pub use system::{
    Appliance, Boot, Bootstrap, CloudConfig, Limits, Mode, Os, OsSource, Output, Overlays,
    Provider, Registration,
};

/// The version of the format, and the only one.
pub(super) const SCHEMA_VERSION: i64 = 1;

keys! {
    /// A profile that holds what the format's reference says.
    pub struct Profile {
        /// Version of this format.
        #[serde(skip)]
        schema: i64 = integer(SCHEMA_VERSION, SCHEMA_VERSION).required(),
        /// A profile that this one builds on. Later keys win, tables merge, a list replaces the
        /// base's unless its key is written as `"+name"`: then it is appended. A key that excludes
        /// others (`os.image`, `os.rootfs`, `os.bootstrap` for instance) replaces those of the base.
        #[serde(skip)]
        extends: Option<String> = text(check::any).optional(""),
        /// Catalog files whose entries are added to the built-in catalog and win over it.
        #[serde(skip)]
        catalog: Vec<PathBuf> = one_or_more(placed(check::path)).or_empty("the built-in catalog"),
        /// What is built.
        appliance: Appliance = required_table(),
        /// Central management; required if `appliance.mode` is `central`.
        registration: Option<Registration> = optional_table(),
        /// The operating system.
        os: Os = required_table(),
        /// The Kubernetes distribution. Without it the appliance has none: no `cni`, `csi`, `addons`
        /// and `cluster` then.
        #[serde(skip_serializing_if = "Kubernetes::is_none")]
        kubernetes: Kubernetes = table().with_defaults(),
        /// Agents, drivers or vendor files laid over the operating system, in this order. Exactly
        /// one of `image`, `archive`, `folder`.
        layers: Vec<LayerSpec> = list(table()).or_empty(""),
        /// The network of the cluster.
        cni: Option<Component> = optional_table(),
        /// The storage of the cluster.
        csi: Option<Component> = optional_table(),
        /// The registry. `zot` and `distribution` run on the machine itself (`docs/registry.md`);
        /// another one is the cluster's.
        registry: Option<Component> = optional_table(),
        /// Further components.
        addons: Vec<Component> = list(table()).or_empty(""),
        /// What is known of the cluster that the machines become.
        #[serde(skip_serializing_if = "Cluster::is_empty")]
        cluster: Cluster = table().with_defaults(),
        /// Values for templates, of any type. A table `{ env = "NAME" }` or `{ file = "PATH" }` is a
        /// secret: read when it is needed and never shown.
        vars: BTreeMap<String, Var> = free(vars).or_empty(""),
        /// The network of the machine (`docs/network.md`).
        #[serde(skip_serializing_if = "Option::is_none")]
        network: Option<Network> = optional_table(),
        /// The configuration of the machine.
        cloud_config: CloudConfig = table().with_defaults(),
        /// Directories laid over what is built.
        overlays: Overlays = table().with_defaults(),
        /// How the ISO boots.
        boot: Boot = table().with_defaults(),
        /// How the ISO installs.
        install: Install = table().with_defaults(),
        /// What an installed machine keeps.
        state: State = table().with_defaults(),
        /// When an upgraded machine is well.
        health: Health = table().with_defaults(),
        /// What the machine shows on its consoles.
        console: Console = table().with_defaults(),
        /// Rules of a guide, laid over the system and below the project's overlays.
        hardening: Option<Hardening> = table().optional("nothing"),
        /// The provider image.
        provider: Provider = table().with_defaults(),
        /// Further content on the ISO.
        content: Content = table().with_defaults(),
        /// Settings by registry host, such as `[registries."quay.io"]`: also for mirrors, token
        /// services and hosts that redirects lead to. Paths start from the profile's folder. The
        /// user's settings file wins key by key.
        #[serde(serialize_with = "registries::with_proxies")]
        registries: BTreeMap<String, HostConfig> = named(check::registry_host).or_empty(""),
        /// The form of what is written.
        output: Output = table().with_defaults(),
        /// Bounds on what a layer may hold.
        limits: Limits = table().with_defaults(),
    }
    never {
        lock: Need::Later("the lock file"),
        secrets: Need::Later("secret stores"),
        signing: Need::Later("signatures"),
        disks: Need::Refused("sizes of partitions are written under [install] as `partitions`"),
        local_ui: Need::Later("the Local UI"),
        console: Need::Later("the text console"),
    }
}

/// A value of `[vars]`.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub enum Var {
    /// A string, or a date or time as text.
    Text(String),
    /// An integer.
    Integer(i64),
    /// A float.
    Float(f64),
    /// A boolean.
    Flag(bool),
    /// An array.
    List(Vec<Var>),
    /// A table.
    Table(BTreeMap<String, Var>),
    /// A secret.
    Secret(SecretRef),
}

fn vars(table: &Table, at: &At<'_>) -> BTreeMap<String, Var> {
    let vars = table.iter();
    vars.map(|(name, entry)| (name.clone(), var(&at.with(&entry.node))))
        .collect()
}

fn var(at: &At<'_>) -> Var {
    match &at.node.value {
        Value::Text(text) | Value::Datetime(text) => Var::Text(text.clone()),
        Value::Integer(i) => Var::Integer(*i),
        Value::Float(f) => {
            if !f.is_finite() {
                at.bad(Bad::new(
                    "not a finite number",
                    "a number that JSON can say",
                ));
            }
            Var::Float(*f)
        }
        Value::Flag(flag) => Var::Flag(*flag),
        Value::List(list) => Var::List(list.iter().map(|node| var(&at.with(node))).collect()),
        Value::Table(inner) => match secret_in(&at.node.value).and_then(|_| secret().read(at)) {
            Some(secret) => Var::Secret(secret),
            None => Var::Table(vars(inner, at)),
        },
    }
}

/// The name of an architecture.
fn architecture() -> Form<Arch> {
    one_of(&Arch::ALL.map(|arch| (arch.as_str(), arch)))
}

/// Values of a pack or chart; null where nothing is written.
fn values(table: &Table, _: &At<'_>) -> serde_json::Value {
    to_json(table)
}

/// The items in their own order, each once.
fn each_once<T: Ord>(items: Vec<T>) -> Vec<T> {
    std::collections::BTreeSet::from_iter(items)
        .into_iter()
        .collect()
}
