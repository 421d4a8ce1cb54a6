//! What a pack says of other packs: `constraints.dependencies` of `pack.json`.
//!
//! | type | means |
//! |---|---|
//! | `required` | the other must be there, in the range |
//! | `optional` | if the other is there, it must be in the range |
//! | `notSupported` | the other must not be there in the range |
//! | `upgrade` | which of the pack's own versions this one follows; nothing to check |
//!
//! The name `kubernetes` is Kubernetes itself, whatever its distribution.

use std::fmt;

use super::need::{numbers, order};
use super::problem::{Problems, nearest};
use isoforge_base::yaml::Node;

/// Kubernetes as packs name it.
pub const KUBERNETES: &str = "kubernetes";

/// How a pack depends on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Not without it.
    Required,
    /// With or without it.
    Optional,
    /// Not with it.
    NotSupported,
    /// It is a version before.
    Upgrade,
}

impl Kind {
    const ALL: [(&'static str, Self); 4] = [
        ("notSupported", Self::NotSupported),
        ("optional", Self::Optional),
        ("required", Self::Required),
        ("upgrade", Self::Upgrade),
    ];
}

/// A dependency on another pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The other's name.
    pub pack: String,
    /// How.
    pub kind: Kind,
    /// Its least version.
    min: Option<String>,
    /// Its highest version; `1.21` takes 1.21.6.
    max: Option<String>,
}

impl Dependency {
    /// Reads the list of a `pack.json`.
    pub(super) fn read(node: &Node, problems: &mut Problems) -> Vec<Self> {
        const KEYS: [&str; 5] = ["layer", "maxVersion", "minVersion", "packName", "type"];
        let list = node
            .get("constraints")
            .and_then(|constraints| constraints.get("dependencies"));
        let mut found = Vec::new();
        for item in list.map(Node::items).unwrap_or_default() {
            for key in ["packName", "layer", "type"] {
                if item.text_at(key).is_none_or(str::is_empty) {
                    problems.error(item, format!("a dependency must have '{key}'"));
                }
            }
            problems.unknown_keys(item, &KEYS, "a dependency");
            let of = item.get("type").and_then(|at| Some((at, at.text()?)));
            let kind = of.and_then(|(at, text)| {
                let kind = Kind::ALL.into_iter().find(|(name, _)| *name == text);
                if kind.is_none() {
                    let near = nearest(text, &Kind::ALL.map(|(name, _)| name));
                    problems.error(at, format!("'{text}' is no type of a dependency{near}"));
                }
                kind
            });
            let bound = |key| item.text_at(key).filter(|text| !numbers(text).is_empty());
            if let (Some(pack), Some((_, kind))) = (item.text_at("packName"), kind) {
                found.push(Self {
                    pack: pack.to_owned(),
                    kind,
                    min: bound("minVersion").map(str::to_owned),
                    max: bound("maxVersion").map(str::to_owned),
                });
            }
        }
        found
    }

    /// Whether a version is in the range.
    fn admits(&self, version: &str) -> bool {
        let version = numbers(version);
        let is_below = self.min.as_deref().is_some_and(|min| {
            let min = numbers(min);
            order(&version, &min, version.len().max(min.len())).is_lt()
        });
        let is_above = self.max.as_deref().is_some_and(|max| {
            let max = numbers(max);
            order(&version, &max, max.len()).is_gt()
        });
        !is_below && !is_above
    }

    /// What is wrong with a cluster that has these packs, names and versions; `None`
    /// where nothing is.
    #[must_use]
    pub fn unmet(&self, there: &[(&str, &str)]) -> Option<String> {
        let mut of_name = there.iter().filter(|(name, _)| *name == self.pack);
        match (self.kind, of_name.next()) {
            (Kind::Upgrade, _) | (Kind::Optional | Kind::NotSupported, None) => None,
            (Kind::Required, None) => Some(format!("needs {self}, which is not there")),
            (Kind::Required | Kind::Optional, Some((_, version))) => {
                (!self.admits(version)).then(|| format!("needs {self}, and {version} is there"))
            }
            (Kind::NotSupported, Some((_, version))) => self
                .admits(version)
                .then(|| format!("does not go with {self}, and {version} is there")),
        }
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pack.as_str() {
            KUBERNETES => f.write_str("Kubernetes")?,
            pack => write!(f, "the pack {pack}")?,
        }
        let bounds = [(">=", &self.min), ("<=", &self.max)];
        let bounds = bounds
            .iter()
            .filter_map(|(sign, bound)| Some((sign, bound.as_ref()?)));
        for (number, (sign, bound)) in bounds.enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma} {sign} {bound}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dependency(kind: Kind, min: &str, max: &str) -> Dependency {
        let bound = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Dependency {
            pack: "x".to_owned(),
            kind,
            min: bound(min),
            max: bound(max),
        }
    }

    #[test]
    fn ranges_are_inclusive_and_a_short_maximum_takes_all_below_it() {
        let range = dependency(Kind::Required, "1.27", "1.32");
        for (version, is_in) in [
            ("1.26.9", false),
            ("1.27", true),
            ("v1.27.0+k3s1", true),
            ("1.32.3", true),
            ("1.33.0", false),
        ] {
            assert_eq!(range.admits(version), is_in, "{version}");
        }
        assert!(dependency(Kind::Required, "", "").admits("0"));
    }

    #[test]
    fn what_is_unmet_is_told() {
        let told = |kind, there: &[(&str, &str)]| {
            let unmet = dependency(kind, "2", "3.1").unmet(there);
            unmet.unwrap_or_default()
        };
        let (fine, old) = ([("y", "1"), ("x", "2.5")], [("x", "1.9")]);
        assert_eq!(
            told(Kind::Required, &[]),
            "needs the pack x >= 2, <= 3.1, which is not there"
        );
        assert_eq!(
            told(Kind::Required, &old),
            "needs the pack x >= 2, <= 3.1, and 1.9 is there"
        );
        assert_eq!(told(Kind::Required, &fine), "");
        assert_eq!(told(Kind::Optional, &[]), "");
        assert_eq!(told(Kind::Optional, &old), told(Kind::Required, &old));
        assert_eq!(told(Kind::NotSupported, &old), "");
        assert_eq!(
            told(Kind::NotSupported, &fine),
            "does not go with the pack x >= 2, <= 3.1, and 2.5 is there"
        );
        assert_eq!(told(Kind::Upgrade, &old), "");
    }
}
