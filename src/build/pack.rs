//! Packs into a repository.

use isoforge_base::error::Result;

use super::Settings;
use super::push::{PushRequest, push};
use isoforge_base::progress::Progress;
use isoforge_content::pack::{self, Built};
use isoforge_oci::push::{Destination, Report};
use isoforge_oci::store::Store;

/// A push of a pack that is asked for.
#[derive(Debug)]
pub(crate) struct PackPushRequest<'a> {
    /// The pack.
    pub built: &'a Built,
    /// Where to; the tag is the pack's version where none is given.
    pub to: &'a Destination,
    /// Only find out what would be sent.
    pub dry_run: bool,
    /// Of the machine and its network.
    pub settings: Settings,
}

/// Pushes a pack as an OCI artifact.
///
/// # Errors
/// Of the registry. What was pushed before stays.
pub(crate) fn push_pack(request: &PackPushRequest<'_>, progress: &Progress) -> Result<Report> {
    let store = Store::open(&request.settings.cache_dir)?;
    // A tag has no '+', which versions may have.
    let tag = request.built.pack.meta.version.replace('+', "_");
    let folder = tempfile::tempdir_in(store.temp_dir())?;
    pack::layout(request.built, &tag).write_dir(&store, folder.path())?;
    let request = PushRequest {
        source: folder.path(),
        to: Some(request.to),
        tags: &[],
        dry_run: request.dry_run,
        settings: request.settings.clone(),
    };
    push(&request, progress)
}
