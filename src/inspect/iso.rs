//! An installer ISO: volume, boot entries, the build manifest in it, and
//! whether its parts are what that manifest says.

use std::io;
use std::path::Path;

use serde::Serialize;

use super::{DAMAGED, MAX_DOCUMENT_BYTES, system, unreadable};
use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Failure, Result};
use isoforge_base::limit::{self, Budget};
use isoforge_base::progress::Progress;
use isoforge_base::{regular, tree};
use isoforge_contract::iso::{CONTENT, MANIFEST, MARKERS, ROOTFS};
use isoforge_contract::manifest::{Component, Manifest};
use isoforge_formats::iso9660::read::{self, Entry, EntryKind, Image, Limits, Namespace};
use isoforge_oci::layout::{BLOB_FOLDER, INDEX_FILE, REF_NAME, blob_path};
use isoforge_oci::manifest::{Document, Manifest as OciManifest};
use isoforge_oci::referrer;

/// How many markers of a damaged image are named.
const MAX_MARKERS: usize = 8;

/// What is in an ISO image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct IsoReport {
    pub volume_id: String,
    /// Creation time as the volume descriptor has it, `YYYYMMDDHHMMSScc`.
    pub created: String,
    /// Size of the image in bytes.
    pub size: u64,
    /// Whether there is a Joliet tree.
    pub joliet: bool,
    /// Whether there are Rock Ridge names.
    pub rock_ridge: bool,
    /// El Torito entries.
    pub boot: Vec<BootReport>,
    /// The build manifest; none where isoforge did not make the image.
    pub manifest: Option<Manifest>,
    /// The root file system.
    pub squashfs: Option<SquashfsReport>,
    /// What is in the root file system: as the build manifest tells, or, without
    /// one, as the file system itself does.
    pub components: Vec<Component>,
    /// Images for the embedded registry.
    pub content: Vec<ContentReport>,
    /// Bytes of their blobs.
    pub content_bytes: u64,
    /// What could not be found out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What does not hold.
    pub problems: Vec<String>,
}

/// An El Torito entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct BootReport {
    /// `BIOS`, `UEFI`, or the platform's number.
    pub platform: String,
    /// Whether it is marked bootable.
    pub bootable: bool,
    /// Offset of the boot image in bytes.
    pub offset: u64,
    /// 512-byte sectors that the firmware loads.
    pub sectors: u16,
}

/// The SquashFS on the ISO.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SquashfsReport {
    /// Size in bytes.
    pub size: u64,
    pub digest: Digest,
    /// Whether that is what the build manifest says; none without a manifest.
    pub sound: Option<bool>,
}

/// An image for the embedded registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ContentReport {
    /// Its reference.
    pub name: String,
    /// Digest of its index or manifest.
    pub digest: Digest,
}

struct Iso<'a> {
    path: &'a Path,
    image: Image<fs_err::File>,
    entries: Vec<Entry>,
    /// Numbers of the entries, in the order of their paths.
    by_path: Vec<usize>,
    progress: &'a Progress,
    /// Bytes of files that may still be hashed: files may lie over each other.
    hashed: Budget,
    /// Bytes of documents that may still be read.
    documents: Budget,
    problems: Vec<String>,
}

/// The file system on the ISO is damaged.
fn damaged(path: &Path, error: isoforge_formats::Error) -> Failure {
    let message = format!("'{}' can't be read as an ISO image", path.display());
    Failure::from(error).context(message).with_hint(DAMAGED)
}

/// An entry's own name.
fn name(entry: &Entry) -> String {
    tree::split(&entry.path).map_or_else(String::new, |(_, name)| tree::display(name))
}

