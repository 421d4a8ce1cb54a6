//! The account of the installed systems: a password and an SSH key that only
//! these runs know.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::qemu::scratch;
use crate::sh;

/// The account's name; no system has a user or group of this name already.
pub(crate) const USER: &str = "tester";

/// Its password. The machines are reached from loopback alone.
pub(crate) const PASSWORD: &str = "installed-by-e2e";

/// Of the hash; fixed, so that equal profiles give equal systems.
const SALT: &str = "isoforgee2e";

/// How the account is reached.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// The private key's file.
    pub(crate) key: PathBuf,
    /// The line for `authorized_keys`.
    pub(crate) public: String,
    /// The password as crypt(5) has it.
    pub(crate) hash: String,
}

impl Access {
    /// Makes the key where there is none from an earlier run.
    pub(crate) fn prepare() -> Result<Self> {
        let key = std::path::absolute(scratch("ssh-key")?)?;
        if !key.exists() {
            let mut make = sh::command(["ssh-keygen", "-q", "-t", "ed25519", "-N", ""]);
            sh::output(make.args(["-C", "e2e", "-f"]).arg(&key))?;
        }
        let public = std::fs::read_to_string(key.with_extension("pub"));
        let mut hash = sh::command(["openssl", "passwd", "-6", "-salt", SALT, PASSWORD]);
        Ok(Self {
            public: public.context("the key's public half")?.trim().to_owned(),
            hash: sh::output(&mut hash)?.trim().to_owned(),
            key,
        })
    }

    /// A folder's worth of host keys that are known: none at first.
    pub(crate) fn known_hosts(name: &str) -> Result<PathBuf> {
        let path = std::path::absolute(scratch(&format!("{name}.known"))?)?;
        remove(&path)?;
        Ok(path)
    }
}

/// Removes a file that may not be there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| path.display().to_string())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_a_hash_are_made_once() {
        sh::to_workspace_root().unwrap();
        let access = Access::prepare().unwrap();
        assert!(access.public.starts_with("ssh-ed25519 "));
        assert!(access.hash.starts_with("$6$isoforgee2e$"));
        assert_eq!(Access::prepare().unwrap().public, access.public);
    }
}
