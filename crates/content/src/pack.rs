//! Packs: a component's charts, manifests and values in one folder or archive.
//!
//! Specification: packs as Palette has them
//! (<https://docs.spectrocloud.com/registries-and-packs/>), as far as the public
//! ones show it: `pack.json`, `values.yaml`, `presets.yaml`, `charts/`,
//! `manifests/`. `isoforge.toml` beside them is isoforge's own (`IsoforgeToml`).
//!
//! A pack's values are [composed](Pack::compose): `values.yaml`, then the presets
//! that are on (what they remove first, then what they add), then the user's.
//! Which are on says the comment that `values.yaml` begins with, and the user.
//!
//! Invariants: the files stay as they are; macros that nobody can answer stay as
//! text. What hinders reading is an error; what is merely wrong is told by
//! [`lint()`], and the pack is read nonetheless.
//!
//! Non-goals: `schema.yaml`, which is for forms; Ansible roles; readiness checks.

pub mod answers;
mod artifact;
mod build;
pub mod dependencies;
mod init;
mod isoforge_toml;
mod lint;
mod metadata;
mod need;
mod presets;
mod problem;
pub mod setting;
mod values;

use std::collections::BTreeMap;
use std::path::Path;

pub(crate) use artifact::artifact;
pub use artifact::{CONFIG_TYPE, CONTENT_TYPE, layout};
pub use build::{Built, build};
pub use init::init;
use isoforge_toml::IsoforgeToml;
pub use isoforge_toml::Requirements;
pub use lint::lint;
pub use metadata::{Layer, Metadata};
pub use need::{Need, Range};
use presets::{Preset, Presets};
pub use problem::{Problem, Severity};
pub use values::Composed;

use super::chart::Chart;
use super::files::Files;
use super::macros::{self, Answers};
use super::{Error, tarball, values as merging};
use isoforge_base::yaml::Node;
use problem::Problems;

/// The file that makes a folder a pack.
pub const FILE: &str = "pack.json";
/// A pack's values.
pub const VALUES_FILE: &str = "values.yaml";
/// A pack's presets.
const PRESETS_FILE: &str = "presets.yaml";

/// A manifest of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The name of its values: its file's name without the ending.
    pub name: String,
    /// Path within the pack.
    pub path: String,
    /// As it stands there: macros and templates are not filled.
    pub text: String,
}

/// A pack, read.
#[derive(Debug)]
pub struct Pack {
    /// What `pack.json` says.
    pub meta: Metadata,
    files: Files,
    /// As they stand there.
    values_text: String,
    presets: Presets,
    isoforge_toml: IsoforgeToml,
    charts: Vec<(String, Chart)>,
    manifests: Vec<Manifest>,
    broken: BTreeMap<String, String>,
}

