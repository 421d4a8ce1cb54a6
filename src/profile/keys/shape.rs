//! What a key's value looks like.

use super::Fields;
use crate::profile::problem::alternatives;

/// What a key's value looks like.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    Text,
    /// A string, or a table of these keys.
    TextOr(&'static Fields),
    Flag,
    Integer {
        min: i64,
        max: i64,
    },
    /// Bytes: an integer, or a string with the suffix K, M or G (powers of 1,024).
    Size,
    /// File permissions: a string of octal digits or an integer.
    Mode,
    /// One of these words.
    Word(Vec<&'static str>),
    /// An array of texts, words or tables.
    List(Box<Self>),
    /// A string or an array of strings.
    OneOrMore,
    /// `{ env = "NAME" }` or `{ file = "PATH" }`.
    Secret,
    /// A password's hash, as crypt(5) has it.
    PasswordHash,
    Table(&'static Fields),
    /// A table whose keys the user names, each a table of these keys.
    Named(&'static Fields),
    /// A table of any content.
    Free,
}

impl Shape {
    /// The type as messages and the reference name it.
    pub(crate) fn describe(&self) -> String {
        let fixed = match self {
            Self::Text => "a string",
            Self::TextOr(_) => "a string or a table",
            Self::PasswordHash => "a password's hash, such as \"$6$…\"",
            Self::Flag => "true or false",
            Self::Size => "a number of bytes, such as 262144 or \"256K\"",
            Self::Mode => "permissions in octal, such as \"0755\"",
            Self::OneOrMore => "a string or an array of strings",
            Self::Secret => "{ env = \"NAME\" } or { file = \"PATH\" }",
            Self::Table(_) | Self::Named(_) | Self::Free => "a table",
            Self::Integer { min, max } if min == max => return format!("the integer {min}"),
            Self::Integer { min, max: i64::MAX } => return format!("an integer of at least {min}"),
            Self::Integer { min, max } => return format!("an integer from {min} to {max}"),
            Self::Word(words) => return alternatives(words),
            Self::List(of) => match &**of {
                Self::Table(_) => "an array of tables",
                Self::Word(words) => return format!("an array of {}", alternatives(words)),
                _ => "an array of strings",
            },
        };
        fixed.to_owned()
    }

    /// The keys of the table or tables, if it has a fixed set of them.
    pub(crate) fn fields(&self) -> Option<&'static Fields> {
        match self {
            Self::Table(fields) | Self::TextOr(fields) | Self::Named(fields) => Some(fields),
            Self::List(of) => of.fields(),
            _ => None,
        }
    }
}
