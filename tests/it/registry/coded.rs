//! Answers in a content coding that nobody asked for.

use std::io::Read as _;

use isoforge_base::error::Class;
use isoforge_oci::registry::Client;

use super::{Puller, without_port};
use crate::support::judge;
use crate::support::layers::{Blob, Image, compress};
use crate::support::registry::{FakeRegistry, Fault};
use isoforge_oci::layer::LayerCompression::Gzip;

const CODINGS: [&str; 3] = ["gzip", "zstd", "deflate"];

fn registry() -> (FakeRegistry, Image, String) {
    let registry = FakeRegistry::start();
    let image = Image::simple(&["file usr/x 0755 'some content'", "fill zeros 0644 0*100000"]);
    registry.put_image("a", "1", &image);
    let source = format!("{}/a:1", registry.host());
    (registry, image, source)
}

#[test]
fn a_coding_is_undone_and_the_digest_is_of_what_was_asked_for() {
    for coding in CODINGS {
        for (target, with_length) in [
            ("/manifests/", true),
            ("/manifests/", false),
            ("/blobs/", true),
            ("/blobs/", false),
        ] {
            let (registry, image, source) = registry();
            registry.fault(target, usize::MAX, Fault::Coded(coding, with_length));
            let puller = Puller::new();
            let pulled = puller.pull(&source).unwrap();
            assert_eq!(pulled.manifest.raw, image.manifest.bytes, "{coding}");
            for blob in image.blobs() {
                let stored = puller.store.read_blob(&blob.digest(), 1 << 20).unwrap();
                assert_eq!(stored, blob.bytes, "{coding} {target} {with_length}");
            }
            puller.assert_sound();
            assert!(puller.waits.lock().unwrap().is_empty(), "not tried again");
            let requests = registry.requests();
            let asked = |name: &str| requests[0].headers.get(name).map(String::as_str);
            assert_eq!(asked("accept-encoding"), Some("identity"));
        }
    }
}

/// A foreign client takes the same from the same server.
#[test]
fn skopeo_undoes_a_coding_too() {
    let (registry, image, _) = registry();
    registry.fault("/a/", usize::MAX, Fault::Coded("gzip", true));
    let folder = tempfile::tempdir().unwrap();
    let from = format!("docker://{}/a:1", registry.host());
    let to = format!("dir:{}", folder.path().display());
    judge(
        "skopeo",
        "skopeo",
        &["copy", "-q", "--src-tls-verify=false", &from, &to],
    );
    for blob in image.blobs() {
        let copied = std::fs::read(folder.path().join(blob.digest().hex())).unwrap();
        assert_eq!(copied, blob.bytes);
    }
}

#[test]
fn what_is_a_gzip_file_by_itself_is_taken_as_it_is() {
    let (registry, image, source) = registry();
    registry.fault("/", usize::MAX, Fault::Called("gzip"));
    let puller = Puller::new();
    let pulled = puller.pull(&source).unwrap();
    assert_eq!(pulled.manifest.raw, image.manifest.bytes);
    puller.assert_sound();
}

#[test]
fn what_cannot_be_undone_is_an_error_and_leaves_nothing() {
    let mut said = Vec::new();
    for target in ["/manifests/", "/blobs/"] {
        let (registry, _, source) = registry();
        registry.fault(target, usize::MAX, Fault::Coded("br", true));
        let problem = Puller::new().fails(&source, Class::Network);
        said.push(without_port(&problem, &registry.host()));
    }
    // Other bytes, rightly coded.
    let (registry, image, source) = registry();
    let layer = &image.layers[0];
    let wrong = vec![b'x'; layer.bytes.len()];
    let path = format!("/v2/a/blobs/{}", layer.digest());
    registry.put_at(&path, &Blob::new("application/octet-stream", wrong));
    registry.fault(&path, usize::MAX, Fault::Coded("gzip", true));
    let puller = Puller::new();
    let problem = puller.fails(&source, Class::Verification);
    assert!(!puller.store.has_blob(&layer.digest()));
    said.push(without_port(&problem, &registry.host()));
    insta::assert_snapshot!(said.join("\n"), @"");
}

#[test]
fn a_coded_transfer_that_breaks_is_made_again() {
    for times in [1, 2] {
        let (registry, image, source) = registry();
        let layer = format!("/blobs/{}", image.layers[1].digest());
        registry.fault(&layer, times, Fault::Truncate(10));
        registry.fault(&layer, usize::MAX, Fault::Coded("zstd", true));
        let puller = Puller::with(|config| config.retry.resume_bytes = 5);
        puller.pull(&source).unwrap();
        puller.assert_sound();
    }
}

fn downloaded(client: &Client, url: &str, offset: u64) -> (u64, Vec<u8>) {
    let mut rest = client.download(url, offset).unwrap();
    let mut bytes = Vec::new();
    rest.reader.read_to_end(&mut bytes).unwrap();
    (rest.start, bytes)
}

#[test]
fn a_file_by_url_is_what_its_name_says() {
    let registry = FakeRegistry::start();
    let client = Client::new(Default::default());
    let text = b"apiVersion: v1\n".repeat(20);
    let archive = compress(&text, Gzip);
    for (path, bytes) in [("/files/x.yaml", &text), ("/files/x.tar.gz", &archive)] {
        registry.put_at(path, &Blob::new("application/octet-stream", bytes.clone()));
    }
    let url = |path: &str| format!("{}{path}", registry.url());
    registry.fault("x.yaml", usize::MAX, Fault::Coded("gzip", true));
    registry.fault("x.tar.gz", usize::MAX, Fault::Called("gzip"));
    for offset in [0, 7] {
        assert_eq!(
            downloaded(&client, &url("/files/x.yaml"), offset),
            (0, text.clone())
        );
        let (start, bytes) = downloaded(&client, &url("/files/x.tar.gz"), 0);
        assert_eq!((start, &bytes), (0, &archive));
    }
}
