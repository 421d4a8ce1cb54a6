//! Images in the archives of `docker save` and of skopeo's `docker-archive:`.
//!
//! Docker Image Specification v1.2, "Combined Image JSON + Filesystem Changeset
//! Format": `manifest.json` names each image's configuration and layers by path.
//! Layers are usually plain tar; Docker with containerd's image store keeps them
//! compressed. The archive has no image manifest, so one is made: of Docker's
//! schema 2, with the blobs exactly as they lie in the archive.

use std::collections::BTreeMap;
use std::io::Read;

use serde::Deserialize;
use serde_json::json;

use super::files::{Files, Opened};
use super::{BlobRest, Expected, Registry, checked_manifest};
use crate::Error;
use crate::compression::sniff;
use crate::layer::LayerCompression;
use crate::layout;
use crate::manifest::{Descriptor, ImageConfig, MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES, Manifest};
use crate::media::{Family, MediaType};
use isoforge_base::digest::Digest;

const LIST_FILE: &str = layout::DOCKER_FILE;
const MAGIC_BYTES: u64 = 8;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

impl Image {
    fn names(&self) -> impl Iterator<Item = &String> {
        self.repo_tags.iter().flatten()
    }

    /// Whether both are made of the same files, whatever they are called.
    fn is_same(&self, other: &Self) -> bool {
        (&self.config, &self.layers) == (&other.config, &other.layers)
    }
}

/// One image of an archive.
#[derive(Debug)]
pub(super) struct DockerArchive {
    files: Files,
    manifest: Manifest,
    /// Digest of each blob to its path in the archive.
    paths: BTreeMap<Digest, String>,
}

impl DockerArchive {
    pub(super) fn open(files: Files, name: Option<&str>) -> Result<Self, Error> {
        let Some(list) = files.read(LIST_FILE, MAX_MANIFEST_BYTES)? else {
            let problem = if files.open("oci-layout")?.is_some() {
                "is an OCI image layout; write oci-archive:FILE"
            } else {
                "is not what docker save writes (manifest.json is missing)"
            };
            return Err(files.wrong(problem.to_owned()));
        };
        let images: Vec<Image> = serde_json::from_slice(&list)
            .map_err(|error| files.wrong(format!("has a malformed manifest.json: {error}")))?;
        let image = choose(&files, &images, name)?;
        let (config, config_bytes) = describe_config(&files, image)?;
        let parsed = ImageConfig::parse(&config_bytes).map_err(|error| Error::Manifest {
            place: files.place(&image.config),
            source: Box::new(error),
        })?;
        let mut paths = BTreeMap::from([(config.digest, image.config.clone())]);
        let mut layers = Vec::new();
        for (n, path) in image.layers.iter().enumerate() {
            let layer = describe_layer(&files, path, parsed.diff_ids.get(n))?;
            paths.insert(layer.digest, path.clone());
            layers.push(layer);
        }
        let manifest = make_manifest(&files, &config, &layers)?;
        Ok(Self {
            files,
            manifest,
            paths,
        })
    }
}

fn choose<'a>(files: &Files, images: &'a [Image], name: Option<&str>) -> Result<&'a Image, Error> {
    let choice = |wanted: &str| files.choice(wanted, images.iter().flat_map(Image::names));
    match (images, name) {
        ([], _) => Err(files.wrong("holds no image".to_owned())),
        ([one, others @ ..], None) if others.iter().all(|other| other.is_same(one)) => Ok(one),
        (_, None) => Err(choice("it holds several images")),
        (images, Some(name)) => images
            .iter()
            .find(|image| image.names().any(|known| known == name))
            .ok_or_else(|| choice(&format!("no image is called {name}"))),
    }
}

fn describe_config(files: &Files, image: &Image) -> Result<(Descriptor, Vec<u8>), Error> {
    let bytes = files.require(&image.config, MAX_CONFIG_BYTES)?;
    let digest = Digest::of(&bytes);
    let descriptor = Descriptor::new(
        MediaType::Config(Family::Docker),
        digest,
        bytes.len() as u64,
    );
    Ok((descriptor, bytes))
}

/// A plain layer's digest is its diffID, which is checked when it is pulled; a
/// compressed one is hashed here.
fn describe_layer(
    files: &Files,
    path: &str,
    diff_id: Option<&Digest>,
) -> Result<Descriptor, Error> {
    let open = || -> Result<Opened, Error> {
        files
            .open(path)?
            .ok_or_else(|| files.wrong(format!("{path} is missing")))
    };
    let opened = open()?;
    let size = opened.size;
    let mut magic = Vec::new();
    let read = opened.reader.take(MAGIC_BYTES).read_to_end(&mut magic);
    read.map_err(Error::Read)?;
    let compression = sniff(&magic);
    let digest = match (compression, diff_id) {
        (LayerCompression::Plain, Some(diff_id)) => *diff_id,
        _ => Digest::of_reader(open()?.reader).map_err(Error::Read)?.0,
    };
    let media_type = MediaType::Layer(Family::Docker, compression);
    Ok(Descriptor::new(media_type, digest, size))
}

fn make_manifest(
    files: &Files,
    config: &Descriptor,
    layers: &[Descriptor],
) -> Result<Manifest, Error> {
    let entry = |descriptor: &Descriptor| {
        json!({
            "mediaType": descriptor.media_type.as_str(),
            "size": descriptor.size,
            "digest": descriptor.digest,
        })
    };
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::Manifest(Family::Docker).as_str(),
        "config": entry(config),
        "layers": layers.iter().map(entry).collect::<Vec<_>>(),
    });
    let raw = document.to_string().into_bytes();
    checked_manifest(files.place(LIST_FILE), raw, Expected::default())
}

impl Registry for DockerArchive {
    fn resolve(&self) -> Result<Manifest, Error> {
        Ok(self.manifest.clone())
    }

    fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest, Error> {
        Err(self
            .files
            .wrong(format!("holds no manifest {}", descriptor.digest)))
    }

    fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<BlobRest<'_>, Error> {
        let path = self.paths.get(&descriptor.digest);
        match path
            .map(|path| self.files.open(path))
            .transpose()?
            .flatten()
        {
            Some(opened) => opened.from(offset),
            None => Err(self
                .files
                .wrong(format!("holds no blob {}", descriptor.digest))),
        }
    }
}
