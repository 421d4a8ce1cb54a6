//! Accounts: the databases below `/etc`, what is kept of them over reboots and
//! upgrades, and passwords.
//!
//! `/etc` starts from the slot at every boot. What people changed on the machine
//! is kept beside it and merged in by name ([`restore`]); a kept file never
//! replaces a slot's, or an upgrade's own accounts would be masked.
//!
//! The tables are ours because shadow's tools change the system that runs, one account
//! at a time: here two systems' files become one, below any root, before either runs,
//! and lines that nobody understands stay as they are.

pub(crate) mod database;
pub(crate) mod edit;
pub(crate) mod home;
pub(crate) mod kept;
pub(crate) mod login;
mod merge;
pub(crate) mod table;

pub(crate) use kept::{restore, save};

use anyhow::{Result, anyhow};
use isoforge_contract::cloud::check_password;

/// Random bytes of a salt; sixteen characters, the most that the algorithm takes.
const SALT_BYTES: usize = 12;

/// Rounds of a new hash. The algorithm's 5,000 are from 2007.
const ROUNDS: u32 = 65_536;

/// A password's hash as crypt(5) has it: SHA-512 with a random salt.
///
/// # Errors
/// For what crypt(3) does not take.
pub(crate) fn hash_password(password: &str) -> Result<String> {
    use sha_crypt::CustomizedPasswordHasher as _;
    check_password(password)?;
    let mut salt = [0_u8; SALT_BYTES];
    crate::random::fill(&mut salt)
        .map_err(|error| anyhow!("the system gives no random bytes: {error}"))?;
    let failed = |error: &dyn std::fmt::Display| anyhow!("the password can't be hashed: {error}");
    let params = sha_crypt::Params::new(ROUNDS).map_err(|error| failed(&error))?;
    let hash = sha_crypt::ShaCrypt::SHA512
        .hash_password_customized(password.as_bytes(), &salt, None, None, params)
        .map_err(|error| failed(&error))?;
    Ok(hash.as_str().to_owned())
}

#[cfg(test)]
mod tests;
