//! The labels that a provider image gets.

use std::collections::BTreeMap;

use isoforge_base::digest::Digest;
use isoforge_contract::labels::{
    ISOFORGE_VERSION, KUBERNETES_DISTRIBUTION, KUBERNETES_VERSION, OS_DISTRIBUTION, OS_VERSION,
    SQUASHFS_BLOCK_SIZE, SQUASHFS_COMPRESSION, SQUASHFS_DIGEST, SQUASHFS_EPOCH, SQUASHFS_SIZE,
    TITLE, VERSION,
};
use isoforge_contract::manifest::Squashfs;
use isoforge_oci::manifest::BASE_NAME;

use super::{Base, Description};

/// What is true of all platforms of an image.
pub(super) fn common(description: &Description, created: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut put = |name: &str, value: &str| {
        if !value.is_empty() {
            labels.insert(name.to_owned(), value.to_owned());
        }
    };
    put(TITLE, &description.name);
    put(VERSION, &description.version);
    put("org.opencontainers.image.created", created);
    let found = description.kubernetes_found.as_ref();
    let kubernetes_version = found.unwrap_or(&description.kubernetes_version);
    let mut text = format!("{} {}", description.os_distribution, description.os_version);
    if !description.kubernetes_distribution.is_empty() {
        let distribution = &description.kubernetes_distribution;
        text.push_str(&format!(" with {distribution} {kubernetes_version}"));
    }
    put("org.opencontainers.image.description", text.trim_end());
    put(ISOFORGE_VERSION, env!("CARGO_PKG_VERSION"));
    put(OS_DISTRIBUTION, &description.os_distribution);
    put(OS_VERSION, &description.os_version);
    put(
        KUBERNETES_DISTRIBUTION,
        &description.kubernetes_distribution,
    );
    put(KUBERNETES_VERSION, kubernetes_version);
    labels
}

/// What is true of one platform: [`common`] and its base and SquashFS.
pub(super) fn platform(
    common: &BTreeMap<String, String>,
    base: Option<&Base>,
    squashfs: &Squashfs,
) -> BTreeMap<String, String> {
    let mut labels = common.clone();
    if let Some(base) = base {
        if let Some(name) = &base.name {
            labels.insert(BASE_NAME.into(), name.clone());
        }
        let digest: &Digest = &base.manifest;
        labels.insert(
            "org.opencontainers.image.base.digest".into(),
            digest.to_string(),
        );
    }
    for (name, value) in [
        (SQUASHFS_DIGEST, squashfs.digest.to_string()),
        (SQUASHFS_SIZE, squashfs.size.to_string()),
        (SQUASHFS_COMPRESSION, squashfs.compression.to_string()),
        (SQUASHFS_BLOCK_SIZE, squashfs.block_size.to_string()),
        (SQUASHFS_EPOCH, squashfs.epoch.to_string()),
    ] {
        labels.insert(name.to_owned(), value);
    }
    labels
}
