//! YAML as one kind of value with places, for all that read it: cloud-configs,
//! and what Kubernetes and Helm read ([`Dialect`]).
//!
//! YAML 1.2 with the booleans (`yes`, `off`) of 1.1. Anchors, aliases and merge
//! keys are followed within limits. A number or boolean keeps the text that it
//! was written as beside its value: `0644` is no number that could be written
//! back.
//!
//! Non-goals: comments, tags, writing a document back as it was.

mod loose;
mod raw;

use std::collections::BTreeMap;

use serde_json::{Map, Number};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Location, NonFiniteFloatPolicy, Options, Spanned};

use raw::{Raw, read};

/// Most documents of one text.
const MAX_DOCUMENTS: usize = 65_536;
/// Most nodes of one text: collections of custom resource definitions have
/// some 200,000.
const MAX_NODES: usize = 4_000_000;
/// Deepest nesting.
const MAX_DEPTH: usize = 128;

/// A value and where it stands; 0:0 where nobody knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing: `~`, or no text at all.
    Null,
    /// A boolean, and how it is written: `yes`.
    Bool(bool, String),
    /// A number as JSON has it, and how it is written: `0x1F`. One that JSON has
    /// no number for (`.inf`, more than 64 bits) is a text.
    Number(Number, String),
    /// A text, without quotes.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys and values in the order of the text. Of a key that is there twice
    /// the last value stands, in the place of the first ([`Dialect::Kubernetes`]).
    Map(Vec<(Node, Node)>),
}

/// How a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Keys of any kind; a key that is there twice is refused.
    CloudConfig,
    /// As Kubernetes and Helm read it: `0644` is 420, of a key that is there twice
    /// the last counts, quoted texts may go on without an indent (as libyaml has
    /// it), and a key that is a map or list is refused.
    Kubernetes,
    /// The same, but a key that is there twice is refused.
    KubernetesStrict,
}

/// A text that is no YAML, or that its dialect refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {problem}")]
pub struct Refused {
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// What is wrong, without the place.
    pub problem: String,
}

impl Node {
    /// Nothing, without a place.
    #[must_use]
    pub fn null() -> Self {
        Self {
            value: Value::Null,
            line: 0,
            column: 0,
        }
    }

    /// What it is, in words: `a list`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(..) => "a boolean",
            Value::Number(..) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// Whether it is [`Value::Null`].
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// A text; none of a number or boolean, which [`scalar`](Self::scalar) gives.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A text, or a number or boolean as it is written.
    #[must_use]
    pub fn scalar(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Bool(_, text) | Value::Number(_, text) => Some(text),
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

    /// Keys and values of a map; none of anything else.
    #[must_use]
    pub fn pairs(&self) -> &[(Self, Self)] {
        match &self.value {
            Value::Map(pairs) => pairs,
            _ => &[],
        }
    }

    /// [`pairs`](Self::pairs) by the keys' texts, those without one left out;
    /// a key that is nothing is `null`.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Self)> {
        let pairs = self.pairs().iter();
        pairs.filter_map(|(key, value)| Some((key.key()?, value)))
    }

    /// What a map has under the key `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let found = self.entries().find(|(name, _)| *name == key);
        found.map(|(_, value)| value)
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
            Value::Bool(is, _) => (*is).into(),
            Value::Number(number, _) => serde_json::Value::Number(number.clone()),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(_) => {
                let pairs = self.entries();
                let pairs = pairs.map(|(key, node)| (key.to_owned(), node.to_json()));
                serde_json::Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }

    /// Applies `change` to all its texts, those of keys included.
    pub fn map_texts(&mut self, change: &impl Fn(&mut String)) {
        match &mut self.value {
            Value::Text(text) => change(text),
            Value::List(items) => items.iter_mut().for_each(|item| item.map_texts(change)),
            Value::Map(pairs) => {
                for (key, node) in pairs {
                    key.map_texts(change);
                    node.map_texts(change);
                }
            }
            Value::Null | Value::Bool(..) | Value::Number(..) => {}
        }
    }

