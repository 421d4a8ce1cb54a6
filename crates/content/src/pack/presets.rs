//! `presets.yaml`: named groups of values that are switched on or off.
//!
//! ```yaml
//! presets:
//! - name: enable-ingress
//!   displayName: Enable
//!   group: Ingress
//!   remove: ["charts.x.service"]
//!   add: |
//!     charts:
//!       x: {ingress: {enabled: true}}
//! ```
//!
//! Of a group one preset is on at a time. `values.yaml` says in its first comment
//! which are on from the start:
//! `# spectrocloud.com/enabled-presets: Ingress:enable-ingress,Other:name`.

use super::problem::Problems;
use crate::Error;
use crate::macros;
use isoforge_base::yaml::{Node, Value};

const KEYS: [&str; 5] = ["add", "displayName", "group", "name", "remove"];
const ENABLED: &str = "spectrocloud.com/enabled-presets:";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Preset {
    pub(super) name: String,
    /// Its name for people.
    pub(super) display_name: String,
    pub(super) group: String,
    /// Paths of values that it removes first.
    pub(super) remove: Vec<String>,
    /// YAML that it lays over the values.
    pub(super) add: String,
    /// The line of `presets.yaml` before that text.
    pub(super) add_line: u64,
}

impl Preset {
    /// `Group:name`.
    pub(crate) fn full_name(&self) -> String {
        format!("{}:{}", self.group, self.name)
    }

    /// Whether `asked` names it, by its full name or, where that is enough, by
    /// its name alone.
    fn is(&self, asked: &str) -> bool {
        match asked.split_once(':') {
            Some((group, name)) => group.trim() == self.group && name.trim() == self.name,
            None => asked.trim() == self.name,
        }
    }
}

/// The presets of a pack, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Presets(Vec<Preset>);

impl Presets {
    /// All of them.
    pub(crate) fn all(&self) -> &[Preset] {
        &self.0
    }

    /// Those that are on: of `enabled`, what `values.yaml` says, and of `asked`,
    /// what the user does. The user's is taken instead of another one of the same
    /// group; with a `-` in front a preset is off. A name of `enabled` that there
    /// is no preset for is passed over.
    ///
    /// # Errors
    /// Where there is no such preset, and where the user names two
    /// of a group.
    pub(crate) fn select(
        &self,
        pack: &str,
        enabled: &[String],
        asked: &[String],
    ) -> Result<Vec<&Preset>, Error> {
        let (mut on, mut off): (Vec<&Preset>, Vec<&Preset>) = (Vec::new(), Vec::new());
        for name in asked {
            let (name, list) = match name.strip_prefix('-') {
                Some(name) => (name, &mut off),
                None => (name.as_str(), &mut on),
            };
            list.push(self.find(pack, name)?);
        }
        for (number, preset) in on.iter().enumerate() {
            let mut earlier = on.iter().take(number);
            let other = earlier.find(|other| other.group == preset.group && *other != preset);
            if let Some(other) = other {
                let (first, second) = (other.full_name(), preset.full_name());
                return Err(Error::asked(format!(
                    "the presets '{first}' and '{second}' are of the same group: one can be on"
                ))
                .into());
            }
        }
        let selected = self.0.iter().filter(|preset| {
            let is_enabled = enabled.iter().any(|name| preset.is(name));
            let is_replaced = on.iter().any(|other| other.group == preset.group);
            on.contains(preset) || (is_enabled && !is_replaced && !off.contains(preset))
        });
        Ok(selected.collect())
    }

    fn find(&self, pack: &str, name: &str) -> Result<&Preset, Error> {
        let mut found = self.0.iter().filter(|preset| preset.is(name));
        match (found.next(), found.next()) {
            (Some(preset), None) => Ok(preset),
            // Two groups have it: the name alone is not enough.
            _ => {
                let known: Vec<_> = self.0.iter().map(Preset::full_name).collect();
                let known = match known.as_slice() {
                    [] => "none".to_owned(),
                    known => known.join(", "),
                };
                let text = format!("the pack '{pack}' has no preset '{name}'; it has {known}");
                Err(Error::asked(text).into())
            }
        }
    }

    /// Reads what is there and collects what is wrong.
    pub(super) fn read(node: &Node, problems: &mut Problems) -> Self {
        let Some(list) = node.get("presets") else {
            if !node.is_null() {
                problems.error(node, "'presets' is missing");
            }
            return Self::default();
        };
        if !matches!(list.value, Value::List(_) | Value::Null) {
            problems.unfit(list, "'presets' is a list, not");
        }
        let mut found: Vec<Preset> = Vec::new();
        for item in list.items() {
            if let Some(preset) = preset(item, problems) {
                if found
                    .iter()
                    .any(|other| other.full_name() == preset.full_name())
                {
                    let problem = format!("'{}' is there twice", preset.full_name());
                    problems.error(item, problem);
                }
                found.push(preset);
            }
        }
        Self(found)
    }
}

fn preset(item: &Node, problems: &mut Problems) -> Option<Preset> {
    problems.unknown_keys(item, &KEYS, "a preset");
    let Some(name) = item.text_at("name").filter(|name| !name.is_empty()) else {
        problems.error(item, "a preset must have a 'name'");
        return None;
    };
    let group = item.text_at("group").unwrap_or_default();
    if group.is_empty() {
        problems.error(item, format!("the preset '{name}' must have a 'group'"));
    }
    let mut remove = Vec::new();
    if let Some(list) = item.get("remove") {
        if !matches!(list.value, Value::List(_) | Value::Null) {
            problems.unfit(list, "'remove' is a list of paths, not");
        }
        for path in list.items() {
            match path.text() {
                Some(text) => remove.push(text.to_owned()),
                None => problems.unfit(path, "'remove' is a list of paths, not of"),
            }
        }
    }
    let (mut add, mut add_line) = (String::new(), item.line);
    if let Some(value) = item.get("add") {
        add_line = value.line;
        match &value.value {
            Value::Text(text) => add.clone_from(text),
            Value::Null => {}
            _ => problems.unfit(value, "'add' is a text with YAML in it, not"),
        }
        match macros::document(&add) {
            Ok(added) if !matches!(added.value, Value::Map(_) | Value::Null) => {
                let problem = format!("'add' is the YAML of a map, not of {}", added.kind());
                problems.error(value, problem);
            }
            Ok(_) => {}
            Err(error) => problems.error(
                value,
                format!(
                    "'add' is no YAML: line {}, column {}: {}",
                    error.line, error.column, error.problem
                ),
            ),
        }
    }
    Some(Preset {
        name: name.to_owned(),
        display_name: item.text_at("displayName").unwrap_or(name).to_owned(),
        group: group.to_owned(),
        remove,
        add,
        add_line,
    })
}

/// The presets that the comment before the values of `text` says are on.
pub(super) fn enabled(text: &str) -> Vec<String> {
    let comments = text.lines().take_while(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#')
    });
    let list = comments
        .filter_map(|line| {
            line.trim()
                .trim_start_matches('#')
                .trim()
                .strip_prefix(ENABLED)
        })
        .next()
        .unwrap_or_default();
    list.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}
