//! What a lock names beside images: each is one blob of the store.

use super::Lock;
use isoforge_base::digest::Digest;

/// What a blob is, in the order in which exports list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BlobKind {
    /// The layer that an archive of the local disk became.
    Archive,
    /// A root file system made from packages.
    Bootstrap,
    /// A chart's archive.
    Chart,
    /// A GRUB core image.
    CoreImage,
    /// A file by URL.
    File,
}

/// A blob that belongs to no image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockedBlob {
    /// What it is.
    pub kind: BlobKind,
    /// URL, path, architecture or purpose, as the lock has it.
    pub name: String,
    /// Of its bytes.
    pub digest: Digest,
    /// In bytes, where the lock says it.
    pub size: Option<u64>,
}

impl Lock {
    /// All blobs that belong to no image, by kind.
    #[must_use]
    pub fn blobs(&self) -> Vec<LockedBlob> {
        let blob = |kind, name: &str, digest, size| LockedBlob {
            kind,
            name: name.to_owned(),
            digest,
            size,
        };
        let archives = self.archives.iter().map(|it| {
            let layer = &it.layer;
            blob(BlobKind::Archive, &it.path, layer.digest, Some(layer.size))
        });
        let bootstraps = self.bootstraps.iter();
        let bootstraps =
            bootstraps.map(|it| blob(BlobKind::Bootstrap, &it.arch, it.layer, Some(it.size)));
        let charts = self.charts.iter();
        let charts = charts.map(|it| blob(BlobKind::Chart, &it.source, it.digest, None));
        let cores = self.core_images.iter();
        let cores = cores.map(|it| blob(BlobKind::CoreImage, &it.purpose(), it.digest, None));
        let files = self.files.iter();
        let files = files.map(|it| blob(BlobKind::File, &it.url, it.digest, None));
        let all = archives.chain(bootstraps).chain(charts).chain(cores);
        all.chain(files).collect()
    }
}
