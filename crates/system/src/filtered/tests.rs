use super::*;
use isoforge_base::error::{Class, Diagnose as _};
use isoforge_oci::layer::LayerCompression;
use std::io::Read;
use tempfile::TempDir;

struct Fixture {
    _dir: TempDir,
    store: Store,
    layers: Vec<Layer>,
}

enum Member<'a> {
    File(&'a str, u32, &'a str),
    Link(&'a str, &'a str),
    Directory(&'a str, u32),
    Whiteout(&'a str),
}

use Member::{Directory, File, Link, Whiteout};

fn tar_of(members: &[Member<'_>]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for member in members {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(7);
        match member {
            File(path, mode, text) => {
                header.set_mode(*mode);
                header.set_size(text.len() as u64);
                tar.append_data(&mut header, path, text.as_bytes()).unwrap();
            }
            Whiteout(path) => {
                header.set_size(0);
                tar.append_data(&mut header, path, &b""[..]).unwrap();
            }
            Link(path, target) => {
                header.set_entry_type(tar::EntryType::Link);
                header.set_size(0);
                tar.append_link(&mut header, path, target).unwrap();
            }
            Directory(path, mode) => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(*mode);
                header.set_size(0);
                tar.append_data(&mut header, path, &b""[..]).unwrap();
            }
        }
    }
    tar.into_inner().unwrap()
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let lower = tar_of(&[
        Directory("usr", 0o755),
        Directory("usr/bin", 0o755),
        File("usr/bin/kubelet", 0o755, "old kubelet"),
        File("usr/bin/kubeadm", 0o755, "kubeadm"),
        File("usr/bin/shell", 0o755, "shell"),
        Directory("opt/cni", 0o711),
        File("opt/cni/bin/bridge", 0o4755, "bridge"),
        File("opt/cni/README.md", 0o644, "read me"),
        File("gone/kubelet", 0o755, "gone"),
    ]);
    let upper = tar_of(&[
        File("usr/bin/kubelet", 0o755, "new kubelet"),
        Link("usr/bin/kubelet-link", "usr/bin/kubelet"),
        Whiteout(".wh.gone"),
    ]);
    let layers = vec![
        Layer {
            digest: store
                .put_blob(&zstd::bulk::compress(&lower, 3).unwrap())
                .unwrap(),
            size: 0,
            compression: LayerCompression::Zstd,
            diff_id: Digest::of(&lower),
        },
        Layer {
            digest: store.put_blob(&upper).unwrap(),
            size: upper.len() as u64,
            compression: LayerCompression::Plain,
            diff_id: Digest::of(&upper),
        },
    ];
    Fixture {
        _dir: dir,
        store,
        layers,
    }
}

impl Fixture {
    fn run(&self, include: &[&str], exclude: &[&str]) -> Result<Layer, Error> {
        let strings = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect::<Vec<_>>();
        filter_layers(
            &self.store,
            &self.layers,
            &Filter::new(&strings(include), &strings(exclude))?,
            "the image",
            &Limits::DEFAULT,
            &Progress::silent(),
        )
    }

    /// Type, mode, path and content or link target of each member.
    fn list(&self, layer: &Layer) -> Vec<String> {
        let blob = fs_err::read(self.store.blob_path(&layer.digest)).unwrap();
        assert_eq!(Digest::of(&blob), layer.diff_id);
        let mut archive = tar::Archive::new(&*blob);
        archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                if let Some(target) = entry.link_name().unwrap() {
                    text = format!("-> {}", target.display());
                }
                let path = entry.path().unwrap().display().to_string();
                format!("{:o} {path} {text}", entry.header().mode().unwrap())
            })
            .collect()
    }
}

#[test]
fn only_what_the_patterns_name_is_kept_with_its_newest_content() {
    let fixture = fixture();
    let layer = fixture
        .run(&["usr/bin/kube*", "/opt/cni/"], &["**/*.md"])
        .unwrap();
    insta::assert_snapshot!(fixture.list(&layer).join("\n"), @r"
    711 opt/cni/ 
    4755 opt/cni/bin/bridge bridge
    755 usr/bin/kubeadm kubeadm
    755 usr/bin/kubelet new kubelet
    755 usr/bin/kubelet-link -> usr/bin/kubelet
    ");
}

#[test]
fn without_patterns_to_include_everything_else_is_kept() {
    let fixture = fixture();
    let layer = fixture.run(&[], &["usr/bin", "opt"]).unwrap();
    insta::assert_snapshot!(fixture.list(&layer).join("\n"), @"755 usr/");
}

#[test]
fn a_link_whose_first_name_is_left_out_has_the_data() {
    let fixture = fixture();
    let layer = fixture.run(&["usr/bin/kubelet-link"], &[]).unwrap();
    insta::assert_snapshot!(fixture.list(&layer).join("\n"), @"755 usr/bin/kubelet-link new kubelet");
}

#[test]
fn a_star_stays_within_a_component_and_what_lower_layers_lost_is_gone() {
    let fixture = fixture();
    for pattern in ["usr/kube*", "gone/kubelet", "*/kubelet"] {
        let error = fixture.run(&["opt/**", pattern], &[]).unwrap_err();
        assert_eq!(error.class(), Class::Profile);
        assert_eq!(
            error.to_string(),
            format!("'{pattern}' matches no path in the image")
        );
    }
    let error = fixture.run(&["usr/[a"], &[]).unwrap_err();
    assert!(
        error.to_string().contains("is not a path pattern"),
        "{error}"
    );
}

#[test]
fn the_result_is_remembered_by_content_and_patterns() {
    let fixture = fixture();
    let first = fixture.run(&["opt"], &[]).unwrap();
    let other = fixture.run(&["usr"], &[]).unwrap();
    assert_ne!(first, other);
    for layer in &fixture.layers {
        fs_err::remove_file(fixture.store.blob_path(&layer.digest)).unwrap();
    }
    assert_eq!(fixture.run(&["opt"], &[]).unwrap(), first);
    let error = fixture.run(&["opt/cni"], &[]).unwrap_err();
    assert!(matches!(error, Error::Oci(_)), "{error}");
}
