//! Damaged packs: whatever bytes change, reading ends with a value or an error.

use super::files::Files;
use super::find::{Options, Target};
use super::{pack, tarball};

/// Damaged packs that are tried.
const ROUNDS: usize = 400;
/// Changes of one pack, at most.
const CHANGES: usize = 6;
/// What is put in: characters that mean something to one of the formats.
const BYTES: &[u8] = b"{}[]:,-#|>&*!%@`'\"\\\n\t \0\xff\xc3 09az~?=<./";

fn files() -> Vec<(&'static str, Vec<u8>)> {
    let chart = tarball::gzip([
        (
            "web/Chart.yaml",
            b"apiVersion: v2\nname: web\nversion: 1.2.3\ndependencies:\n- {name: db, version: 1.x, condition: db.on}\n"
                .as_slice(),
        ),
        ("web/values.yaml", b"image: {repository: quay.io/x/web, tag: v1}\ndb: {on: false}\n"),
        ("web/charts/db/Chart.yaml", b"name: db\nversion: 1.0.0\n"),
    ]);
    vec![
        ("charts/web.tgz", chart.unwrap()),
        (
            "isoforge.toml",
            b"[requirements]\nkernel_modules = [\"drbd >= 9\"]\n[images]\nat = [\"Widget: a[*].b\", \"env: *_IMAGE\"]\n"
                .to_vec(),
        ),
        (
            "manifests/m.yaml",
            b"kind: Pod\nmetadata: {name: m}\nspec:\n  containers:\n  - image: \"{{ .Values.image }}\"\n    env: [{name: A_IMAGE, value: x}]\n"
                .to_vec(),
        ),
        (
            "pack.json",
            br#"{"name": "p", "displayName": "P", "version": "1", "layer": "cni", "charts": ["charts/web.tgz"],
                "kubeManifests": ["manifests/m.yaml"], "constraints": {"dependencies": [{"packName": "x"}]}}"#
                .to_vec(),
        ),
        (
            "presets.yaml",
            b"presets:\n- {name: a, group: G, displayName: A, remove: [charts.web.image], add: 'charts: {web: {x: 1}}'}\n"
                .to_vec(),
        ),
        (
            "values.yaml",
            b"# spectrocloud.com/enabled-presets: G:a\npack:\n  content:\n    images:\n    - image: 'quay.io/x:{{ .spectro.system.kubernetes.version | substr 0 4 }}'\n\
              charts:\n  web: &w {a: 'b\n c'}\n  other: *w\nmanifests: {m: {image: quay.io/x/m:1}}\n"
                .to_vec(),
        ),
    ]
}

#[test]
fn damaged_packs_are_survived() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut read = 0;
    for _ in 0..ROUNDS {
        let mut files = files();
        for _ in 0..random.usize(1..=CHANGES) {
            let at = random.usize(0..files.len());
            let bytes = &mut files[at].1;
            let at = random.usize(0..=bytes.len());
            match random.u8(0..3) {
                0 => bytes.insert(at, BYTES[random.usize(0..BYTES.len())]),
                1 if at < bytes.len() => bytes[at] = BYTES[random.usize(0..BYTES.len())],
                _ => bytes.truncate(at),
            }
        }
        let files = files.iter().map(|(path, bytes)| (*path, bytes.as_slice()));
        let archive = tarball::gzip(files).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.tgz");
        fs_err::write(&path, archive).unwrap();
        for problem in pack::lint(&path) {
            assert!(!problem.message.is_empty());
        }
        if let Ok(target) = Target::open(&path) {
            read += usize::from(target.images(&Options::default()).is_ok());
        }
    }
    assert!(read > ROUNDS / 10, "{read}");
}

#[test]
fn damaged_archives_are_survived() {
    let mut random = fastrand::Rng::with_seed(7);
    let all = files();
    let plain = all.iter().map(|(path, bytes)| (*path, bytes.as_slice()));
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in plain {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, path, bytes).unwrap();
    }
    let whole = builder.into_inner().unwrap();
    for _ in 0..ROUNDS {
        let mut bytes = whole.clone();
        for _ in 0..random.usize(1..=CHANGES) {
            let at = random.usize(0..bytes.len());
            bytes[at] = random.u8(..);
        }
        bytes.truncate(random.usize(0..=bytes.len()));
        let _ = Files::archive("p.tar", &bytes);
    }
}
