//! What the menu of this system's disk is locked with: the hash of GRUB's password that
//! the build left, for root alone.

use std::path::Path;

use anyhow::{Context as _, Result};
use isoforge_contract::machine::BOOT_PASSWORD_PATH;
use isoforge_system::boot::lock::Lock;

use crate::files;

/// That of the system below `root`; nothing where its profile has none.
///
/// # Errors
/// Where it can't be read, or is no hash: a disk must not lose its lock for that.
pub(crate) fn of(root: &Path) -> Result<Option<Lock>> {
    let bytes = files::read(&root.join(BOOT_PASSWORD_PATH))?;
    bytes.map(|bytes| parse(&bytes)).transpose()
}

/// Reads the file's bytes.
///
/// # Errors
/// Where they are no hash.
pub(crate) fn parse(bytes: &[u8]) -> Result<Lock> {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    Lock::parse(text.trim_end()).with_context(|| format!("/{BOOT_PASSWORD_PATH} can't be used"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_there_is_read_or_an_error() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(of(root.path()).unwrap(), None);
        let path = root.path().join(BOOT_PASSWORD_PATH);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        let lock = Lock::new("correct horse", "demo");
        fs_err::write(&path, format!("{}\n", lock.text())).unwrap();
        assert_eq!(of(root.path()).unwrap(), Some(lock));
        for wrong in [&b""[..], b"set superusers=", b"\xff"] {
            fs_err::write(&path, wrong).unwrap();
            let error = of(root.path()).unwrap_err();
            assert_eq!(
                error.to_string(),
                "/usr/lib/appliance/boot-password can't be used"
            );
        }
    }
}
