//! Damage to slabs and blobs between two builds.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::*;
use crate::slab::SlabSet;
use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Diagnose as _};
use isoforge_base::progress::{Reporter, TaskId};
use isoforge_base::tree::{FileData, LayerId, ReadFile as _, Tree};
use isoforge_formats::squashfs::write::ImagePlan;
use isoforge_oci::layer::LayerCompression;

const SETTINGS: squashfs::Settings = squashfs::Settings {
    compressor: squashfs::Compressor::Zstd { level: 3 },
    block_size: 4096,
};

struct Fixture {
    _folder: tempfile::TempDir,
    store: Store,
    layer: Layer,
    progress: Progress,
    warnings: Arc<Warnings>,
}

#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Reporter for Warnings {
    fn start(&self, _: TaskId, _: &str, _: Option<u64>) {}
    fn advance(&self, _: TaskId, _: u64) {}
    fn finish(&self, _: TaskId) {}
    fn note(&self, _: &str) {}
    fn stage(&self, _: &str) {}
    fn warn(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

/// Bytes that no compressor shrinks.
fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

fn tar(data: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(data.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "file", data).unwrap();
    tar.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let tar = tar(&noise(100_000));
        let blob = gzip(&tar);
        let warnings = Arc::new(Warnings::default());
        Self {
            layer: Layer {
                digest: store.put_blob(&blob).unwrap(),
                size: blob.len() as u64,
                compression: LayerCompression::Gzip,
                diff_id: Digest::of(&tar),
            },
            store,
            progress: Progress::new(warnings.clone()),
            warnings,
            _folder: folder,
        }
    }

    fn get(&self) -> Result<Slab, Error> {
        let maker = SlabMaker {
            store: &self.store,
            squashfs: &SETTINGS,
            limits: &Limits::DEFAULT,
            jobs: 1,
            progress: &self.progress,
        };
        maker.get(&self.layer, "a layer")
    }

    fn path(&self) -> PathBuf {
        let key = slab::key(&self.layer.diff_id, &SETTINGS);
        self.store.slab_path(&key)
    }

    /// Changes a byte of the slab's data.
    fn damage_slab(&self) {
        let mut bytes = fs_err::read(self.path()).unwrap();
        bytes[50_000] ^= 1;
        fs_err::write(self.path(), bytes).unwrap();
    }

    fn warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.warnings.0.lock().unwrap())
    }
}

/// The bytes of a SquashFS with what is in the slab.
fn image(slab: Slab) -> Result<Vec<u8>, isoforge_formats::Error> {
    let slabs = SlabSet::new(vec![slab]);
    let mut tree = Tree::new();
    let entries = slabs.get(LayerId(0)).unwrap().entries();
    crate::layer::apply(&mut tree, LayerId(0), entries).unwrap();
    let plan = ImagePlan::new(&tree, &slabs, &SETTINGS, 1)?;
    let mut image = Vec::new();
    plan.write(&mut image)?;
    Ok(image)
}

fn content(slab: Slab) -> std::io::Result<Vec<u8>> {
    let data = FileData::Layer {
        layer: LayerId(0),
        file: 0,
        size: 100_000,
    };
    let mut found = Vec::new();
    let slabs = SlabSet::new(vec![slab]);
    slabs.open(&data)?.read_to_end(&mut found)?;
    Ok(found)
}

#[test]
fn a_damaged_block_has_the_slab_made_again_and_the_work_goes_on() {
    let fixture = Fixture::new();
    let whole = image(fixture.get().unwrap()).unwrap();
    let slab = fs_err::read(fixture.path()).unwrap();
    fixture.damage_slab();
    assert!(image(fixture.get().unwrap()).unwrap() == whole);
    let warnings = fixture.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("is damaged at offset"), "{warnings:?}");
    assert!(warnings[0].ends_with(MADE_AGAIN), "{warnings:?}");
    assert!(
        fs_err::read(fixture.path()).unwrap() == slab,
        "it is mended"
    );
    // So where a single file is read, and where the file is cut off while it is open.
    fixture.damage_slab();
    assert!(content(fixture.get().unwrap()).unwrap() == noise(100_000));
    let open = fixture.get().unwrap();
    let file = fs_err::OpenOptions::new().write(true).open(fixture.path());
    file.unwrap().set_len(1000).unwrap();
    assert!(content(open).unwrap() == noise(100_000));
    assert_eq!(fixture.warnings().len(), 2);
}

#[test]
fn a_slab_can_not_be_made_again_of_a_blob_that_rotted() {
    let fixture = Fixture::new();
    image(fixture.get().unwrap()).unwrap();
    fixture.damage_slab();
    // The gzip stream is whole, and the layer can be read.
    let rotten = gzip(&tar(&vec![7; 100_000]));
    fs_err::write(fixture.store.blob_path(&fixture.layer.digest), rotten).unwrap();
    let failure = Failure::from(image(fixture.get().unwrap()).unwrap_err());
    assert_eq!(failure.class(), Class::Verification);
    let text = format!("{failure:#}");
    assert!(text.contains(&fixture.layer.digest.hex()), "{text}");
    assert!(failure.hint().unwrap().contains("verify --repair"));
    let failure = Failure::from(content(fixture.get().unwrap()).unwrap_err());
    assert_eq!(failure.class(), Class::Verification);
}

#[test]
fn no_slab_is_made_of_a_blob_that_rotted_after_its_diff_id_was_recorded() {
    let fixture = Fixture::new();
    fixture.get().unwrap();
    fs_err::remove_file(fixture.path()).unwrap();
    let blob = fixture.store.blob_path(&fixture.layer.digest);
    let whole = fs_err::read(&blob).unwrap();
    for rotten in [gzip(&tar(&vec![7; 100_000])), whole[..5000].to_vec()] {
        fs_err::write(&blob, rotten).unwrap();
        let error = fixture.get().unwrap_err();
        assert_eq!(error.class(), Class::Verification);
        assert!(error.hint().unwrap().contains("verify --repair"), "{error}");
        assert!(!fixture.path().exists());
    }
}
