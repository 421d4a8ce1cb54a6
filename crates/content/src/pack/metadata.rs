//! `pack.json`.
//!
//! Its keys are those of the JSON Schema that the public collection is checked
//! with, and those that its packs have beside.

use std::collections::BTreeMap;

use serde::Serialize;

use super::dependencies::Dependency;
use super::problem::{Problems, nearest};
use crate::yaml;
use isoforge_base::yaml::{Node, Refused, Value};

/// Keys that a pack may have.
const KEYS: [&str; 17] = [
    "addonSubType",
    "addonType",
    "annotations",
    "ansibleRoles",
    "charts",
    "cloudType",
    "cloudTypes",
    "commit_msg",
    "constraints",
    "displayName",
    "eol",
    "group",
    "kubeManifests",
    "kubeVersion",
    "layer",
    "name",
    "version",
];

const CLOUD_TYPES: [&str; 17] = [
    "all",
    "aks",
    "aws",
    "azure",
    "baremetal",
    "coxedge",
    "custom",
    "edge",
    "edge-native",
    "eks",
    "gcp",
    "libvirt",
    "maas",
    "openstack",
    "tencent",
    "tke",
    "vsphere",
];

/// Which layer of the cluster a pack is, lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// The kernel.
    Kernel,
    /// The operating system.
    Os,
    /// Kubernetes.
    K8s,
    /// The pods' network.
    Cni,
    /// Storage.
    Csi,
    /// Anything above.
    Addon,
}

impl Layer {
    const ALL: [Self; 6] = [
        Self::Kernel,
        Self::Os,
        Self::K8s,
        Self::Cni,
        Self::Csi,
        Self::Addon,
    ];

    /// Its name in `pack.json`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Os => "os",
            Self::K8s => "k8s",
            Self::Cni => "cni",
            Self::Csi => "csi",
            Self::Addon => "addon",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layer| layer.as_str() == text)
    }
}

/// What `pack.json` says, as far as isoforge acts on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The pack's name.
    pub name: String,
    /// Its name for people.
    pub display_name: String,
    /// Its version.
    pub version: String,
    /// Its layer.
    pub layer: Layer,
    /// Paths of its charts.
    pub charts: Vec<String>,
    /// Paths of its manifests.
    pub manifests: Vec<String>,
    /// What it says of other packs.
    pub dependencies: Vec<Dependency>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

/// Reads the text of a `pack.json` with its places.
///
/// # Errors
/// [`Refused`] where it is no JSON.
pub(super) fn node(text: &str) -> Result<Node, Refused> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| {
        let message = error.to_string();
        let end = message.rfind(" at line ").unwrap_or(message.len());
        Refused {
            line: error.line() as u64,
            column: error.column() as u64,
            problem: message.get(..end).unwrap_or_default().to_owned(),
        }
    })?;
    // JSON is YAML but for tabs, which can only be space between its parts.
    yaml::document(&text.replace('\t', " "))
}

impl Metadata {
    /// Reads what is there and collects what is wrong; nothing where the pack
    /// has no name or version.
    pub(super) fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        if !matches!(node.value, Value::Map(_)) {
            problems.unfit(node, "a pack is a JSON object, not");
            return None;
        }
        problems.unknown_keys(node, &KEYS, "a pack");
        let name = required(node, "name", problems);
        let display_name = required(node, "displayName", problems);
        let version = required(node, "version", problems);
        let layer = required(node, "layer", problems);
        if let (Some(name), Some(at)) = (&name, node.get("name"))
            && !is_name(name)
        {
            let problem = format!("'{name}' is no name of a pack: lower case, digits, '-' and '.'");
            problems.warning(at, problem);
        }
        let layer = match (layer, node.get("layer")) {
            (Some(text), Some(at)) => Layer::parse(&text).or_else(|| {
                let names: Vec<&str> = Layer::ALL.iter().map(|layer| layer.as_str()).collect();
                let problem = format!("'{text}' is no layer; there are {}", names.join(", "));
                problems.error(at, problem);
                None
            }),
            _ => None,
        };
        cloud_types(node, problems);
        let dependencies = Dependency::read(node, problems);
        texts(node, "ansibleRoles", problems);
        let (charts, manifests) = (
            texts(node, "charts", problems),
            texts(node, "kubeManifests", problems),
        );
        let annotations = annotations(node, problems);
        Some(Self {
            name: name?,
            version: version?,
            display_name: display_name.unwrap_or_default(),
            layer: layer.unwrap_or(Layer::Addon),
            charts,
            manifests,
            dependencies,
            annotations,
        })
    }
}

fn is_name(name: &str) -> bool {
    name.bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
}

fn required(node: &Node, key: &str, problems: &mut Problems) -> Option<String> {
    let Some(value) = node.get(key) else {
        problems.error(node, format!("a pack must have '{key}'"));
        return None;
    };
    match value.text() {
        Some("") => problems.error(value, format!("'{key}' is empty")),
        Some(text) => return Some(text.to_owned()),
        None => problems.unfit(value, &format!("'{key}' is a text, not")),
    }
    None
}

/// A list of texts under `key`; empty where there is none.
fn texts(node: &Node, key: &str, problems: &mut Problems) -> Vec<String> {
    let Some(list) = node.get(key) else {
        return Vec::new();
    };
    if !matches!(list.value, Value::List(_)) {
        problems.unfit(list, &format!("'{key}' is a list of texts, not"));
        return Vec::new();
    }
    let mut found = Vec::new();
    for item in list.items() {
        match item.text() {
            Some(text) => found.push(text.trim_start_matches("./").to_owned()),
            None => problems.unfit(item, &format!("'{key}' is a list of texts, not of")),
        }
    }
    found
}

fn cloud_types(node: &Node, problems: &mut Problems) {
    texts(node, "cloudTypes", problems);
    let list = node.get("cloudTypes").map(Node::items).unwrap_or_default();
    for item in list {
        let Some(text) = item.text() else { continue };
        if !CLOUD_TYPES.contains(&text) {
            let near = nearest(text, &CLOUD_TYPES);
            problems.warning(item, format!("'{text}' is no known cloud type{near}"));
        }
    }
}

fn annotations(node: &Node, problems: &mut Problems) -> BTreeMap<String, String> {
    let Some(map) = node.get("annotations") else {
        return BTreeMap::new();
    };
    if !matches!(map.value, Value::Map(_)) {
        problems.unfit(map, "'annotations' is a map of texts, not");
    }
    let mut found = BTreeMap::new();
    for (key, value) in map.entries() {
        match value.text() {
            Some(text) => drop(found.insert(key.to_owned(), text.to_owned())),
            None => problems.unfit(value, &format!("the annotation '{key}' is a text, not")),
        }
    }
    found
}
