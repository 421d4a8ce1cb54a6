//! What a profile names becomes layers: images of every kind as the operating
//! system, as layers with and without filters, and as content for the ISO.

use std::num::NonZeroUsize;
use std::path::Path;

use isoforge::inputs::Inputs;
use isoforge::profile::{Loaded, load};
use isoforge::sources::Context;
use isoforge::sources::Sourced;
use isoforge::sources::content;
use isoforge::sources::epoch;
use isoforge::sources::image;
use isoforge::sources::kubernetes;
use isoforge::sources::layers;
use isoforge_base::error::{Class, Result};
use isoforge_base::progress::Progress;
use isoforge_contract::arch::Arch;
use isoforge_contract::manifest::{Role, Squashfs};
use isoforge_oci::layer::LayerCompression::{Gzip, Plain, Zstd};
use isoforge_oci::layout::LayoutFile;
use isoforge_oci::media::Family;
use isoforge_oci::platform::Platform as PlatformName;
use isoforge_oci::registry::{Client, RegistryConfig};
use isoforge_oci::store::Store;
use isoforge_system::filtered::Filter;
use isoforge_system::provider;
use isoforge_system::provider::Base;

use crate::support::judge;
use crate::support::layers::{Image, compress, index, tar_layer, write_layout};
use crate::support::registry::FakeRegistry;

/// When the images of the test support were made, 2024-05-01T10:00:00Z.
const IMAGE_TIME: u32 = 1_714_557_600;

struct Bench {
    folder: tempfile::TempDir,
    store: Store,
    client: Client,
    silent: Progress,
    referrers: bool,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            store: Store::open(&folder.path().join("store")).unwrap(),
            client: Client::new(RegistryConfig::default()),
            silent: Progress::silent(),
            referrers: false,
            folder,
        }
    }

    fn context(&self) -> Context<'_> {
        Context {
            store: &self.store,
            client: &self.client,
            lock: None,
            limits: isoforge_formats::tar::Limits::DEFAULT,
            pull_limits: isoforge_oci::pull::Limits::DEFAULT,
            threads: NonZeroUsize::new(2).unwrap(),
            referrers: self.referrers,
            progress: &self.silent,
        }
    }

    /// The profile in this bench's folder with `os` and `rest` put in.
    fn profile(&self, os: &str, rest: &str) -> Loaded {
        let text = format!(
            "schema = 1\n[appliance]\nname = \"test\"\nversion = \"1.0.0\"\narch = [\"amd64\", \"arm64\"]\n\
             [os]\nflavor = \"kairos\"\ndistribution = \"ubuntu\"\nversion = \"22.04\"\n{os}\n{rest}\n"
        );
        let path = self.folder.path().join("profile.toml");
        load(&path, &Default::default(), &|_: &Path| Ok(text.clone()))
            .unwrap_or_else(|problems| panic!("{problems}\n{text}"))
    }

    fn layout(&self, name: &str, images: &[&Image]) {
        let root = index(Family::Docker, images);
        write_layout(&self.folder.path().join(name), &[("1", &root)], images);
    }

    fn operating_system(&self, loaded: &Loaded, arch: Arch) -> Result<(Base, Sourced)> {
        let inputs = Inputs::of(loaded, &[]).unwrap();
        let os = inputs.of_systems(arch).next().unwrap();
        image::operating_system(&self.context(), os, os.image().unwrap())
    }
}

const KUBERNETES: &str =
    "[kubernetes]\ndistribution = \"mine\"\nversion = \"1.32.3\"\nimage = \"oci:k8s:1\"";

fn docker(platform: &str, text: &str) -> Image {
    Image::new(
        Family::Docker,
        platform,
        &[(text, Gzip), ("file etc/both 0644 'x'", Plain)],
    )
}