    /// Its text as the key of a map.
    fn key(&self) -> Option<&str> {
        match &self.value {
            Value::Null => Some("null"),
            _ => self.scalar(),
        }
    }
}

/// All documents of a text, empty ones included; a byte order mark is no part
/// of it.
///
/// # Errors
/// [`Refused`].
pub fn documents(text: &str, dialect: Dialect) -> Result<Vec<Node>, Refused> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match dialect {
        Dialect::CloudConfig => parse(text, dialect),
        Dialect::Kubernetes | Dialect::KubernetesStrict => loose::parse(text, dialect),
    }
}

fn parse(text: &str, dialect: Dialect) -> Result<Vec<Node>, Refused> {
    let parsed: Vec<Spanned<Raw>> = read(text, dialect.options())?;
    let parsed = parsed.into_iter();
    parsed.map(|raw| node(raw, text, dialect)).collect()
}

impl Dialect {
    fn options(self) -> Options {
        let mut options = serde_saphyr::options! {
            with_snippet: false,
            non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        };
        if self != Self::CloudConfig {
            options.emit_comments = false;
            options.legacy_octal_numbers = true;
            options.budget = serde_saphyr::budget! {
                max_documents: MAX_DOCUMENTS,
                max_nodes: MAX_NODES,
                max_events: 2 * MAX_NODES,
                max_depth: MAX_DEPTH,
            };
        }
        if self == Self::Kubernetes {
            options.duplicate_keys = DuplicateKeyPolicy::LastWins;
        }
        options
    }
}

fn node(raw: Spanned<Raw>, text: &str, dialect: Dialect) -> Result<Node, Refused> {
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Bool(is) => Value::Bool(is, written(raw.defined, text, &is)),
        Raw::Number(number) => {
            let text = written(raw.defined, text, &number);
            Value::Number(number, text)
        }
        Raw::Text(text) => Value::Text(text),
        Raw::List(items) => {
            let items = items.into_iter().map(|raw| node(raw, text, dialect));
            Value::List(items.collect::<Result<_, _>>()?)
        }
        Raw::Map(pairs) => {
            let pairs = pairs.into_iter().map(|(key, value)| {
                let key = node(key, text, dialect)?;
                Ok((key, node(value, text, dialect)?))
            });
            match dialect {
                Dialect::CloudConfig => Value::Map(pairs.collect::<Result<_, _>>()?),
                _ => Value::Map(unique(pairs)?),
            }
        }
    };
    Ok(Node {
        value,
        line: raw.referenced.line().max(1),
        column: raw.referenced.column().max(1),
    })
}

/// The pairs of a map, the last of a key that is there twice.
fn unique(
    pairs: impl Iterator<Item = Result<(Node, Node), Refused>>,
) -> Result<Vec<(Node, Node)>, Refused> {
    let mut found: Vec<(Node, Node)> = Vec::with_capacity(pairs.size_hint().0);
    let mut known = BTreeMap::new();
    for pair in pairs {
        let (key, value) = pair?;
        let Some(name) = key.key() else {
            // JSON has no such keys, so neither Kubernetes nor Helm takes them.
            return Err(Refused {
                line: key.line,
                column: key.column,
                problem: "a key is a map or list; a template's braces must stand in quotes"
                    .to_owned(),
            });
        };
        match known.get(name).and_then(|at: &usize| found.get_mut(*at)) {
            Some(earlier) => earlier.1 = value,
            None => {
                known.insert(name.to_owned(), found.len());
                found.push((key, value));
            }
        }
    }
    Ok(found)
}

/// What stands at a place; `otherwise` where the parser does not tell.
fn written(place: Location, text: &str, otherwise: &impl ToString) -> String {
    let found = || {
        let start = usize::try_from(place.span().byte_offset()?).ok()?;
        let length = usize::try_from(place.span().byte_len()?).ok()?;
        text.get(start..start.checked_add(length)?)
    };
    let found = found().map(str::trim).filter(|found| !found.is_empty());
    found.map_or_else(|| otherwise.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests;
