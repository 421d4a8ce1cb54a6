//! YAML as items with places. Scalars keep their text as it stands in the
//! file: `0644` is no number that could be written back.

use isoforge_base::yaml::{self, Numeral, Refused};
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

/// Parses all documents; aliases are followed, within the parser's limits on
/// depth and expansion.
pub(super) fn parse(text: &str) -> Result<Parsed, Refused> {
    let mut options = Options::default();
    options.with_snippet = false;
    options.non_finite_float_policy = serde_saphyr::NonFiniteFloatPolicy::AsString;
    let documents: Vec<Spanned<Raw>> = yaml::read(text, options)?;
    let count = documents.len();
    let first = documents.into_iter().next();
    let first =
        first.unwrap_or_else(|| Spanned::new(Raw::Null, Location::UNKNOWN, Location::UNKNOWN));
    Ok(Parsed {
        root: item(first, text),
        documents: count,
    })
}

fn item(raw: Spanned<Raw>, text: &str) -> Item {
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Bool(is) => Value::Bool(is, written(raw.defined, text, &is.to_string())),
        Raw::Number(Written(number)) => Value::Number(written(raw.defined, text, &number)),
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

/// A number, where its place is not known.
#[derive(Debug)]
struct Written(String);

type Raw = yaml::Raw<Written>;

impl Numeral for Written {
    fn signed(number: i128) -> Raw {
        Raw::Number(Self(number.to_string()))
    }

    fn unsigned(number: u128) -> Raw {
        Raw::Number(Self(number.to_string()))
    }

    fn float(number: f64) -> Raw {
        Raw::Number(Self(number.to_string()))
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
