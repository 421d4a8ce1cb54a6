//! Which images of a layout go where.

use std::collections::BTreeSet;

use super::Error;
use crate::layout::{IMAGE_NAME, REF_NAME};
use crate::manifest::Descriptor;
use crate::reference::{ParseReferenceError, Problem, Reference};
use crate::registry::push::ImageLayout;

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
    type Err = ParseReferenceError;

    /// Reads `REPOSITORY` or `REPOSITORY:TAG`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // With a tag behind one that is there already it is no reference.
        let plain: Result<Reference, _> = format!("{text}:tag").parse();
        let reference: Reference = match &plain {
            Ok(reference) => reference.clone(),
            Err(_) => text.parse()?,
        };
        if reference.digest().is_some() {
            return Err(ParseReferenceError {
                text: text.to_owned(),
                problem: Problem::Pinned,
            });
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
    let path = || layout.path().to_owned();
    let mut entries = layout.images()?;
    for wanted in tags {
        if !entries.iter().any(|entry| name(entry) == Some(wanted)) {
            return Err(Error::UnknownTag {
                path: path(),
                wanted: wanted.clone(),
                names: entries.iter().filter_map(name).cloned().collect(),
            });
        }
    }
    if !tags.is_empty() {
        entries.retain(|entry| name(entry).is_some_and(|name| tags.contains(name)));
    }
    if entries.is_empty() {
        return Err(Error::Empty { path: path() });
    }
    let reference = match to {
        Some(to) => to.reference.clone(),
        None => recorded(layout, &entries)?,
    };
    let tag = to.and_then(|to| to.tag.as_ref().map(|tag| (to, tag)));
    let images = match tag {
        Some((to, _)) if entries.len() > 1 => {
            return Err(Error::OneTag {
                to: to.text.clone(),
                images: entries.len(),
            });
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
            name => Err(Error::NoTag {
                path: layout.path().to_owned(),
                name,
            }),
        }
    };
    entries.into_iter().map(tag).collect()
}

/// The repository that all the images were built for.
fn recorded(layout: &ImageLayout, entries: &[Descriptor]) -> Result<Reference, Error> {
    let path = layout.path().to_owned();
    let mut found = Vec::with_capacity(entries.len());
    for entry in entries {
        match entry.annotations.get(IMAGE_NAME).map(|name| name.parse()) {
            Some(Ok(reference)) => found.push(reference),
            _ => return Err(Error::NoRepository { path }),
        }
    }
    let repositories: BTreeSet<String> = found.iter().map(Reference::name).collect();
    match found.into_iter().next() {
        Some(reference) if repositories.len() == 1 => Ok(reference),
        _ => Err(Error::Repositories {
            path,
            repositories: repositories.into_iter().collect(),
        }),
    }
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
