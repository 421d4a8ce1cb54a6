//! Every problem of a pack, with file and place.

mod images;

use std::collections::BTreeSet;
use std::path::Path;

use super::problem::{Problem, Problems, Severity, nearest};
use super::{
    FILE, IsoforgeToml, Metadata, PRESETS_FILE, Presets, VALUES_FILE, chart, images_node,
    isoforge_toml, metadata, presets, stem,
};
use crate::Error;
use crate::files::Files;
use crate::find::manifests;
use crate::macros;
use images::{images, keys};
use isoforge_base::yaml::{Node, Value};

const LOGO_FILE: &str = "logo.png";
const SCHEMA_FILE: &str = "schema.yaml";
/// Keys of a pack's own part of the values.
const PACK_KEYS: [&str; 6] = [
    "content",
    "namespace",
    "namespaceLabels",
    "releaseNameOverride",
    "spectrocloud.com/display-name",
    "spectrocloud.com/install-priority",
];
const CONTENT_KEYS: [&str; 2] = ["charts", "images"];

/// The problems of the pack at `path`, a folder or archive: by file, line and
/// column. None is left out because of another one, and none ends the work.
#[must_use]
pub fn lint(path: &Path) -> Vec<Problem> {
    let files = match Files::open(path) {
        Ok(files) => files.rooted_at(FILE),
        Err(error) => {
            let mut problems = Problems::of(&path.display().to_string());
            problems.failed(&error);
            return problems.list;
        }
    };
    of_files(&files)
}

/// The problems of a pack's files.
pub(super) fn of_files(files: &Files) -> Vec<Problem> {
    let mut lint = Lint {
        files,
        found: Vec::new(),
        charts: BTreeSet::new(),
        manifests: BTreeSet::new(),
        knows_parts: false,
    };
    for skipped in files.skipped() {
        let problem = format!("{} is left out of the pack", skipped.what);
        lint.whole(&files.name(&skipped.path), Severity::Error, problem);
    }
    lint.metadata();
    let declared = lint.values();
    lint.presets();
    if let Err(error) = IsoforgeToml::read(files) {
        lint.failed(isoforge_toml::FILE, &error);
    }
    if files.get(LOGO_FILE).is_none() {
        lint.lacks(LOGO_FILE, Severity::Warning);
    }
    lint.yaml_of(SCHEMA_FILE);
    lint.undeclared(&declared);
    let mut found = lint.found;
    found.sort();
    found.dedup();
    found
}

struct Lint<'a> {
    files: &'a Files,
    found: Vec<Problem>,
    /// Names of the charts.
    charts: BTreeSet<String>,
    /// Paths of the manifests.
    manifests: BTreeSet<String>,
    /// Whether those two are all that the pack has.
    knows_parts: bool,
}

impl<'a> Lint<'a> {
    fn take(&mut self, problems: Problems) {
        self.found.extend(problems.list);
    }

    fn problems(&self, path: &str) -> Problems {
        Problems::of(&self.files.name(path))
    }

    /// A problem of a file as a whole.
    fn whole(&mut self, file: &str, severity: Severity, problem: String) {
        let mut problems = Problems::of(file);
        problems.whole(severity, problem);
        self.take(problems);
    }

    /// A failure that hinders reading a file of the pack.
    fn failed(&mut self, path: &str, error: &Error) {
        let mut problems = self.problems(path);
        problems.failed(error);
        self.take(problems);
    }

    fn lacks(&mut self, file: &str, severity: Severity) {
        self.whole(self.files.place(), severity, format!("there is no {file}"));
    }

    /// Warns of a file that `pack.json` does not list.
    fn unlisted(&mut self, path: &str, what: &str) {
        let problem = format!("{FILE} does not list the {what}");
        self.whole(&self.files.name(path), Severity::Warning, problem);
    }