impl Pack {
    /// Reads the pack at `path`, a folder or archive.
    ///
    /// # Errors
    /// [`Error`], where one of its main files can't be read.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::read(Files::open(path)?)
    }

    /// Reads a pack from its files, which may lie in one folder.
    ///
    /// # Errors
    /// [`Error`], where one of its main files can't be read. A chart or manifest
    /// that can't is [`broken`](Self::broken).
    pub(crate) fn read(files: Files) -> Result<Self, Error> {
        let files = files.rooted_at(FILE);
        let node = files.parsed(FILE, metadata::node)?;
        let node = node.ok_or_else(|| files.lacks(FILE))?;
        let mut problems = Problems::of(&files.name(FILE));
        let meta = Metadata::read(&node, &mut problems);
        let meta = meta.ok_or_else(|| problems.first_error())?;
        files.parsed(VALUES_FILE, macros::document)?;
        let values_text = files.text(VALUES_FILE)?.unwrap_or_default().to_owned();
        let mut problems = Problems::of(&files.name(PRESETS_FILE));
        let presets = files.parsed(PRESETS_FILE, macros::document)?;
        let presets = presets.map(|node| Presets::read(&node, &mut problems));
        let presets = presets.unwrap_or_default();
        let isoforge_toml = IsoforgeToml::read(&files)?;
        let mut pack = Self {
            meta,
            values_text,
            presets,
            isoforge_toml,
            charts: Vec::new(),
            manifests: Vec::new(),
            broken: BTreeMap::new(),
            files,
        };
        pack.read_parts();
        Ok(pack)
    }

    fn read_parts(&mut self) {
        let mut broken = |path: &String, problem| self.broken.insert(path.clone(), problem);
        for path in &self.meta.charts {
            match chart(&self.files, path) {
                Ok(chart) => self.charts.push((chart.meta.name.clone(), chart)),
                Err(error) => drop(broken(path, error.to_string())),
            }
        }
        for path in &self.meta.manifests {
            match self.files.text(path) {
                Ok(Some(text)) => self.manifests.push(Manifest {
                    name: stem(path).to_owned(),
                    path: path.clone(),
                    text: text.to_owned(),
                }),
                Ok(None) => drop(broken(path, "it is not in the pack".to_owned())),
                Err(error) => drop(broken(path, error.to_string())),
            }
        }
    }

    /// Its files.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// A deterministic archive of its files, in a folder of its name and version.
    ///
    /// # Errors
    /// [`Error::Archive`] where a path can't be said in an archive.
    pub(crate) fn to_archive(&self) -> Result<Vec<u8>, Error> {
        let folder = format!("{}-{}", self.meta.name, self.meta.version);
        tarball::of_files(&self.files, &folder)
    }

    /// Its charts by name, in the order in which they are installed.
    #[must_use]
    pub fn charts(&self) -> &[(String, Chart)] {
        &self.charts
    }

    /// Its manifests, in their order.
    #[must_use]
    pub fn manifests(&self) -> &[Manifest] {
        &self.manifests
    }

    /// What `isoforge.toml` says.
    pub(crate) fn isoforge_toml(&self) -> &IsoforgeToml {
        &self.isoforge_toml
    }

    pub(crate) fn presets(&self) -> &Presets {
        &self.presets
    }

    /// Charts and manifests that `pack.json` names and that can't be read, and
    /// why.
    #[must_use]
    pub fn broken(&self) -> &BTreeMap<String, String> {
        &self.broken
    }

    /// The presets that are on where `asked` switches some on or off.
    fn selected(&self, asked: &[String]) -> Result<Vec<&Preset>, Error> {
        let enabled = presets::enabled(&self.values_text);
        self.presets.select(&self.meta.name, &enabled, asked)
    }

    /// Puts its values together: with the presets that `asked` switches on
    /// (`Group:name`) or off (`-Group:name`), with `given` over all, and with the
    /// macros filled that there are answers for.
    ///
    /// # Errors
    /// Of presets that it does not have or that exclude each other; [`Error::Syntax`].
    pub fn compose(
        &self,
        asked: &[String],
        given: &serde_json::Value,
        answers: &Answers,
    ) -> Result<Composed, Error> {
        let file = self.files.name(VALUES_FILE);
        let node = macros::document(&answers.fill(&self.values_text));
        let node = node.map_err(|refused| Error::syntax(&file, refused))?;
        let mut composed = merging::object(Some(&node.to_json()));
        let on = self.selected(asked)?;
        for preset in &on {
            for path in &preset.remove {
                merging::remove(&mut composed, path);
            }
            let text = answers.fill(&preset.add);
            let added = macros::document(&text).map_err(|error| Error::Syntax {
                file: self.files.name(PRESETS_FILE),
                // Where the added text begins, as near as YAML's reader tells.
                line: preset.add_line.saturating_add(error.line),
                column: error.column,
                problem: format!(
                    "the preset '{}' adds what is no YAML: {}",
                    preset.name, error.problem
                ),
            })?;
            if !added.is_null() {
                merging::merge(&mut composed, &added.to_json());
            }
        }
        merging::merge(&mut composed, &answers.fill_values(given));
        let on = on.iter().map(|preset| preset.full_name()).collect();
        Ok(Composed::new(composed, on))
    }

    /// The line of `values.yaml` with an image of `pack.content.images`, which is
    /// its entry `number` unless a preset or the user changed the list.
    pub(crate) fn line_of_image(&self, number: usize, image: &str) -> Option<u64> {
        let node = macros::document(&self.values_text).ok()?;
        let list = images_node(&node)?.items();
        let is_it = |item: &&Node| item.text_at("image") == Some(image);
        let same = list.get(number).filter(is_it);
        let found = same.or_else(|| list.iter().find(is_it));
        found.map(|item| item.line)
    }
}

/// The list `pack.content.images` of values.
fn images_node(values: &Node) -> Option<&Node> {
    values.get("pack")?.get("content")?.get("images")
}

/// A chart of a pack by its path: an archive or a folder.
fn chart(files: &Files, path: &str) -> Result<Chart, Error> {
    if let Some(bytes) = files.get(path) {
        return Chart::archive(&files.name(path), bytes);
    }
    if files.has_folder(path) {
        return Chart::read(files.below(path));
    }
    Err(files.lacks(path))
}

/// A path's last part without its ending.
fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

#[cfg(test)]
mod tests;
