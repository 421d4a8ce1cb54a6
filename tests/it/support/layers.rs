//! Layers and images from text.
//!
//! A layer is one line per entry:
//!
//! ```text
//! dir usr 0755
//! file usr/bin/x 0755 'content\n' uid=1 gid=2 mtime=3 xattr.user.a=b
//! fill usr/big 0644 z*1000000
//! link bin usr/bin
//! hard usr/bin/y usr/bin/x
//! fifo run/f 0600
//! char dev/null 0666 1:3
//! block dev/sda 0600 8:0
//! whiteout etc/old
//! opaque etc
//! ```

use std::io::Write;
use std::path::Path;

use isoforge_base::digest::Digest;
use isoforge_oci::layer::LayerCompression;
use isoforge_oci::media::{Family, MediaType};
use isoforge_oci::platform::Platform;
use serde_json::{Value, json};

/// The tar archive that `text` describes.
pub(crate) fn tar_layer(text: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        add_entry(&mut archive, line);
    }
    archive.into_inner().unwrap()
}

fn add_entry(archive: &mut tar::Builder<Vec<u8>>, line: &str) {
    let words = words(line);
    let [kind, path, rest @ ..] = words.as_slice() else {
        panic!("a kind and a path are wanted: {line}");
    };
    let (attributes, arguments): (Vec<&String>, Vec<&String>) = rest.iter().partition(|word| {
        ["uid=", "gid=", "mtime=", "xattr."]
            .iter()
            .any(|p| word.starts_with(p))
    });
    let argument = |n: usize| arguments.get(n).map_or("", |word| word.as_str());
    let mut header = tar::Header::new_ustar();
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header.set_mode(u32::from_str_radix(argument(0), 8).unwrap_or(0o777));
    let mut path = path.clone();
    let mut content = Vec::new();
    let entry_type = match kind.as_str() {
        "dir" => tar::EntryType::Directory,
        "file" => {
            content = argument(1).replace("\\n", "\n").into_bytes();
            tar::EntryType::Regular
        }
        "fill" => {
            let (pattern, times) = argument(1).rsplit_once('*').unwrap();
            content = pattern.repeat(times.parse().unwrap()).into_bytes();
            tar::EntryType::Regular
        }
        "link" | "hard" => {
            header.set_link_name(argument(0)).unwrap();
            header.set_mode(0o777);
            if kind == "link" {
                tar::EntryType::Symlink
            } else {
                tar::EntryType::Link
            }
        }
        "fifo" => tar::EntryType::Fifo,
        "char" | "block" => {
            let (major, minor) = argument(1).split_once(':').unwrap();
            header.set_device_major(major.parse().unwrap()).unwrap();
            header.set_device_minor(minor.parse().unwrap()).unwrap();
            if kind == "char" {
                tar::EntryType::Char
            } else {
                tar::EntryType::Block
            }
        }
        "whiteout" => {
            let at = path.rfind('/').map_or(0, |at| at + 1);
            path.insert_str(at, ".wh.");
            tar::EntryType::Regular
        }
        "opaque" => {
            path.push_str("/.wh..wh..opq");
            tar::EntryType::Regular
        }
        other => panic!("no such kind: {other}"),
    };
    let mut pax: Vec<(String, Vec<u8>)> = Vec::new();
    for attribute in attributes {
        let (name, value) = attribute.split_once('=').unwrap();
        match name {
            "uid" => header.set_uid(value.parse().unwrap()),
            "gid" => header.set_gid(value.parse().unwrap()),
            "mtime" => header.set_mtime(value.parse().unwrap()),
            name => {
                let name = name.strip_prefix("xattr.").unwrap();
                pax.push((format!("SCHILY.xattr.{name}"), value.as_bytes().to_vec()));
            }
        }
    }
    if !pax.is_empty() {
        archive
            .append_pax_extensions(pax.iter().map(|(k, v)| (k.as_str(), v.as_slice())))
            .unwrap();
    }
    header.set_entry_type(entry_type);
    header.set_size(content.len() as u64);
    header.set_path(&path).unwrap();
    header.set_cksum();
    archive.append(&header, content.as_slice()).unwrap();
}

/// Words parted by blanks; `'…'` is one word.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'').expect("a closing quote"),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

/// A tar archive as a layer's blob.
pub(crate) fn compress(tar: &[u8], compression: LayerCompression) -> Vec<u8> {
    match compression {
        LayerCompression::Plain => tar.to_vec(),
        LayerCompression::Gzip => {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(tar).unwrap();
            out.finish().unwrap()
        }
        LayerCompression::Zstd => zstd::bulk::compress(tar, 3).unwrap(),
    }
}

/// A manifest or blob with its media type.
#[derive(Debug, Clone)]
pub(crate) struct Blob {
    pub(crate) media_type: String,
    pub(crate) bytes: Vec<u8>,
}

