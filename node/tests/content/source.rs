//! Sources made of a few bytes.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use appliance::content::source::{Annotations, Kind, Opened, Root, Source};
use isoforge_base::digest::Digest;
use isoforge_oci::manifest::Descriptor;
use isoforge_oci::media::MediaType;
use serde_json::{Value, json};

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Images in memory.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) roots: Vec<Root>,
    pub(crate) blobs: BTreeMap<Digest, Vec<u8>>,
    pub(crate) annotations: Annotations,
    /// Reading fails after that many bytes of blobs; manifests are read before.
    pub(crate) breaks_after: Option<AtomicU64>,
    /// Whether large blobs take their time.
    pub(crate) slow: bool,
}

impl Memory {
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        self.blobs.insert(digest, bytes.to_vec());
        digest
    }

    fn json(&mut self, value: &Value, media_type: &str) -> Descriptor {
        let bytes = value.to_string().into_bytes();
        let digest = self.put(&bytes);
        Descriptor::new(MediaType::parse(media_type), digest, bytes.len() as u64)
    }

    /// An image whose layers are these bytes, as tar files.
    pub(crate) fn image(&mut self, layers: &[&[u8]]) -> Descriptor {
        self.image_about(layers, None)
    }

    /// The same about another one.
    pub(crate) fn image_about(
        &mut self,
        layers: &[&[u8]],
        subject: Option<&Descriptor>,
    ) -> Descriptor {
        let tars: Vec<Vec<u8>> = layers.iter().map(|bytes| tar(bytes)).collect();
        let diff_ids: Vec<Digest> = tars.iter().map(|tar| Digest::of(tar)).collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = self.json(&config, CONFIG);
        let layers: Vec<Value> = tars
            .iter()
            .map(|tar| json!({ "mediaType": LAYER, "digest": self.put(tar), "size": tar.len() }))
            .collect();
        let mut manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": { "mediaType": CONFIG, "digest": config.digest, "size": config.size },
            "layers": layers,
        });
        if let Some(subject) = subject {
            manifest["artifactType"] = json!("application/vnd.test.about");
            manifest["subject"] = json!({
                "mediaType": subject.media_type.as_str(),
                "digest": subject.digest, "size": subject.size,
            });
        }
        self.json(&manifest, MANIFEST)
    }

    /// An index of these images, and of one for a platform that nobody has.
    pub(crate) fn index(&mut self, images: &[&Descriptor], partial: bool) -> Descriptor {
        let entry = |image: &Descriptor, arch: &str| {
            json!({
                "mediaType": image.media_type.as_str(), "digest": image.digest,
                "size": image.size, "platform": { "os": "linux", "architecture": arch },
            })
        };
        let arches = ["amd64", "arm64", "s390x"];
        let mut manifests: Vec<Value> = images
            .iter()
            .zip(arches)
            .map(|(image, arch)| entry(image, arch))
            .collect();
        if partial {
            let absent = Descriptor::new(MediaType::parse(MANIFEST), Digest::of(b"absent"), 6);
            manifests.push(entry(&absent, "riscv64"));
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
        self.json(&index, INDEX)
    }

    pub(crate) fn root(&mut self, reference: &str, descriptor: &Descriptor) {
        self.roots.push(Root {
            descriptor: descriptor.clone(),
            reference: Some(reference.to_owned()),
            kind: Kind::Content,
        });
    }

    pub(crate) fn about(&mut self, descriptor: &Descriptor) {
        self.roots.push(Root {
            descriptor: descriptor.clone(),
            reference: None,
            kind: Kind::Content,
        });
    }
}

fn tar(bytes: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "file", bytes).unwrap();
    tar.into_inner().unwrap()
}

impl Source for Memory {
    fn name(&self) -> String {
        "the bundle".to_owned()
    }

    fn roots(&self) -> &[Root] {
        &self.roots
    }

    fn annotations(&self) -> &Annotations {
        &self.annotations
    }

    fn digest(&self) -> Digest {
        let names: Vec<String> = self
            .roots
            .iter()
            .map(|root| format!("{:?}{}", root.reference, root.descriptor.digest))
            .collect();
        Digest::of(names.join("\n").as_bytes())
    }

    fn has(&self, digest: &Digest) -> Result<bool> {
        Ok(self.blobs.contains_key(digest))
    }

    fn open(&self, digest: &Digest) -> Result<Option<Opened>> {
        let Some(bytes) = self.blobs.get(digest) else {
            return Ok(None);
        };
        let size = bytes.len() as u64;
        let mut bytes = bytes.clone();
        let mut broken = false;
        // Manifests are small, and read while the import is planned.
        if let Some(left) = &self.breaks_after
            && size > 4096
        {
            let now = left.load(Ordering::Relaxed);
            broken = now < size;
            bytes.truncate(now.min(size) as usize);
            left.store(now.saturating_sub(size), Ordering::Relaxed);
        }
        Ok(Some((
            size,
            Box::new(Breaking(io::Cursor::new(bytes), broken)),
        )))
    }
}

struct Breaking(io::Cursor<Vec<u8>>, bool);

impl Read for Breaking {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buf)? {
            0 if self.1 => Err(io::Error::other("the cable was pulled")),
            read => Ok(read),
        }
    }
}
