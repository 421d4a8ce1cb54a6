//! Which images a cluster's content needs, where each was found, and how.
//!
//! | method | found in |
//! |---|---|
//! | `pack` | the list of a pack (`pack.content.images`) |
//! | `manifests` | objects of manifests: containers of pods, and what [`Rule`]s say |
//! | `helm` | objects that Helm rendered from a chart |
//! | `scan` | values of a chart, which only look like images |
//! | `list` | a list that is published beside them ([`ImageList`]) |
//!
//! Words that containers are started with, settings and annotations are images where
//! they are references in full and stand where images do; what only looks like one is
//! [`Likely`] and told.
//!
//! Only `scan` is a guess. A chart that was scanned and whose pack lists no
//! images is [`Unproven`]; so is a text that is no reference, since it may become
//! one on the cluster.

pub mod helm;
mod image_value;
pub(crate) mod kustomization;
pub mod kustomize;
mod list;
pub mod manifests;
mod objects;
mod path;
mod scan;
pub(crate) mod target;
mod texts;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

pub use list::ImageList;
pub use path::Rule;
use path::standard_rules;
pub use target::{Manifests, Options, Target, in_pack_alone, in_plain_chart};

use super::macros;
use isoforge_base::shown::Line;
use isoforge_oci::reference::Reference;

/// How an image was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The pack lists it.
    Pack,
    /// A list that is published beside manifests and charts names it.
    List,
    /// A manifest's object names it.
    Manifests,
    /// An object that Helm rendered names it.
    Helm,
    /// A chart's values look like it.
    Scan,
}

impl Method {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pack => "pack",
            Self::List => "list",
            Self::Manifests => "manifests",
            Self::Helm => "helm",
            Self::Scan => "scan",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An object of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Object {
    /// Its kind.
    pub kind: String,
    /// Its namespace, where it says one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name; `?` where it has none.
    pub name: String,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// Where an image was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Occurrence {
    /// How.
    pub method: Method,
    /// The file, within its archive where it lies in one.
    pub file: String,
    /// Its line, where the file itself was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The object, where the file holds such.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<Object>,
    /// The path in the object or values.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
}

impl fmt::Display for Occurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Line(&self.file))?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(object) = &self.object {
            write!(f, "  {}", Line(object))?;
        }
        match self.path.is_empty() {
            true => Ok(()),
            false => write!(f, "  {}", Line(&self.path)),
        }
    }
}

/// A text where an image belongs, which names none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unresolved {
    /// The text.
    pub text: String,
    /// Why it names none.
    pub problem: String,
    /// Where it stands.
    pub place: Occurrence,
}

/// A chart or templated manifest of which nobody said for certain which images
/// it needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unproven {
    /// The chart or manifest.
    pub what: String,
    /// Why.
    pub why: String,
}

/// A word that may be an image, where nobody says that images stand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Likely {
    /// The word.
    pub text: String,
    /// Where it stands.
    pub place: Occurrence,
}

impl Likely {
    /// The reference in full, where the word is one.
    #[must_use]
    pub fn reference(&self) -> Option<String> {
        let reference: Reference = self.text.parse().ok()?;
        Some(reference.to_string())
    }
}

/// Words that may be images, each with all its places.
pub(crate) struct Told<'a>(pub(crate) &'a BTreeSet<Likely>);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = None;
        for likely in self.0 {
            // The same word at several places.
            if last.replace(&likely.text) != Some(&likely.text) {
                writeln!(f, "may be an image: '{}'", Line(&likely.text))?;
            }
            writeln!(f, "  {:<9}  {}", likely.place.method, likely.place)?;
        }
        Ok(())
    }
}

/// Images with the places where each was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Images {
    /// By reference in full.
    pub images: BTreeMap<String, BTreeSet<Occurrence>>,
    /// Texts that name no image.
    pub unresolved: BTreeSet<Unresolved>,
    /// What was not searched for certain.
    pub unproven: BTreeSet<Unproven>,
    /// Words that may be images; those that were found elsewhere are not among them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub may_be: BTreeSet<Likely>,
    /// Images that only a list names.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub only_listed: BTreeSet<String>,
    /// Images that were found, guesses among them, and that no list names.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub unlisted: BTreeSet<String>,
}

impl Images {
    /// Adds what a place says. A text that is no reference is unresolved.
    pub fn add(&mut self, text: &str, place: Occurrence) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        let problem = match text.parse::<Reference>() {
            Ok(reference) => {
                let places = self.images.entry(reference.to_string()).or_default();
                places.insert(place);
                return;
            }
            Err(_) if macros::has_macro(text) => {
                let paths: Vec<String> = macros::paths(text).into_iter().collect();
                format!(
                    "a macro stands in it without an answer: {}",
                    paths.join(", ")
                )
            }
            Err(_) if text.contains("{{") => "a template stands in it".to_owned(),
            Err(_) if text.contains("$(") || text.contains("${") => {
                "a variable stands in it".to_owned()
            }
            Err(error) => error.into_problem(),
        };
        self.add_unresolved(text, problem, place);
    }

    /// Adds a text that names no image.
    pub(super) fn add_unresolved(&mut self, text: &str, problem: String, place: Occurrence) {
        self.unresolved.insert(Unresolved {
            text: text.to_owned(),
            problem,
            place,
        });
    }

    /// Adds a word that may be an image.
    pub(super) fn add_likely(&mut self, text: &str, place: Occurrence) {
        let text = text.to_owned();
        self.may_be.insert(Likely { text, place });
    }

    /// Adds what was not searched for certain.
    pub(super) fn add_unproven(&mut self, what: &str, why: &str) {
        self.unproven.insert(Unproven {
            what: what.to_owned(),
            why: why.to_owned(),
        });
    }

    /// Leaves out of the words that may be images those that were found to be.
    fn settle(&mut self) {
        let images = &self.images;
        let is_found = |image: String| images.contains_key(&image);
        self.may_be
            .retain(|likely| !likely.reference().is_some_and(is_found));
    }

    /// Adds all that `other` has.
    pub fn extend(&mut self, other: Self) {
        for (image, places) in other.images {
            self.images.entry(image).or_default().extend(places);
        }
        self.unresolved.extend(other.unresolved);
        self.unproven.extend(other.unproven);
        self.may_be.extend(other.may_be);
        self.only_listed.extend(other.only_listed);
        self.unlisted.extend(other.unlisted);
        self.settle();
    }

    /// The methods by which images were found.
    #[must_use]
    pub fn methods(&self) -> BTreeSet<Method> {
        let places = self.images.values().flatten();
        places.map(|place| place.method).collect()
    }

    /// Whether every image is certain.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.unresolved.is_empty() && self.unproven.is_empty()
    }
}

impl fmt::Display for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (image, places) in &self.images {
            writeln!(f, "{}", Line(image))?;
            for place in places {
                writeln!(f, "  {:<9}  {place}", place.method)?;
            }
        }
        for unresolved in &self.unresolved {
            let (text, problem) = (Line(&unresolved.text), Line(&unresolved.problem));
            writeln!(f, "not resolved: '{text}': {problem}")?;
            let place = &unresolved.place;
            writeln!(f, "  {:<9}  {place}", place.method)?;
        }
        for unproven in &self.unproven {
            let (what, why) = (Line(&unproven.what), Line(&unproven.why));
            writeln!(f, "not proven: {what}: {why}")?;
        }
        write!(f, "{}", Told(&self.may_be))?;
        for image in &self.only_listed {
            writeln!(f, "only in the list: {}", Line(image))?;
        }
        for image in &self.unlisted {
            writeln!(f, "not in the list: {}", Line(image))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
