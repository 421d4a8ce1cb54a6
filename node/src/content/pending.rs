//! Content that waits until the registry runs: a layout beside its storage, put
//! there by the installer, and gone once it was taken in.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use fs_err as fs;
use isoforge_base::digest::Digest;
use isoforge_base::progress::Progress;
use isoforge_contract::machine::Registry;
use isoforge_oci::layout::{INDEX_FILE, LAYOUT_FILE};

use super::error::at;
use super::files::{copy_verified, names_in};
use super::source::{Kind, OfBundle, Source};
use super::{BadSource, into_registry, names};
use crate::registry::RegistryPaths;

/// Its folder, within the registry's.
pub const FOLDER: &str = "pending";

/// Folder of a layout's blobs.
const BLOBS: &str = "blobs/sha256";

/// Copies the layout `from` beside the storage in `home`. Each blob is verified; the
/// mark by which it is found is written last.
///
/// # Errors
/// [`BadSource`] for a damaged one, and where it can't be written.
pub fn put(from: &Path, home: &Path, progress: &Progress) -> Result<()> {
    let to = home.join(FOLDER);
    let blobs = to.join(BLOBS);
    fs::create_dir_all(&blobs).map_err(at(&blobs, "made"))?;
    let task = progress.task("copying and verifying", None);
    for name in names_in(&from.join(BLOBS))? {
        let source = from.join(BLOBS).join(&name);
        let Ok(digest) = format!("sha256:{name}").parse::<Digest>() else {
            continue;
        };
        let target = blobs.join(&name);
        copy_verified(&source, &target, &digest, None, "the install medium", &task)?;
    }
    for name in [INDEX_FILE, LAYOUT_FILE] {
        let path = from.join(name);
        let bytes = fs::read(&path).map_err(at(&path, "read"))?;
        if name == LAYOUT_FILE {
            let folder = fs::File::open(&to).map_err(at(&to, "opened"))?;
            rustix::fs::syncfs(&folder).map_err(|errno| at(&to, "written out")(errno.into()))?;
        }
        let path = to.join(name);
        crate::files::write(&path, &bytes, 0o600).map_err(at(&path, "written"))?;
    }
    Ok(())
}

/// The repositories that what waits gets. What can't be read is told by [`take`].
#[must_use]
pub fn repositories(home: &Path) -> Vec<String> {
    let folder = home.join(FOLDER);
    if !folder.join(LAYOUT_FILE).is_file() {
        return Vec::new();
    }
    let Ok(bundle) = OfBundle::open(&folder) else {
        return Vec::new();
    };
    let content = bundle.roots().iter().filter(|it| it.kind == Kind::Content);
    content
        .filter_map(|root| names::parse(root.reference.as_deref()?).ok())
        .filter_map(|reference| names::repository(&reference).ok())
        .collect()
}

/// Takes in what waits, and removes it. Nothing waiting is no error.
///
/// # Errors
/// Those of the layout and the registry. What came in is not sent again then.
pub fn take(
    registry: &Registry,
    places: &RegistryPaths,
    threads: NonZeroUsize,
    progress: &Progress,
) -> Result<bool> {
    let folder: PathBuf = places.home.join(FOLDER);
    let mark = folder.join(LAYOUT_FILE);
    if !mark.is_file() {
        return Ok(false);
    }
    let bundle = OfBundle::open(&folder)
        .with_context(|| BadSource("the content of the install medium can't be read".to_owned()))?;
    let source: Arc<dyn Source> = Arc::new(bundle);
    into_registry::import(&source, registry, places, true, threads, progress)?;
    drop(source);
    fs::remove_file(&mark).map_err(at(&mark, "removed"))?;
    fs::remove_dir_all(&folder).map_err(at(&folder, "removed"))?;
    Ok(true)
}
