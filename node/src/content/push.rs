//! Filling a registry over HTTP: one whose storage is no layout, or one elsewhere.
//!
//! Each image goes to `<registry>/<upstream host>/<repository>`, as it lies in this
//! machine's own registry. What is there is not sent again, so a push that was cut
//! off goes on where it was.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use isoforge_base::digest::Digest;
use isoforge_base::progress::Progress;
use isoforge_oci::manifest::Descriptor;
use isoforge_oci::push::{self, ImageReport, Selection};
use isoforge_oci::reference::Reference;
use isoforge_oci::referrer;
use isoforge_oci::registry::push::{Blobs, ImageLayout, Pieces};
use isoforge_oci::registry::{Client, RegistryConfig};
use serde::Serialize;

use super::plan::read_manifest;
use super::source::{Kind, Opened, Source};
use super::{BadSource, names};

/// Where to push to, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// `host[:port][/path]`.
    pub to: String,
    /// How the registry is talked to.
    pub registries: RegistryConfig,
    /// Blobs that are sent at once.
    pub threads: NonZeroUsize,
}

/// What was pushed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub images: Vec<ImageReport>,
    /// Provider images of the source: no registry gets them.
    pub providers: Vec<String>,
}

/// What each repository gets: manifests and their tags.
type Repositories = BTreeMap<String, Vec<(Descriptor, String)>>;

/// Pushes the content of `source`.
///
/// # Errors
/// Those of the source and the registry. What came there stays.
pub fn push(source: &Arc<dyn Source>, options: &Options, progress: &Progress) -> Result<Report> {
    options.registries.check()?;
    let mut report = Report::default();
    let uploads = uploads(source.as_ref(), &mut report)?;
    let client = Client::new(options.registries.clone());
    let layout = ImageLayout::over(
        &PathBuf::from(source.name()),
        Vec::new(),
        Box::new(OfSource(Arc::clone(source))),
    );
    for (repository, images) in uploads {
        let text = format!("{}/{repository}", options.to.trim_end_matches('/'));
        let reference: Reference = text
            .parse()
            .map_err(|error: isoforge_oci::Error| BadSource::name(&text, error.into_problem()))?;
        let selection = Selection {
            repository: reference.name(),
            reference,
            images,
        };
        let how = push::Options {
            threads: options.threads,
            dry_run: false,
            pieces: Pieces::default(),
        };
        let pushed = push::push(&client, &layout, &selection, &how, progress)?;
        report.images.extend(pushed.images);
    }
    Ok(report)
}

fn uploads(source: &dyn Source, report: &mut Report) -> Result<Repositories> {
    let mut uploads = Repositories::new();
    let mut homes: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
    let mut about = Vec::new();
    for root in source.roots() {
        let Some(text) = &root.reference else {
            about.push(&root.descriptor);
            continue;
        };
        if root.kind == Kind::Provider {
            report.providers.push(text.clone());
            continue;
        }
        let reference = names::parse(text)?;
        let repository = names::repository(&reference)?;
        let digest = root.descriptor.digest;
        let own = reference.digest().map(|digest| names::digest_tag(&digest));
        let images = uploads.entry(repository.clone()).or_default();
        for tag in reference.tag().map(str::to_owned).into_iter().chain(own) {
            images.push((root.descriptor.clone(), tag));
        }
        homes.entry(digest).or_default().push(repository);
    }
    // What is about an image needs a tag, as not every registry keeps what has none.
    for descriptor in about {
        let Some(raw) = read_manifest(source, &descriptor.digest)? else {
            continue;
        };
        let subject = referrer::subject(&raw);
        for repository in subject.and_then(|it| homes.get(&it)).into_iter().flatten() {
            let images = uploads.entry(repository.clone()).or_default();
            images.push((descriptor.clone(), names::digest_tag(&descriptor.digest)));
        }
    }
    Ok(uploads)
}

/// A source's blobs for the library.
#[derive(Debug)]
struct OfSource(Arc<dyn Source>);

impl Blobs for OfSource {
    fn open(&self, digest: &Digest) -> io::Result<Option<Opened>> {
        self.0.open(digest).map_err(io::Error::other)
    }
}
