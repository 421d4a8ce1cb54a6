//! Images in an OCI image layout, as a folder or as an archive.
//!
//! OCI Image Specification v1.1, "Image Layout".

use std::path::Path;

use serde::Deserialize;

use super::files::{Files, Opened};
use super::{BlobRest, Expected, Registry, checked_manifest};
use crate::Error;
use crate::layout::{
    BLOB_FOLDER, DOCKER_FILE, INDEX_FILE, LAYOUT_FILE, LAYOUT_VERSION, REF_NAME, blob_path,
    has_name, typed_names,
};
use crate::manifest::{self, Descriptor, Document, MAX_MANIFEST_BYTES, Manifest};
use crate::media::{Family, MediaType};
use crate::reference::ImageSource;
use crate::referrer;
use isoforge_base::digest::Digest;

/// Largest `oci-layout` file accepted.
const MAX_MARKER_BYTES: u64 = 64 * 1024;

/// One image of a layout.
#[derive(Debug)]
pub(super) struct LayoutRegistry {
    files: Files,
    tag: Option<String>,
}

impl LayoutRegistry {
    pub(super) fn open(files: Files, tag: Option<&str>) -> Result<Self, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Marker {
            image_layout_version: String,
        }
        let Some(marker) = files.read(LAYOUT_FILE, MAX_MARKER_BYTES)? else {
            let problem = if files.open(DOCKER_FILE)?.is_some() {
                "is what docker save writes; write docker-archive:FILE"
            } else {
                "is no OCI image layout (oci-layout is missing)"
            };
            return Err(files.wrong(problem.to_owned()));
        };
        match serde_json::from_slice::<Marker>(&marker) {
            Ok(marker) if marker.image_layout_version == LAYOUT_VERSION => Ok(Self {
                files,
                tag: tag.map(str::to_owned),
            }),
            Ok(marker) => Err(files.wrong(format!(
                "is an image layout of the unknown version {}",
                marker.image_layout_version
            ))),
            Err(error) => Err(files.wrong(format!("has a malformed oci-layout: {error}"))),
        }
    }

    /// Opens the layout in a folder or an archive; `scratch` is where a
    /// compressed archive is unpacked.
    pub(super) fn at(path: &Path, scratch: &Path) -> Result<Self, Error> {
        let (dir, file, tag) = (path.to_owned(), path.to_owned(), None);
        let files = if path.is_dir() {
            Files::folder(path, &ImageSource::OciDir { dir, tag })?
        } else {
            Files::archive(path, &ImageSource::OciArchive { file, tag }, scratch)?
        };
        Self::open(files, None)
    }

    /// `index.json`, and the images that it lists.
    pub(super) fn index(&self) -> Result<(Manifest, Vec<Descriptor>), Error> {
        let raw = self.files.require(INDEX_FILE, MAX_MANIFEST_BYTES)?;
        let expected = Expected {
            media_type: Some(&MediaType::Index(Family::Oci)),
            ..Expected::default()
        };
        let index = checked_manifest(self.files.place(INDEX_FILE), raw, expected)?;
        match &index.document {
            Document::Index(entries) => {
                let entries = entries.clone();
                Ok((index, entries))
            }
            Document::Image(_) => Err(self.files.wrong("has no index in index.json".to_owned())),
        }
    }

    /// Whether a blob is there.
    pub(super) fn has_blob(&self, digest: &Digest) -> Result<bool, Error> {
        Ok(self.files.open(&blob_path(digest))?.is_some())
    }

    /// Opens a blob of `size` bytes.
    pub(super) fn open_blob(&self, digest: &Digest, size: u64) -> Result<Opened, Error> {
        let name = blob_path(digest);
        let opened = self
            .files
            .open(&name)?
            .ok_or_else(|| self.files.wrong(format!("{name} is missing")))?;
        if opened.size != size {
            return Err(Error::Length {
                place: self.files.place(&name),
                expected: size,
                found: opened.size,
            });
        }
        Ok(opened)
    }

    /// The folder or archive.
    pub(super) fn path(&self) -> &Path {
        self.files.path()
    }

    /// Where a blob is, for messages.
    pub(super) fn place(&self, digest: &Digest) -> String {
        self.files.place(&blob_path(digest))
    }
}

/// A layout as a whole, whatever it holds: for who takes in more than an image.
#[derive(Debug)]
pub struct WholeLayout(LayoutRegistry);

impl WholeLayout {
    /// Opens the layout in a folder or an archive; `scratch` is where a
    /// compressed archive is unpacked.
    ///
    /// # Errors
    /// Where there is none.
    pub fn open(path: &Path, scratch: &Path) -> Result<Self, Error> {
        Ok(Self(LayoutRegistry::at(path, scratch)?))
    }

