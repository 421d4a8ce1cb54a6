//! Packs into a repository.

use isoforge_base::error::Result;

use super::{Settings, convert};
use isoforge_base::progress::Progress;
use isoforge_content::pack::{self, Built};
use isoforge_oci::push::{self, Destination, Report};
use isoforge_oci::registry::Client;
use isoforge_oci::registry::push::{ImageLayout, Pieces};
use isoforge_oci::store::Store;

/// A push of a pack that is asked for.
#[derive(Debug)]
pub struct PackPushRequest<'a> {
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
pub fn push_pack(request: &PackPushRequest<'_>, progress: &Progress) -> Result<Report> {
    let config = convert::user_registries(&request.settings);
    config.check()?;
    let store = Store::open(&request.settings.cache_dir)?;
    // A tag has no '+', which versions may have.
    let tag = request.built.pack.meta.version.replace('+', "_");
    let folder = tempfile::tempdir_in(store.temp_dir())?;
    pack::layout(request.built, &tag).write_dir(&store, folder.path())?;
    let layout = ImageLayout::open(folder.path(), store.temp_dir())?;
    let selection = push::select(&layout, Some(request.to), &[])?;
    let options = push::Options {
        threads: convert::threads(&request.settings),
        dry_run: request.dry_run,
        pieces: Pieces::default(),
    };
    let client = Client::new(config);
    Ok(push::push(
        &client, &layout, &selection, &options, progress,
    )?)
}
