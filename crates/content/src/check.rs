//! Whether a bundle has every image that its own objects name.
//!
//! Searched are the layers of the cluster definition with the values, presets and
//! release names that stand there, then the packs, charts and manifests that no
//! layer uses, as they are. An image is there where the bundle lists it under the
//! name that the object says, or, of one that is named by digest, where its
//! repository has that manifest.
//!
//! Non-goals: whether the blobs are sound ([`verify`](super::bundle::verify)), and
//! images that no object names.
//!
//! Invariant: what only a scan found, and what nobody could render, is told as not
//! proven; it is never told to be there or to be missing for certain.

mod search;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use globset::Glob;
use serde::Serialize;

use super::Error;
use super::bundle::{Bundle, Kind};
use super::find::helm::Helm;
use super::find::{Images, Method, Occurrence, Unproven, Unresolved};
use isoforge_base::digest::Digest;
use isoforge_base::human;
use isoforge_base::shown::Line;
use isoforge_oci::reference::Reference;

/// Version of the report's JSON.
const SCHEMA: u32 = 1;

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Version of this format.
    pub schema: u32,
    /// The bundle.
    pub path: PathBuf,
    /// Whether no image is missing.
    pub complete: bool,
    /// Whether it is certain that no other image is needed.
    pub proven: bool,
    /// How many images are named, guesses not among them.
    pub images: usize,
    /// Images that an object names and the bundle lacks.
    pub missing: Vec<Absent>,
    /// The same, where the profile's `exclude_images` says so.
    pub left_out: Vec<Absent>,
    /// What is not certain.
    pub not_proven: NotProven,
}

/// An image that the bundle lacks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Absent {
    /// Its reference in full.
    pub image: String,
    /// What names it.
    pub places: BTreeSet<Occurrence>,
}

/// What nobody can say for certain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NotProven {
    /// Charts and manifests that could not be rendered.
    pub sources: BTreeSet<Unproven>,
    /// Texts where an image belongs, which name none.
    pub texts: BTreeSet<Unresolved>,
    /// Images that only values look like, and that the bundle lacks.
    pub images: Vec<Absent>,
}

impl NotProven {
    fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.texts.is_empty() && self.images.is_empty()
    }
}

/// What objects of one layer, or of none, name.
#[derive(Debug, Default)]
struct Named {
    images: Images,
    /// Globs of what the profile leaves out.
    exclude: Vec<String>,
}

/// Checks a bundle; charts are rendered by `helm`, where there is one.
///
/// # Errors
/// [`Error`]; what is missing is none.
pub fn check(bundle: &Bundle, helm: Option<Helm>) -> Result<Report, Error> {
    let held = Held::of(bundle)?;
    let mut images = BTreeSet::new();
    let (mut missing, mut left_out) = (BTreeMap::new(), BTreeMap::new());
    let mut guessed = BTreeMap::new();
    let mut not_proven = NotProven::default();
    for named in search::search(bundle, helm)? {
        let is_excluded = matcher(&named.exclude);
        for (image, places) in named.images.images {
            let is_guess = places.iter().all(|place| place.method == Method::Scan);
            if !is_guess {
                images.insert(image.clone());
            }
            if held.has(&image) {
                continue;
            }
            let list = match (is_excluded(&image), is_guess) {
                (true, _) => &mut left_out,
                (false, true) => &mut guessed,
                (false, false) => &mut missing,
            };
            list.entry(image)
                .or_insert_with(BTreeSet::new)
                .extend(places);
        }
        not_proven.sources.extend(named.images.unproven);
        not_proven.texts.extend(named.images.unresolved);
    }
    not_proven.images = listed(guessed);
    let missing = listed(missing);
    Ok(Report {
        schema: SCHEMA,
        path: bundle.path().to_owned(),
        complete: missing.is_empty(),
        proven: not_proven.is_empty(),
        images: images.len(),
        missing,
        left_out: listed(left_out),
        not_proven,
    })
}

fn listed(absent: BTreeMap<String, BTreeSet<Occurrence>>) -> Vec<Absent> {
    let all = absent.into_iter();
    all.map(|(image, places)| Absent { image, places })
        .collect()
}

/// Whether one of the globs, which the profile's reader has checked, matches.
fn matcher(globs: &[String]) -> impl Fn(&str) -> bool + use<> {
    let globs: Vec<_> = globs
        .iter()
        .filter_map(|glob| Glob::new(glob).ok())
        .map(|glob| glob.compile_matcher())
        .collect();
    move |image| globs.iter().any(|glob| glob.is_match(image))
}

/// The images of a bundle.
#[derive(Default)]
struct Held {
    names: BTreeSet<String>,
    /// Repositories, and manifests that they have.
    manifests: BTreeSet<(String, Digest)>,
}

impl Held {
    fn of(bundle: &Bundle) -> Result<Self, Error> {
        let mut held = Self::default();
        let is_image = |kind: &Kind| matches!(kind, Kind::Image | Kind::Provider);
        for root in bundle.roots().iter().filter(|root| is_image(&root.kind)) {
            held.names.insert(root.reference.clone());
            let Some(reference) = root.parsed() else {
                continue;
            };
            let blobs = bundle.walk(root)?.into_iter();
            let manifests = blobs.filter(|blob| blob.media_type.is_manifest());
            held.manifests
                .extend(manifests.map(|blob| (reference.name(), blob.digest)));
        }
        Ok(held)
    }

    fn has(&self, image: &str) -> bool {
        let by_digest = || {
            let reference: Reference = image.parse().ok()?;
            let digest = reference.digest()?;
            Some(self.manifests.contains(&(reference.name(), digest)))
        };
        self.names.contains(image) || by_digest().unwrap_or_default()
    }
}

fn shown(places: &BTreeSet<Occurrence>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for place in places {
        writeln!(f, "  {:<9}  {place}", place.method)?;
    }
    Ok(())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for absent in &self.missing {
            writeln!(f, "missing: {}", Line(&absent.image))?;
            shown(&absent.places, f)?;
        }
        for absent in &self.left_out {
            writeln!(f, "left out by the profile: {}", Line(&absent.image))?;
            shown(&absent.places, f)?;
        }
        for source in &self.not_proven.sources {
            writeln!(
                f,
                "not proven: {}: {}",
                Line(&source.what),
                Line(&source.why)
            )?;
        }
        for text in &self.not_proven.texts {
            writeln!(
                f,
                "not proven: '{}': {}",
                Line(&text.text),
                Line(&text.problem)
            )?;
            writeln!(f, "  {:<9}  {}", text.place.method, text.place)?;
        }
        for absent in &self.not_proven.images {
            writeln!(f, "not proven: {}, which is not there", Line(&absent.image))?;
            shown(&absent.places, f)?;
        }
        let verdict = match (self.missing.len(), self.proven) {
            (0, true) => "complete".to_owned(),
            (0, false) => "not proven to be complete".to_owned(),
            (missing, _) => format!("not complete, {missing} missing"),
        };
        let path = Line(self.path.display());
        let images = human::count(self.images, "image");
        writeln!(f, "{path}: {verdict}, {images} named")
    }
}
