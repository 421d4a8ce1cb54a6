//! The cluster definition: what is to run on a cluster, in one document.
//!
//! Its schema is `docs/cluster-definition.md`: the layers in the order in which
//! they are installed, each with its charts by digest, its values as they are
//! after presets and the user's, its manifests as text, and what the machines
//! must have. It is YAML, and the same packs give the same bytes.
//!
//! Non-goals: images, which the lock has; anything that is known only on the
//! machine. Macros without an answer stay as text, and are listed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::chart::Chart;
use super::macros::{self, Answers};
use super::pack::{self, Composed, Pack, Requirements};
use super::{Error, yaml};
use isoforge_base::digest::Digest;

/// Version of the schema.
pub const SCHEMA: u32 = 1;
/// Where an ISO and a bundle have it.
pub const FILE: &str = "cluster/definition.yaml";

/// A cluster's content. Names of fields are the keys of the YAML.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Name of the appliance.
    pub name: String,
    /// Version of the appliance.
    pub version: String,
    /// The Kubernetes that it is for.
    pub kubernetes: Kubernetes,
    /// The smallest cluster that meets what all layers ask.
    #[serde(default, skip_serializing_if = "Nodes::is_empty")]
    pub nodes: Nodes,
    /// What macros were filled with, by path, beside the version of Kubernetes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub macros: BTreeMap<String, String>,
    /// The paths of macros that stand in layers and must be answered where the
    /// cluster is made.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unanswered: BTreeSet<String>,
    /// The layers, lowest first.
    #[serde(default)]
    pub layers: Vec<Layer>,
}

/// A distribution of Kubernetes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kubernetes {
    /// `kubeadm`, `k3s` …
    pub distribution: String,
    /// `1.32.3`
    pub version: String,
}

/// The smallest cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nodes {
    /// How many machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Processors of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// Memory of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// Disk of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_mib: Option<u64>,
}

impl Nodes {
    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The larger of each: layers share the machines, and each says what a
    /// machine must have for it.
    fn widen(&mut self, with: &Requirements) {
        self.count = self.count.max(with.nodes);
        self.cpus = self.cpus.max(with.cpus);
        self.memory_mib = self.memory_mib.max(with.memory_mib);
        self.disk_mib = self.disk_mib.max(with.disk_mib);
    }
}

