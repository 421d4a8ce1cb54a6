//! Charts from registries and repositories into the store.
//!
//! In an OCI registry a chart is an artifact of one layer, its archive
//! (Helm's "Use OCI-based registries"; media types
//! `application/vnd.cncf.helm.config.v1+json` and
//! `application/vnd.cncf.helm.chart.content.v1.tar+gzip`).
//!
//! Invariant: the archive that is given has the digest that was asked for, and
//! the one that the index names; nobody is asked again for what the store has.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::index::{self, Index, MAX_INDEX_BYTES};
use super::{Chart, Source};
use crate::Error;
use isoforge_base::digest::Digest;
use isoforge_base::limit::read_within;
use isoforge_base::progress::{Counted, Progress};
use isoforge_oci::manifest::{Document, MAX_MANIFEST_BYTES, Manifest};
use isoforge_oci::pull::{self, Download, Limits, Platforms};
use isoforge_oci::reference::{ImageSource, Reference};
use isoforge_oci::registry::{Client, ShownUrl, retry};
use isoforge_oci::store::Store;

/// Media type of a chart's archive in a registry.
pub const CONTENT_TYPE: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// The same, as Helm's first versions with registries had it.
const OLD_CONTENT_TYPE: &str = "application/tar+gzip";
/// Largest archive of a chart, in bytes.
pub(super) const MAX_CHART_BYTES: u64 = 256 * 1024 * 1024;

/// A chart that came.
#[derive(Debug)]
pub struct Fetched {
    /// The chart.
    pub chart: Chart,
    /// Digest of its archive, which the store has unless it came from the disk.
    pub digest: Digest,
}

/// Brings a chart: into the store, unless it lies on the disk, where relative
/// paths start at `folder`.
///
/// # Errors
/// [`Error`].
pub fn fetch(
    client: &Client,
    source: &Source,
    folder: &Path,
    store: &Store,
    threads: NonZeroUsize,
    progress: &Progress,
) -> Result<Fetched, Error> {
    let fetch = Fetch {
        client,
        store,
        threads,
        progress,
    };
    let place = source.to_string();
    let digest = match source {
        Source::Path(path) => {
            let chart = Chart::open(&folder.join(path))?;
            let digest = chart.digest()?;
            return Ok(Fetched { chart, digest });
        }
        Source::Oci { reference, digest } => fetch.oci(&place, reference, *digest)?,
        Source::Url { url, digest } => fetch.url(url, *digest)?,
        Source::Repository {
            url,
            name,
            version,
            digest,
        } => fetch.listed(url, name, version, *digest)?,
    };
    let bytes = store.read_blob(&digest, MAX_CHART_BYTES)?;
    let chart = Chart::archive(&place, &bytes)?;
    Ok(Fetched { chart, digest })
}

struct Fetch<'a> {
    client: &'a Client,
    store: &'a Store,
    threads: NonZeroUsize,
    progress: &'a Progress,
}

