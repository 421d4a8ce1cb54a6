//! TOML as a tree of owned values, each with the place that wrote it.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Draft, Report};
use super::source::Span;

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) place: Span,
    pub(crate) value: Value,
}

/// What TOML can say.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Flag(bool),
    /// Date and time keep their text; no key wants them, variables may.
    Datetime(String),
    List(Vec<Node>),
    Table(Table),
}

/// A key's place and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: Span,
    pub(crate) node: Node,
}

/// Keys in alphabetical order; the order of writing has no meaning.
pub(crate) type Table = BTreeMap<String, Entry>;

impl Value {
    /// The type's name with its article, for messages.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Flag(_) => "a boolean",
            Self::Datetime(_) => "a date or time",
            Self::List(_) => "an array",
            Self::Table(_) => "a table",
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn table(&self) -> Option<&Table> {
        match self {
            Self::Table(table) => Some(table),
            _ => None,
        }
    }
}

/// The values without their places.
pub(crate) fn to_json(table: &Table) -> serde_json::Value {
    let entries = table.iter();
    let entries = entries.map(|(key, entry)| (key.clone(), node_to_json(&entry.node)));
    serde_json::Value::Object(entries.collect())
}

fn node_to_json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Text(text) | Value::Datetime(text) => text.as_str().into(),
        Value::Integer(integer) => (*integer).into(),
        Value::Float(float) => (*float).into(),
        Value::Flag(flag) => (*flag).into(),
        Value::List(list) => list.iter().map(node_to_json).collect(),
        Value::Table(table) => to_json(table),
    }
}

/// Parses a document; syntax errors, all of them, go to `report`.
pub(crate) fn parse(source: usize, text: &str, report: &Report) -> Table {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or(0..text.len());
        // An empty span at the end of the text still has to be seen.
        let place = Span::new(source, span.start..span.end.max(span.start + 1));
        report.add(Draft::new(place, format!("not TOML: {}", error.message())));
    }
    convert_table(source, document.get_ref(), report)
}

/// Parses one value as `--set` writes it; `None` where it is not TOML.
pub(crate) fn parse_value(
    source: usize,
    text: &str,
    offset: usize,
    report: &Report,
) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    let mut node = convert(source, &value, report);
    shift(&mut node, offset);
    Some(node)
}

fn shift(node: &mut Node, offset: usize) {
    node.place.start += offset;
    node.place.end += offset;
    match &mut node.value {
        Value::List(list) => list.iter_mut().for_each(|n| shift(n, offset)),
        Value::Table(table) => {
            for entry in table.values_mut() {
                entry.key.start += offset;
                entry.key.end += offset;
                shift(&mut entry.node, offset);
            }
        }
        _ => {}
    }
}

fn convert_table(source: usize, table: &DeTable<'_>, report: &Report) -> Table {
    table
        .iter()
        .map(|(key, value)| {
            let entry = Entry {
                key: Span::new(source, key.span()),
                node: convert(source, value, report),
            };
            (key.get_ref().to_string(), entry)
        })
        .collect()
}

/// The parser bounds nesting, so recursion is bounded too.
fn convert(source: usize, value: &Spanned<DeValue<'_>>, report: &Report) -> Node {
    let place = Span::new(source, value.span());
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(i) => {
            let number = i64::from_str_radix(i.as_str(), i.radix()).unwrap_or_else(|_| {
                report.add(Draft::new(place, "the integer does not fit 64 bits"));
                0
            });
            Value::Integer(number)
        }
        DeValue::Float(f) => Value::Float(f.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(d) => Value::Datetime(d.to_string()),
        DeValue::Array(list) => {
            Value::List(list.iter().map(|v| convert(source, v, report)).collect())
        }
        DeValue::Table(table) => Value::Table(convert_table(source, table, report)),
    };
    Node { place, value }
}

/// The place of the value at `path`, keys and list indexes parted by dots. If
/// there is none: that of the nearest table or list above it.
pub(crate) fn place(table: &Table, path: &str) -> Span {
    let mut parts = path.split('.');
    let first = parts.next().and_then(|name| table.get(name));
    let Some(entry) = first else {
        return Span::whole(0);
    };
    let mut node = &entry.node;
    for part in parts {
        match step(node, part) {
            Some(next) => node = next,
            None => break,
        }
    }
    node.place
}

fn step<'a>(node: &'a Node, part: &str) -> Option<&'a Node> {
    match &node.value {
        Value::Table(table) => table.get(part).map(|e| &e.node),
        Value::List(list) => list.get(part.parse::<usize>().ok()?),
        _ => None,
    }
}

/// Whether there is a value at `table_key.key`.
pub(crate) fn has(table: &Table, table_key: &str, key: &str) -> bool {
    let table = table.get(table_key).and_then(|e| e.node.value.table());
    table.is_some_and(|t| t.contains_key(key))
}
