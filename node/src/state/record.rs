//! What this boot tells about itself: `/run/appliance/boot.json`.

use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::arguments::Arguments;
use crate::files;
use crate::paths;
use isoforge_system::slots::Slot;

/// What is booted, and from what. Another version of the program may have written it:
/// it is read with more members, and with fewer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BootRecord {
    pub slot: Slot,
    /// Whether it boots once, until it is found good.
    #[serde(default)]
    pub trial: bool,
    /// UUID of PERSISTENT.
    #[serde(default)]
    pub persistent: String,
    /// UUID of OEM.
    #[serde(default)]
    pub oem: String,
    /// UUID of STATE, where the root was named by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Whether PERSISTENT could be mounted; only recovery runs without it.
    #[serde(default)]
    pub persistent_mounted: bool,
}

impl BootRecord {
    /// The record of a boot with these arguments.
    pub(crate) fn new(arguments: Arguments, persistent_mounted: bool) -> Self {
        Self {
            slot: arguments.slot,
            trial: arguments.trial,
            persistent: arguments.persistent,
            oem: arguments.oem,
            state: arguments.state,
            persistent_mounted,
        }
    }

    /// This machine's; none where no slot is booted, as on the medium.
    ///
    /// # Errors
    /// Where there is a record that can't be read.
    pub(crate) fn read() -> Result<Option<Self>> {
        Self::read_from(Path::new(paths::BOOT_RECORD))
    }

    /// The record at `path`; none where there is none.
    ///
    /// # Errors
    /// Where there is one that can't be read.
    pub(crate) fn read_from(path: &Path) -> Result<Option<Self>> {
        let Some(bytes) = files::read(path)? else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            let path = path.display();
            anyhow::anyhow!("{path}: this is no record of a boot: {error}")
        })
    }

    /// Writes the record.
    pub(crate) fn write_to(&self, path: &Path) -> Result<()> {
        Ok(files::write_json(path, self, 0o644)?)
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("boot.json");
        assert_eq!(BootRecord::read_from(&path).unwrap(), None);
        let record = BootRecord {
            slot: Slot::Recovery,
            trial: false,
            persistent: "22222222-2222-4333-8444-555555555555".to_owned(),
            oem: "33333333-2222-4333-8444-555555555555".to_owned(),
            state: None,
            persistent_mounted: true,
        };
        record.write_to(&path).unwrap();
        assert_eq!(BootRecord::read_from(&path).unwrap(), Some(record));
        assert_snapshot!(fs_err::read_to_string(&path).unwrap(), @r#"
        {
          "slot": "recovery",
          "trial": false,
          "persistent": "22222222-2222-4333-8444-555555555555",
          "oem": "33333333-2222-4333-8444-555555555555",
          "persistent_mounted": true
        }
        "#);
        fs_err::write(&path, "{}").unwrap();
        let error = BootRecord::read_from(&path).unwrap_err().to_string();
        assert!(
            error.ends_with("no record of a boot: missing field `slot` at line 1 column 2"),
            "{error}"
        );
    }
}
