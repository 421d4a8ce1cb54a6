//! Texts that ConfigMaps and Secrets carry, many of which hold objects: a program on
//! the cluster makes pods of them.
//!
//! `data` of a ConfigMap and `stringData` of a Secret are texts, `data` of a Secret
//! and `binaryData` of a ConfigMap are texts in base64, where they are any.

use base64::Engine as _;

use super::path::key_path;
use crate::yaml;
use isoforge_base::yaml::{Node, Value};

/// How deep texts lie in texts that are read.
const MAX_DEPTH: usize = 4;
/// How many values of texts are read for one object. A text of one line can stand
/// for millions, by its aliases.
const MAX_VALUES: usize = 1_000_000;

/// An object with its texts read.
pub(super) struct Opened {
    /// The object; texts that hold objects are such, those in base64 are plain.
    pub(super) object: Node,
    /// All its texts.
    pub(super) texts: Vec<Text>,
    /// Whether it has so many that some were not read.
    pub(super) is_cut: bool,
}

/// A text.
pub(super) struct Text {
    pub(super) key: String,
    pub(super) path: String,
    pub(super) text: String,
    pub(super) line: u64,
    /// Whether it was read as YAML.
    pub(super) is_open: bool,
}

/// The object with its texts read, where it is of a kind that carries such.
pub(super) fn open(object: &Node) -> Option<Opened> {
    carries(object)?;
    let mut opened = Opened {
        object: object.clone(),
        texts: Vec::new(),
        is_cut: false,
    };
    let mut left = MAX_VALUES;
    let Opened { object, texts, .. } = &mut opened;
    open_texts(object, 0, &mut left, Some(texts));
    opened.is_cut = left == 0;
    Some(opened)
}

/// The keys of an object that have texts below, and whether in base64.
fn carries(object: &Node) -> Option<[(&'static str, bool); 2]> {
    match object.text_at("kind")? {
        "ConfigMap" => Some([("data", false), ("binaryData", true)]),
        "Secret" => Some([("stringData", false), ("data", true)]),
        _ => None,
    }
}

fn open_texts(
    object: &mut Node,
    depth: usize,
    left: &mut usize,
    mut texts: Option<&mut Vec<Text>>,
) {
    let Some(fields) = carries(object) else {
        return;
    };
    let Value::Map(pairs) = &mut object.value else {
        return;
    };
    for (field, map) in pairs {
        let known = fields.iter().find(|(name, _)| field.text() == Some(*name));
        let (Some(&(name, is_coded)), Value::Map(entries)) = (known, &mut map.value) else {
            continue;
        };
        for (key, value) in entries {
            let Value::Text(text) = &mut value.value else {
                continue;
            };
            if is_coded && let Some(plain) = decoded(text) {
                *text = plain;
            }
            let text = text.clone();
            let inside = inside(&text, value.line, depth, left);
            let is_open = inside.is_some();
            if let Some(inside) = inside {
                value.value = inside;
            }
            if let Some(texts) = texts.as_deref_mut() {
                let key = key.scalar().unwrap_or_default().to_owned();
                texts.push(Text {
                    path: key_path(name, &key),
                    key,
                    text,
                    line: value.line,
                    is_open,
                });
            }
        }
    }
}

/// What is in a text in base64, where that is a text.
fn decoded(text: &str) -> Option<String> {
    let text: String = text.split_ascii_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .ok()?;
    String::from_utf8(bytes).ok()
}

/// The map or list that a text holds; of several documents their list.
fn inside(text: &str, line: u64, depth: usize, left: &mut usize) -> Option<Value> {
    let begins = text.trim_start().starts_with(['{', '[']);
    if depth == MAX_DEPTH || *left == 0 || !(begins || text.contains('\n')) {
        return None;
    }
    let mut documents = yaml::documents(text).ok()?;
    for document in &mut documents {
        if !matches!(document.value, Value::Map(_) | Value::List(_)) {
            return None;
        }
        *left = left.saturating_sub(place_at(document, line));
        open_texts(document, depth + 1, left, None);
    }
    match documents.len() {
        0 => None,
        1 => documents.pop().map(|document| document.value),
        _ => Some(Value::List(documents)),
    }
}

/// Gives a node and all below it the line of the text that they are in, and counts
/// them.
fn place_at(node: &mut Node, line: u64) -> usize {
    node.line = line;
    let below: usize = match &mut node.value {
        Value::List(items) => items.iter_mut().map(|item| place_at(item, line)).sum(),
        Value::Map(pairs) => {
            let values = pairs.iter_mut().map(|(_, value)| place_at(value, line));
            values.sum()
        }
        _ => 0,
    };
    below.saturating_add(1)
}
