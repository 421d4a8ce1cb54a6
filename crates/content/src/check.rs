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
//! proven; it is never told to be there or to be missing for certain. Words that may
//! be images are told, and decide nothing.

mod search;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use globset::Glob;
use serde::Serialize;

use super::Error;
use super::bundle::{Bundle, Kind};
use super::find::helm::Helm;
use super::find::{self, ImageList};
use super::find::{Images, Likely, Method, Occurrence, Unproven, Unresolved};
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
    /// Images that an object names, the bundle has and no list names.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub unlisted: BTreeSet<String>,
    /// Words that may be images, which the bundle lacks.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub may_be: BTreeSet<Likely>,
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
    /// Whether a kustomization that nobody built is among the manifests: it may change
    /// what the others name.
    is_kustomized: bool,
}

impl Named {
    /// What a list names beside the layers; what a layer leaves out is left out of it too.
    fn of_list(list: &ImageList, layers: &[Self]) -> Self {
        let sure = layers.iter().flat_map(|layer| {
            let images = layer.images.images.iter();
            images.filter(|(_, places)| !places.iter().all(|place| layer.is_guess(place)))
        });
        let beside = list.beside(sure.map(|(image, _)| image));
        let mut named = Self {
            exclude: layers.iter().flat_map(|one| one.exclude.clone()).collect(),
            ..Self::default()
        };
        let places = list.places();
        for (image, place) in places.filter(|(image, _)| beside.contains(image)) {
            named.images.images.insert(image, [place.clone()].into());
        }
        named
    }

    /// Whether nobody can say that what stands at a place is needed.
    fn is_guess(&self, place: &Occurrence) -> bool {
        match place.method {
            Method::Scan => true,
            Method::Manifests => self.is_kustomized,
            Method::Pack | Method::List | Method::Helm => false,
        }
    }
}

/// Checks a bundle; charts are rendered by `helm`, where there is one. What `list` names
/// must be there as well; of which objects it speaks nobody says, so it vouches for none.
///
/// # Errors
/// [`Error`]; what is missing is none.
pub fn check(bundle: &Bundle, helm: Option<Helm>, list: &ImageList) -> Result<Report, Error> {
    let held = Held::of(bundle)?;
    let mut images = BTreeSet::new();
    let (mut missing, mut left_out) = (BTreeMap::new(), BTreeMap::new());
    let mut guessed = BTreeMap::new();
    let mut not_proven = NotProven::default();
    let mut likely = BTreeSet::new();
    let (mut unlisted, mut all) = (BTreeSet::new(), search::search(bundle, helm)?);
    all.push(Named::of_list(list, &all));
    for named in &mut all {
        let is_excluded = matcher(&named.exclude);
        for (image, places) in std::mem::take(&mut named.images.images) {
            let is_guess = places.iter().all(|place| named.is_guess(place));
            if !is_guess && !list.is_empty() && !list.has(&image) && !is_excluded(&image) {
                unlisted.insert(image.clone());
            }
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
        let images = std::mem::take(&mut named.images);
        not_proven.sources.extend(images.unproven);
        not_proven.texts.extend(images.unresolved);
        let unsaid = |likely: &Likely| match likely.reference() {
            Some(image) => !held.has(&image) && !is_excluded(&image),
            None => true,
        };
        likely.extend(images.may_be.into_iter().filter(unsaid));
    }
    // Those that an object names are told as such.
    let is_named = |likely: &Likely| likely.reference().is_some_and(|it| images.contains(&it));
    likely.retain(|likely| !is_named(likely));
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
        unlisted,
        may_be: likely,
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
        for image in &self.unlisted {
            writeln!(f, "not in the list: {}", Line(image))?;
        }
        write!(f, "{}", find::Told(&self.may_be))?;
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
