use std::path::PathBuf;

use super::*;
use tempfile::TempDir;

struct Fixture {
    dir: TempDir,
    store: Store,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        Self { dir, store }
    }

    fn file(&self, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join("rootfs");
        fs_err::write(&path, bytes).unwrap();
        path
    }

    fn import(&self, bytes: &[u8], limits: &Limits) -> Result<Archive> {
        import(&self.store, &self.file(bytes), limits, &Progress::silent())
    }
}

fn tar_of(members: &[(&str, u64, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, mtime, data) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(*mtime);
        tar.append_data(&mut header, path, *data).unwrap();
    }
    tar.into_inner().unwrap()
}

fn sample() -> Vec<u8> {
    tar_of(&[
        ("etc/hostname", 1_500_000_000, b"one"),
        ("etc/motd", 1_700_000_000, &[b'x'; 100_000]),
        ("etc/passwd", 1_600_000_000, b"three"),
    ])
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut out = liblzma::write::XzEncoder::new(Vec::new(), 6);
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

#[test]
fn every_format_gives_the_same_layer_content_and_time() {
    let tar = sample();
    let cases = [
        (tar.clone(), LayerCompression::Plain),
        (gzip(&tar), LayerCompression::Gzip),
        (
            [gzip(&tar[..512]), gzip(&tar[512..])].concat(),
            LayerCompression::Gzip,
        ),
        (
            zstd::bulk::compress(&tar, 3).unwrap(),
            LayerCompression::Zstd,
        ),
        (xz(&tar), LayerCompression::Plain),
    ];
    for (bytes, compression) in cases {
        let fixture = Fixture::new();
        let archive = fixture.import(&bytes, &Limits::DEFAULT).unwrap();
        assert_eq!(archive.digest, Digest::of(&bytes));
        assert_eq!(archive.size, bytes.len() as u64);
        assert_eq!(archive.newest_seconds, Some(1_700_000_000));
        assert_eq!(archive.layer.compression, compression);
        assert_eq!(archive.layer.diff_id, Digest::of(&tar));
        let blob = fs_err::read(fixture.store.blob_path(&archive.layer.digest)).unwrap();
        assert_eq!(archive.layer.digest, Digest::of(&blob));
        assert_eq!(archive.layer.size, blob.len() as u64);
    }
}

#[test]
fn the_same_bytes_are_read_only_once_whatever_the_file_is_called() {
    let fixture = Fixture::new();
    let bytes = gzip(&sample());
    let first = fixture.import(&bytes, &Limits::DEFAULT).unwrap();
    // With these limits reading it again would fail.
    let none = Limits {
        entries: 0,
        ..Limits::DEFAULT
    };
    assert_eq!(fixture.import(&bytes, &none).unwrap(), first);
    fs_err::remove_file(fixture.store.blob_path(&first.layer.digest)).unwrap();
    let error = fixture.import(&bytes, &none).unwrap_err();
    assert!(error.to_string().contains("rootfs"), "{error}");
}

#[test]
fn a_local_files_own_time_does_not_matter() {
    let fixture = Fixture::new();
    let first = fixture.import(&sample(), &Limits::DEFAULT).unwrap();
    let path = fixture.dir.path().join("rootfs");
    let file = std::fs::File::options().append(true).open(&path).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(5);
    file.set_modified(time).unwrap();
    let again = import(&fixture.store, &path, &Limits::DEFAULT, &Progress::silent()).unwrap();
    assert_eq!(again, first);
}

#[test]
fn what_is_no_archive_is_refused_with_its_path() {
    let fixture = Fixture::new();
    for bytes in [&b""[..], b"<html>404</html>", &[0; 4096]] {
        let error = fixture.import(bytes, &Limits::DEFAULT).unwrap_err();
        assert_eq!(error.class(), Class::Profile);
        assert!(
            error.to_string().contains("rootfs' is no tar archive"),
            "{error}"
        );
    }
    let missing = fixture.dir.path().join("missing.tar");
    let error = import(
        &fixture.store,
        &missing,
        &Limits::DEFAULT,
        &Progress::silent(),
    );
    let error = error.unwrap_err();
    assert_eq!(error.class(), Class::Profile);
    assert!(error.to_string().contains("missing.tar"), "{error}");
}

#[test]
fn damaged_archives_leave_nothing_in_the_store() {
    let tar = sample();
    let mut flipped = xz(&tar);
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x55;
    let mut cut = gzip(&tar);
    cut.truncate(cut.len() - 5);
    for bytes in [flipped, cut, tar[..tar.len() / 2].to_vec()] {
        let fixture = Fixture::new();
        let error = fixture.import(&bytes, &Limits::DEFAULT).unwrap_err();
        assert_eq!(error.class(), Class::Verification, "{error:?}");
        assert!(error.to_string().contains("rootfs"), "{error}");
        let blobs = walkdir::WalkDir::new(fixture.dir.path().join("store"))
            .into_iter()
            .filter(|entry| {
                let entry = entry.as_ref().unwrap();
                entry.file_type().is_file() && entry.path().to_string_lossy().contains("/blobs/")
            })
            .count();
        assert_eq!(blobs, 0);
    }
}

#[test]
fn bombs_and_escapes_are_refused_in_every_format() {
    let bomb = tar_of(&[("zeros", 0, &vec![0; 8 << 20])]);
    let limits = Limits {
        inflation_ratio: 10,
        inflation_floor_bytes: 1 << 20,
        ..Limits::DEFAULT
    };
    for bytes in [
        gzip(&bomb),
        zstd::bulk::compress(&bomb, 3).unwrap(),
        xz(&bomb),
    ] {
        let error = Fixture::new().import(&bytes, &limits).unwrap_err();
        assert_eq!(error.class(), Class::Verification, "{error:?}");
    }
    let mut escape = tar_of(&[("aa/bb", 0, b"x")]);
    escape[..5].copy_from_slice(b"../bb");
    let checksum: u32 = (0..512)
        .map(|i| {
            if (148..156).contains(&i) {
                32
            } else {
                u32::from(escape[i])
            }
        })
        .sum();
    escape[148..156].copy_from_slice(format!("{checksum:06o}\0 ").as_bytes());
    let error = Fixture::new()
        .import(&escape, &Limits::DEFAULT)
        .unwrap_err();
    assert_eq!(error.class(), Class::Verification);
    assert!(format!("{error:#}").contains("../bb"), "{error:?}");
}

#[test]
fn a_pipe_is_no_archive_and_is_not_waited_for() {
    let fixture = Fixture::new();
    let pipe = fixture.dir.path().join("pipe.tar");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let limits = Limits::DEFAULT;
    let error = import(&fixture.store, &pipe, &limits, &Progress::silent()).unwrap_err();
    assert_eq!(error.class(), Class::Profile);
    let error = format!("{error:#}");
    assert!(
        error.contains("is a named pipe, not a regular file"),
        "{error}"
    );
}
