use std::io::Write as _;

use super::*;
use crate::compression::decompress;
use isoforge_base::error::{Class, Diagnose};

const BOUNDS: Bounds = Bounds {
    bytes: 1_000_000,
    ratio: 50,
    ratio_floor_bytes: 500_000,
};

struct Fixture {
    _folder: tempfile::TempDir,
    store: Store,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    Fixture {
        _folder: folder,
        store,
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

impl Fixture {
    /// A blob in the store, said to be the layer `claimed`.
    fn layer(&self, blob: &[u8], compression: LayerCompression, claimed: &[u8]) -> Layer {
        Layer {
            digest: self.store.put_blob(blob).unwrap(),
            size: blob.len() as u64,
            compression,
            diff_id: Digest::of(claimed),
        }
    }

    fn gzipped(&self, text: &[u8], claimed: &[u8]) -> Layer {
        self.layer(&gzip(text), LayerCompression::Gzip, claimed)
    }

    fn check(&self, layer: &Layer) -> Result<(), Error> {
        check(&self.store, layer, "a:1", BOUNDS, &Progress::silent())
    }

    /// Reads `bytes` of the layer, then lets the rest be checked.
    fn read(&self, layer: &Layer, bytes: usize) -> Result<(), Error> {
        let blob = self.store.open_blob(&layer.digest).unwrap();
        let tar = decompress(blob, layer.compression).unwrap();
        let mut tar = Checking::new(&self.store, layer, "a:1", tar)?;
        tar.read_exact(&mut vec![0; bytes]).unwrap();
        tar.finish()
    }

    fn is_recorded(&self, layer: &Layer) -> bool {
        let fact: Option<DiffIdFact> = self.store.fact(FACT, &layer.digest.hex()).unwrap();
        fact.is_some()
    }

    fn overwrite(&self, layer: &Layer, bytes: &[u8]) {
        fs_err::write(self.store.blob_path(&layer.digest), bytes).unwrap();
    }
}

fn refused(result: Result<(), Error>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.class(), Class::Verification);
    error.to_string()
}

#[test]
fn what_was_found_once_is_not_found_out_again() {
    let fixture = fixture();
    let text = b"some text".repeat(1000);
    let read_whole: fn(&Fixture, &Layer) -> _ = |fixture, layer| fixture.read(layer, 9000);
    for first in [
        Fixture::check,
        |f: &Fixture, l: &Layer| f.read(l, 100),
        read_whole,
    ] {
        let layer = fixture.gzipped(&text, &text);
        first(&fixture, &layer).unwrap();
        assert!(fixture.is_recorded(&layer));
        fixture.overwrite(&layer, b"what nobody looks at");
        fixture.check(&layer).unwrap();
        fs_err::remove_file(fixture.store.blob_path(&layer.digest)).unwrap();
    }
}

#[test]
fn another_claim_about_a_known_blob_is_refused() {
    let fixture = fixture();
    let right = fixture.gzipped(b"one", b"one");
    fixture.check(&right).unwrap();
    let wrong = Layer {
        diff_id: Digest::of(b"two"),
        ..right.clone()
    };
    let said = refused(fixture.check(&wrong));
    assert_eq!(
        said,
        format!(
            "a:1: layer {} unpacks to {}, but the configuration gives {}",
            right.digest, right.diff_id, wrong.diff_id
        )
    );
    let blob = fixture.store.open_blob(&wrong.digest).unwrap();
    let error = Checking::new(&fixture.store, &wrong, "a:1", blob).unwrap_err();
    assert_eq!(error.to_string(), said, "before anything is read");
}

#[test]
fn a_wrong_claim_is_refused_and_not_recorded() {
    let fixture = fixture();
    let layer = fixture.gzipped(b"one", b"two");
    for result in [fixture.check(&layer), fixture.read(&layer, 1)] {
        assert!(refused(result).contains("unpacks to"));
        assert!(!fixture.is_recorded(&layer));
    }
    let plain = fixture.layer(b"one", LayerCompression::Plain, b"two");
    assert!(refused(fixture.check(&plain)).contains("unpacks to"));
    let plain = fixture.layer(b"one", LayerCompression::Plain, b"one");
    fixture.check(&plain).unwrap();
}

#[test]
fn a_fact_about_another_compression_says_nothing() {
    let fixture = fixture();
    let layer = fixture.gzipped(b"one", b"one");
    fixture.check(&layer).unwrap();
    let as_zstd = Layer {
        compression: LayerCompression::Zstd,
        ..layer
    };
    assert!(refused(fixture.check(&as_zstd)).contains("can't be decompressed"));
}

#[test]
fn a_blob_that_was_damaged_in_the_store_is_not_the_images_fault() {
    let fixture = fixture();
    let blob = gzip(b"one");
    let layer = fixture.layer(&blob, LayerCompression::Gzip, b"one");
    for damage in [gzip(b"another"), b"nonsense".to_vec()] {
        fixture.overwrite(&layer, &damage);
        let error = fixture.check(&layer).unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }), "{error}");
        assert!(error.hint().unwrap().contains("build again"));
        assert!(!fixture.is_recorded(&layer));
    }
    fs_err::remove_file(fixture.store.blob_path(&layer.digest)).unwrap();
    assert!(matches!(
        fixture.check(&layer).unwrap_err(),
        Error::Unreadable { .. }
    ));
    fixture.store.put_blob(&blob).unwrap();
    fixture.check(&layer).unwrap();
}

#[test]
fn a_blob_that_rotted_after_its_diff_id_was_recorded_is_not_read() {
    let fixture = fixture();
    for layer in [
        fixture.gzipped(b"one", b"one"),
        fixture.layer(b"two", LayerCompression::Plain, b"two"),
    ] {
        fixture.check(&layer).unwrap();
        // It decompresses, so nothing but a hash tells.
        let rotten = match layer.compression {
            LayerCompression::Plain => b"twO".to_vec(),
            _ => gzip(b"onE"),
        };
        fixture.overwrite(&layer, &rotten);
        let error = fixture.read(&layer, 2).unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }), "{error}");
        assert_eq!(error.class(), Class::Verification);
        assert!(error.hint().unwrap().contains("verify --repair"));
    }
}

#[test]
fn what_does_not_decompress_is_refused() {
    let fixture = fixture();
    let text: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
    let whole = gzip(&text);
    for blob in [&whole[..whole.len() - 1], b"no gzip"] {
        let layer = fixture.layer(blob, LayerCompression::Gzip, &text);
        assert!(refused(fixture.check(&layer)).contains("can't be decompressed"));
        assert!(!fixture.is_recorded(&layer));
    }
    let layer = fixture.layer(&whole, LayerCompression::Gzip, &text);
    fixture.check(&layer).unwrap();
}

#[test]
fn a_bomb_meets_a_named_limit() {
    let fixture = fixture();
    let zeros = vec![0; 600_000];
    let said = refused(fixture.check(&fixture.gzipped(&zeros, &zeros)));
    assert!(said.contains("the limit ratio is 50"), "{said}");
    let numbers: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let said = refused(fixture.check(&fixture.gzipped(&numbers, &numbers)));
    assert!(said.contains("the limit layer_bytes is 1000000"), "{said}");
}
