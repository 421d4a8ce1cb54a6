//! What a provider image says of itself: the SquashFS that its layers must give,
//! and which Kubernetes is in it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow};
use isoforge_base::digest::Digest;
use isoforge_contract::labels::{
    KUBERNETES_VERSION, SQUASHFS_BLOCK_SIZE, SQUASHFS_COMPRESSION, SQUASHFS_DIGEST, SQUASHFS_EPOCH,
    SQUASHFS_SIZE, TITLE, VERSION,
};
use isoforge_formats::squashfs::{Compressor, Settings};
use serde::Deserialize;

/// What an image says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// The appliance's name; may be empty.
    pub name: String,
    /// Its version; may be empty.
    pub version: String,
    /// Kubernetes' version, where there is one.
    pub kubernetes: Option<String>,
    /// Digest of the SquashFS.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What it is compressed with.
    pub squashfs: Settings,
    /// Its time of making, in seconds since 1970-01-01 UTC.
    pub epoch: u32,
}

impl Labels {
    /// Reads them from an image's configuration.
    pub fn parse(config: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Document {
            #[serde(default)]
            config: Option<Container>,
        }
        #[derive(Deserialize)]
        struct Container {
            #[serde(rename = "Labels", default)]
            labels: Option<BTreeMap<String, String>>,
        }
        let document: Document =
            serde_json::from_slice(config).context("the image's configuration can't be read")?;
        let labels = document
            .config
            .and_then(|container| container.labels)
            .unwrap_or_default();
        let squashfs = Settings {
            compressor: value::<Compressor>(&labels, SQUASHFS_COMPRESSION)?,
            block_size: value(&labels, SQUASHFS_BLOCK_SIZE)?,
        };
        squashfs
            .validate()
            .map_err(|_| wrong(SQUASHFS_BLOCK_SIZE, &squashfs.block_size.to_string()))?;
        let text = |name: &str| labels.get(name).cloned().filter(|text| !text.is_empty());
        Ok(Self {
            name: text(TITLE).unwrap_or_default(),
            version: text(VERSION).unwrap_or_default(),
            kubernetes: text(KUBERNETES_VERSION),
            digest: value(&labels, SQUASHFS_DIGEST)?,
            size: value(&labels, SQUASHFS_SIZE)?,
            squashfs,
            epoch: value(&labels, SQUASHFS_EPOCH)?,
        })
    }
}

fn value<T: std::str::FromStr>(labels: &BTreeMap<String, String>, name: &str) -> Result<T> {
    let text = labels.get(name).with_context(|| {
        format!("the image has no label '{name}'; name a provider image that isoforge built")
    })?;
    text.parse().map_err(|_| wrong(name, text))
}

fn wrong(name: &str, value: &str) -> anyhow::Error {
    anyhow!("the image's label '{name}' is '{}'", value.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(digest: &str, block: &str) -> String {
        format!(
            r#"{{"config":{{"Labels":{{"{SQUASHFS_DIGEST}":"{digest}","{SQUASHFS_SIZE}":"4096",
            "{SQUASHFS_COMPRESSION}":"zstd:3","{SQUASHFS_BLOCK_SIZE}":"{block}","{SQUASHFS_EPOCH}":"7",
            "{VERSION}":"2.0.0","{KUBERNETES_VERSION}":""}}}}}}"#
        )
    }

    #[test]
    fn labels_are_read_or_named() {
        let digest = Digest::of(b"x").to_string();
        let labels = Labels::parse(config(&digest, "131072").as_bytes()).unwrap();
        assert_eq!(labels.digest.to_string(), digest);
        assert_eq!((labels.size, labels.epoch), (4096, 7));
        assert_eq!(labels.version, "2.0.0");
        assert_eq!(labels.kubernetes, None);
        let problem = |text: &str| Labels::parse(text.as_bytes()).unwrap_err().to_string();
        insta::assert_snapshot!(problem("{}"), @"the image has no label 'io.isoforge.squashfs.compression'; name a provider image that isoforge built");
        insta::assert_snapshot!(problem(&config("x", "131072")), @"the image's label 'io.isoforge.squashfs.digest' is 'x'");
        insta::assert_snapshot!(problem(&config(&digest, "1000")), @"the image's label 'io.isoforge.squashfs.block-size' is '1000'");
        assert!(Labels::parse(b"").is_err());
    }
}
