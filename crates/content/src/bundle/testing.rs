//! Bundles for tests, in every form.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use isoforge_base::digest::Digest;
use isoforge_formats::iso9660::layout::{Boot, Layout, Options};
use isoforge_formats::iso9660::tree::IsoTree;
use isoforge_formats::iso9660::write::{DataWriter, HEAD_OFFSET, head};
use isoforge_formats::zstd_seekable::{Effort, Encoder};
use isoforge_oci::layer::LayerCompression;
use isoforge_oci::layout::{Builder, IMAGE_NAME, LayoutFile, OciLayout, descriptor_json};
use isoforge_oci::manifest::Descriptor;
use isoforge_oci::media::{Family, MediaType};
use isoforge_oci::platform::Platform;

/// The references of [`sample`].
pub(super) const NODE: &str = "docker.io/calico/node:v3.29.2";
pub(super) const CNI: &str = "docker.io/calico/cni:v3.29.2";

/// `n` bytes that do not compress.
pub(super) fn noise(seed: u64, n: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(n).collect()
}

fn put(builder: &mut Builder, media_type: MediaType, bytes: &[u8]) -> Descriptor {
    let digest = builder.bytes(bytes.to_vec());
    Descriptor::new(media_type, digest, bytes.len() as u64)
}

/// Adds an image of these layers and gives its manifest.
pub(super) fn image(builder: &mut Builder, arch: &str, layers: &[Vec<u8>]) -> Descriptor {
    let config = format!(
        r#"{{"os":"linux","architecture":"{arch}","rootfs":{{"type":"layers","diff_ids":[]}}}}"#
    );
    let config = put(builder, MediaType::Config(Family::Oci), config.as_bytes());
    let layer = MediaType::Layer(Family::Oci, LayerCompression::Gzip);
    let layers: Vec<_> = layers
        .iter()
        .map(|layer_bytes| descriptor_json(&put(builder, layer.clone(), layer_bytes)))
        .collect();
    let media_type = MediaType::Manifest(Family::Oci);
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": media_type.as_str(),
        "config": descriptor_json(&config),
        "layers": layers,
    });
    let mut manifest = put(builder, media_type, manifest.to_string().as_bytes());
    manifest.platform = Some(Platform::linux(arch));
    manifest
}

/// Adds an index of these manifests.
pub(super) fn index(builder: &mut Builder, manifests: &[Descriptor]) -> Descriptor {
    let media_type = MediaType::Index(Family::Oci);
    let index = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": media_type.as_str(),
        "manifests": manifests.iter().map(descriptor_json).collect::<Vec<_>>(),
    });
    put(builder, media_type, index.to_string().as_bytes())
}

/// Lists a root under its full reference.
pub(super) fn list(builder: &mut Builder, name: &str, mut root: Descriptor) {
    root.annotations
        .insert(IMAGE_NAME.to_owned(), name.to_owned());
    builder.reference(name, root);
}

/// Two images: an index of two platforms, one of which is not there, and a plain
/// manifest. They share a layer.
pub(super) fn sample_builder() -> Builder {
    let mut builder = Builder::new();
    let shared = noise(1, 3_000_000);
    let amd64 = image(
        &mut builder,
        "amd64",
        &[shared.clone(), vec![b'n'; 200_000]],
    );
    let mut elsewhere = Builder::new();
    let arm64 = image(&mut elsewhere, "arm64", &[noise(2, 10)]);
    let node = index(&mut builder, &[amd64, arm64]);
    list(&mut builder, NODE, node);
    let mut cni = image(&mut builder, "amd64", &[shared, b"cni".to_vec()]);
    cni.platform = None;
    list(&mut builder, CNI, cni);
    builder
}

pub(super) fn sample() -> OciLayout {
    sample_builder().build()
}

pub(super) fn files(layout: &OciLayout) -> Vec<(&str, &[u8])> {
    layout
        .files
        .iter()
        .map(|(path, file)| match file {
            LayoutFile::Bytes(bytes) => (path.as_str(), bytes.as_slice()),
            other => panic!("{other:?}"),
        })
        .collect()
}

pub(super) fn write_folder(layout: &OciLayout, folder: &Path) {
    crate::testing::write(folder, &files(layout));
}

pub(super) fn tar_bytes(layout: &OciLayout) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, bytes) in files(layout) {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

/// A seekable archive whose frames have `frame_bytes` each, wherever members begin.
pub(super) fn seekable_bytes(layout: &OciLayout, frame_bytes: usize) -> Vec<u8> {
    let mut encoder = Encoder::new().unwrap();
    let mut file = Vec::new();
    for frame in tar_bytes(layout).chunks(frame_bytes) {
        encoder.frame(frame, Effort::Normal, &mut file).unwrap();
    }
    file.extend(encoder.table().unwrap());
    file
}

/// An ISO image with the layout below `folder`.
pub(super) fn write_iso(layout: &OciLayout, folder: &str, iso: &Path) {
    let mut tree = IsoTree::new();
    let mut contents = Vec::new();
    for (path, bytes) in files(layout) {
        let path = format!("{folder}/{path}");
        let id = tree
            .file(path.as_bytes(), 0o644, bytes.len() as u64)
            .unwrap();
        contents.push((id, bytes));
    }
    let options = Options {
        volume_id: "TEST",
        epoch: 1_780_000_000,
        boot: Boot::default(),
        tail_blocks: 0,
    };
    let layout = Layout::new(&tree, &options).unwrap();
    let out = File::create(iso).unwrap();
    out.set_len(layout.bytes()).unwrap();
    out.write_all_at(&head(&tree, &layout).unwrap(), HEAD_OFFSET)
        .unwrap();
    for (id, bytes) in contents {
        let mut writer = DataWriter::new(&out, &tree, &layout, id).unwrap();
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap();
    }
}

/// Cuts a file into parts and writes their list.
pub(super) fn split(bytes: &[u8], folder: &Path, name: &str, part_bytes: usize) {
    let mut parts = Vec::new();
    for (at, part) in bytes.chunks(part_bytes).enumerate() {
        let name = super::parts::part_name(name, at + 1);
        fs_err::write(folder.join(&name), part).unwrap();
        parts.push(super::ArchivePart {
            name,
            size: part.len() as u64,
            digest: Digest::of(part),
        });
    }
    let parts = super::parts::PartsList {
        schema: 1,
        name: name.to_owned(),
        size: bytes.len() as u64,
        digest: Digest::of(bytes),
        parts,
    };
    let list = folder.join(format!("{name}{}", super::parts::PARTS_SUFFIX));
    fs_err::write(list, serde_json::to_vec(&parts).unwrap()).unwrap();
}