impl Fetch<'_> {
    /// The archive in a registry.
    fn oci(
        &self,
        place: &str,
        reference: &Reference,
        pinned: Option<Digest>,
    ) -> Result<Digest, Error> {
        if let Some(digest) = pinned
            && self.in_store(&digest, place)?
        {
            return Ok(digest);
        }
        let image = pull::mirror_image(
            self.client,
            &ImageSource::Registry(reference.clone()),
            &Platforms::All,
            self.store,
            &Limits {
                blob_bytes: MAX_CHART_BYTES,
                ..Limits::DEFAULT
            },
            self.threads,
            self.progress,
        )?;
        let no_chart = |problem: &str| Error::asked(format!("{place} is no chart: {problem}"));
        let raw = self
            .store
            .read_blob(&image.root.digest, MAX_MANIFEST_BYTES)?;
        let manifest = Manifest::parse(raw, Some(&image.root.media_type))
            .map_err(|error| no_chart(&error.to_string()))?;
        let Document::Image(artifact) = &manifest.document else {
            return Err(no_chart("it is an index of images").into());
        };
        let layer = artifact.layers.iter().find(|layer| {
            let media_type = layer.media_type.as_str();
            [CONTENT_TYPE, OLD_CONTENT_TYPE].contains(&media_type)
        });
        let Some(layer) = layer else {
            let media_type = artifact.config.media_type.as_str();
            return Err(no_chart(&format!("its configuration is {media_type}")).into());
        };
        checked(place, pinned, layer.digest)
    }

    /// The archive that a repository's index lists.
    fn listed(
        &self,
        url: &str,
        name: &str,
        version: &str,
        pinned: Option<Digest>,
    ) -> Result<Digest, Error> {
        let place = format!("{}#{name}:{version}", ShownUrl::of(url));
        if let Some(digest) = pinned
            && self.in_store(&digest, &place)?
        {
            return Ok(digest);
        }
        let index_url = format!("{url}/index.yaml");
        let shown = ShownUrl::of(&index_url).to_string();
        let bytes = self.small(&index_url, MAX_INDEX_BYTES)?;
        let text = Error::text(bytes, &shown)?;
        let index = Index::parse(&text).map_err(|refused| Error::syntax(&shown, refused))?;
        let entry = index.find(name, version).ok_or_else(|| {
            Error::asked(format!(
                "the chart repository {} has no '{name}' {version}; {}",
                ShownUrl::of(url),
                offer(&index.versions(name))
            ))
        })?;
        let expected = match (pinned, entry.digest) {
            // Who moved the chart must not be believed on its digest.
            (Some(pinned), Some(listed)) => Some(checked(&place, Some(pinned), listed)?),
            (pinned, listed) => pinned.or(listed),
        };
        self.url(&index::absolute(url, &entry.url), expected)
    }

    /// The archive at a URL.
    fn url(&self, url: &str, expected: Option<Digest>) -> Result<Digest, Error> {
        let shown = ShownUrl::of(url);
        let Some(digest) = expected else {
            let bytes = self.small(url, MAX_CHART_BYTES)?;
            let digest = self.store.put_blob(&bytes)?;
            self.store.add_origin(&digest, &shown.to_string())?;
            return Ok(digest);
        };
        if self.in_store(&digest, &shown.to_string())? {
            return Ok(digest);
        }
        let download = Download {
            store: self.store,
            policy: self.client.retry_policy(),
            progress: self.progress,
            cancelled: &AtomicBool::new(false),
            label: &format!("download {shown}"),
            digest,
            size: None,
            limit: MAX_CHART_BYTES,
        };
        let size = download
            .run(&|offset| self.client.download(url, offset))
            .map_err(|failure| failed(&shown, failure))?;
        self.store.add_origin(&digest, &shown.to_string())?;
        self.progress.count(Counted::Downloaded, digest, size);
        Ok(digest)
    }

    /// All bytes at a URL, tried again where that may help.
    fn small(&self, url: &str, limit: u64) -> Result<Vec<u8>, Error> {
        let shown = ShownUrl::of(url);
        let get = || {
            let part = self.client.download(url, 0)?;
            read_within(part.reader, limit).map_err(isoforge_oci::Error::from_read)
        };
        self.progress.detail(format!("download {shown}"));
        let bytes = retry::run(self.client.retry_policy(), self.progress, get);
        let bytes = bytes.map_err(|source| Error::Download {
            what: shown.to_string(),
            source: Box::new(source),
        })?;
        let place = shown.to_string();
        bytes.ok_or(Error::TooLong { place, limit })
    }

    fn in_store(&self, digest: &Digest, place: &str) -> Result<bool, Error> {
        let Some(size) = self.store.blob_size(digest)? else {
            return Ok(false);
        };
        self.progress.count(Counted::Stored, *digest, size);
        self.progress.detail(format!("{place}: in the store"));
        Ok(true)
    }
}

fn failed(url: &ShownUrl, error: isoforge_oci::Error) -> Error {
    match error {
        isoforge_oci::Error::DigestMismatch { expected, found } => Error::Digest {
            place: url.to_string(),
            expected,
            found,
        },
        isoforge_oci::Error::SizeMismatch { .. } => Error::TooLong {
            place: url.to_string(),
            limit: MAX_CHART_BYTES,
        },
        error if error.is_of_store() => error.into(),
        source => Error::Download {
            what: url.to_string(),
            source: Box::new(source),
        },
    }
}

/// What a repository has of a chart.
fn offer(known: &[String]) -> String {
    const MOST: usize = 8;
    match known.get(..MOST) {
        _ if known.is_empty() => "it has no chart of that name".to_owned(),
        Some(first) if known.len() > MOST => format!("it has {}, …", first.join(", ")),
        _ => format!("it has {}", known.join(", ")),
    }
}

/// The digest that was found, where it is the one that is expected.
fn checked(place: &str, expected: Option<Digest>, found: Digest) -> Result<Digest, Error> {
    match expected {
        Some(expected) if expected != found => Err(Error::Digest {
            place: place.to_owned(),
            expected,
            found,
        }),
        _ => Ok(found),
    }
}
