//! Bundles as files: what is damaged in them on the way to the machine gets nowhere.

use std::path::{Path, PathBuf};

use appliance::content::inspect::list;
use appliance::content::source::OfBundle;
use appliance::content::storage::Storage;
use appliance::content::zot::{Report, import};
use insta::assert_snapshot;
use isoforge_base::digest::Digest;
use isoforge_base::progress::Progress;
use isoforge_content::bundle::{Blobs, Bundle, Composer, Form, Kind, Target, write};
use isoforge_oci::layout::OciLayout;

use crate::OPTIONS;
use crate::source::Memory;

/// All blobs are in the layout itself.
#[derive(Debug)]
struct Nothing;

impl Blobs for Nothing {
    fn open(
        &self,
        digest: &Digest,
        _: u64,
    ) -> Result<Box<dyn std::io::Read + Send>, isoforge_content::Error> {
        panic!("{digest}")
    }
}

/// Bytes that do not compress.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

/// Two images of noise; the second one differs by `seed`.
fn composed(seed: u64) -> Composer {
    let mut memory = Memory::default();
    let (base, own) = (noise(1, 200_000), noise(seed, 50_000));
    let first = memory.image(&[&base]);
    let second = memory.image(&[&base, &own]);
    let mut composer = Composer::new("tools", &format!("1.0.{seed}"));
    for bytes in memory.blobs.into_values() {
        composer.bytes(bytes);
    }
    for (name, root) in [("r.example/first:1", first), ("r.example/second:1", second)] {
        composer.root(name, &Kind::Image, root).unwrap();
    }
    composer
}

fn written(layout: &OciLayout, folder: &Path, name: &str, form: Form) -> PathBuf {
    let target = Target {
        folder,
        name,
        form,
        replace: false,
    };
    let written = write(layout, &Nothing, &target, &Progress::silent()).unwrap();
    written.path
}

const ARCHIVE: Form = Form::Archive { part_bytes: None };

/// Where an import of a file may end.
#[derive(Debug)]
enum Failure {
    Open(isoforge_content::Error),
    Import(anyhow::Error),
}

impl Failure {
    fn text(&self, dir: &Path) -> String {
        let mut error: &dyn std::error::Error = match self {
            Self::Open(error) => error,
            Self::Import(error) => &**error,
        };
        let mut text = error.to_string();
        while let Some(cause) = error.source() {
            text.push_str(&format!(": {cause}"));
            error = cause;
        }
        text.replace(&dir.display().to_string(), "DIR")
    }
}

fn fill(root: &Path, file: &Path) -> Result<Report, Failure> {
    let source = OfBundle::open(file).map_err(Failure::Open)?;
    import(root, &source, &OPTIONS, &Progress::silent()).map_err(Failure::Import)
}

fn names(root: &Path) -> Vec<String> {
    let listing = list(&Storage::open(root).unwrap()).unwrap();
    let images = listing.images.into_iter();
    images.map(|image| image.reference).collect()
}

#[test]
fn a_bundle_that_was_cut_short_is_refused_and_its_copy_taken() {
    let dir = tempfile::tempdir().unwrap();
    let layout = composed(2).build();
    let storage = dir.path().join("storage");
    let file = written(&layout, dir.path(), "a", ARCHIVE);
    let whole = std::fs::read(&file).unwrap();
    let mut said = Vec::new();
    for len in [0, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&file, &whole[..len]).unwrap();
        let failure = fill(&storage, &file).unwrap_err();
        said.push(failure.text(dir.path()));
        assert!(!storage.exists());
    }
    // A folder has its list of images, and a blob of it ends early.
    let folder = written(&layout, dir.path(), "folder", Form::Folder);
    let blobs = std::fs::read_dir(folder.join("blobs/sha256")).unwrap();
    let blobs = blobs.map(|entry| entry.unwrap().path());
    let largest = blobs.max_by_key(|path| path.metadata().unwrap().len());
    let cut = std::fs::OpenOptions::new()
        .write(true)
        .open(largest.unwrap())
        .unwrap();
    cut.set_len(150_000).unwrap();
    let failure = fill(&storage, &folder).unwrap_err();
    said.push(failure.text(dir.path()));
    assert_eq!(names(&storage), [""; 0]);
    assert_snapshot!(said.join("\n"), @r"
    DIR/a.tar.zst is no bundle: it is no tar archive
    DIR/a.tar.zst is no bundle: it was cut short: the table at its end is missing
    DIR/a.tar.zst is no bundle: it was cut short: the table at its end is missing
    the bundle 'DIR/folder' is damaged: sha256:b7e093d4dc16bc8f2e9ced13418ec173ec0ac8870bd90e49ff7467eb8171863d has 150000 bytes, not 201728
    ");
    std::fs::write(&file, &whole).unwrap();
    fill(&storage, &file).unwrap();
    assert_eq!(names(&storage), ["r.example/first:1", "r.example/second:1"]);
}