    /// The layout that `files` are.
    ///
    /// # Errors
    /// [`Error::Format`] where they are none.
    pub fn of(files: Files) -> Result<Self, Error> {
        Ok(Self(LayoutRegistry::open(files, None)?))
    }

    /// The folder or archive.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where a blob is, for messages.
    #[must_use]
    pub fn place(&self, digest: &Digest) -> String {
        self.0.place(digest)
    }

    /// `index.json` as it is, and what it lists.
    ///
    /// # Errors
    /// Where it is missing or malformed.
    pub fn index(&self) -> Result<(Manifest, Vec<Descriptor>), Error> {
        self.0.index()
    }

    /// Names and sizes of all blobs, whatever leads to them, sorted. A name should be
    /// the hex digits of a digest.
    ///
    /// # Errors
    /// What the system says.
    pub fn blob_files(&self) -> Result<Vec<(String, u64)>, Error> {
        self.0.files.list(BLOB_FOLDER)
    }

    /// A blob, whose digest is to be checked; `None` where it is missing.
    ///
    /// # Errors
    /// What the system says.
    pub fn open_blob(&self, digest: &Digest) -> Result<Option<Opened>, Error> {
        self.0.files.open(&blob_path(digest))
    }

    /// The manifest or index that a descriptor names, its digest checked; `None`
    /// where the layout leaves it out, as one with some platforms of an index.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn manifest(&self, descriptor: &Descriptor) -> Result<Option<Manifest>, Error> {
        if self.0.files.open(&blob_path(&descriptor.digest))?.is_none() {
            return Ok(None);
        }
        self.0.manifest(descriptor).map(Some)
    }
}

impl Registry for LayoutRegistry {
    fn resolve(&self) -> Result<Manifest, Error> {
        let (index, entries) = self.index()?;
        let matching: Vec<&Descriptor> = entries
            .iter()
            .filter(|entry| !entry.is_attestation())
            .filter(|entry| self.tag.as_deref().is_none_or(|tag| has_name(entry, tag)))
            .collect();
        let choice = |wanted: &str| {
            Err(self
                .files
                .choice(wanted, typed_names(&entries).map(|(name, _)| name)))
        };
        match (matching.as_slice(), &self.tag) {
            // Two names of one digest are one image.
            ([one, others @ ..], _) if others.iter().all(|other| other.digest == one.digest) => {
                self.manifest(one)
            }
            ([], Some(tag)) => choice(&format!("no image is called {tag}")),
            ([], None) => Err(self.files.wrong("holds no image".to_owned())),
            // Some tools list an image's platforms right in index.json.
            (several, None)
                if several
                    .iter()
                    .all(|e| e.platform.is_some() && !e.annotations.contains_key(REF_NAME)) =>
            {
                Ok(index)
            }
            (_, Some(tag)) => choice(&format!("several are called {tag}")),
            (_, None) => choice("it holds several images"),
        }
    }

    fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest, Error> {
        let name = blob_path(&descriptor.digest);
        let raw = self.files.require(&name, MAX_MANIFEST_BYTES)?;
        checked_manifest(self.files.place(&name), raw, descriptor.into())
    }

    fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<BlobRest<'_>, Error> {
        let is_foreign = matches!(descriptor.media_type, MediaType::ForeignLayer(_));
        if is_foreign && !self.has_blob(&descriptor.digest)? {
            return Err(manifest::foreign_layer(descriptor));
        }
        self.open_blob(&descriptor.digest, descriptor.size)?
            .from(offset)
    }

    fn listed_referrers(&self, subject: &Digest) -> Result<Option<Vec<Descriptor>>, Error> {
        let (_, entries) = self.index()?;
        let mut listed = Vec::new();
        for entry in entries {
            let raw = self
                .files
                .require(&blob_path(&entry.digest), MAX_MANIFEST_BYTES)?;
            if referrer::subject(&raw) == Some(*subject) {
                listed.push(entry);
            }
        }
        Ok(Some(listed))
    }

    fn tagged(&self, tag: &str) -> Result<Option<Manifest>, Error> {
        let (_, entries) = self.index()?;
        let suffix = format!(":{tag}");
        let is_it = |entry: &&Descriptor| {
            let name = entry.annotations.get(REF_NAME);
            name.is_some_and(|name| name == tag || name.ends_with(&suffix))
        };
        entries
            .iter()
            .find(is_it)
            .map(|entry| self.manifest(entry))
            .transpose()
    }
}
