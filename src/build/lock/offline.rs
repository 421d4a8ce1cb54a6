//! What a build without any connection would lack, all of it at once.

use super::resolve::look;
use super::wanted::Wanted;
use crate::build::stages::Build;
use crate::lock::Lock;
use isoforge_base::error::{Class, Diagnose, Result};
use isoforge_base::process;
use isoforge_oci::pull;
use isoforge_oci::registry;

/// The store does not have all that the lock names.
#[derive(Debug, thiserror::Error)]
#[error("the store lacks what the lock names, and no connection may be opened:\n{}", list(.items))]
pub(crate) struct Lacking {
    /// What is missing, in words.
    items: Vec<String>,
}

fn list(items: &[String]) -> String {
    let lines: Vec<String> = items.iter().map(|item| format!("  {item}")).collect();
    lines.join("\n")
}

impl Diagnose for Lacking {
    fn class(&self) -> Class {
        Class::Network
    }

    fn hint(&self) -> Option<String> {
        Some(
            "fill the store with `isoforge pull` where there is a network, or with `isoforge \
             cache import`"
                .to_owned(),
        )
    }
}

/// Looks for everything that `lock` names and no local file brings.
pub(super) fn check(build: &Build<'_>, wanted: &Wanted, lock: &Lock) -> Result<()> {
    let mut items = Vec::new();
    for image in wanted.images.iter().filter(|image| image.is_remote()) {
        match look(build, image, lock) {
            Ok(found) => {
                let missing = found.missing(&build.store)?;
                items.extend(missing.iter().map(|blob| {
                    format!(
                        "{} for {}: {} ({} bytes)",
                        image.name, image.arch, blob.digest, blob.size
                    )
                }));
            }
            Err(error) => items.push(refused(&image.name, image.arch.as_str(), error)?),
        }
    }
    for file in &wanted.files {
        if !build.store.has_blob(&file.sha256) {
            items.push(format!(
                "{}: {}",
                registry::ShownUrl::of(&file.url),
                file.sha256
            ));
        }
    }
    for archive in wanted.archives.iter().filter(|a| !a.path.exists()) {
        let known = lock.archive(&archive.name);
        if !known.is_some_and(|known| build.store.has_blob(&known.layer.digest)) {
            items.push(format!("{}: neither the file nor its layer", archive.name));
        }
    }
    for bootstrap in &lock.bootstraps {
        if build.store.blob_size(&bootstrap.layer)? != Some(bootstrap.size) {
            items.push(format!(
                "bootstrap for {}: {}",
                bootstrap.arch, bootstrap.layer
            ));
        }
    }
    let can_make = ["grub-mkimage", "grub2-mkimage"]
        .iter()
        .any(|name| process::find(name).is_some());
    for core in lock.core_images.iter().filter(|_| !can_make) {
        if !build.store.has_blob(&core.digest) {
            items.push(format!(
                "GRUB core image for {}: {}",
                core.purpose(),
                core.digest
            ));
        }
    }
    items.sort();
    items.dedup();
    if items.is_empty() {
        return Ok(());
    }
    Err(Lacking { items }.into())
}

/// The line for an image of which a manifest or configuration is missing; any
/// other failure is one.
fn refused(name: &str, arch: &str, error: pull::Error) -> Result<String, pull::Error> {
    match &error {
        pull::Error::Source { source, .. } => match source.as_ref() {
            registry::Error::Offline { what } => Ok(format!("{name} for {arch}: {what}")),
            _ => Err(error),
        },
        _ => Err(error),
    }
}