#[test]
fn an_image_is_the_base_of_the_provider_image_for_each_architecture() {
    let bench = Bench::new();
    let amd64 = docker("linux/amd64", "file etc/arch 0644 'amd64'");
    let arm64 = docker("linux/arm64", "file etc/arch 0644 'arm64'");
    bench.layout("os", &[&amd64, &arm64]);
    let loaded = bench.profile("image = \"oci:os:1\"", KUBERNETES);
    let mut platforms = Vec::new();
    for (arch, image) in [(Arch::Amd64, &amd64), (Arch::Arm64, &arm64)] {
        let (base, sourced) = bench.operating_system(&loaded, arch).unwrap();
        assert_eq!(base.name, None);
        assert_eq!(base.manifest, image.manifest.digest());
        assert_eq!(base.layers, sourced.layers);
        let record = &sourced.images[0];
        // Nothing of where the profile lies on this host.
        assert_eq!(record.reference, "oci:os:1");
        assert_eq!(record.role, Role::Os);
        assert_eq!(record.layers[0], image.layers[0].digest());
        let decided = epoch::decide(None, sourced.times);
        assert_eq!(decided.seconds, IMAGE_TIME);
        platforms.push(provider::Platform {
            platform: PlatformName::linux(arch.as_str()),
            base: Some(base),
            layers: Vec::new(),
            squashfs: Squashfs {
                digest: image.manifest.digest(),
                size: 1,
                compression: "zstd:9".parse().unwrap(),
                block_size: 1 << 18,
                epoch: IMAGE_TIME,
            },
        });
    }
    // A Docker base comes out with OCI types over the same blobs.
    let spec = provider::Spec {
        description: provider::Description {
            name: "test".into(),
            version: "1.0.0".into(),
            kubernetes_distribution: "mine".into(),
            kubernetes_version: "1.32.3".into(),
            ..provider::Description::default()
        },
        epoch: IMAGE_TIME,
        compression: isoforge_oci::layer::LayerCompression::Gzip,
        platforms,
    };
    let made = provider::build(&bench.store, &spec, &bench.silent).unwrap();
    let archive = bench.folder.path().join("provider.tar");
    provider::layout(std::slice::from_ref(&made), None)
        .write_tar(
            &bench.store,
            std::fs::File::create(&archive).unwrap(),
            u64::from(IMAGE_TIME),
        )
        .unwrap();
    let source = format!("oci-archive:{}:{}", archive.display(), made.tag);
    for (arch, image) in [("amd64", &amd64), ("arm64", &arm64)] {
        let seen = judge(
            "skopeo",
            "skopeo",
            &["inspect", "--override-arch", arch, &source],
        );
        let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
        let base: Vec<String> = image
            .layers
            .iter()
            .map(|layer| layer.digest().to_string())
            .collect();
        assert_eq!(seen["Layers"], serde_json::json!(base));
        let types = seen["LayersData"].to_string();
        assert!(!types.contains("vnd.docker."), "{types}");
    }
    let copy = format!("dir:{}", bench.folder.path().join("copy").display());
    judge(
        "skopeo",
        "skopeo",
        &["copy", "--all", "--quiet", &source, &copy],
    );
}

#[test]
fn an_image_without_the_architecture_is_refused_by_name() {
    let bench = Bench::new();
    bench.layout("os", &[&docker("linux/amd64", "file a 0644 'x'")]);
    let loaded = bench.profile("image = \"oci:os:1\"", KUBERNETES);
    let error = bench.operating_system(&loaded, Arch::Arm64).unwrap_err();
    assert_eq!(error.class(), Class::Profile);
    let shown = format!("{:#}", error);
    assert!(shown.contains("linux/arm64"), "{shown}");
}

#[test]
fn a_filtered_image_is_one_layer_with_what_was_asked_for() {
    let bench = Bench::new();
    let image = Image::new(
        Family::Oci,
        "linux/amd64",
        &[
            (
                "file usr/bin/kubelet 0755 'old'\nfile usr/bin/sh 0755 'sh'",
                Zstd,
            ),
            ("file usr/bin/kubelet 0755 'new'\nfile etc/x 0644 'x'", Gzip),
        ],
    );
    let root = index(Family::Oci, &[&image]);
    write_layout(
        &bench.folder.path().join("k8s-1.32.3_x1"),
        &[("1", &root)],
        &[&image],
    );
    let loaded = bench.profile(
        "image = \"oci:os:1\"",
        "[kubernetes]\ndistribution = \"mine\"\nversion = \"1.32.3+x1\"\n\
         image = \"oci:k8s-{version}:1\"\ninclude = [\"usr/bin/kube*\"]",
    );
    let inputs = Inputs::of(&loaded, &[]).unwrap();
    let mut of_kubernetes = inputs.of_systems(Arch::Amd64);
    let input = of_kubernetes.find(|it| it.role == Role::Kubernetes);
    let input = input.unwrap();
    assert_eq!(input.version.as_deref(), Some("1.32.3+x1"));
    let take = |filter: Filter| {
        let mut input = input.clone();
        input.filter = filter;
        image::layers(&bench.context(), &input, input.image().unwrap())
    };
    let sourced = take(input.filter.clone()).unwrap();
    let [layer] = sourced.layers.as_slice() else {
        panic!("{:?}", sourced.layers);
    };
    let tar = std::fs::read(bench.store.blob_path(&layer.digest)).unwrap();
    let text = String::from_utf8_lossy(&tar);
    assert!(text.contains("new") && !text.contains("old") && !text.contains("etc/x"));
    // The manifest tells of the image that the files are from.
    assert_eq!(sourced.images[0].layers.len(), 2);
    let all = take(Filter::new(&[], &[]).unwrap()).unwrap();
    assert_eq!(all.layers.len(), 2);
    let error = take(Filter::new(&["opt/none".to_owned()], &[]).unwrap()).unwrap_err();
    assert_eq!(error.class(), Class::Profile);
    assert!(error.to_string().contains("'opt/none' matches no path"));
}

