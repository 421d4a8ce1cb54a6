//! Provider images into their repository, from what a build wrote.

use std::path::{Path, PathBuf};

use super::write::PROVIDER_SUFFIX;
use super::{Request, Settings, Summary, convert};
use isoforge_base::error::{Class, Failure, Result};
use isoforge_base::output::check_name;
use isoforge_base::progress::Progress;
use isoforge_contract::manifest::{self, Manifest};
use isoforge_oci::layout::LAYOUT_FILE;
use isoforge_oci::push::{self, Destination, Report};
use isoforge_oci::registry::push::{ImageLayout, Pieces};
use isoforge_oci::registry::{Client, RegistryConfig};
use isoforge_oci::store::Store;

/// A push that is asked for.
#[derive(Debug, Clone)]
pub(crate) struct PushRequest<'a> {
    /// A build's output folder, or an OCI layout as folder or archive.
    pub source: &'a Path,
    /// Where to; as the build recorded it where none is given.
    pub to: Option<&'a Destination>,
    /// Which images; all where none is given.
    pub tags: &'a [String],
    /// Only find out what would be sent.
    pub dry_run: bool,
    /// Of the machine and its network.
    pub settings: Settings,
}

/// Pushes what the request asks for.
///
/// # Errors
/// Of the source and of the registry. What was pushed before stays.
pub(crate) fn push(request: &PushRequest<'_>, progress: &Progress) -> Result<Report> {
    let config = convert::user_registries(&request.settings);
    run(request, config, progress)
}

/// Pushes what a build wrote, where its profile says so.
///
/// # Errors
/// Of the registry; the outputs stay as they are.
pub(crate) fn push_built(
    request: &Request<'_>,
    summary: &Summary,
    progress: &Progress,
) -> Result<Option<Report>> {
    if !(request.loaded.profile.provider.push && request.artifacts.provider()) {
        return Ok(None);
    }
    let config = convert::registry(request.loaded, &request.settings);
    let request = PushRequest {
        source: &summary.folder,
        to: None,
        tags: &[],
        dry_run: false,
        settings: request.settings.clone(),
    };
    run(&request, config, progress).map(Some)
}

fn run(request: &PushRequest<'_>, config: RegistryConfig, progress: &Progress) -> Result<Report> {
    config.check()?;
    let path = layout_of(request.source)?;
    let store = Store::open(&request.settings.cache_dir)?;
    let layout = ImageLayout::open(&path, store.temp_dir())?;
    let selection = push::select(&layout, request.to, request.tags)?;
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

/// The layout itself, or the one in a build's output folder.
fn layout_of(source: &Path) -> Result<PathBuf> {
    let manifest_path = source.join(manifest::FILE_NAME);
    if !source.is_dir() || source.join(LAYOUT_FILE).is_file() {
        return Ok(source.to_owned());
    }
    if !manifest_path.is_file() {
        let message = format!(
            "'{}' is neither an OCI layout nor a build's output folder",
            source.display()
        );
        return Err(Failure::new(Class::Profile, message).with_hint(format!(
            "name dist/<name>-<version>, an archive that ends with {PROVIDER_SUFFIX}, or a folder with an '{LAYOUT_FILE}'"
        )));
    }
    let manifest = Manifest::from_json(&fs_err::read(&manifest_path)?).map_err(|error| {
        let path = manifest_path.display();
        Failure::new(
            Class::Verification,
            format!("'{path}' is no build manifest: {error}"),
        )
        .with_hint("build again, or name the archive itself")
    })?;
    let mut names = manifest.outputs.into_keys();
    match names.find(|name| name.ends_with(PROVIDER_SUFFIX) && check_name(name).is_ok()) {
        Some(name) => Ok(source.join(name)),
        None => {
            let message = format!("'{}' has no provider image", source.display());
            Err(Failure::new(Class::Profile, message).with_hint("build without --only iso"))
        }
    }
}
