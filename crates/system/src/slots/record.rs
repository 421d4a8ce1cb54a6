//! What is in a slot: `slot.json`, for people and for `appliance status`. GRUB
//! does not read it.

use crate::Error;
use isoforge_base::digest::Digest;
use isoforge_base::error::Context as _;
use serde::{Deserialize, Serialize};

/// The `schema` that this version writes. Newer ones may add members, which are
/// passed over: a slot's record is read by the program of the other slot.
const SCHEMA: u32 = 1;

const NOT_VALID: &str = "the slot's record is not valid";

/// What is in a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Version of this format.
    pub schema: u32,
    /// `appliance.name`.
    pub name: String,
    /// `appliance.version`.
    pub version: String,
    /// Version of Kubernetes, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<String>,
    /// The root file system.
    pub squashfs: Image,
    /// The kernel.
    pub kernel: Digest,
    /// Its initrd.
    pub initrd: Digest,
    /// The image that an upgrade took it from; none: the installer's medium.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// A root file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Its creation time in seconds since 1970-01-01 UTC, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u32>,
}

impl Record {
    /// A record of the system `name` in `version`.
    #[must_use]
    pub fn new(name: &str, version: &str, squashfs: Image, kernel: Digest, initrd: Digest) -> Self {
        Self {
            schema: SCHEMA,
            name: name.to_owned(),
            version: version.to_owned(),
            kubernetes: None,
            squashfs,
            kernel,
            initrd,
            source: None,
        }
    }

    /// The file's bytes; they end with a line feed.
    ///
    /// # Errors
    /// Should a value not fit JSON.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = serde_json::to_vec_pretty(self).context(NOT_VALID)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads the file's bytes.
    ///
    /// # Errors
    /// Where they are no record.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Ok(serde_json::from_slice(bytes).context(NOT_VALID)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_further_members_are_passed_over() {
        let image = Image {
            digest: Digest::of(b"squashfs"),
            size: 4096,
            epoch: Some(7),
        };
        let mut record = Record::new(
            "demo",
            "1.0.0",
            image,
            Digest::of(b"kernel"),
            Digest::of(b"initrd"),
        );
        record.kubernetes = Some("1.32.3".to_owned());
        let text = String::from_utf8(record.to_json().unwrap()).unwrap();
        insta::assert_snapshot!(text, @r#"
        {
          "schema": 1,
          "name": "demo",
          "version": "1.0.0",
          "kubernetes": "1.32.3",
          "squashfs": {
            "digest": "sha256:5cce3f70c6cb9f62ab53e322fa3975d02128080e1341e41de3a8dd3712cf1607",
            "size": 4096,
            "epoch": 7
          },
          "kernel": "sha256:6923dd1bc0460082c5d55a831908c24a282860b7f1cd6c2b79cf1bc8857c639c",
          "initrd": "sha256:09e6c018d2c8c4903308613dd1b72484d57eadf12ec50ddc8f52e5accce470f2"
        }
        "#);
        let newer = text.replacen("\"name\"", "\"more\": 1, \"name\"", 1);
        assert_eq!(Record::parse(newer.as_bytes()).unwrap(), record);
        assert!(Record::parse(b"{}").is_err());
    }
}