#[test]
fn an_archive_tells_its_name_as_the_profile_has_it() {
    let bench = Bench::new();
    let tar = tar_layer("file etc/os-release 0644 'ID=x\\n' mtime=1600000000");
    std::fs::write(
        bench.folder.path().join("root-amd64.tar.zst"),
        compress(&tar, Zstd),
    )
    .unwrap();
    let loaded = bench.profile("rootfs = \"root-{arch}.tar.zst\"", KUBERNETES);
    let inputs = Inputs::of(&loaded, &[]).unwrap();
    let take = |arch| {
        let mut archives = inputs.archives();
        let (input, path) = archives.find(|(input, _)| input.arch == arch).unwrap();
        layers::archive(&bench.context(), input, path)
    };
    let sourced = take(Arch::Amd64).unwrap();
    assert_eq!(sourced.files[0].name, "root-amd64.tar.zst");
    assert_eq!(epoch::decide(None, sourced.times).seconds, 1_600_000_000);
    let error = take(Arch::Arm64).unwrap_err();
    assert_eq!(error.class(), Class::Profile);
    assert!(error.to_string().contains("root-arm64.tar.zst"), "{error}");
}

#[test]
fn content_keeps_indexes_and_digests_and_only_the_architectures_blobs() {
    let bench = Bench::new();
    let registry = FakeRegistry::start();
    let image = |platform: &str| Image::new(Family::Oci, platform, &[("file arch 0644 'x'", Gzip)]);
    let (amd64, arm64) = (image("linux/amd64"), image("linux/arm64"));
    let root = index(Family::Oci, &[&amd64, &arm64]);
    registry.put_image("net/node", "amd64", &amd64);
    registry.put_image("net/node", "arm64", &arm64);
    registry.put_manifest("net/node", "v1", &root);
    let alone = Image::simple(&["file alone 0644 'x'"]);
    registry.put_image("alone", "v2", &alone);
    let host = registry.host();
    let loaded = bench.profile(
        "image = \"oci:os:1\"",
        &format!(
            "{KUBERNETES}\nimages = [\"{host}/alone:v2\"]\n[cni]\nname = \"net\"\nversion = \"1\"\n\
             images = [\"{host}/net/node:v1\"]\n[content]\nimages = [\"{host}/net/node:v1\"]"
        ),
    );
    let inputs = Inputs::of(&loaded, &[]).unwrap();
    let collect = || {
        let images = inputs.of_content(Arch::Amd64);
        content::collect(&bench.context(), images, &[], Arch::Amd64).unwrap()
    };
    let content = collect().unwrap();
    let node = format!("{host}/net/node:v1");
    let of_node = content.images.iter().find(|i| i.reference == node).unwrap();
    assert_eq!(of_node.index, Some(root.digest()));
    assert_eq!(of_node.role, Role::Content);
    assert_eq!(content.images.len(), 2);
    let paths: Vec<&str> = content
        .layout
        .files
        .iter()
        .map(|(path, _)| path.as_str())
        .collect();
    let has = |image: &Image| {
        let hex = image.manifest.digest().hex();
        paths.iter().any(|path| path.ends_with(&hex))
    };
    assert!(has(&amd64) && has(&alone) && !has(&arm64), "{paths:?}");
    let (_, LayoutFile::Bytes(list)) = &content.layout.files[1] else {
        panic!("index.json is made here");
    };
    let list = String::from_utf8_lossy(list);
    assert!(list.contains(&node) && list.contains(&root.digest().to_string()));

    let folder = bench.folder.path().join("content");
    content.layout.write_dir(&bench.store, &folder).unwrap();
    let source = format!("oci:{}:{node}", folder.display());
    let raw = judge("skopeo", "skopeo", &["inspect", "--raw", &source]);
    assert_eq!(raw.as_bytes(), root.bytes);
    // A second build takes all from the store, manifests excepted.
    let before = registry.count("/blobs/");
    let again = collect();
    assert_eq!(again.as_ref(), Some(&content));
    assert_eq!(registry.count("/blobs/"), before);
}

#[test]
fn a_missing_content_image_is_told_by_its_name() {
    let bench = Bench::new();
    let registry = FakeRegistry::start();
    let reference = format!("{}/gone:v1", registry.host());
    let loaded = bench.profile(
        "image = \"oci:os:1\"",
        &format!("{KUBERNETES}\n[content]\nimages = [\"{reference}\"]"),
    );
    let inputs = Inputs::of(&loaded, &[]).unwrap();
    let images = inputs.of_content(Arch::Amd64);
    let error = content::collect(&bench.context(), images, &[], Arch::Amd64).unwrap_err();
    assert_eq!(error.class(), Class::Network);
    let shown = format!("{:#}", error);
    assert!(shown.contains(&reference), "{shown}");
}

#[test]
fn components_are_those_of_the_profile() {
    let bench = Bench::new();
    let loaded = bench.profile(
        "image = \"oci:os:1\"",
        &format!(
            "{KUBERNETES}\n[cni]\nname = \"calico\"\nversion = \"3.29.2\"\n\
             [[addons]]\nname = \"mine\"\nversion = \"2\"\nimages = []"
        ),
    );
    let shown: Vec<String> = kubernetes::components(&loaded, "1.32.3")
        .iter()
        .map(|c| format!("{} {} {} {}", c.kind, c.name, c.version, c.source))
        .collect();
    assert_eq!(
        shown,
        [
            "kubernetes mine 1.32.3 profile",
            "cni calico 3.29.2 profile",
            "addon mine 2 profile",
        ]
    );
}