    /// The text of a file that is there; what hinders reading is taken.
    fn text(&mut self, path: &str) -> Option<&'a str> {
        match self.files.text(path) {
            Ok(text) => text,
            Err(error) => {
                self.failed(path, &error);
                None
            }
        }
    }

    fn metadata(&mut self) {
        let node = match self.files.parsed(FILE, metadata::node) {
            Err(error) => return self.failed(FILE, &error),
            Ok(None) => return self.lacks(FILE, Severity::Error),
            Ok(Some(node)) => node,
        };
        let mut problems = self.problems(FILE);
        if let Some(meta) = Metadata::read(&node, &mut problems) {
            self.knows_parts = true;
            self.charts(&meta, &node, &mut problems);
            self.manifests(&meta, &node, &mut problems);
        }
        self.take(problems);
    }

    fn charts(&mut self, meta: &Metadata, node: &Node, problems: &mut Problems) {
        for (number, path) in meta.charts.iter().enumerate() {
            let at = item(node, "charts", number);
            match chart(self.files, path) {
                Err(Error::NoFile { .. }) => {
                    self.knows_parts = false;
                    problems.error(at, format!("there is no chart '{path}'"));
                }
                Err(error) => {
                    self.knows_parts = false;
                    self.failed(path, &error);
                }
                Ok(chart) => {
                    let missing = chart.missing_dependencies();
                    let names: Vec<&str> =
                        missing.iter().map(|needed| needed.name.as_str()).collect();
                    if !names.is_empty() {
                        let names = names.join(", ");
                        let problem =
                            format!("the chart needs {names}, which is not in its charts/");
                        self.whole(&self.files.name(path), Severity::Error, problem);
                    }
                    if !self.charts.insert(chart.meta.name.clone()) {
                        let problem = format!("the chart '{}' is there twice", chart.meta.name);
                        problems.error(at, problem);
                    }
                }
            }
        }
        let listed: BTreeSet<&String> = meta.charts.iter().collect();
        let archives = self.files.iter().map(|(path, _)| path);
        let archives = archives.filter(|path| {
            let inside = path.strip_prefix("charts/");
            inside.is_some_and(|name| name.ends_with(".tgz") && !name.contains('/'))
        });
        for path in archives.filter(|path| !listed.contains(&(*path).to_owned())) {
            self.unlisted(path, "chart");
        }
    }

    fn manifests(&mut self, meta: &Metadata, node: &Node, problems: &mut Problems) {
        for (number, path) in meta.manifests.iter().enumerate() {
            let at = item(node, "kubeManifests", number);
            if self.files.get(path).is_none() {
                problems.error(at, format!("there is no manifest '{path}'"));
                continue;
            }
            self.manifests.insert(path.clone());
            let file = self.files.name(path);
            let Some(text) = self.text(path) else {
                continue;
            };
            // A template is no YAML before it is filled.
            if let Err(error) = manifests::images(&file, text, &[])
                && !text.contains("{{")
            {
                self.failed(path, &error);
            }
        }
        let paths = self.files.iter().map(|(path, _)| path);
        let paths = paths.filter(|path| path.starts_with("manifests/"));
        for path in paths.filter(|path| manifests::is_manifest(path)) {
            if !self.manifests.contains(path) {
                self.unlisted(path, "manifest");
            }
        }
    }

    /// Checks the values and gives the images that they list.
    fn values(&mut self) -> Option<BTreeSet<String>> {
        if self.files.get(VALUES_FILE).is_none() {
            self.lacks(VALUES_FILE, Severity::Error);
            return None;
        }
        let node = self.yaml_of(VALUES_FILE)?;
        let mut problems = self.problems(VALUES_FILE);
        if !matches!(node.value, Value::Map(_) | Value::Null) {
            problems.unfit(&node, "values are a map, not");
        }
        let mut declared = None;
        if let Some(pack) = node.get("pack") {
            keys(pack, "pack", &PACK_KEYS, &mut problems);
            if let Some(content) = pack.get("content") {
                keys(content, "pack.content", &CONTENT_KEYS, &mut problems);
            }
            if self.knows_parts {
                let told = |name: &str, near: &str| {
                    format!("the pack has no chart '{name}' to rename{near}")
                };
                unknown(
                    pack,
                    "releaseNameOverride",
                    &self.charts,
                    told,
                    &mut problems,
                );
            }
            declared = images_node(&node).map(|list| images(list, &mut problems));
        }
        if self.knows_parts {
            let stems = self.manifests.iter().map(|path| stem(path).to_owned());
            let stems: BTreeSet<String> = stems.collect();
            for (key, known) in [("charts", &self.charts), ("manifests", &stems)] {
                let what = key.trim_end_matches('s');
                let told = |name: &str, near: &str| {
                    format!("values of '{name}', a {what} that the pack does not have{near}")
                };
                unknown(&node, key, known, told, &mut problems);
            }
        }
        self.take(problems);
        declared
    }

    /// Reads a file of YAML that is there; what is wrong is taken. A key that is
    /// there twice is a warning, since the last one counts.
    fn yaml_of(&mut self, path: &str) -> Option<Node> {
        let text = self.text(path)?;
        match macros::document(text) {
            Ok(node) => {
                if let Err(refused) = macros::strict(text) {
                    let mut problems = self.problems(path);
                    problems.warning(&at(refused.line, refused.column), refused.problem);
                    self.take(problems);
                }
                Some(node)
            }
            Err(refused) => {
                let file = self.files.name(path);
                self.failed(path, &Error::syntax(&file, refused));
                None
            }
        }
    }

    fn presets(&mut self) {
        let node = self.yaml_of(PRESETS_FILE);
        let mut problems = self.problems(PRESETS_FILE);
        let known = node.map(|node| Presets::read(&node, &mut problems));
        self.take(problems);
        let known = known.unwrap_or_default();
        let Some(text) = self.text(VALUES_FILE).map(str::to_owned) else {
            return;
        };
        let mut problems = self.problems(VALUES_FILE);
        let mut groups = BTreeSet::new();
        for name in presets::enabled(&text) {
            let one = [name.clone()];
            let Ok(found) = known.select("", &[], &one) else {
                let problem = format!("the preset '{name}' is to be on, and there is no such");
                problems.whole(Severity::Warning, problem);
                continue;
            };
            for preset in found {
                if !groups.insert(preset.group.clone()) {
                    let problem = format!("two presets of the group '{}' are on", preset.group);
                    problems.whole(Severity::Error, problem);
                }
            }
        }
        self.take(problems);
    }

    /// Warns of images that a manifest needs and a pack that lists images does
    /// not.
    fn undeclared(&mut self, declared: &Option<BTreeSet<String>>) {
        let Some(declared) = declared.as_ref().filter(|list| !list.is_empty()) else {
            return;
        };
        for path in self.manifests.clone() {
            let Some(text) = self.text(&path).map(str::to_owned) else {
                continue;
            };
            let file = self.files.name(&path);
            let Ok(found) = manifests::images(&file, &text, &[]) else {
                continue;
            };
            let mut problems = Problems::of(&file);
            for (image, places) in &found.images {
                if !declared.contains(image) {
                    let line = places.first().and_then(|place| place.line);
                    let problem = format!("{image} is needed and not in pack.content.images");
                    problems.warning(&at(line.unwrap_or(0), 0), problem);
                }
            }
            self.take(problems);
        }
    }
}

/// A place without a value.
fn at(line: u64, column: u64) -> Node {
    Node {
        line,
        column,
        ..Node::null()
    }
}

/// An item of a list of `pack.json`, for its place.
fn item<'a>(node: &'a Node, key: &str, number: usize) -> &'a Node {
    let list = node.get(key);
    let found = list.and_then(|list| list.items().get(number));
    found.or(list).unwrap_or(node)
}

/// Warns of the names in a map that are not `known`.
fn unknown(
    node: &Node,
    key: &str,
    known: &BTreeSet<String>,
    told: impl Fn(&str, &str) -> String,
    problems: &mut Problems,
) {
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    let entries = node.get(key).into_iter().flat_map(Node::entries);
    for (name, value) in entries.filter(|(name, _)| !names.contains(name)) {
        problems.warning(value, told(name, &nearest(name, &names)));
    }
}
