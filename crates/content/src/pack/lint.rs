//! Every problem of a pack, with file and place.

mod images;

use std::collections::BTreeSet;
use std::path::Path;

use super::problem::{Problem, Problems, Severity, nearest};
use super::{
    FILE, Metadata, Own, PRESETS_FILE, Presets, VALUES_FILE, chart, images_node, metadata, own,
    presets, stem,
};
use crate::files::Files;
use crate::find::manifests;
use crate::macros;
use crate::yaml::{Node, Value};
use images::{images, keys};

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
        let mut problems = Problems::of(&files.name(&skipped.path));
        let problem = format!("{} is left out of the pack", skipped.what);
        problems.whole(Severity::Error, problem);
        lint.take(problems);
    }
    lint.metadata();
    let declared = lint.values();
    lint.presets();
    lint.own();
    if files.get(LOGO_FILE).is_none() {
        let mut problems = Problems::of(files.place());
        problems.whole(Severity::Warning, format!("there is no {LOGO_FILE}"));
        lint.take(problems);
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

impl Lint<'_> {
    fn take(&mut self, problems: Problems) {
        self.found.extend(problems.list);
    }

    fn problems(&self, path: &str) -> Problems {
        Problems::of(&self.files.name(path))
    }

    /// The text of a file that is there; what hinders reading is taken.
    fn text(&mut self, path: &str) -> Option<&str> {
        match self.files.text(path) {
            Ok(text) => text,
            Err(error) => {
                let mut problems = self.problems(path);
                problems.failed(&error);
                self.take(problems);
                None
            }
        }
    }

    fn metadata(&mut self) {
        let mut problems = self.problems(FILE);
        let Some(text) = self.files.text(FILE).transpose() else {
            let mut problems = Problems::of(self.files.place());
            problems.whole(Severity::Error, format!("there is no {FILE}"));
            return self.take(problems);
        };
        let node = text.and_then(|text| {
            metadata::node(text).map_err(|error| error.of(&self.files.name(FILE)))
        });
        match node {
            Err(error) => problems.failed(&error),
            Ok(node) => {
                if let Some(meta) = Metadata::read(&node, &mut problems) {
                    self.knows_parts = true;
                    self.charts(&meta, &node, &mut problems);
                    self.manifests(&meta, &node, &mut problems);
                }
            }
        }
        self.take(problems);
    }

    fn charts(&mut self, meta: &Metadata, node: &Node, problems: &mut Problems) {
        for (number, path) in meta.charts.iter().enumerate() {
            let at = item(node, "charts", number);
            match chart(self.files, path) {
                Err(crate::Error::NoFile { .. }) => {
                    self.knows_parts = false;
                    problems.error(at, format!("there is no chart '{path}'"));
                }
                Err(error) => {
                    self.knows_parts = false;
                    let mut inside = self.problems(path);
                    inside.failed(&error);
                    self.take(inside);
                }
                Ok(chart) => {
                    let missing = chart.missing_dependencies();
                    let names: Vec<&str> =
                        missing.iter().map(|needed| needed.name.as_str()).collect();
                    if !names.is_empty() {
                        let mut inside = self.problems(path);
                        let problem = format!(
                            "the chart needs {}, which is not in its charts/",
                            names.join(", ")
                        );
                        inside.whole(Severity::Error, problem);
                        self.take(inside);
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
            let mut beside = Problems::of(&self.files.name(path));
            let problem = format!("{FILE} does not list the chart");
            beside.whole(Severity::Warning, problem);
            self.found.extend(beside.list);
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
            let Some(text) = self.text(path).map(str::to_owned) else {
                continue;
            };
            // A template is no YAML before it is filled.
            if let Err(error) = manifests::images(&file, &text, &[])
                && !text.contains("{{")
            {
                let mut inside = Problems::of(&file);
                inside.failed(&error);
                self.take(inside);
            }
        }
        let paths = self.files.iter().map(|(path, _)| path);
        let unlisted = paths.filter(|path| {
            path.starts_with("manifests/")
                && manifests::is_manifest(path)
                && !self.manifests.contains(*path)
        });
        for path in unlisted {
            let mut beside = Problems::of(&self.files.name(path));
            let problem = format!("{FILE} does not list the manifest");
            beside.whole(Severity::Warning, problem);
            self.found.extend(beside.list);
        }
    }

    /// Checks the values and gives the images that they list.
    fn values(&mut self) -> Option<BTreeSet<String>> {
        if self.files.get(VALUES_FILE).is_none() {
            let mut problems = Problems::of(self.files.place());
            problems.whole(Severity::Error, format!("there is no {VALUES_FILE}"));
            self.take(problems);
            return None;
        }
        let node = self.yaml_of(VALUES_FILE)?;
        let mut problems = self.problems(VALUES_FILE);
        if !matches!(node.value, Value::Map(_) | Value::Null) {
            problems.error(&node, format!("values are a map, not {}", node.kind()));
        }
        let mut declared = None;
        if let Some(pack) = node.get("pack") {
            keys(pack, "pack", &PACK_KEYS, Severity::Warning, &mut problems);
            if let Some(content) = pack.get("content") {
                let known = &CONTENT_KEYS;
                keys(
                    content,
                    "pack.content",
                    known,
                    Severity::Warning,
                    &mut problems,
                );
            }
            if self.knows_parts {
                self.override_names(pack, &mut problems);
            }
            declared = images_node(&node).map(|list| images(list, &mut problems));
        }
        if self.knows_parts {
            self.names_of(&node, "charts", &self.charts, "chart", &mut problems);
            let stems = self.manifests.iter().map(|path| stem(path).to_owned());
            self.names_of(
                &node,
                "manifests",
                &stems.collect(),
                "manifest",
                &mut problems,
            );
        }
        self.take(problems);
        declared
    }

    /// Warns of values for what the pack does not have.
    fn names_of(
        &self,
        values: &Node,
        key: &str,
        known: &BTreeSet<String>,
        what: &str,
        problems: &mut Problems,
    ) {
        let names: Vec<&str> = known.iter().map(String::as_str).collect();
        let entries = values.get(key).map(Node::entries).unwrap_or_default();
        for (name, value) in entries {
            if !known.contains(name) {
                let near = nearest(name, &names);
                let problem =
                    format!("values of '{name}', a {what} that the pack does not have{near}");
                problems.warning(value, problem);
            }
        }
    }

    fn override_names(&self, pack: &Node, problems: &mut Problems) {
        let names: Vec<&str> = self.charts.iter().map(String::as_str).collect();
        let map = pack.get("releaseNameOverride").map(Node::entries);
        for (name, value) in map.unwrap_or_default() {
            if !self.charts.contains(name) {
                let near = nearest(name, &names);
                let problem = format!("the pack has no chart '{name}' to rename{near}");
                problems.warning(value, problem);
            }
        }
    }

    /// Reads a file of YAML that is there; what is wrong is taken. A key that is
    /// there twice is a warning, since the last one counts.
    fn yaml_of(&mut self, path: &str) -> Option<Node> {
        let text = self.text(path)?.to_owned();
        let mut problems = self.problems(path);
        let file = self.files.name(path);
        let node = match macros::document(&text) {
            Ok(node) => {
                if let Err(error) = macros::strict(&text) {
                    let at = Node {
                        line: error.line,
                        column: error.column,
                        ..Node::null()
                    };
                    problems.warning(&at, error.problem);
                }
                Some(node)
            }
            Err(error) => {
                problems.failed(&error.of(&file));
                None
            }
        };
        self.take(problems);
        node
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

    fn own(&mut self) {
        if let Err(error) = Own::read(self.files) {
            let mut problems = self.problems(own::FILE);
            problems.failed(&error);
            self.take(problems);
        }
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
                    let at = Node {
                        line: places.first().and_then(|place| place.line).unwrap_or(0),
                        ..Node::null()
                    };
                    let problem = format!("{image} is needed and not in pack.content.images");
                    problems.warning(&at, problem);
                }
            }
            self.take(problems);
        }
    }
}

/// An item of a list of `pack.json`, for its place.
fn item<'a>(node: &'a Node, key: &str, number: usize) -> &'a Node {
    let list = node.get(key);
    let found = list.and_then(|list| list.items().get(number));
    found.or(list).unwrap_or(node)
}
