//! What a bundle holds, for people and programs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::walk::{spend, walk_within};
use super::{Bundle, Root};
use crate::Error;
use isoforge_base::digest::Digest;
use isoforge_base::human::size;
use isoforge_base::limit::{self, Budget};
use isoforge_base::shown::Line;
use isoforge_oci::manifest::{Descriptor, Document, ImageConfig, MAX_CONFIG_BYTES};
use isoforge_oci::media::MediaType;

/// Version of the report's JSON.
const SCHEMA: u32 = 1;

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// Version of this format.
    pub schema: u32,
    /// The bundle.
    pub path: PathBuf,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Digest of its `index.json`, by which a delta names its base.
    pub digest: Digest,
    /// Of a delta, the digest of its base.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<Digest>,
    /// What it lists.
    pub roots: Vec<RootReport>,
    /// Bytes of all blobs, each counted once.
    pub bytes: u64,
}

/// A root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RootReport {
    /// Its reference; empty where it has none.
    pub reference: String,
    /// What it is.
    pub kind: String,
    /// Digest of its index or manifest.
    pub digest: Digest,
    /// Its subject, where it is about something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<Digest>,
    /// The platforms that are in the bundle.
    pub platforms: Vec<PlatformReport>,
    /// Platforms that its index names and the bundle leaves out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// Bytes of all that it consists of, as far as the bundle holds it.
    pub bytes: u64,
}

/// A platform of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlatformReport {
    /// Its name.
    pub platform: String,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Bytes of its manifest, configuration and layers.
    pub bytes: u64,
}

/// Looks into a bundle; manifests and configurations are read, no layer.
///
/// # Errors
/// What walking the roots gives.
pub fn inspect(bundle: &Bundle) -> Result<Inspection, Error> {
    let mut all = BTreeMap::new();
    let mut roots = Vec::with_capacity(bundle.roots().len());
    let mut documents = Budget::new(limit::DOCUMENT_BYTES);
    for root in bundle.roots() {
        let blobs = walk_within(bundle, root, &mut documents)?;
        all.extend(blobs.iter().map(|blob| (blob.digest, blob.size)));
        roots.push(report(bundle, root, &blobs, &mut documents)?);
    }
    let annotations = bundle.annotations().clone();
    Ok(Inspection {
        schema: SCHEMA,
        path: bundle.path().to_owned(),
        name: annotations.name,
        version: annotations.version,
        digest: bundle.digest(),
        base: annotations.base,
        roots,
        bytes: all
            .values()
            .fold(0, |sum: u64, bytes| sum.saturating_add(*bytes)),
    })
}

fn sum(blobs: &[Descriptor]) -> u64 {
    blobs
        .iter()
        .fold(0, |sum, blob| sum.saturating_add(blob.size))
}

fn report(
    bundle: &Bundle,
    root: &Root,
    blobs: &[Descriptor],
    documents: &mut Budget,
) -> Result<RootReport, Error> {
    let mut report = RootReport {
        reference: root.reference.clone(),
        kind: root.kind.to_string(),
        digest: root.descriptor.digest,
        about: bundle.subject(root)?,
        platforms: Vec::new(),
        left_out: Vec::new(),
        bytes: sum(blobs),
    };
    let Some(manifest) = bundle.manifest(&root.descriptor)? else {
        return Ok(report);
    };
    match &manifest.document {
        Document::Index(entries) => {
            for entry in entries.iter().filter(|entry| !entry.is_attestation()) {
                let Some(platform) = &entry.platform else {
                    continue;
                };
                match bundle.manifest(entry)? {
                    Some(manifest) => spend(documents, &manifest.raw)?,
                    None => {
                        report.left_out.push(platform.to_string());
                        continue;
                    }
                }
                let own = Root {
                    descriptor: entry.clone(),
                    ..root.clone()
                };
                report.platforms.push(PlatformReport {
                    platform: platform.to_string(),
                    digest: entry.digest,
                    bytes: sum(&walk_within(bundle, &own, documents)?),
                });
            }
        }
        Document::Image(image) => {
            if let Some(platform) = platform(bundle, &image.config, documents)? {
                report.platforms.push(PlatformReport {
                    platform,
                    digest: manifest.digest,
                    bytes: report.bytes,
                });
            }
        }
    }
    Ok(report)
}

/// The platform that an image's configuration says.
fn platform(
    bundle: &Bundle,
    config: &Descriptor,
    documents: &mut Budget,
) -> Result<Option<String>, Error> {
    if !matches!(config.media_type, MediaType::Config(_)) {
        return Ok(None);
    }
    let Some(bytes) = bundle.read_blob(&config.digest, MAX_CONFIG_BYTES)? else {
        return Ok(None);
    };
    spend(documents, &bytes)?;
    Ok(ImageConfig::parse(&bytes)
        .ok()
        .and_then(|config| config.platform)
        .map(|platform| platform.to_string()))
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        writeln!(
            f,
            "{} {}  {}  {}",
            Line(text(&self.name)),
            Line(text(&self.version)),
            size(self.bytes),
            Line(self.path.display())
        )?;
        writeln!(f, "  {}", self.digest)?;
        if let Some(base) = &self.base {
            writeln!(f, "  delta to {base}")?;
        }
        for root in &self.roots {
            let name = match (root.reference.as_str(), &root.about) {
                ("", Some(about)) => format!("about {about}"),
                ("", None) => root.digest.to_string(),
                (name, _) => name.to_owned(),
            };
            let kind = match root.kind.as_str() {
                "image" => String::new(),
                kind => format!("{kind} "),
            };
            writeln!(f, "{}{}  {}", Line(kind), Line(name), size(root.bytes))?;
            writeln!(f, "  {}", root.digest)?;
            for platform in &root.platforms {
                writeln!(
                    f,
                    "  {}  {}",
                    Line(&platform.platform),
                    size(platform.bytes)
                )?;
            }
            if !root.left_out.is_empty() {
                writeln!(f, "  left out: {}", Line(root.left_out.join(", ")))?;
            }
        }
        Ok(())
    }
}
