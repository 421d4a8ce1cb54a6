//! Texts with the placeholders `{arch}` and `{version}`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::problem::{Bad, alternatives, did_you_mean};
use isoforge_contract::arch::Arch;
use isoforge_oci::reference::{ImageSource, Reference};

/// What a text with placeholders is filled in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// Fills `{arch}`.
    pub arch: Arch,
    /// The Kubernetes version; fills `{version}`.
    pub version: &'a str,
}

impl Target<'_> {
    /// `text` with its placeholders filled in.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        text.replace("{arch}", self.arch.as_str())
            .replace("{version}", self.version)
    }

    /// Like [`Self::fill`] for image references, whose tags can't have a `+`.
    pub(super) fn fill_tag(&self, text: &str) -> String {
        text.replace("{arch}", self.arch.as_str())
            .replace("{version}", &self.version.replace('+', "_"))
    }
}

/// The name of an image with placeholders `{arch}` and, for Kubernetes,
/// `{version}`. Loading has checked that it can be expanded for every target of
/// the profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct ImageTemplate {
    pub(super) text: String,
    /// What relative paths start from.
    pub(super) directory: PathBuf,
}

impl ImageTemplate {
    /// The image for `target`.
    ///
    /// # Errors
    /// The text names no image; never for a loaded profile and its own targets.
    pub fn expand(&self, target: Target<'_>) -> Result<ImageSource, isoforge_oci::Error> {
        let source: ImageSource = target.fill_tag(&self.text).parse()?;
        Ok(source.resolve_from(&self.directory))
    }
}

impl From<ImageTemplate> for String {
    fn from(template: ImageTemplate) -> Self {
        template.text
    }
}

/// A path with placeholders `{arch}` and, for Kubernetes, `{version}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct PathTemplate {
    pub(super) text: String,
    pub(super) directory: PathBuf,
}

impl PathTemplate {
    /// The path for `target`.
    #[must_use]
    pub fn expand(&self, target: Target<'_>) -> PathBuf {
        self.directory.join(target.fill(&self.text))
    }

    /// What relative paths start from.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

impl From<PathTemplate> for String {
    fn from(template: PathTemplate) -> Self {
        template.text
    }
}

/// Checks that only `known` placeholders are in `text`.
pub(crate) fn check(text: &str, known: &[&str]) -> Result<(), Bad> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('{') {
        let Some((inner, tail)) = after.split_once('}') else {
            return Err(Bad::new("a '{' without '}'", braced(known)));
        };
        if !known.contains(&inner) {
            let mut bad = Bad::new(format!("unknown placeholder '{{{inner}}}'"), braced(known));
            bad.help = did_you_mean(inner, known.iter().copied());
            return Err(bad);
        }
        rest = tail;
    }
    if rest.contains('}') {
        return Err(Bad::new("a '}' without '{'", braced(known)));
    }
    Ok(())
}

fn braced(known: &[&str]) -> String {
    let braced: Vec<_> = known.iter().map(|k| format!("{{{k}}}")).collect();
    alternatives(&braced.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Checks the name of an image for every target.
pub(crate) fn image(text: &str, known: &[&str], targets: &[Target<'_>]) -> Result<(), Bad> {
    check(text, known)?;
    for target in targets {
        let _: ImageSource = target.fill_tag(text).parse().map_err(|error| Bad {
            expected: "a registry reference, oci:DIR[:TAG], oci-archive:FILE[:TAG] or \
                       docker-archive:FILE[:TAG]"
                .to_owned(),
            ..Bad::from(error)
        })?;
    }
    Ok(())
}

/// Checks a registry reference for every target.
pub(crate) fn reference(text: &str, known: &[&str], targets: &[Target<'_>]) -> Result<(), Bad> {
    check(text, known)?;
    for target in targets {
        let _: Reference = target.fill_tag(text).parse()?;
    }
    Ok(())
}
