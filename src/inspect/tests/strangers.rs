//! What strangers made: no artifact at all, too much of one, and no file.

use std::collections::BTreeMap;
use std::io::Write as _;

use super::super::*;
use super::look;
use isoforge_base::digest::Digest;

#[test]
fn what_is_nothing_of_ours_is_refused() {
    let base = tempfile::tempdir().unwrap();
    let file = base.path().join("file");
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(0);
    tar.append_data(&mut header, "a", &b""[..]).unwrap();
    let tar = tar.into_inner().unwrap();
    for bytes in [&b""[..], b"text", &vec![b'x'; 100_000], &tar] {
        let mut out = std::fs::File::create(&file).unwrap();
        out.write_all(bytes).unwrap();
        let error = inspect(&file, &Progress::silent()).unwrap_err();
        assert!(error.to_string().contains("is no ISO image"), "{error:?}");
        assert_eq!(error.class(), Class::Profile);
    }
    let error = inspect(base.path(), &Progress::silent()).unwrap_err();
    assert!(error.to_string().contains("is no ISO image"), "{error:?}");
    let error = inspect(&base.path().join("missing"), &Progress::silent()).unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
}

/// An image of one manifest, without layers, that `index.json` names so many times.
fn many_times(base: &Path, labels: usize, times: usize) {
    let blobs = base.join("blobs/sha256");
    fs_err::create_dir_all(&blobs).unwrap();
    let put = |value: serde_json::Value| {
        let bytes = value.to_string();
        let digest = Digest::of(bytes.as_bytes());
        fs_err::write(blobs.join(digest.hex()), &bytes).unwrap();
        (digest, bytes.len())
    };
    let labels: BTreeMap<String, &str> = (0..labels).map(|n| (n.to_string(), "")).collect();
    let (digest, size) = put(serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": { "Labels": labels },
    }));
    let config = "application/vnd.oci.image.config.v1+json";
    let (digest, size) = put(serde_json::json!({
        "schemaVersion": 2,
        "config": { "mediaType": config, "digest": digest, "size": size },
        "layers": [],
    }));
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    let entry = serde_json::json!({ "mediaType": manifest, "digest": digest, "size": size });
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": vec![entry; times] });
    fs_err::write(base.join("index.json"), index.to_string()).unwrap();
    let marker = r#"{"imageLayoutVersion":"1.0.0"}"#;
    fs_err::write(base.join("oci-layout"), marker).unwrap();
}

#[test]
fn what_a_report_keeps_of_a_layout_has_a_limit() {
    let base = tempfile::tempdir().unwrap();
    many_times(base.path(), 10_000, 2);
    assert_eq!(look(base.path()).problems(), &[] as &[String]);
    many_times(base.path(), 10_000, 1_000);
    let report = look(base.path());
    assert_eq!(
        report.problems(),
        ["more than 67108864 bytes of labels, annotations and layers; the rest is not looked at"]
    );
    let Report::Image(report) = report else {
        panic!("{report}");
    };
    assert!(report.images.len() < 100, "{}", report.images.len());
}

#[test]
fn a_pipe_where_a_document_should_be_is_not_waited_for() {
    let base = tempfile::tempdir().unwrap();
    many_times(base.path(), 0, 1);
    let pipe = base.path().join("index.json");
    fs_err::remove_file(&pipe).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    for path in [base.path(), &pipe] {
        let error = inspect(path, &Progress::silent()).unwrap_err();
        let error = format!("{error:#}");
        assert!(
            error.contains("is a named pipe, not a regular file"),
            "{error}"
        );
    }
}