pub(super) fn inspect(path: &Path, progress: &Progress) -> Result<IsoReport> {
    let error = |error| damaged(path, error);
    let file = regular::open_or_medium(path).map_err(|error| unreadable(path, error))?;
    let mut image = Image::open(file, Limits::default()).map_err(error)?;
    let entries = image.entries(Namespace::Primary).map_err(error)?;
    let boot = image.boot_entries().map_err(error)?;
    let mut by_path: Vec<usize> = (0..entries.len()).collect();
    by_path.sort_by_key(|&number| entries.get(number).map(|entry| &entry.path));
    let mut iso = Iso {
        path,
        hashed: Budget::new(image.bytes()),
        documents: Budget::new(limit::DOCUMENT_BYTES),
        image,
        entries,
        by_path,
        progress,
        problems: Vec::new(),
    };
    let manifest = iso.manifest()?;
    let squashfs = iso.squashfs(manifest.as_ref())?;
    let (content, content_bytes) = iso.content()?;
    let mut notes = Vec::new();
    let components = match &manifest {
        Some(manifest) => manifest
            .architectures
            .values()
            .flat_map(|architecture| architecture.components.clone())
            .collect(),
        None => iso.components().unwrap_or_else(|error| {
            notes.push(format!("{ROOTFS} does not tell its components: {error}"));
            Vec::new()
        }),
    };
    let volume = iso.image.volume().clone();
    Ok(IsoReport {
        volume_id: volume.id,
        created: volume.created,
        size: iso.image.bytes(),
        joliet: volume.joliet,
        rock_ridge: volume.rock_ridge,
        boot: boot.iter().map(BootReport::of).collect(),
        components,
        manifest,
        squashfs,
        content,
        content_bytes,
        notes,
        problems: iso.problems,
    })
}

impl BootReport {
    fn of(entry: &read::BootEntry) -> Self {
        Self {
            platform: match entry.platform {
                0 => "BIOS".to_owned(),
                0xEF => "UEFI".to_owned(),
                other => format!("platform {other:#04x}"),
            },
            bootable: entry.bootable,
            offset: entry.block.offset(),
            sectors: entry.sectors,
        }
    }
}

