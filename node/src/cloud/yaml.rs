//! YAML as items with places. Scalars keep their text as it stands in the
//! file: `0644` is no number that could be written back.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Options, Spanned};

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    /// With its text: `yes`.
    Bool(bool, String),
    /// Its text: `0o644`.
    Number(String),
    Text(String),
    List(Vec<Item>),
    Map(Vec<(Item, Item)>),
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) value: Value,
    pub(super) line: u64,
    pub(super) column: u64,
}

impl Item {
    /// What it is, in words.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(..) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// A scalar's text.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Bool(_, text) | Value::Number(text) | Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// The documents of a text: the first, and how many there are.
pub(super) struct Parsed {
    pub(super) root: Item,
    pub(super) documents: usize,
}

/// A text that is no YAML, or has a key twice.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) line: u64,
    pub(super) column: u64,
    pub(super) message: String,
}

/// Parses all documents; aliases are followed, within the parser's limits on
/// depth and expansion.
pub(super) fn parse(text: &str) -> Result<Parsed, SyntaxError> {
    let mut options = Options::default();
    options.with_snippet = false;
    options.non_finite_float_policy = serde_saphyr::NonFiniteFloatPolicy::AsString;
    let documents: Vec<Spanned<Raw>> = serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| {
            let place = error.location();
            SyntaxError {
                line: place.map_or(1, |place| place.line()),
                column: place.map_or(1, |place| place.column()),
                message: message(&error),
            }
        })?;
    let count = documents.len();
    let first = documents.into_iter().next();
    let first =
        first.unwrap_or_else(|| Spanned::new(Raw::Null, Location::UNKNOWN, Location::UNKNOWN));
    Ok(Parsed {
        root: item(first, text),
        documents: count,
    })
}

/// The parser's message without the place, which stands before it already.
fn message(error: &serde_saphyr::Error) -> String {
    let text = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    let end = text.rfind(" at line ").unwrap_or(text.len());
    text.get(..end).unwrap_or_default().to_owned()
}

fn item(raw: Spanned<Raw>, text: &str) -> Item {
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Bool(is) => Value::Bool(is, written(raw.defined, text, &is.to_string())),
        Raw::Number(number) => Value::Number(written(raw.defined, text, &number)),
        Raw::Text(text) => Value::Text(text),
        Raw::List(items) => Value::List(items.into_iter().map(|raw| item(raw, text)).collect()),
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| (item(key, text), item(value, text)))
                .collect(),
        ),
    };
    Item {
        value,
        line: raw.referenced.line().max(1),
        column: raw.referenced.column().max(1),
    }
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

#[derive(Debug)]
enum Raw {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Number(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Raw, E> {
        Ok(Raw::Number(number.to_string()))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Raw, E> {
        Ok(Raw::Number(number.to_string()))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Raw, E> {
        Ok(Raw::Number(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Raw, E> {
        Ok(Raw::Number(number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Raw, E> {
        Ok(Raw::Text(String::from_utf8_lossy(bytes).into_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_keep_their_text() {
        let text = "ä: [0644, 0o644, 0x1F, yes, True, 1.50, '0644', ~, 1_000, &a 017, *a]\n";
        let root = parse(text).unwrap().root;
        let Value::Map(entries) = &root.value else {
            panic!("{root:?}");
        };
        let Value::List(items) = &entries[0].1.value else {
            panic!("{root:?}");
        };
        let texts: Vec<_> = items.iter().map(|i| i.text().unwrap_or("-")).collect();
        assert_eq!(
            texts,
            [
                "0644", "0o644", "0x1F", "yes", "True", "1.50", "0644", "-", "1_000", "017", "017"
            ]
        );
        assert_eq!((items[1].line, items[1].column), (1, 11));
    }
}
