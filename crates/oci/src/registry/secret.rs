//! A text that must never be shown.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// A password, token or header made from one, or an address that may hold one.
/// It has no `Display`, and `Debug` shows that there is one, not what it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes a text as a secret.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text where it is an address without user and password, which is none.
    #[must_use]
    pub fn plain_address(&self) -> Option<&str> {
        (!self.0.contains('@')).then_some(&*self.0)
    }

    /// The text, for the one place that sends it.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

/// What stands for a secret where it may be shown that there is one.
const SHOWN: &str = "(set, not shown)";

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(SHOWN)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_debug_nor_serde_shows_it() {
        let secret = Secret::new("hunter2".into());
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(serde_json::json!(secret), "(set, not shown)");
    }
}
