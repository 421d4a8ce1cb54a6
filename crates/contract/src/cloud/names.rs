//! Names and passwords of accounts, as shadow's tools take them.

use crate::Error;

/// Whether a shadow(5) field is a hash that some password fits. `!` before it
/// locks it, and it is one no more.
#[must_use]
pub fn is_hash(field: &[u8]) -> bool {
    let is_des = || {
        let fits = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/');
        field.len() == 13 && field.iter().all(fits)
    };
    field.first() == Some(&b'$') || is_des()
}

/// Holds a name to what shadow's tools take.
///
/// # Errors
/// For any other.
pub fn check_name(name: &str) -> Result<(), Error> {
    let mut chars = name.chars();
    let first = chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let rest = chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if first && rest && name.len() <= 32 {
        Ok(())
    } else {
        Err(Error::AccountName(name.to_owned()))
    }
}
