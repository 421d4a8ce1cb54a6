//! Any YAML as the parser gives it.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::{Options, Spanned};

use super::Refused;

/// A value as the parser gives it.
#[derive(Debug)]
pub enum Raw<N> {
    /// Nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(N),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Spanned<Self>>),
    /// A map, in the order of the text.
    Map(Vec<(Spanned<Self>, Spanned<Self>)>),
}

/// What numbers become.
pub trait Numeral: Sized {
    /// From an integer.
    fn signed(number: i128) -> Raw<Self>;
    /// From an integer that may be too large for [`signed`](Self::signed).
    fn unsigned(number: u128) -> Raw<Self>;
    /// From any other number.
    fn float(number: f64) -> Raw<Self>;
}

/// A number as JSON has it; what JSON has no number for stays a text.
impl Numeral for Number {
    fn signed(number: i128) -> Raw<Self> {
        Self::from_i128(number).map_or_else(|| Raw::Text(number.to_string()), Raw::Number)
    }

    fn unsigned(number: u128) -> Raw<Self> {
        Self::from_u128(number).map_or_else(|| Raw::Text(number.to_string()), Raw::Number)
    }

    fn float(number: f64) -> Raw<Self> {
        // Helm's values are JSON, where 1.0 and 1 are the same number.
        #[allow(clippy::cast_possible_truncation, clippy::float_cmp)]
        if number.trunc() == number && number.abs() < 9e15 {
            return Raw::Number((number as i64).into());
        }
        Self::from_f64(number).map_or_else(|| Raw::Text(number.to_string()), Raw::Number)
    }
}

/// Parses all documents of a text.
///
/// # Errors
/// [`Refused`].
pub fn read<N: Numeral>(text: &str, options: Options) -> Result<Vec<Spanned<Raw<N>>>, Refused> {
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let place = error.location();
        Refused {
            line: place.map_or(1, |place| place.line()),
            column: place.map_or(1, |place| place.column()),
            problem: message(&error),
        }
    })
}

/// The parser's message without the place.
fn message(error: &serde_saphyr::Error) -> String {
    let text = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    let end = text.rfind(" at line ").unwrap_or(text.len());
    text.get(..end).unwrap_or_default().to_owned()
}

impl<'de, N: Numeral> Deserialize<'de> for Raw<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor(PhantomData))
    }
}

struct RawVisitor<N>(PhantomData<N>);

impl<'de, N: Numeral> Visitor<'de> for RawVisitor<N> {
    type Value = Raw<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML")
    }

    fn visit_unit<E>(self) -> Result<Raw<N>, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw<N>, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw<N>, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw<N>, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Raw<N>, E> {
        Ok(N::signed(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Raw<N>, E> {
        Ok(N::signed(number.into()))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Raw<N>, E> {
        Ok(N::signed(number))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Raw<N>, E> {
        Ok(N::unsigned(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Raw<N>, E> {
        Ok(N::float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw<N>, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Raw<N>, E> {
        Ok(Raw::Text(String::from_utf8_lossy(bytes).into_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw<N>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw<N>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}
