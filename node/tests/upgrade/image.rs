//! Provider images of a few small files.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use isoforge_base::digest::Digest;
use isoforge_base::process::Program;
use isoforge_base::progress::Progress;
use isoforge_contract::machine::{BOOT_PASSWORD_PATH, CONFIG_PATH, Config, Firmware, PROGRAM_PATH};
use isoforge_contract::manifest::Squashfs;
use isoforge_formats::squashfs::Settings;
use isoforge_oci::layer::{Layer, LayerCompression};
use isoforge_oci::platform::Platform as PlatformName;
use isoforge_oci::store::Store;
use isoforge_system::merged::BuiltLayer;
use isoforge_system::provider;
use isoforge_system::provider::Description;
use isoforge_system::provider::Image;
use isoforge_system::provider::Platform;
use isoforge_system::provider::Spec;
use isoforge_system::replay::{Replay, digest_of};

/// The configuration that other tests have, too.
const CONFIG: &[u8] = include_bytes!("../../../crates/contract/src/machine/sample.json");

pub(crate) const KERNEL: &[u8] = b"a kernel";
pub(crate) const INITRD: &[u8] = b"an initrd";

const COMPRESSION: &str = "zstd:3";
const BLOCK_BYTES: u32 = 128 << 10;
const EPOCH: u32 = 1_700_000_000;

/// How an image differs from a good one.
#[derive(Clone)]
pub(crate) struct Variant {
    /// What its program does, as a line of shell; `APPLIANCE` is the real one.
    pub(crate) script: Option<&'static str>,
    /// The compression that its SquashFS has, whatever the label says.
    pub(crate) made_with: &'static str,
    /// What the label says instead of the digest.
    pub(crate) label: Option<Digest>,
    /// The hash of its menu's password.
    pub(crate) lock: Option<&'static str>,
}

impl Default for Variant {
    fn default() -> Self {
        Self {
            script: None,
            made_with: COMPRESSION,
            label: None,
            lock: None,
        }
    }
}

/// Images in a store.
pub(crate) struct Built {
    dir: tempfile::TempDir,
    store: Store,
    images: Vec<Image>,
    /// Digest of the (last) SquashFS.
    pub(crate) digest: Digest,
}

fn layer(store: &Store, files: &BTreeMap<&str, (u32, Vec<u8>)>) -> Layer {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, (mode, bytes)) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(*mode);
        header.set_mtime(u64::from(EPOCH));
        header.set_uid(0);
        header.set_gid(0);
        tar.append_data(&mut header, path, bytes.as_slice())
            .unwrap();
    }
    let bytes = tar.into_inner().unwrap();
    let digest = store.put_blob(&bytes).unwrap();
    Layer {
        digest,
        size: bytes.len() as u64,
        compression: LayerCompression::Plain,
        diff_id: digest,
    }
}

pub(crate) fn config() -> Vec<u8> {
    let mut config = Config::parse(CONFIG).unwrap();
    config.name = "tiny".to_owned();
    config.version = "2.0.0".to_owned();
    config.title = "tiny 2.0.0".to_owned();
    config.firmware = vec![Firmware::Uefi];
    config.boot.cmdline = vec!["new=argument".to_owned()];
    config.to_json().unwrap()
}

impl Built {
    /// Version 2.0.0.
    pub(crate) fn new(variant: &Variant) -> Self {
        Self::of(variant, &["1.32.3"])
    }

    /// Images with these versions of Kubernetes.
    pub(crate) fn several(versions: &[&str]) -> Self {
        Self::of(&Variant::default(), versions)
    }

