//! The profile's own partitions that are mounted: which file system goes where
//! is known once a disk was installed, so it stands on PERSISTENT.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};

use super::{arguments, tree};
use crate::files;
use crate::paths::MOUNTS;

/// UUIDs of ext4 file systems by where they are mounted (absolute).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mounts(pub BTreeMap<String, String>);

impl Mounts {
    /// The list of a PERSISTENT; empty where there is none.
    ///
    /// # Errors
    /// Where it can't be understood.
    pub(crate) fn read(persistent: &Path) -> Result<Self> {
        let path = persistent.join(MOUNTS);
        let Some(bytes) = files::read(&path)? else {
            return Ok(Self::default());
        };
        let mounts: BTreeMap<String, String> = serde_json::from_slice(&bytes)
            .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        for (mount, uuid) in &mounts {
            if !tree::is_plain(mount) || !arguments::is_uuid(uuid) {
                bail!(
                    "{}: '{mount}': '{uuid}' is no mount of a file system",
                    path.display()
                );
            }
        }
        Ok(Self(mounts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_back_and_checked() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Mounts::read(dir.path()).unwrap(), Mounts::default());
        let uuid = "44444444-2222-4333-8444-555555555555".to_owned();
        let mounts = Mounts(BTreeMap::from([("/data".to_owned(), uuid)]));
        let path = dir.path().join(MOUNTS);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, serde_json::to_vec(&mounts.0).unwrap()).unwrap();
        assert_eq!(Mounts::read(dir.path()).unwrap(), mounts);
        for text in [
            r#"{"/../etc": "44444444-2222-4333-8444-555555555555"}"#,
            r#"{"/x": "../sda"}"#,
            "[]",
        ] {
            fs_err::write(&path, text).unwrap();
            Mounts::read(dir.path()).unwrap_err();
        }
    }
}
