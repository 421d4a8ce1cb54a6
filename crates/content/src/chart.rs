//! Helm charts, as folder or archive.
//!
//! Specification: Helm's "Charts" (<https://helm.sh/docs/topics/charts/>),
//! `apiVersion` v1 (with `requirements.yaml`) and v2. Dependencies are taken from
//! the chart's own `charts/` alone: what is not in a chart does not come with it.
//!
//! Non-goals: rendering templates, which Helm does
//! ([`find::helm`](super::find::helm)); provenance files.

mod fetch;
mod index;
mod source;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

pub use fetch::{CONTENT_TYPE, Fetched, fetch};
pub use source::Source;

use super::files::Files;
use super::{Error, tarball, values, yaml};
use isoforge_base::digest::Digest;
use isoforge_base::yaml::{Node, Value as Yaml};

/// The file that makes a folder a chart.
pub const FILE: &str = "Chart.yaml";
/// A chart's defaults.
const VALUES_FILE: &str = "values.yaml";
/// Dependencies of charts with `apiVersion: v1`.
const REQUIREMENTS_FILE: &str = "requirements.yaml";
/// Deepest nesting of charts in charts.
const MAX_DEPTH: usize = 8;

/// What `Chart.yaml` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The chart's name.
    pub name: String,
    /// The chart's version.
    pub version: String,
    /// The version of what it installs.
    pub app_version: Option<String>,
    /// The range of versions of Kubernetes that it is for.
    pub kubernetes: Option<String>,
    /// Whether it only helps other charts.
    pub is_library: bool,
    /// The charts that it needs.
    pub dependencies: Vec<Dependency>,
}

/// A chart that another one needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Its name.
    pub name: String,
    /// The range of versions.
    pub version: String,
    /// The name of its values, where that is another one.
    pub alias: Option<String>,
    /// Paths of values that switch it, the first that is there counts.
    pub conditions: Vec<String>,
    /// Tags that switch it.
    pub tags: Vec<String>,
}

/// A chart, read.
#[derive(Debug, Clone)]
pub struct Chart {
    /// What it says of itself.
    pub meta: Metadata,
    values: Value,
    files: Files,
    subcharts: BTreeMap<String, Chart>,
}

impl Chart {
    /// Reads a chart from its files, which may lie in one folder.
    pub(crate) fn read(files: Files) -> Result<Self, Error> {
        Self::read_at(files, 0)
    }

    /// Reads the chart at `path`, a folder or archive.
    ///
    /// # Errors
    /// [`Error`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::read(Files::open(path)?)
    }

    /// Reads the bytes of an archive; `place` is what messages call it.
    ///
    /// # Errors
    /// [`Error`].
    pub fn archive(place: &str, bytes: &[u8]) -> Result<Self, Error> {
        Self::read(Files::archive(place, bytes)?)
    }

    fn read_at(files: Files, depth: usize) -> Result<Self, Error> {
        let files = files.rooted_at(FILE);
        if depth > MAX_DEPTH {
            return Err(Error::TooLarge {
                place: files.place().to_owned(),
                limit: MAX_DEPTH as u64,
                unit: "charts within each other",
            });
        }
        let node = files.parsed(FILE, yaml::document)?;
        let node = node.ok_or_else(|| files.lacks(FILE))?;
        let mut meta = metadata(&node, &files.name(FILE))?;
        if let Some(node) = files.parsed(REQUIREMENTS_FILE, yaml::document)? {
            meta.dependencies.extend(dependencies(&node));
        }
        let values = files.parsed(VALUES_FILE, yaml::document)?;
        let values = values::object(values.map(|node| node.to_json()).as_ref());
        let subcharts = subcharts(&files, depth)?;
        Ok(Self {
            meta,
            values,
            files,
            subcharts,
        })
    }

    /// Its folder or archive, as messages name it.
    #[must_use]
    pub fn place(&self) -> &str {
        self.files.place()
    }

    /// Its files.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Its defaults.
    #[must_use]
    pub fn values(&self) -> &Value {
        &self.values
    }

    /// The digest of its archive, see `to_archive`.
    ///
    /// # Errors
    /// Like `to_archive`.
    pub fn digest(&self) -> Result<Digest, Error> {
        match self.files.packed() {
            Some((digest, _)) => Ok(*digest),
            None => Ok(Digest::of(&self.to_archive()?)),
        }
    }

    /// Its archive as it is; of a folder, a deterministic one of its files in a folder
    /// of its name.
    ///
    /// # Errors
    /// [`Error::Archive`] where a path can't be said in an archive.
    pub(crate) fn to_archive(&self) -> Result<Vec<u8>, Error> {
        match self.files.packed() {
            Some((_, bytes)) => Ok(bytes.to_vec()),
            None => tarball::of_files(&self.files, &self.meta.name),
        }
    }

    /// The chart within it whose values are under `key`.
    pub(crate) fn subchart(&self, key: &str) -> Option<&Self> {
        let mut dependencies = self.meta.dependencies.iter();
        let aliased = dependencies.find(|known| known.alias.as_deref() == Some(key));
        let name = aliased.map_or(key, |known| &known.name);
        self.subcharts.get(name)
    }

    /// The charts within it that `merged`, its own values, leave on: the key of
    /// their values, chart and values.
    pub(crate) fn subcharts_with(&self, merged: &Value) -> Vec<(String, &Self, Value)> {
        let mut keys: Vec<(String, &Self)> = Vec::new();
        for dependency in &self.meta.dependencies {
            if let Some(chart) = self.subcharts.get(&dependency.name)
                && is_on(dependency, merged)
            {
                let key = dependency.alias.as_ref().unwrap_or(&dependency.name);
                keys.push((key.clone(), chart));
            }
        }
        for (name, chart) in &self.subcharts {
            let mut listed = self.meta.dependencies.iter();
            if listed.all(|dependency| dependency.name != *name) {
                keys.push((name.clone(), chart));
            }
        }
        let global = merged.get("global");
        keys.into_iter()
            .filter(|(_, chart)| !chart.meta.is_library)
            .map(|(key, chart)| {
                let mut given = values::object(merged.get(&key));
                if let (Some(global), Some(map)) = (global, given.as_object_mut()) {
                    let own = map.entry("global").or_insert_with(|| values::object(None));
                    values::merge(own, global);
                }
                (key, chart, given)
            })
            .collect()
    }

    /// Dependencies that are not in its `charts/`, without which Helm does not
    /// install it.
    pub(crate) fn missing_dependencies(&self) -> Vec<&Dependency> {
        let dependencies = self.meta.dependencies.iter();
        dependencies
            .filter(|dependency| !self.subcharts.contains_key(&dependency.name))
            .collect()
    }
}

