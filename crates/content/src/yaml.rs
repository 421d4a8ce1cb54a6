//! YAML and JSON as values with places, as Kubernetes and Helm read them.
//!
//! YAML 1.2 with the booleans (`yes`, `off`) and octal numbers (`0644`) of 1.1,
//! which Helm's and Kubernetes' parsers have too. Anchors, aliases and merge keys are followed
//! within limits. Of a key that is there twice the last counts, as it does for
//! them; [`strict`] refuses it. Quoted texts may go on without an indent, as
//! libyaml has it.
//!
//! Non-goals: comments, tags, writing a document back as it was.

use std::collections::BTreeMap;

use serde_json::{Map, Number};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Location, Spanned};

use super::Error;
use isoforge_base::yaml as util;
type Raw = isoforge_base::yaml::Raw<serde_json::Number>;

/// Most documents of one text.
const MAX_DOCUMENTS: usize = 65_536;
/// Most nodes of one text: collections of custom resource definitions have
/// some 200,000.
const MAX_NODES: usize = 4_000_000;
/// Deepest nesting.
const MAX_DEPTH: usize = 128;

/// What the parser says of a quoted text whose further lines are not indented.
/// YAML 1.2 forbids it; libyaml and Go's parsers take it, and tools that write
/// custom resource definitions write it.
const LOOSE_QUOTED: &str = "invalid indentation in multiline quoted scalar";
/// Put before such a line.
const REPAIR: &str = "        ";
/// Most such lines of one document.
const MAX_REPAIRS: usize = 2_000;
/// Most bytes that are read again for them, since each costs another reading.
const MAX_REPAIR_BYTES: usize = 1024 * 1024 * 1024;

/// A value and where it stands; 0:0 where nobody knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, its keys in the order of the text.
    Map(Vec<(String, Node)>),
}

/// A text that is no YAML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {problem}")]
pub struct SyntaxError {
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// What is wrong.
    pub problem: String,
}

impl From<util::Refused> for SyntaxError {
    fn from(refused: util::Refused) -> Self {
        Self {
            line: refused.line,
            column: refused.column,
            problem: refused.problem,
        }
    }
}

impl SyntaxError {
    /// The same as an error of the file `file`.
    #[must_use]
    pub fn of(self, file: &str) -> Error {
        Error::Syntax {
            file: file.to_owned(),
            line: self.line,
            column: self.column,
            problem: self.problem,
        }
    }
}

impl Node {
    /// A value without a place.
    #[must_use]
    pub fn null() -> Self {
        Self {
            value: Value::Null,
            line: 0,
            column: 0,
        }
    }

