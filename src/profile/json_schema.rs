//! The keys as a JSON Schema (draft 2020-12), for editors that complete and
//! check TOML by one.
//!
//! It accepts whatever the reader accepts, and refuses unknown keys, wrong
//! types and words, and missing keys. What depends on several keys or on files is
//! left to `isoforge validate`.

use serde_json::{Map, Value, json};

use super::Document;
use super::keys::{Choice, Fields, Key, Need, Shape};
use super::merge::APPEND;

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Whether a table may leave out required keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Whole,
    /// What it extends may have them.
    Part,
}

/// The schema of a document.
#[must_use]
pub fn json_schema(document: Document) -> Value {
    let fields = document.fields();
    let title = match document {
        Document::Profile => "A profile of isoforge",
        Document::Catalog => "A catalog of isoforge",
        Document::Settings => "The settings of isoforge",
    };
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), DRAFT.into());
    schema.insert("title".to_owned(), title.into());
    if document == Document::Profile {
        schema.insert("if".to_owned(), json!({ "required": ["extends"] }));
        schema.insert("then".to_owned(), table(fields, Form::Part));
        schema.insert("else".to_owned(), table(fields, Form::Whole));
    } else if let Value::Object(whole) = table(fields, Form::Whole) {
        schema.extend(whole);
    }
    Value::Object(schema)
}

fn table(fields: &Fields, form: Form) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in &fields.keys {
        let Some(schema) = property(key, form) else {
            continue;
        };
        if form == Form::Whole && matches!(key.need, Need::Required) {
            required.push(key.name);
        }
        if matches!(key.shape, Shape::List(_) | Shape::OneOrMore) {
            properties.insert(format!("{APPEND}{}", key.name), schema.clone());
        }
        properties.insert(key.name.to_owned(), schema);
    }
    let choices: Vec<_> = fields
        .choices
        .iter()
        .flat_map(|choice| choice_rules(choice, form))
        .collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !choices.is_empty() {
        schema["allOf"] = json!(choices);
    }
    schema
}

/// Of a choice one key at most, or exactly one.
fn choice_rules(choice: &Choice, form: Form) -> Vec<Value> {
    let has = |name: &&str| json!({ "required": [name] });
    let mut rules = Vec::new();
    for (index, one) in choice.names.iter().enumerate() {
        for other in choice.names.iter().skip(index + 1) {
            rules.push(json!({ "not": { "required": [one, other] } }));
        }
    }
    if choice.required && form == Form::Whole {
        let any: Vec<_> = choice.names.iter().map(has).collect();
        rules.push(json!({ "anyOf": any }));
    }
    rules
}

/// A key's value, with what it means; nothing where it must not be written.
fn property(key: &Key, form: Form) -> Option<Value> {
    let description = match &key.need {
        Need::Required => key.help.to_owned(),
        Need::Default(default) if default.is_empty() => key.help.to_owned(),
        Need::Default(default) => format!("{} Default: {default}.", key.help),
        Need::Later(_) | Need::Refused(_) => return None,
    };
    let mut schema = value(&key.shape, form);
    schema["description"] = description.into();
    Some(schema)
}

fn value(shape: &Shape, form: Form) -> Value {
    let text = json!({ "type": "string" });
    let texts = json!({ "type": "array", "items": text });
    match shape {
        Shape::Text | Shape::PasswordHash => text,
        Shape::TextOr(fields) => json!({ "anyOf": [text, table(fields, form)] }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Integer { min, max } => {
            let mut schema = json!({ "type": "integer", "minimum": min });
            if *max < i64::MAX {
                schema["maximum"] = (*max).into();
            }
            schema
        }
        Shape::Size | Shape::Mode => json!({ "type": ["string", "integer"] }),
        // A list replaces the base's, so each of its tables is whole.
        Shape::List(of) => json!({ "type": "array", "items": value(of, Form::Whole) }),
        Shape::OneOrMore => json!({ "anyOf": [text, texts] }),
        Shape::Word(words) => json!({ "enum": words }),
        Shape::Secret => json!({
            "type": "object",
            "properties": { "env": text, "file": text },
            "additionalProperties": false,
            "minProperties": 1,
            "maxProperties": 1,
        }),
        Shape::Table(fields) => table(fields, form),
        Shape::Named(fields) => {
            json!({ "type": "object", "additionalProperties": table(fields, form) })
        }
        Shape::Free => json!({ "type": "object" }),
    }
}
