//! What the user should know about rendered text, though the work goes on.

use std::fmt;

/// A remark on rendered text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// A secret's value can be read in something that is no secret.
    SecretInPlainText {
        /// The secret's name.
        name: String,
        /// Where it lands, in words.
        place: String,
    },
    /// A key that no reader of cloud-configs is known to act on.
    UnknownKey {
        /// The file, or the template that was rendered.
        file: String,
        /// Line, counted from 1.
        line: u64,
        /// Column, counted from 1.
        column: u64,
        /// The key with those above it.
        key: String,
        /// What may be meant.
        nearest: Option<String>,
    },
    /// Something valid that will surprise.
    Surprise {
        /// The file, or the template that was rendered.
        file: String,
        /// Line, counted from 1.
        line: u64,
        /// Column, counted from 1.
        column: u64,
        /// What will happen.
        message: String,
    },
}

impl Warning {
    /// Line and column, where it has a place in a text.
    #[must_use]
    pub fn place(&self) -> Option<(u64, u64)> {
        match self {
            Self::SecretInPlainText { .. } => None,
            Self::UnknownKey { line, column, .. } | Self::Surprise { line, column, .. } => {
                Some((*line, *column))
            }
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecretInPlainText { name, place } => write!(
                f,
                "the secret '{name}' can be read in {place} by anyone who has it"
            ),
            Self::UnknownKey {
                file,
                line,
                column,
                key,
                nearest,
            } => {
                write!(
                    f,
                    "{file}:{line}:{column}: nothing is known to act on '{key}'"
                )?;
                match nearest {
                    Some(nearest) => write!(f, "; is '{nearest}' meant?"),
                    None => Ok(()),
                }
            }
            Self::Surprise {
                file,
                line,
                column,
                message,
            } => write!(f, "{file}:{line}:{column}: {message}"),
        }
    }
}