    /// What it is, in words.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// The text, where it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items of a list; none of anything else.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The entries of a map; none of anything else.
    #[must_use]
    pub fn entries(&self) -> &[(String, Self)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// What a map has under `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let mut entries = self.entries().iter();
        entries.find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The text under `key`, where there is one.
    #[must_use]
    pub fn text_at(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    /// The value without places.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(is) => (*is).into(),
            Value::Number(number) => serde_json::Value::Number(number.clone()),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => {
                let pairs = entries.iter().map(|(k, node)| (k.clone(), node.to_json()));
                serde_json::Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }

    /// Applies `change` to all its texts, keys included.
    pub(super) fn map_texts(&mut self, change: &impl Fn(&mut String)) {
        match &mut self.value {
            Value::Text(text) => change(text),
            Value::List(items) => items.iter_mut().for_each(|item| item.map_texts(change)),
            Value::Map(entries) => {
                for (key, node) in entries {
                    change(key);
                    node.map_texts(change);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// The documents of a text, without empty ones.
///
/// # Errors
/// [`SyntaxError`].
pub fn documents(text: &str) -> Result<Vec<Node>, SyntaxError> {
    let mut nodes = parse(text, DuplicateKeyPolicy::LastWins)?;
    nodes.retain(|node| node.value != Value::Null);
    Ok(nodes)
}

/// The first document of a text; nothing where it has none.
///
/// # Errors
/// [`SyntaxError`].
pub fn document(text: &str) -> Result<Node, SyntaxError> {
    let first = documents(text)?.into_iter().next();
    Ok(first.unwrap_or_else(Node::null))
}

/// Like [`documents`]; a key that is there twice is an error.
///
/// # Errors
/// [`SyntaxError`].
pub fn strict(text: &str) -> Result<Vec<Node>, SyntaxError> {
    parse(text, DuplicateKeyPolicy::Error)
}

/// The YAML of a value, keys in its order.
///
/// # Errors
/// [`Error::Write`]; `what` says what it is.
pub fn write(what: &str, value: &impl serde::Serialize) -> Result<String, Error> {
    let options = serde_saphyr::ser_options! {
        // A folded text would break the lines of a script or a key.
        folded_wrap_chars: usize::MAX,
    };
    serde_saphyr::to_string_with_options(value, options).map_err(|error| Error::Write {
        what: what.to_owned(),
        problem: error.to_string(),
    })
}

fn parse(text: &str, duplicates: DuplicateKeyPolicy) -> Result<Vec<Node>, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match parse_text(text, duplicates) {
        Err(error) if error.problem == LOOSE_QUOTED => parse_loose(text, duplicates),
        other => other,
    }
}

/// Reads the documents one by one and indents the lines that are in the way:
/// space at the beginning of a quoted text's line does not belong to it.
fn parse_loose(text: &str, duplicates: DuplicateKeyPolicy) -> Result<Vec<Node>, SyntaxError> {
    let mut nodes = Vec::new();
    for (lines_before, document) in parted(text) {
        // So that places are those in the whole text.
        let mut lines: Vec<String> = vec![String::new(); lines_before];
        lines.extend(document.lines().map(str::to_owned));
        let mut left = MAX_REPAIRS.min(MAX_REPAIR_BYTES / document.len().max(1));
        let parsed = loop {
            match parse_text(&lines.join("\n"), duplicates) {
                Err(error) if error.problem == LOOSE_QUOTED && left > 0 => {
                    left -= 1;
                    let at = usize::try_from(error.line).unwrap_or(0).checked_sub(1);
                    match at.and_then(|at| lines.get_mut(at)) {
                        Some(line) => line.insert_str(0, REPAIR),
                        None => return Err(error),
                    }
                }
                other => break other?,
            }
        };
        nodes.extend(parsed);
    }
    Ok(nodes)
}

/// The documents of a text, each with the number of lines before it.
fn parted(text: &str) -> Vec<(usize, String)> {
    let mut parts = vec![(0, String::new())];
    for (number, line) in text.lines().enumerate() {
        if line == "---" || line.starts_with("--- ") {
            parts.push((number, String::new()));
        }
        if let Some((_, part)) = parts.last_mut() {
            part.push_str(line);
            part.push('\n');
        }
    }
    parts
}

fn parse_text(text: &str, duplicates: DuplicateKeyPolicy) -> Result<Vec<Node>, SyntaxError> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::AsString,
        duplicate_keys: duplicates,
        emit_comments: false,
        // `defaultMode: 0644` is 420 for Kubernetes and Helm.
        legacy_octal_numbers: true,
        budget: serde_saphyr::budget! {
            max_documents: MAX_DOCUMENTS,
            max_nodes: MAX_NODES,
            max_events: 2 * MAX_NODES,
            max_depth: MAX_DEPTH,
        },
    };
    let parsed: Vec<Spanned<Raw>> = util::read(text, options)?;
    parsed.into_iter().map(|raw| node(raw, text)).collect()
}

fn node(raw: Spanned<Raw>, text: &str) -> Result<Node, SyntaxError> {
    let (line, column) = (raw.referenced.line().max(1), raw.referenced.column().max(1));
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Bool(is) => Value::Bool(is),
        Raw::Number(number) => Value::Number(number),
        Raw::Text(text) => Value::Text(text),
        Raw::List(items) => {
            let items = items.into_iter().map(|raw| node(raw, text));
            Value::List(items.collect::<Result<_, _>>()?)
        }
        Raw::Map(entries) => Value::Map(map(entries, text)?),
    };
    Ok(Node {
        value,
        line,
        column,
    })
}

/// The entries of a map, the last of a key that is there twice.
fn map(
    raw: Vec<(Spanned<Raw>, Spanned<Raw>)>,
    text: &str,
) -> Result<Vec<(String, Node)>, SyntaxError> {
    let mut entries: Vec<(String, Node)> = Vec::with_capacity(raw.len());
    let mut known = BTreeMap::new();
    for (key, value) in raw {
        let key = key_text(&key, text)?;
        let value = node(value, text)?;
        match known.get(&key).and_then(|at: &usize| entries.get_mut(*at)) {
            Some(earlier) => earlier.1 = value,
            None => {
                known.insert(key.clone(), entries.len());
                entries.push((key, value));
            }
        }
    }
    Ok(entries)
}

/// A key as text; one that is a number or boolean as it is written.
fn key_text(key: &Spanned<Raw>, text: &str) -> Result<String, SyntaxError> {
    Ok(match &key.value {
        Raw::Text(key) => key.clone(),
        Raw::Null => "null".to_owned(),
        Raw::Bool(is) => written(key.defined, text, &is.to_string()),
        Raw::Number(number) => written(key.defined, text, &number.to_string()),
        // JSON has no such keys, so neither Kubernetes nor Helm takes them.
        Raw::List(_) | Raw::Map(_) => {
            return Err(SyntaxError {
                line: key.referenced.line().max(1),
                column: key.referenced.column().max(1),
                problem: "a key is a map or list; a template's braces must stand in quotes"
                    .to_owned(),
            });
        }
    })
}

/// What stands at a place; `otherwise` where the parser does not tell.
fn written(place: Location, text: &str, otherwise: &str) -> String {
    let found = || {
        let start = usize::try_from(place.span().byte_offset()?).ok()?;
        let length = usize::try_from(place.span().byte_len()?).ok()?;
        text.get(start..start.checked_add(length)?)
    };
    let found = found().map(str::trim).filter(|found| !found.is_empty());
    found.unwrap_or(otherwise).to_owned()
}

#[cfg(test)]
mod tests;
