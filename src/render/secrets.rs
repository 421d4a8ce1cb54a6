//! Secret values: kept out of what is shown, found where they land.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::filters::quote;
use isoforge_system::overlay::OverlayLayer;

/// A line of a secret at least this long (a line of a private key, say) counts
/// by itself.
const MIN_LINE_CHARS: usize = 12;

/// A value that came from `{ env = … }` or `{ file = … }`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret {
    /// How the profile calls it, for messages (`vars.token`).
    pub name: String,
    pub value: String,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The secrets of a build.
#[derive(Debug, Clone, Default)]
pub(crate) struct Secrets {
    /// What to look for, with the secret's name; longest first.
    spellings: Vec<(Spelling, String)>,
}

#[derive(Clone)]
struct Spelling(String);

impl fmt::Debug for Spelling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl Secrets {
    /// Takes all secrets; empty values are none.
    #[must_use]
    pub(crate) fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let mut spellings: Vec<(Spelling, String)> = secrets
            .into_iter()
            .flat_map(|secret| {
                spellings(&secret.value)
                    .into_iter()
                    .map(move |text| (Spelling(text), secret.name.clone()))
            })
            .collect();
        // The longest first: one secret may be part of another.
        spellings.sort_by(|(a, a_name), (b, b_name)| {
            (b.0.len(), &a.0, a_name).cmp(&(a.0.len(), &b.0, b_name))
        });
        Self { spellings }
    }

    /// Whether there are none.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.spellings.is_empty()
    }

    /// `text` with every secret replaced by its name.
    #[must_use]
    pub(crate) fn redact(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        // One pass, so that what was put in is not searched again.
        while !rest.is_empty() {
            if let Some((spelling, name)) = self
                .spellings
                .iter()
                .find(|(spelling, _)| rest.starts_with(&spelling.0))
            {
                out.push_str(&format!("<secret {name}>"));
                rest = rest.get(spelling.0.len()..).unwrap_or_default();
            } else {
                let mut chars = rest.chars();
                out.extend(chars.next());
                rest = chars.as_str();
            }
        }
        out
    }

    /// A warning for each secret that can be read in a file of `overlay` that was
    /// rendered; `place` says in words where the overlay goes.
    #[must_use]
    pub(crate) fn in_overlay(&self, overlay: &OverlayLayer, place: &str) -> Vec<String> {
        let texts = overlay.texts();
        texts
            .flat_map(|(path, text)| self.in_plain_text(&text, &format!("/{path} of {place}")))
            .collect()
    }

    /// A warning for each secret that can be read in `text`; `place` says in
    /// words where that goes.
    #[must_use]
    pub(crate) fn in_plain_text(&self, text: &str, place: &str) -> Vec<String> {
        let mut names: Vec<&String> = self
            .spellings
            .iter()
            .filter(|(spelling, _)| text.contains(&spelling.0))
            .map(|(_, name)| name)
            .collect();
        names.sort();
        names.dedup();
        names
            .into_iter()
            .map(|name| format!("the secret '{name}' can be read in {place} by anyone who has it"))
            .collect()
    }
}

/// The value as it may stand in a text: as it is, as YAML and JSON quote it, in
/// base64, and long lines by themselves.
fn spellings(value: &str) -> Vec<String> {
    let value = value.trim_end_matches(['\r', '\n']);
    if value.is_empty() {
        return Vec::new();
    }
    let quoted = quote(value);
    let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
    let mut all = vec![value.to_owned(), inner.to_owned(), STANDARD.encode(value)];
    if value.contains('\n') {
        let long = |line: &&str| line.trim().chars().count() >= MIN_LINE_CHARS;
        all.extend(value.lines().filter(long).map(|l| l.trim().to_owned()));
    }
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(pairs: &[(&str, &str)]) -> Secrets {
        Secrets::new(pairs.iter().map(|(name, value)| Secret {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        }))
    }

    #[test]
    fn values_are_replaced_in_every_spelling() {
        let secrets = secrets(&[
            ("vars.token", "s3cr\"et\n"),
            ("vars.longer", "s3cr\"et-and-more"),
            ("vars.none", ""),
            (
                "vars.key",
                "-----BEGIN-----\nMIIabcdefghij\n-----END-----\n",
            ),
        ]);
        for (text, redacted) in [
            ("a s3cr\"et b", "a <secret vars.token> b"),
            ("s3cr\"et-and-more", "<secret vars.longer>"),
            (r#"x: "s3cr\"et""#, r#"x: "<secret vars.token>""#),
            ("czNjciJldA==", "<secret vars.token>"),
            ("  MIIabcdefghij", "  <secret vars.key>"),
            ("nothing é here", "nothing é here"),
        ] {
            assert_eq!(secrets.redact(text), redacted);
        }
    }

    #[test]
    fn a_replacement_is_not_searched_again() {
        let secrets = secrets(&[("one", "secret"), ("two", "xx")]);
        assert_eq!(secrets.redact("xxsecret"), "<secret two><secret one>");
    }

    #[test]
    fn debug_output_has_no_value() {
        let secret = Secret {
            name: "n".to_owned(),
            value: "hunter2".to_owned(),
        };
        let all = secrets(&[("n", "hunter2")]);
        assert!(!format!("{secret:?} {all:?}").contains("hunter2"));
    }

    #[test]
    fn where_secrets_land_is_said_once_for_each() {
        let secrets = secrets(&[("a", "hunter2"), ("b", "other")]);
        let warnings = secrets.in_plain_text("x hunter2 aHVudGVyMg==", "/config.yaml on the ISO");
        assert_eq!(
            warnings,
            ["the secret 'a' can be read in /config.yaml on the ISO by anyone who has it"]
        );
    }
}
