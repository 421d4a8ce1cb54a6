//! Which images of a layout go where.

use std::collections::BTreeSet;

use crate::Error;
use crate::layout::{IMAGE_NAME, REF_NAME, has_name, typed_names};
use crate::manifest::Descriptor;
use crate::reference::{Reference, unfit};
use crate::registry::push::ImageLayout;
use isoforge_base::digest::Digest;
use isoforge_base::error::Class;

/// Images and where they go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Registry and repository.
    pub repository: String,
    /// The same as a reference, whose tag means nothing.
    pub reference: Reference,
    /// The images and their tags.
    pub images: Vec<(Descriptor, String)>,
}

/// Where to push to, as the user has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    text: String,
    reference: Reference,
    tag: Option<String>,
}

impl std::str::FromStr for Destination {
    type Err = Error;

    /// Reads `REPOSITORY` or `REPOSITORY:TAG`.
    fn from_str(text: &str) -> Result<Self, Error> {
        // With a tag behind one that is there already it is no reference.
        let plain: Result<Reference, _> = format!("{text}:tag").parse();
        let reference: Reference = match &plain {
            Ok(reference) => reference.clone(),
            Err(_) => text.parse()?,
        };
        if reference.digest().is_some() {
            return Err(unfit(text, "a place to push to has no digest"));
        }
        Ok(Self {
            text: text.to_owned(),
            tag: match plain {
                Ok(_) => None,
                Err(_) => reference.tag().map(str::to_owned),
            },
            reference,
        })
    }
}

/// Chooses the images of `layout` that have one of `tags`, all without any, and
/// the repository that they go to: `to`, else the one that they were built for.
///
/// # Errors
/// See [`Error`].
pub fn select(
    layout: &ImageLayout,
    to: Option<&Destination>,
    tags: &[String],
) -> Result<Selection, Error> {
    let path = layout.path().display();
    let mut entries = layout.images()?;
    for wanted in tags {
        let called = entries.iter().filter(|entry| has_name(entry, wanted));
        let called: BTreeSet<Digest> = called.map(|entry| entry.digest).collect();
        let problem = match called.len() {
            0 => format!("{path} holds no image '{wanted}'"),
            1 => continue,
            _ => format!("{path} holds several images '{wanted}'"),
        };
        let problem = format!("{problem}; there are: {}", names(&entries));
        return Err(refused(problem).with_hint("without --tag all of them are pushed"));
    }
    if !tags.is_empty() {
        entries.retain(|entry| tags.iter().any(|wanted| has_name(entry, wanted)));
    }
    if entries.is_empty() {
        return Err(refused(format!("{path} holds no image")));
    }
    let reference = match to {
        Some(to) => to.reference.clone(),
        None => recorded(layout, &entries)?,
    };
    let tag = to.and_then(|to| to.tag.as_ref().map(|tag| (to, tag)));
    if tag.is_some() {
        // Several names of one image are one image.
        let mut seen = BTreeSet::new();
        entries.retain(|entry| seen.insert(entry.digest));
    }
    let images = match tag {
        Some((to, _)) if entries.len() > 1 => {
            let images = entries.len();
            let problem = format!(
                "'{}' has a tag, but there are {images} images to push",
                to.text
            );
            let hint = "leave the tag out, or choose one image with --tag";
            return Err(refused(problem).with_hint(hint));
        }
        Some((_, tag)) => entries.into_iter().map(|e| (e, tag.clone())).collect(),
        None => tagged(layout, entries, &reference)?,
    };
    Ok(Selection {
        repository: reference.name(),
        reference,
        images,
    })
}

fn name(entry: &Descriptor) -> Option<&String> {
    entry.annotations.get(REF_NAME)
}