/// One layer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// `os`, `k8s`, `cni`, `csi` or `addon`.
    pub layer: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The namespace of its objects, where it says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The presets that are on, as `Group:name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub presets: Vec<String>,
    /// What the machines must have.
    #[serde(default, skip_serializing_if = "Requirements::is_empty")]
    pub requirements: Requirements,
    /// Globs of images that objects name and the profile leaves out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_images: Vec<String>,
    /// References of lists that are published beside its charts and manifests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listed_images: Vec<String>,
    /// Its charts, in the order in which they are installed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charts: Vec<ChartOf>,
    /// Its manifests, applied after the charts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<ManifestOf>,
}

/// A chart of a layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChartOf {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Digest of its archive.
    pub digest: Digest,
    /// The name under which it is installed.
    pub release: String,
    /// Laid over the chart's own values.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub values: Value,
}

/// A manifest of a layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestOf {
    /// Its name.
    pub name: String,
    /// Its text.
    pub content: String,
    /// What its templates are filled with, where it has such.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub values: Value,
}

fn is_nothing(values: &Value) -> bool {
    values.is_null() || values.as_object().is_some_and(serde_json::Map::is_empty)
}

impl Definition {
    /// A definition without layers.
    #[must_use]
    pub fn new(name: &str, version: &str, kubernetes: Kubernetes) -> Self {
        Self {
            schema: SCHEMA,
            name: name.to_owned(),
            version: version.to_owned(),
            kubernetes,
            ..Self::default()
        }
    }

    /// What macros are filled with, as it was when the definition was written.
    #[must_use]
    pub fn answers(&self) -> Answers {
        let mut answers = Answers::for_kubernetes(&self.kubernetes.version);
        answers.extend(self.macros.clone());
        answers
    }

    /// Adds a layer above those of its kind and below those of higher kinds.
    pub fn add(&mut self, layer: Layer) {
        self.nodes.widen(&layer.requirements);
        self.unanswered.extend(layer.unanswered());
        let rank = rank(&layer.layer);
        let at = self
            .layers
            .iter()
            .position(|other| self::rank(&other.layer) > rank)
            .unwrap_or(self.layers.len());
        self.layers.insert(at, layer);
    }

    /// The document.
    ///
    /// # Errors
    /// A value that YAML can't have.
    pub fn to_yaml(&self) -> Result<String, Error> {
        yaml::write("the cluster definition", self)
    }

    /// Reads a document; `file` is what messages call it.
    ///
    /// # Errors
    /// [`Error::Syntax`] where it is none of this schema.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let node = yaml::document(text).map_err(|refused| Error::syntax(file, refused))?;
        let wrong = |problem: String| Error::Syntax {
            file: file.to_owned(),
            line: 1,
            column: 1,
            problem,
        };
        let read: Self = serde_json::from_value(node.to_json())
            .map_err(|error| wrong(format!("no cluster definition: {error}")))?;
        if read.schema != SCHEMA {
            let problem = format!("it is of schema {}, not {SCHEMA}", read.schema);
            return Err(wrong(problem));
        }
        Ok(read)
    }
}

/// The place of a kind of layer.
fn rank(layer: &str) -> usize {
    const ORDER: [&str; 5] = ["kernel", "os", "k8s", "cni", "csi"];
    let at = ORDER.iter().position(|known| *known == layer);
    at.unwrap_or(ORDER.len())
}

impl Layer {
    /// The layer of a pack with its composed values.
    ///
    /// # Errors
    /// [`Error`], where a chart's folder can't be put into an archive.
    pub fn of_pack(pack: &Pack, composed: &Composed, answers: &Answers) -> Result<Self, Error> {
        let meta = &pack.meta;
        let layer = meta.layer.as_str();
        let mut out = Self::empty(layer, &meta.name, &meta.version);
        out.namespace = composed.namespace().map(str::to_owned);
        out.presets = composed.presets().to_vec();
        out.requirements = pack.isoforge_toml().requirements.clone();
        for (name, chart) in pack.charts() {
            let release = composed.release_name(name);
            let values = composed.chart_values(name);
            out.add_chart(chart, release, values)?;
        }
        for pack::Manifest { name, text, .. } in pack.manifests() {
            let content = answers.fill(text);
            let values = composed.manifest_values(name);
            out.add_manifest(name, content, values);
        }
        Ok(out)
    }

    /// A layer that holds nothing yet.
    #[must_use]
    pub fn empty(layer: &str, name: &str, version: &str) -> Self {
        Self {
            layer: layer.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            ..Self::default()
        }
    }

    /// The paths of macros that nobody answered.
    fn unanswered(&self) -> BTreeSet<String> {
        let charts = self.charts.iter();
        let charts = charts.flat_map(|chart| macros::paths_in(&chart.values));
        let manifests = self.manifests.iter().flat_map(|manifest| {
            let mut found = macros::paths(&manifest.content);
            found.extend(macros::paths_in(&manifest.values));
            found
        });
        charts.chain(manifests).collect()
    }

    /// Adds a chart.
    ///
    /// # Errors
    /// [`Error`], where its folder can't be put into an archive.
    pub fn add_chart(&mut self, chart: &Chart, release: &str, values: Value) -> Result<(), Error> {
        self.charts.push(ChartOf {
            name: chart.meta.name.clone(),
            version: chart.meta.version.clone(),
            digest: chart.digest()?,
            release: release.to_owned(),
            values,
        });
        Ok(())
    }

    /// Adds a manifest; values only where it has templates for them.
    pub fn add_manifest(&mut self, name: &str, content: String, values: Value) {
        let values = match content.contains("{{") {
            true => values,
            false => Value::Null,
        };
        self.manifests.push(ManifestOf {
            name: name.to_owned(),
            content,
            values,
        });
    }
}

#[cfg(test)]
mod tests;