impl Iso<'_> {
    fn file(&self, path: &str) -> Option<Entry> {
        let path = path.as_bytes();
        let entry = |number: &usize| self.entries.get(*number);
        let before = |number: &usize| entry(number).is_some_and(|it| it.path.as_slice() < path);
        let from = self.by_path.partition_point(before);
        let found = self.by_path.get(from..).unwrap_or_default().iter();
        found
            .map_while(entry)
            .take_while(|entry| entry.path == path)
            .find(|entry| entry.kind == EntryKind::File)
            .cloned()
    }

    /// Numbers of the entries that are directly in a directory.
    fn in_directory(&self, directory: &str) -> Vec<usize> {
        let is_in = |entry: &Entry| {
            tree::split(&entry.path).is_some_and(|(parent, _)| parent == directory.as_bytes())
        };
        let entries = self.entries.iter().enumerate();
        entries
            .filter(|(_, entry)| is_in(entry))
            .map(|(number, _)| number)
            .collect()
    }

    fn hash(&mut self, entry: &Entry) -> Result<(Digest, u64)> {
        self.hashed.take(entry.size).map_err(|bytes| {
            let path = self.path.display();
            let message = format!("the files of '{path}' have more than its {bytes} bytes");
            Failure::new(Class::Verification, message).with_hint(DAMAGED)
        })?;
        let label = format!("check {}", tree::display(&entry.path));
        let task = self.progress.task(&label, Some(entry.size));
        Digest::of_reader(task.reader(self.image.open_file(entry)))
            .map_err(|error| unreadable(self.path, error))
    }

    fn document(&mut self, entry: &Entry) -> Result<Vec<u8>> {
        self.documents.take(entry.size).map_err(|limit| {
            let path = self.path.display();
            let message = format!("'{path}' has more than {limit} bytes of manifests");
            Failure::new(Class::Verification, message)
        })?;
        self.image
            .read_file(entry, MAX_DOCUMENT_BYTES)
            .map_err(|error| damaged(self.path, error))
    }

    /// The build manifest; the marker under `isoforge/id` must have its digest
    /// for a name.
    fn manifest(&mut self) -> Result<Option<Manifest>> {
        let Some(entry) = self.file(MANIFEST) else {
            return Ok(None);
        };
        let text = self.document(&entry)?;
        let digest = Digest::of(&text).hex();
        let mut markers: Vec<String> = self
            .in_directory(MARKERS)
            .into_iter()
            .take(MAX_MARKERS)
            .filter_map(|number| self.entries.get(number))
            .map(name)
            .collect();
        if markers != [digest.clone()] {
            if markers.len() == MAX_MARKERS {
                markers.push("…".to_owned());
            }
            self.problems.push(format!(
                "{MARKERS}: has {}, not the digest of the manifest, {digest}",
                if markers.is_empty() {
                    "nothing".to_owned()
                } else {
                    markers.join(", ")
                }
            ));
        }
        match Manifest::from_json(&text) {
            Ok(manifest) => Ok(Some(manifest)),
            Err(error) => {
                self.problems.push(format!("{MANIFEST}: {error}"));
                Ok(None)
            }
        }
    }

    fn squashfs(&mut self, manifest: Option<&Manifest>) -> Result<Option<SquashfsReport>> {
        let expected = manifest.and_then(|manifest| {
            manifest
                .architectures
                .values()
                .find_map(|architecture| architecture.squashfs.clone())
        });
        let Some(entry) = self.file(ROOTFS) else {
            if expected.is_some() {
                self.problems.push(format!("{ROOTFS} is missing"));
            }
            return Ok(None);
        };
        let (digest, size) = self.hash(&entry)?;
        let sound = expected
            .as_ref()
            .map(|expected| (expected.digest, expected.size) == (digest, size));
        if let (Some(false), Some(expected)) = (sound, expected) {
            self.problems.push(format!(
                "{ROOTFS}: has digest {digest} and {size} bytes; the manifest says {} and {} bytes",
                expected.digest, expected.size
            ));
        }
        Ok(Some(SquashfsReport {
            size,
            digest,
            sound,
        }))
    }

    /// Components of the SquashFS, which must lie in one piece.
    fn components(&self) -> io::Result<Vec<Component>> {
        let Some(entry) = self.file(ROOTFS) else {
            return Ok(Vec::new());
        };
        let mut end = None;
        for section in &entry.sections {
            if end.is_some_and(|end| end != section.offset) {
                return Err(io::Error::other("it lies in several pieces"));
            }
            end = section.offset.checked_add(section.bytes);
        }
        let offset = entry.sections.first().map_or(0, |section| section.offset);
        system::components(regular::open_or_medium(self.path)?, offset)
    }

    /// A name for a manifest that has none: what it is about.
    fn about(&mut self, path: &str) -> Result<String> {
        let Some(entry) = self.file(path) else {
            return Ok(String::new());
        };
        let subject = referrer::subject(&self.document(&entry)?);
        Ok(subject.map_or_else(String::new, |subject| format!("referrer of {subject}")))
    }

    /// Images under `isoforge/content`, and bytes of their blobs.
    fn content(&mut self) -> Result<(Vec<ContentReport>, u64)> {
        let mut bytes = 0;
        for number in self.in_directory(&format!("{CONTENT}/{BLOB_FOLDER}")) {
            let Some(entry) = self.entries.get(number).cloned() else {
                continue;
            };
            let (digest, size) = self.hash(&entry)?;
            bytes += size;
            let name = name(&entry);
            if digest.hex() != name {
                self.problems
                    .push(format!("{CONTENT}: blob {name} has digest {digest}"));
            }
        }
        let index_path = format!("{CONTENT}/{INDEX_FILE}");
        let Some(entry) = self.file(&index_path) else {
            return Ok((Vec::new(), bytes));
        };
        let text = self.document(&entry)?;
        let entries = match OciManifest::parse(text, None).map(|manifest| manifest.document) {
            Ok(Document::Index(entries)) => entries,
            Ok(Document::Image(_)) => {
                self.problems.push(format!("{index_path}: it is no index"));
                Vec::new()
            }
            Err(error) => {
                self.problems.push(format!("{index_path}: {error}"));
                Vec::new()
            }
        };
        let mut content = Vec::new();
        for entry in entries {
            let blob = format!("{CONTENT}/{}", blob_path(&entry.digest));
            let name = match entry.annotations.get(REF_NAME) {
                Some(name) => name.clone(),
                None => self.about(&blob)?,
            };
            if self.file(&blob).is_none() {
                self.problems
                    .push(format!("{CONTENT}: {name} ({}) is missing", entry.digest));
            }
            content.push(ContentReport {
                name,
                digest: entry.digest,
            });
        }
        Ok((content, bytes))
    }
}
