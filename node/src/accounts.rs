//! Accounts: the databases below `/etc`, what is kept of them over reboots and
//! upgrades, and passwords.
//!
//! `/etc` starts from the slot at every boot. What people changed on the machine
//! is kept beside it and merged in by name ([`restore`]); a kept file never
//! replaces a slot's, or an upgrade's own accounts would be masked.

pub(crate) mod database;
pub(crate) mod edit;
pub(crate) mod home;
pub(crate) mod kept;
mod merge;
pub(crate) mod table;

pub(crate) use kept::{restore, save};

use crate::rooted;

/// Random bytes of a salt; sixteen characters, the most that the algorithm takes.
const SALT_BYTES: usize = 12;

/// Rounds of a new hash. The algorithm's 5,000 are from 2007.
const ROUNDS: u32 = 65_536;

/// Longest password; libxcrypt's limit.
pub(crate) const PASSWORD_MAX_BYTES: usize = 512;

/// Why accounts can't be read or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    File(#[from] rooted::Error),
    #[error(transparent)]
    Name(#[from] isoforge_contract::Error),
    #[error("the {what} of '{name}' holds a ':' or a control character")]
    Field { what: &'static str, name: String },
    #[error("no number is free for '{0}'")]
    NoFreeNumber(String),
    #[error("'{name}' can't have the number {number}: '{holder}' has it")]
    NumberTaken {
        name: String,
        number: u32,
        holder: String,
    },
    #[error("there is no account '{0}'")]
    NoAccount(String),
    #[error("there is no group '{0}'")]
    NoGroup(String),
    #[error("'{0}' has no account 'root'; it is taken for damaged and not kept")]
    Damaged(String),
    #[error("what was kept of the accounts is not in /etc; it stays as it is")]
    NotRestored,
    #[error("a password is 1 to {PASSWORD_MAX_BYTES} bytes without a zero byte")]
    Password,
    #[error("the password can't be hashed: {0}")]
    Hash(String),
    #[error("the system gives no random bytes: {0}")]
    Random(std::io::Error),
}

/// A password's hash as crypt(5) has it: SHA-512 with a random salt.
///
/// # Errors
/// [`Error::Password`] for what crypt(3) does not take.
pub(crate) fn hash_password(password: &str) -> Result<String, Error> {
    use sha_crypt::CustomizedPasswordHasher as _;
    if password.is_empty() || password.len() > PASSWORD_MAX_BYTES || password.contains('\0') {
        return Err(Error::Password);
    }
    let mut salt = [0_u8; SALT_BYTES];
    let mut filled = 0;
    while let Some(rest) = salt.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty())
            .map_err(|errno| Error::Random(errno.into()))?;
    }
    let params = sha_crypt::Params::new(ROUNDS).map_err(|e| Error::Hash(e.to_string()))?;
    let hash = sha_crypt::ShaCrypt::SHA512
        .hash_password_customized(password.as_bytes(), &salt, None, None, params)
        .map_err(|e| Error::Hash(e.to_string()))?;
    Ok(hash.as_str().to_owned())
}

#[cfg(test)]
mod tests;