impl Blob {
    pub(crate) fn new(media_type: &str, bytes: Vec<u8>) -> Self {
        Self {
            media_type: media_type.to_owned(),
            bytes,
        }
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    pub(crate) fn descriptor(&self) -> Value {
        json!({
            "mediaType": self.media_type,
            "digest": self.digest(),
            "size": self.bytes.len(),
        })
    }
}

/// An image for one platform.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) platform: Platform,
    pub(crate) manifest: Blob,
    pub(crate) config: Blob,
    pub(crate) layers: Vec<Blob>,
    pub(crate) diff_ids: Vec<Digest>,
}

impl Image {
    /// An image of `layers`, lowest first, each in the given compression.
    pub(crate) fn new(family: Family, platform: &str, layers: &[(&str, LayerCompression)]) -> Self {
        let tars: Vec<Vec<u8>> = layers.iter().map(|(text, _)| tar_layer(text)).collect();
        let blobs = tars
            .iter()
            .zip(layers)
            .map(|(tar, &(_, compression))| {
                let media_type = MediaType::Layer(family, compression);
                Blob::new(media_type.as_str(), compress(tar, compression))
            })
            .collect();
        let diff_ids = tars.iter().map(|tar| Digest::of(tar)).collect();
        Self::from_blobs(family, platform, blobs, diff_ids)
    }

    /// An OCI image of gzip layers for amd64.
    pub(crate) fn simple(layers: &[&str]) -> Self {
        let layers: Vec<_> = layers
            .iter()
            .map(|text| (*text, LayerCompression::Gzip))
            .collect();
        Self::new(Family::Oci, "linux/amd64", &layers)
    }

    /// An image of blobs made elsewhere.
    pub(crate) fn from_blobs(
        family: Family,
        platform: &str,
        layers: Vec<Blob>,
        diff_ids: Vec<Digest>,
    ) -> Self {
        let platform: Platform = platform.parse().unwrap();
        let mut config = json!({
            "architecture": platform.architecture(),
            "os": platform.os(),
            "created": "2024-05-01T10:00:00Z",
            "config": { "Env": ["PATH=/usr/bin"] },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        if let Some(variant) = platform.variant() {
            config["variant"] = json!(variant);
        }
        let config = Blob::new(
            MediaType::Config(family).as_str(),
            config.to_string().into_bytes(),
        );
        let mut image = Self {
            platform,
            manifest: Blob::new(MediaType::Manifest(family).as_str(), Vec::new()),
            config,
            layers,
            diff_ids,
        };
        image.seal(|_| {});
        image
    }

    /// Makes the manifest anew, after `change` had its way with the document.
    pub(crate) fn seal(&mut self, change: impl FnOnce(&mut Value)) {
        let mut document = json!({
            "schemaVersion": 2,
            "mediaType": self.manifest.media_type,
            "config": self.config.descriptor(),
            "layers": self.layers.iter().map(Blob::descriptor).collect::<Vec<_>>(),
        });
        change(&mut document);
        self.manifest.bytes = document.to_string().into_bytes();
    }

    /// Configuration and layers.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = &Blob> {
        std::iter::once(&self.config).chain(&self.layers)
    }
}

/// An index over images.
pub(crate) fn index(family: Family, images: &[&Image]) -> Blob {
    let entries: Vec<Value> = images
        .iter()
        .map(|image| {
            let mut entry = image.manifest.descriptor();
            entry["platform"] = json!({
                "os": image.platform.os(),
                "architecture": image.platform.architecture(),
            });
            if let Some(variant) = image.platform.variant() {
                entry["platform"]["variant"] = json!(variant);
            }
            entry
        })
        .collect();
    let media_type = MediaType::Index(family);
    let document = json!({
        "schemaVersion": 2,
        "mediaType": media_type.as_str(),
        "manifests": entries,
    });
    Blob::new(media_type.as_str(), document.to_string().into_bytes())
}

/// Writes an OCI image layout: `roots` are listed in `index.json` by name, and
/// all blobs of `images` are put in.
pub(crate) fn write_layout(folder: &Path, roots: &[(&str, &Blob)], images: &[&Image]) {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(
        folder.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
    let put = |blob: &Blob| std::fs::write(blobs.join(blob.digest().hex()), &blob.bytes).unwrap();
    for image in images {
        put(&image.manifest);
        image.blobs().for_each(put);
    }
    let entries: Vec<Value> = roots
        .iter()
        .map(|(name, root)| {
            put(root);
            let mut entry = root.descriptor();
            entry["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
            entry
        })
        .collect();
    let index = json!({ "schemaVersion": 2, "manifests": entries });
    std::fs::write(folder.join("index.json"), index.to_string()).unwrap();
}