    fn of(variant: &Variant, versions: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let real = env!("CARGO_BIN_EXE_appliance");
        let script = variant.script.unwrap_or("exec APPLIANCE \"$@\"");
        let script = format!("#!/bin/sh\n{}\n", script.replace("APPLIANCE", real));
        let data: Vec<u8> = (0..300_000_u32)
            .map(|n| (n % 251 * (n / 7919)) as u8)
            .collect();
        let os = layer(
            &store,
            &BTreeMap::from([
                ("boot/vmlinuz-6.1.0", (0o644, KERNEL.to_vec())),
                ("boot/initrd.img-6.1.0", (0o600, INITRD.to_vec())),
                (PROGRAM_PATH, (0o755, b"an older one".to_vec())),
                ("usr/share/data", (0o644, data)),
            ]),
        );
        let mut files = BTreeMap::from([
            (PROGRAM_PATH, (0o755, script.into_bytes())),
            (CONFIG_PATH, (0o644, config())),
        ]);
        if let Some(lock) = variant.lock {
            files.insert(BOOT_PASSWORD_PATH, (0o600, lock.as_bytes().to_vec()));
        }
        let node = layer(&store, &files);
        let mut digest = Digest::of(b"");
        let images = versions
            .iter()
            .map(|version| {
                let kubelet = format!("kubelet {version}").into_bytes();
                let kubernetes = layer(
                    &store,
                    &BTreeMap::from([("usr/bin/kubelet", (0o755, kubelet))]),
                );
                let layers = vec![os.clone(), kubernetes, node.clone()];
                let size;
                (digest, size) = squashfs(&store, &layers, variant.made_with);
                let squashfs = Squashfs {
                    digest: variant.label.unwrap_or(digest),
                    size,
                    compression: COMPRESSION.parse().unwrap(),
                    block_size: BLOCK_BYTES,
                    epoch: EPOCH,
                };
                image(&store, version, layers, squashfs)
            })
            .collect();
        Self {
            dir,
            store,
            images,
            digest,
        }
    }

    /// An archive in OCI layout.
    pub(crate) fn archive(&self) -> String {
        let path = self.dir.path().join("image.tar");
        let mut file = std::fs::File::create(&path).unwrap();
        provider::layout(&self.images, None)
            .write_tar(&self.store, &mut file, u64::from(EPOCH))
            .unwrap();
        path.display().to_string()
    }

    /// The same as a folder.
    pub(crate) fn folder(&self) -> String {
        let path = self.dir.path().join("layout");
        fs_err::create_dir_all(&path).unwrap();
        Program::new("tar", "tar")
            .arg("-xf")
            .arg(self.archive())
            .arg("-C")
            .arg(&path)
            .output(0)
            .unwrap();
        path.display().to_string()
    }

    /// Cuts the largest blob of a folder.
    pub(crate) fn truncate_a_layer(&self, folder: &str) {
        let blobs = PathBuf::from(folder).join("blobs/sha256");
        let largest = fs_err::read_dir(blobs)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .max_by_key(|path| path.metadata().unwrap().len())
            .unwrap();
        let length = largest.metadata().unwrap().len();
        let file = fs_err::OpenOptions::new()
            .write(true)
            .open(largest)
            .unwrap();
        file.set_len(length - 100).unwrap();
    }
}

fn squashfs(store: &Store, layers: &[Layer], compression: &str) -> (Digest, u64) {
    let settings = Settings {
        compressor: compression.parse().unwrap(),
        block_size: BLOCK_BYTES,
    };
    let progress = Progress::silent();
    let replay = Replay::new(store, layers, settings, NonZeroUsize::MIN, &progress).unwrap();
    let plan = replay.plan(EPOCH).unwrap();
    (
        digest_of(&plan, "the root file system", &progress).unwrap(),
        plan.size(),
    )
}

fn image(store: &Store, kubernetes: &str, layers: Vec<Layer>, squashfs: Squashfs) -> Image {
    let own = |layer: Layer| BuiltLayer {
        layer,
        purpose: "test".to_owned(),
    };
    let spec = Spec {
        description: Description {
            name: "tiny".to_owned(),
            version: "2.0.0".to_owned(),
            kubernetes_distribution: "pxk-e".to_owned(),
            kubernetes_version: kubernetes.to_owned(),
            ..Description::default()
        },
        epoch: EPOCH,
        compression: LayerCompression::Gzip,
        platforms: vec![Platform {
            platform: PlatformName::linux("amd64"),
            base: None,
            layers: layers.into_iter().map(own).collect(),
            squashfs,
        }],
    };
    provider::build(store, &spec, &Progress::silent()).unwrap()
}
