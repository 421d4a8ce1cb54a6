//! Provider images from layers made of text, judged by skopeo and umoci.

use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use isoforge_base::error::{Class, Diagnose as _};
use isoforge_oci::layer::LayerCompression;
use isoforge_oci::layout::LayoutFile;
use isoforge_oci::media::{Family, MediaType};

const EPOCH: u32 = 1_700_000_000;

struct Fixture {
    dir: TempDir,
    store: Store,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    Fixture { dir, store }
}

impl Fixture {
    /// A layer with these files, in the store.
    fn layer(&self, files: &[(&str, &str)], compression: LayerCompression) -> Layer {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, text) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, path, text.as_bytes()).unwrap();
        }
        let tar = tar.into_inner().unwrap();
        let blob = match compression {
            LayerCompression::Plain => tar.clone(),
            LayerCompression::Gzip => {
                let mut gzip =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gzip.write_all(&tar).unwrap();
                gzip.finish().unwrap()
            }
            LayerCompression::Zstd => zstd::bulk::compress(&tar, 1).unwrap(),
        };
        Layer {
            digest: self.store.put_blob(&blob).unwrap(),
            size: blob.len() as u64,
            compression,
            diff_id: Digest::of(&tar),
        }
    }

    fn base(&self, architecture: &str) -> Base {
        let layers = vec![
            self.layer(
                &[("etc/os-release", architecture), ("etc/motd", "base")],
                LayerCompression::Gzip,
            ),
            self.layer(&[("etc/plain", "base")], LayerCompression::Plain),
        ];
        let diff_ids: Vec<String> = layers.iter().map(|l| l.diff_id.to_string()).collect();
        let config = serde_json::json!({
            "architecture": architecture, "os": "linux", "docker_version": "20.10",
            "created": "2020-01-01T00:00:00Z",
            "config": {"Env": ["PATH=/bin"], "Labels": {"vendor": "them"}},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        Base {
            name: Some("registry.example/os:1".into()),
            manifest: Digest::of(architecture.as_bytes()),
            config: config.to_string().into_bytes(),
            layers,
        }
    }

    fn platform(&self, architecture: &str, base: bool) -> Platform {
        let own = |text: &str, purpose: &str| BuiltLayer {
            layer: self.layer(
                &[(purpose, text), ("etc/motd", purpose)],
                LayerCompression::Plain,
            ),
            purpose: purpose.to_owned(),
        };
        Platform {
            platform: PlatformName::linux(architecture),
            base: base.then(|| self.base(architecture)),
            layers: vec![own("kubelet", "kubernetes"), own("site", "overlay")],
            squashfs: Squashfs {
                digest: Digest::of(b"squashfs"),
                size: 4096,
                compression: "zstd:9".parse().unwrap(),
                block_size: 262_144,
                epoch: EPOCH,
            },
        }
    }

    fn spec(&self, platforms: Vec<Platform>) -> Spec {
        Spec {
            description: Description {
                name: "demo".into(),
                version: "1.0.0".into(),
                os_distribution: "debian".into(),
                os_version: "13".into(),
                kubernetes_distribution: "k3s".into(),
                kubernetes_version: "1.32.3+k3s1".into(),
                kubernetes_found: None,
            },
            epoch: EPOCH,
            compression: LayerCompression::Gzip,
            platforms,
        }
    }

    fn build(&self, spec: &Spec) -> Image {
        build(&self.store, spec, &Progress::silent()).unwrap()
    }

    fn json(&self, digest: &Digest) -> Value {
        serde_json::from_slice(&fs_err::read(self.store.blob_path(digest)).unwrap()).unwrap()
    }

    /// The images as an OCI layout in a directory.
    fn write_layout(&self, images: &[Image]) -> PathBuf {
        let dir = self.dir.path().join("layout");
        for (path, file) in layout(images, None).files {
            let path = dir.join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            match file {
                LayoutFile::Bytes(bytes) => fs_err::write(path, bytes).unwrap(),
                LayoutFile::Blob(digest, size) => {
                    let copied = fs_err::copy(self.store.blob_path(&digest), path).unwrap();
                    assert_eq!(copied, size);
                }
                LayoutFile::File(..) => panic!("a provider image's blobs are the store's"),
            }
        }
        dir
    }
}

/// Runs a judge and gives what it printed.
#[allow(clippy::disallowed_methods)]
fn judge(package: &str, program: &str, args: &[&str]) -> Vec<u8> {
    let output = std::process::Command::new(program)
        .args(args)
        .output()
        .unwrap_or_else(|e| {
            panic!("{program} is needed; install the Debian package {package}: {e}")
        });
    assert!(
        output.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

fn skopeo_inspect(source: &str, architecture: &str, more: &[&str]) -> Value {
    let mut args = vec!["inspect", "--override-arch", architecture];
    args.extend(more);
    args.push(source);
    serde_json::from_slice(&judge("skopeo", "skopeo", &args)).unwrap()
}

#[test]
fn the_tag_says_distribution_version_and_appliance() {
    let fixture = fixture();
    let mut spec = fixture.spec(Vec::new());
    assert_eq!(spec.description.tag().unwrap(), "k3s-1.32.3_k3s1-1.0.0");
    spec.description.version = "1 0".into();
    let error = spec.description.tag().unwrap_err().to_string();
    assert!(error.contains("can't be the tag"), "{error}");
    spec.description.version = "1".repeat(MAX_TAG_BYTES);
    let error = spec.description.tag().unwrap_err().to_string();
    assert!(error.contains("can't be the tag"), "{error}");
}

#[test]
fn base_layers_keep_their_digests_and_ours_are_compressed() {
    let fixture = fixture();
    let platform = fixture.platform("amd64", true);
    let image = fixture.build(&fixture.spec(vec![platform.clone()]));
    let manifest = fixture.json(&image.platforms[&platform.platform].manifest);
    let layers: Vec<(String, String)> = manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| {
            let text = |key: &str| layer[key].as_str().unwrap().to_owned();
            (text("mediaType"), text("digest"))
        })
        .collect();
    let base = platform.base.unwrap();
    assert_eq!(layers.len(), 4);
    assert_eq!(layers[0].0, "application/vnd.oci.image.layer.v1.tar+gzip");
    assert_eq!(layers[0].1, base.layers[0].digest.to_string());
    assert_eq!(layers[1].0, "application/vnd.oci.image.layer.v1.tar");
    assert_eq!(layers[1].1, base.layers[1].digest.to_string());
    for layer in &layers[2..] {
        assert_eq!(layer.0, "application/vnd.oci.image.layer.v1.tar+gzip");
    }
    let annotation = |name: &str| manifest["annotations"][name].as_str().unwrap().to_owned();
    assert_eq!(
        annotation("org.opencontainers.image.base.digest"),
        base.manifest.to_string()
    );
    assert_eq!(
        annotation(isoforge_contract::labels::SQUASHFS_DIGEST),
        Digest::of(b"squashfs").to_string()
    );
    assert_eq!(
        annotation(isoforge_contract::labels::SQUASHFS_EPOCH),
        EPOCH.to_string()
    );
}

#[test]
fn the_same_input_gives_the_same_bytes_in_any_store_and_order() {
    let digest = |reverse: bool| {
        let fixture = fixture();
        let mut platforms = vec![
            fixture.platform("amd64", true),
            fixture.platform("arm64", true),
        ];
        if reverse {
            platforms.reverse();
        }
        fixture.build(&fixture.spec(platforms)).index.digest
    };
    let first = digest(false);
    assert_eq!(first, digest(false));
    assert_eq!(first, digest(true));
}

#[test]
fn zstandard_is_used_where_asked_for() {
    let fixture = fixture();
    let platform = fixture.platform("amd64", false);
    let spec = Spec {
        compression: LayerCompression::Zstd,
        ..fixture.spec(vec![platform.clone()])
    };
    let manifest = fixture.json(&fixture.build(&spec).platforms[&platform.platform].manifest);
    for layer in manifest["layers"].as_array().unwrap() {
        assert_eq!(
            layer["mediaType"],
            "application/vnd.oci.image.layer.v1.tar+zstd"
        );
    }
    let config: Digest = manifest["config"]["digest"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let diff_ids = &fixture.json(&config)["rootfs"]["diff_ids"];
    assert_eq!(diff_ids[0], platform.layers[0].layer.diff_id.to_string());
}

#[test]
fn a_layer_is_compressed_once() {
    let fixture = fixture();
    let layer = fixture.layer(&[("a", "b")], LayerCompression::Plain);
    let compress = || {
        compress_layer(
            &fixture.store,
            &layer,
            LayerCompression::Gzip,
            &Progress::silent(),
        )
    };
    let first = compress().unwrap();
    assert_eq!(first.diff_id, layer.diff_id);
    // Another digest here means that VERSION must count up.
    insta::assert_snapshot!(first.digest, @"sha256:ce994f719ff6924c51b7d78e47b06f6968e85685a3deb3ee0a8bdfeb4e517add");
    // Without the plain blob only the remembered result can be given.
    fs_err::remove_file(fixture.store.blob_path(&layer.digest)).unwrap();
    assert_eq!(compress().unwrap(), first);
    fs_err::remove_file(fixture.store.blob_path(&first.digest)).unwrap();
    assert!(matches!(compress(), Err(Error::Oci(_))));
}

#[test]
fn a_layer_that_is_not_its_diff_id_is_refused() {
    let fixture = fixture();
    let mut layer = fixture.layer(&[("a", "b")], LayerCompression::Plain);
    layer.diff_id = Digest::of(b"something else");
    let error = compress_layer(
        &fixture.store,
        &layer,
        LayerCompression::Gzip,
        &Progress::silent(),
    )
    .unwrap_err();
    assert_eq!(error.class(), Class::Verification);
    assert!(error.to_string().contains(&layer.digest.to_string()));
}

#[test]
fn skopeo_sees_both_platforms_and_copies_them() {
    let fixture = fixture();
    let image = fixture.build(&fixture.spec(vec![
        fixture.platform("amd64", true),
        fixture.platform("arm64", false),
    ]));
    let dir = fixture.write_layout(std::slice::from_ref(&image));
    let source = format!("oci:{}:{}", dir.display(), image.tag);
    for (architecture, layers) in [("amd64", 4), ("arm64", 2)] {
        let seen = skopeo_inspect(&source, architecture, &[]);
        assert_eq!(seen["Architecture"], architecture);
        assert_eq!(seen["Created"], "2023-11-14T22:13:20Z");
        assert_eq!(seen["Layers"].as_array().unwrap().len(), layers);
        assert_eq!(seen["Labels"]["org.opencontainers.image.title"], "demo");
        assert_eq!(
            seen["Labels"][isoforge_contract::labels::SQUASHFS_COMPRESSION],
            "zstd:9"
        );
    }
    let amd64 = skopeo_inspect(&source, "amd64", &["--config"]);
    assert_eq!(amd64["config"]["Env"][0], "PATH=/bin");
    assert_eq!(amd64["config"]["Labels"]["vendor"], "them");
    assert_eq!(amd64["history"].as_array().unwrap().len(), 4);
    let copy = format!("dir:{}", fixture.dir.path().join("copy").display());
    judge(
        "skopeo",
        "skopeo",
        &["copy", "--all", "--quiet", &source, &copy],
    );
}

#[test]
fn several_versions_share_their_layers_in_one_layout() {
    let fixture = fixture();
    let first = fixture.spec(vec![fixture.platform("amd64", true)]);
    let mut second = first.clone();
    second.description.kubernetes_version = "1.31.7".into();
    second.platforms[0].layers[0].layer =
        fixture.layer(&[("kubernetes", "older")], LayerCompression::Plain);
    let images = [fixture.build(&first), fixture.build(&second)];
    let dir = fixture.write_layout(&images);
    for (image, version) in images.iter().zip(["1.32.3+k3s1", "1.31.7"]) {
        let source = format!("oci:{}:{}", dir.display(), image.tag);
        let seen = skopeo_inspect(&source, "amd64", &[]);
        assert_eq!(seen["Labels"]["io.isoforge.kubernetes.version"], version);
    }
    // 2 of the base, 1 overlay, 2 Kubernetes; per image config, manifest, index.
    let blobs = fs_err::read_dir(dir.join("blobs/sha256")).unwrap().count();
    assert_eq!(blobs, 5 + 2 * 3);
}

fn unpacked_by_umoci(fixture: &Fixture, image: &Image) -> PathBuf {
    let dir = fixture.write_layout(std::slice::from_ref(image));
    let bundle = fixture.dir.path().join("bundle");
    let source = format!("{}:{}", dir.display(), image.tag);
    let mut args = vec!["unpack", "--image", source.as_str()];
    if !rustix::process::geteuid().is_root() {
        args.push("--rootless");
    }
    let target = bundle.display().to_string();
    args.push(&target);
    judge("umoci", "umoci", &args);
    bundle.join("rootfs")
}

#[test]
fn umoci_unpacks_what_the_layers_say() {
    for based in [true, false] {
        let fixture = fixture();
        let image = fixture.build(&fixture.spec(vec![fixture.platform("amd64", based)]));
        let root = unpacked_by_umoci(&fixture, &image);
        let read = |path: &str| fs_err::read_to_string(root.join(path)).unwrap();
        assert_eq!(read("etc/motd"), "overlay");
        assert_eq!(read("kubernetes"), "kubelet");
        assert_eq!(read("overlay"), "site");
        assert_eq!(root.join("etc/plain").exists(), based);
    }
}

#[test]
fn images_have_their_full_name_where_it_is_known_for_which_repository_they_are() {
    let image = Image {
        tag: "v1".to_owned(),
        index: Descriptor::new(MediaType::Index(Family::Oci), Digest::of(b""), 0),
        platforms: BTreeMap::new(),
        blobs: BTreeMap::new(),
    };
    let named = |name| match &layout(std::slice::from_ref(&image), name).files[1] {
        (_, LayoutFile::Bytes(bytes)) => String::from_utf8(bytes.clone()).unwrap(),
        other => panic!("{other:?}"),
    };
    assert!(named(Some("r.io/a")).contains(r#""io.containerd.image.name":"r.io/a:v1""#));
    assert!(!named(None).contains("image.name"));
}

#[test]
fn one_image_for_one_platform_is_listed_as_docker_lists_it() {
    let only = PlatformImage {
        manifest: Digest::of(b"manifest"),
        config: Digest::of(b"config"),
        layers: vec![Digest::of(b"one"), Digest::of(b"two")],
    };
    let image = |platforms: &[&str]| Image {
        tag: "v1".to_owned(),
        index: Descriptor::new(MediaType::Index(Family::Oci), Digest::of(b""), 0),
        platforms: platforms
            .iter()
            .map(|arch| (PlatformName::linux(arch), only.clone()))
            .collect(),
        blobs: BTreeMap::new(),
    };
    let list = |images: &[Image], name| {
        let files = layout(images, name).files;
        let list = files
            .into_iter()
            .find(|(path, _)| path == "manifest.json")?;
        match list.1 {
            LayoutFile::Bytes(bytes) => serde_json::from_slice::<Value>(&bytes).ok(),
            other => panic!("{other:?}"),
        }
    };
    let blob = |text: &[u8]| format!("blobs/sha256/{}", Digest::of(text).hex());
    let mut listed = json!([{
        "Config": blob(b"config"),
        "RepoTags": ["r.io/a:v1"],
        "Layers": [blob(b"one"), blob(b"two")],
    }]);
    let one = image(&["amd64"]);
    assert_eq!(
        list(std::slice::from_ref(&one), Some("r.io/a")).as_ref(),
        Some(&listed)
    );
    listed[0]["RepoTags"] = json!([]);
    assert_eq!(list(std::slice::from_ref(&one), None), Some(listed));
    assert_eq!(list(&[image(&["amd64", "arm64"])], None), None);
    assert_eq!(list(&[one.clone(), one], None), None);
}