#[test]
fn a_blob_that_was_altered_inside_an_archive_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let layout = composed(2).build();
    let storage = dir.path().join("storage");
    let file = written(&layout, dir.path(), "a", ARCHIVE);
    let whole = std::fs::read(&file).unwrap();
    // The noise of the larger layer stands there as it is.
    let inside = noise(1, 200_000);
    let part = &inside[100_000..100_032];
    let at = whole
        .windows(part.len())
        .position(|window| window == part)
        .unwrap();
    let mut altered = whole.clone();
    altered[at] ^= 1;
    std::fs::write(&file, &altered).unwrap();
    let failure = fill(&storage, &file).unwrap_err();
    assert_snapshot!(failure.text(dir.path()), @"the bundle 'DIR/a.tar.zst': reading sha256:b7e093d4dc16bc8f2e9ced13418ec173ec0ac8870bd90e49ff7467eb8171863d failed after 0 bytes: the Zstandard frame at byte 2092 can't be decompressed: Restored data doesn't match checksum");
    assert_eq!(names(&storage), [""; 0]);
    // Wherever a bit flips, nothing of it is served, or all of it is right.
    let damage = whole.len() / 40;
    for at in (0..whole.len()).step_by(damage) {
        let mut altered = whole.clone();
        altered[at] ^= 0x10;
        std::fs::write(&file, &altered).unwrap();
        let storage = dir.path().join(format!("storage-{at}"));
        let took = fill(&storage, &file);
        if storage.exists() {
            let storage = Storage::open(&storage).unwrap();
            let verified = appliance::content::verify::verify(&storage, &Progress::silent());
            assert_eq!(verified.unwrap().damage, []);
        }
        if took.is_err() && storage.exists() {
            assert_eq!(names(&storage), [""; 0]);
        }
    }
}

#[test]
fn a_delta_is_taken_on_its_base_alone() {
    let dir = tempfile::tempdir().unwrap();
    let base = written(&composed(2).build(), dir.path(), "base", ARCHIVE);
    let other = written(&composed(3).build(), dir.path(), "other", ARCHIVE);
    let delta = composed(4).since(&Bundle::open(&base).unwrap()).unwrap();
    let delta = written(&delta, dir.path(), "delta", ARCHIVE);
    let on_other = dir.path().join("on-other");
    fill(&on_other, &other).unwrap();
    let before = std::fs::read_to_string(on_other.join("r.example/second/index.json")).unwrap();
    let failure = fill(&on_other, &delta).unwrap_err();
    assert_snapshot!(failure.text(dir.path()), @"the bundle 'DIR/delta.tar.zst' holds only what its base lacks, and that base (sha256:b33d404f8dd026933f450038eeb99c63695f8dd9245c7493fbbd81505684f33e) was not imported here; import the base first");
    let after = std::fs::read_to_string(on_other.join("r.example/second/index.json")).unwrap();
    assert_eq!(after, before);
    let on_base = dir.path().join("on-base");
    fill(&on_base, &base).unwrap();
    let report = fill(&on_base, &delta).unwrap();
    assert_eq!(report.moved.len(), 1, "{report:?}");
}