/// Each image with its name in the layout as its tag.
fn tagged(
    layout: &ImageLayout,
    entries: Vec<Descriptor>,
    repository: &Reference,
) -> Result<Vec<(Descriptor, String)>, Error> {
    let tag = |entry: Descriptor| {
        let name = name(&entry).cloned();
        let fits = |tag: &String| {
            let tagged: Result<Reference, _> = format!("{}:{tag}", repository.name()).parse();
            tagged.is_ok_and(|tagged| tagged.tag() == Some(tag))
        };
        match name {
            Some(tag) if fits(&tag) => Ok((entry, tag)),
            name => {
                let name = name.map_or("without a name".to_owned(), |name| {
                    format!("'{name}', which is no tag")
                });
                let problem = format!("{} holds an image {name}", layout.path().display());
                let hint = "give it a tag: --to REPOSITORY:TAG, for one image at a time";
                Err(refused(problem).with_hint(hint))
            }
        }
    };
    let offered = names(&entries);
    let mut images: Vec<(Descriptor, String)> = Vec::with_capacity(entries.len());
    for entry in entries {
        let (entry, tag) = tag(entry)?;
        match images.iter().find(|(_, other)| *other == tag) {
            None => images.push((entry, tag)),
            Some((other, _)) if other.digest == entry.digest => {}
            // The second would take the tag from the first.
            Some(_) => {
                let path = layout.path().display();
                let problem =
                    format!("{path} holds several images with the tag '{tag}': {offered}");
                let hint = "push one at a time with --tag NAME and --to REPOSITORY:TAG";
                return Err(refused(problem).with_hint(hint));
            }
        }
    }
    Ok(images)
}

/// What images can be chosen by.
fn names(entries: &[Descriptor]) -> String {
    let names: Vec<&str> = typed_names(entries)
        .map(|(name, _)| name.as_str())
        .collect();
    match names.as_slice() {
        [] => "none with a name that leads to one alone".to_owned(),
        names => names.join(", "),
    }
}

/// The repository that all the images were built for.
fn recorded(layout: &ImageLayout, entries: &[Descriptor]) -> Result<Reference, Error> {
    let path = layout.path().display();
    let mut found = Vec::with_capacity(entries.len());
    for entry in entries {
        match entry.annotations.get(IMAGE_NAME).map(|name| name.parse()) {
            Some(Ok(reference)) => found.push(reference),
            _ => {
                let problem = format!("{path} does not say which repository it is for");
                let hint = "name one with --to, as in registry.example/edge/ubuntu; a build records provider.repository where it begins with a registry's host";
                return Err(refused(problem).with_hint(hint));
            }
        }
    }
    let repositories: BTreeSet<String> = found.iter().map(Reference::name).collect();
    match found.into_iter().next() {
        Some(reference) if repositories.len() == 1 => Ok(reference),
        _ => {
            let repositories: Vec<String> = repositories.into_iter().collect();
            let repositories = repositories.join(", ");
            let problem = format!("{path} is for several repositories: {repositories}");
            Err(refused(problem).with_hint("choose with --tag, or name one with --to"))
        }
    }
}

fn refused(problem: String) -> Error {
    Error::new(Class::Profile, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_has_a_tag_where_one_is_written() {
        let parse = |text: &str| {
            let to: Destination = text.parse().unwrap();
            (to.reference.name(), to.tag)
        };
        let tag = |tag: &str| Some(tag.to_owned());
        assert_eq!(parse("r.io/a/b"), ("r.io/a/b".to_owned(), None));
        assert_eq!(parse("r.io/a/b:v1"), ("r.io/a/b".to_owned(), tag("v1")));
        assert_eq!(parse("r.io:5000/a"), ("r.io:5000/a".to_owned(), None));
        for text in ["", "r.io/A", "https://r.io/a", "r.io/a:b:c", "r.io/a: "] {
            assert!(text.parse::<Destination>().is_err(), "{text}");
        }
        let digest = format!("r.io/a@sha256:{}", "0".repeat(64));
        assert!(digest.parse::<Destination>().is_err());
    }
}
