//! Lists of images that are published beside manifests and charts: one reference a
//! line, as `images.txt` of many projects is.
//!
//! What starts images by itself names them nowhere else. So such a list vouches that
//! nothing is missing: what it names is needed, and what only values look like is not.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Images, Method, Occurrence};
use crate::Error;
use isoforge_base::digest::Digest;
use isoforge_oci::reference::Reference;

/// References of lists, each with the place where it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageList {
    images: BTreeMap<Reference, Occurrence>,
}

impl ImageList {
    /// Reads a list.
    ///
    /// # Errors
    /// Of reading; [`Error::Syntax`] where a line is no reference, or none has any.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::parse(&path.display().to_string(), &crate::read_text(path)?)
    }

    /// The list in a text; `file` is what messages call it. Blank lines and what is
    /// behind `#` are passed over.
    ///
    /// # Errors
    /// [`Error::Syntax`].
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let mut out = Self::default();
        let wrong = |line: u64, problem: String| Error::Syntax {
            file: file.to_owned(),
            line,
            column: 1,
            problem,
        };
        for (number, line) in (1_u64..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let reference = line
                .parse::<Reference>()
                .map_err(|error| wrong(number, error.to_string()))?;
            let place = Occurrence {
                method: Method::List,
                file: file.to_owned(),
                line: Some(number),
                object: None,
                path: String::new(),
            };
            out.images.entry(reference).or_insert(place);
        }
        match out.images.is_empty() {
            true => Err(wrong(1, "it lists no image".to_owned())),
            false => Ok(out),
        }
    }

    /// Adds those of another list.
    pub fn extend(&mut self, other: Self) {
        for (image, place) in other.images {
            self.images.entry(image).or_insert(place);
        }
    }

    /// Digest over the references.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let lines: String = self.references().map(|image| image + "\n").collect();
        Digest::of(lines.as_bytes())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// The references in full, in order.
    pub fn references(&self) -> impl Iterator<Item = String> {
        self.images.keys().map(Reference::to_string)
    }

    /// The references with their places.
    pub(crate) fn places(&self) -> impl Iterator<Item = (String, &Occurrence)> {
        let images = self.images.iter();
        images.map(|(image, place)| (image.to_string(), place))
    }

    /// Whether it names an image.
    #[must_use]
    pub fn has(&self, image: &str) -> bool {
        let reference = image.parse::<Reference>();
        reference.is_ok_and(|image| self.images.keys().any(|listed| is_same(listed, &image)))
    }

    /// Those of the list that are none of `images`.
    #[must_use]
    pub fn beside<'a>(&self, images: impl Iterator<Item = &'a String>) -> Vec<String> {
        let found: Vec<Reference> = images.filter_map(|image| image.parse().ok()).collect();
        let listed = self.images.keys();
        let beside = listed.filter(|listed| !found.iter().any(|image| is_same(listed, image)));
        beside.map(Reference::to_string).collect()
    }
}

/// Whether two references are of one image: where one has a tag alone, the other's
/// digest says no other.
fn is_same(a: &Reference, b: &Reference) -> bool {
    let tags = a.tag().is_some() && a.tag() == b.tag();
    let digests = a.digest().is_none() || b.digest().is_none();
    a == b || (a.name() == b.name() && tags && digests)
}

impl Images {
    /// Takes the word of a list for what is needed: guesses that it does not name are
    /// left out, and what could not be searched is in the list. Texts that name no image
    /// stay, since they may become any.
    pub fn vouched_by(&mut self, list: &ImageList) {
        if list.is_empty() {
            return;
        }
        let unlisted = self.images.keys().filter(|image| !list.has(image));
        self.unlisted.extend(unlisted.cloned());
        self.images.retain(|image, places| {
            places.iter().any(|place| place.method != Method::Scan) || list.has(image)
        });
        self.unproven.clear();
    }

    /// Adds what a list names, and tells what nothing else does.
    pub fn take(&mut self, list: &ImageList) {
        self.only_listed.extend(list.beside(self.images.keys()));
        for (listed, place) in &list.images {
            let same = self.images.iter_mut().find(|(image, _)| {
                let image = image.parse::<Reference>();
                image.is_ok_and(|image| is_same(listed, &image))
            });
            match same {
                Some((_, places)) => places.insert(place.clone()),
                None => {
                    let places = self.images.entry(listed.to_string()).or_default();
                    places.insert(place.clone())
                }
            };
        }
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> ImageList {
        ImageList::parse("images.txt", text).unwrap()
    }

    #[test]
    fn lines_comments_and_both_ends_of_lines_are_read() {
        let read =
            list("# all\r\n\r\n  quay.io/x/a:v1  # the first\r\nredis:7\n\tquay.io/x/a:v1\n");
        let names: Vec<String> = read.references().collect();
        assert_eq!(names, ["docker.io/library/redis:7", "quay.io/x/a:v1"]);
    }

    #[test]
    fn what_is_no_list_is_an_error_with_its_line() {
        let refused = |text: &str| {
            ImageList::parse("images.txt", text)
                .unwrap_err()
                .to_string()
        };
        let bad = refused("quay.io/x/a:v1\n- UPPER\n");
        assert!(bad.starts_with("images.txt:2:1: "), "{bad}");
        assert_eq!(refused("# nothing\n"), "images.txt:1:1: it lists no image");
    }

    #[test]
    fn a_digest_beside_the_tag_is_the_same_image() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let read = list(&format!("quay.io/x/a:v1\nquay.io/x/b:v1@{digest}\n"));
        assert!(read.has(&format!("quay.io/x/a:v1@{digest}")) && read.has("quay.io/x/b:v1"));
        assert!(!read.has("quay.io/x/a:v2") && !read.has("quay.io/x/b"));
        let other = format!("quay.io/x/b:v1@sha256:{}", "b".repeat(64));
        assert!(!read.has(&other));
        assert_eq!(read.beside([&other].into_iter()).len(), 2);
    }
}
