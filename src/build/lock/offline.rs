//! What a build without any connection would lack, all of it at once.

use super::resolve::look;
use crate::build::prepare::Prepared;
use crate::lock::Lock;
use isoforge_base::error::{Class, Failure, Result};
use isoforge_base::process;
use isoforge_oci::Error;
use isoforge_oci::registry::ShownUrl;

/// Looks for everything that `lock` names and no local file brings.
pub(super) fn check(prepared: &Prepared<'_>, lock: &Lock) -> Result<()> {
    let (session, inputs) = (&prepared.session, &prepared.inputs);
    let mut items = Vec::new();
    for (image, source) in inputs.images() {
        if image.reference().is_none() {
            continue;
        }
        match look(session, image, source, lock) {
            Ok(found) => {
                let missing = found.missing(&session.store)?;
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
    for file in inputs.files() {
        if !session.store.has_blob(&file.sha256) {
            items.push(format!("{}: {}", ShownUrl::of(&file.url), file.sha256));
        }
    }
    for (archive, path) in inputs.archives() {
        if fs_err::exists(path)? {
            continue;
        }
        let known = lock.archive(&archive.name);
        if !known.is_some_and(|known| session.store.has_blob(&known.layer.digest)) {
            items.push(format!("{}: neither the file nor its layer", archive.name));
        }
    }
    for bootstrap in &lock.bootstraps {
        if session.store.blob_size(&bootstrap.layer)? != Some(bootstrap.size) {
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
        if !session.store.has_blob(&core.digest) {
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
    let lines: String = items.iter().map(|item| format!("\n  {item}")).collect();
    let message =
        format!("the store lacks what the lock names, and no connection may be opened:{lines}");
    Err(Failure::new(Class::Network, message).with_hint(
        "fill the store with `isoforge pull` where there is a network, or with `isoforge cache \
         import`",
    ))
}

/// The line for an image of which a manifest or configuration is missing; any
/// other failure is one.
fn refused(name: &str, arch: &str, error: Error) -> Result<String, Error> {
    match error.cause() {
        Error::Offline { what } => Ok(format!("{name} for {arch}: {what}")),
        _ => Err(error),
    }
}
