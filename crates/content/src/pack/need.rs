//! What a machine must have by name, alone or with a range of versions: `drbd >= 9`.
//!
//! Versions are compared number by number; what stands between does not count.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name with the range of its versions or values: `drbd >= 9`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The name.
    pub name: String,
    /// The range; everything where it is empty.
    pub range: Range,
}

/// A range of versions or values. All of its bounds must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Range(Vec<(Comparison, String)>);

/// How a version or value is compared with a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    AtLeast,
    MoreThan,
    AtMost,
    LessThan,
    Exactly,
}

impl Comparison {
    /// Longer signs first, since they begin with shorter ones.
    const SIGNS: [(&'static str, Self); 5] = [
        (">=", Self::AtLeast),
        ("<=", Self::AtMost),
        (">", Self::MoreThan),
        ("<", Self::LessThan),
        ("=", Self::Exactly),
    ];

    fn sign(self) -> &'static str {
        let mut signs = Self::SIGNS.into_iter();
        signs
            .find(|(_, comparison)| *comparison == self)
            .map_or("", |(sign, _)| sign)
    }

    pub(super) fn holds(self, order: Ordering) -> bool {
        match self {
            Self::AtLeast => order != Ordering::Less,
            Self::MoreThan => order == Ordering::Greater,
            Self::AtMost => order != Ordering::Greater,
            Self::LessThan => order == Ordering::Less,
            Self::Exactly => order == Ordering::Equal,
        }
    }
}

impl Range {
    /// Whether a version is in the range.
    #[must_use]
    pub fn contains(&self, version: &str) -> bool {
        let mut bounds = self.0.iter();
        bounds.all(|(comparison, bound)| match has_number(bound) {
            true => comparison.holds(compare(version, bound)),
            false => version == bound,
        })
    }

    pub(super) fn bounds(&self) -> &[(Comparison, String)] {
        &self.0
    }

    /// Whether it says nothing.
    pub(crate) fn is_everything(&self) -> bool {
        self.0.is_empty()
    }
}

fn has_number(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit())
}

/// Compares versions by their numbers; what stands between does not count, and
/// a number that is missing is 0.
fn compare(one: &str, other: &str) -> Ordering {
    let (one, other) = (numbers(one), numbers(other));
    order(&one, &other, one.len().max(other.len()))
}

/// The numbers of a version, in their order.
pub(super) fn numbers(text: &str) -> Vec<u64> {
    let parts = text.split(|c: char| !c.is_ascii_digit());
    parts
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().unwrap_or(u64::MAX))
        .collect()
}

/// Compares the first `length` numbers; one that is missing is 0.
pub(super) fn order(one: &[u64], other: &[u64], length: usize) -> Ordering {
    let at = |numbers: &[u64], at: usize| numbers.get(at).copied().unwrap_or(0);
    (0..length)
        .map(|number| at(one, number).cmp(&at(other, number)))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (number, (comparison, bound)) in self.range.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma} {} {bound}", comparison.sign())?;
        }
        Ok(())
    }
}

impl FromStr for Need {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let end = text.find(['<', '>', '=']).unwrap_or(text.len());
        let (name, bounds) = text.split_at(end);
        let name = name.trim();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(format!("'{text}' must begin with a name"));
        }
        let mut range: Vec<(Comparison, String)> = Vec::new();
        for part in bounds.split(',') {
            let bound = part.trim();
            let signs = Comparison::SIGNS.into_iter();
            let found = signs
                .filter_map(|(sign, comparison)| Some((comparison, bound.strip_prefix(sign)?)))
                .next();
            match (found, range.last_mut()) {
                (Some((comparison, value)), _) => {
                    let value = value.trim();
                    let is_text = comparison == Comparison::Exactly && !value.is_empty();
                    if !is_text && !has_number(value) {
                        return Err(format!("'{bound}' has no number"));
                    }
                    range.push((comparison, value.to_owned()));
                }
                // A value may have commas itself.
                (None, Some((Comparison::Exactly, value))) => {
                    value.push(',');
                    value.push_str(part);
                }
                (None, _) if bound.is_empty() => {}
                (None, _) => return Err(format!("'{bound}' is no bound, as in '>= 9'")),
            }
        }
        Ok(Self {
            name: name.to_owned(),
            range: Range(range),
        })
    }
}

impl Serialize for Need {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Need {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_and_ranges() {
        let need: Need = "drbd>=9.2,< 10".parse().unwrap();
        assert_eq!(need.to_string(), "drbd >= 9.2, < 10");
        for (version, is_in) in [
            ("9.2.13", true),
            ("9.2", true),
            ("9.1.99", false),
            ("10.0.0", false),
            ("v9.10-3ubuntu1", true),
        ] {
            assert_eq!(need.range.contains(version), is_in, "{version}");
        }
        assert!("dm_thin_pool".parse::<Need>().unwrap().range.contains(""));
        let one: Need = "drbd = none".parse().unwrap();
        assert!(one.range.contains("none") && !one.range.contains("9"));
        let two: Need = "ports = 1,2".parse().unwrap();
        assert_eq!(two.to_string(), "ports = 1,2");
        for text in ["", ">= 1", "a b", "a >= x", "a =", "a ~ 1", "a >= 1, 2"] {
            assert!(text.parse::<Need>().is_err(), "{text}");
        }
    }
}