/// Whether a dependency's condition and tags leave it on: the first condition
/// that is a boolean decides, else any tag that is on; else it is on.
fn is_on(dependency: &Dependency, merged: &Value) -> bool {
    let condition = dependency
        .conditions
        .iter()
        .find_map(|path| values::get(merged, path)?.as_bool());
    if let Some(is_on) = condition {
        return is_on;
    }
    let tags: Vec<bool> = dependency
        .tags
        .iter()
        .filter_map(|tag| merged.get("tags")?.get(tag)?.as_bool())
        .collect();
    tags.is_empty() || tags.contains(&true)
}

fn metadata(node: &Node, file: &str) -> Result<Metadata, Error> {
    let required = |key: &str| {
        scalar(node, key)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| Error::Syntax {
                file: file.to_owned(),
                line: node.line.max(1),
                column: node.column.max(1),
                problem: format!("a chart must have the text '{key}'"),
            })
    };
    Ok(Metadata {
        name: required("name")?,
        version: required("version")?,
        app_version: scalar(node, "appVersion").filter(|text| !text.is_empty()),
        kubernetes: scalar(node, "kubeVersion").filter(|text| !text.is_empty()),
        is_library: node.text_at("type") == Some("library"),
        dependencies: dependencies(node),
    })
}

/// A text, or a number as text.
fn scalar(node: &Node, key: &str) -> Option<String> {
    match &node.get(key)?.value {
        Yaml::Text(text) => Some(text.clone()),
        Yaml::Number(number, _) => Some(number.to_string()),
        _ => None,
    }
}

fn dependencies(node: &Node) -> Vec<Dependency> {
    let list = node
        .get("dependencies")
        .map(Node::items)
        .unwrap_or_default();
    list.iter()
        .filter_map(|item| {
            let conditions = item.text_at("condition").unwrap_or_default();
            let conditions = conditions.split(',').map(str::trim);
            let tags = item.get("tags").map(Node::items).unwrap_or_default();
            Some(Dependency {
                name: scalar(item, "name")?,
                version: scalar(item, "version").unwrap_or_default(),
                alias: item.text_at("alias").map(str::to_owned),
                conditions: conditions
                    .filter(|path| !path.is_empty())
                    .map(str::to_owned)
                    .collect(),
                tags: tags
                    .iter()
                    .filter_map(|tag| Some(tag.text()?.to_owned()))
                    .collect(),
            })
        })
        .collect()
}

/// The charts in `charts/`, by name: folders and archives.
fn subcharts(files: &Files, depth: usize) -> Result<BTreeMap<String, Chart>, Error> {
    let mut found = BTreeMap::new();
    for (path, bytes) in files.iter() {
        let Some(inside) = path.strip_prefix("charts/") else {
            continue;
        };
        let chart = match inside.split_once('/') {
            None if inside.ends_with(".tgz") && !inside.starts_with('_') => {
                Chart::read_at(Files::archive(&files.name(path), bytes)?, depth + 1)?
            }
            Some((folder, FILE)) if !folder.starts_with(['_', '.']) => {
                Chart::read_at(files.below(&format!("charts/{folder}")), depth + 1)?
            }
            _ => continue,
        };
        found.insert(chart.meta.name.clone(), chart);
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
