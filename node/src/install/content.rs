//! The medium's content into the registry of the system that is installed: its
//! first start serves all of it.
//!
//! Zot's storage is filled directly. Another registry is filled over HTTP, so its
//! content is laid beside its storage, and taken in when the system runs first.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use fs_err as fs;
use isoforge_base::human;
use isoforge_base::output::space::HostFileSystems;
use isoforge_base::parallel;
use isoforge_base::progress::{Progress, Reporter, TaskId};
use isoforge_contract::iso;
use isoforge_contract::machine::{REGISTRY_STORAGE, Registry, RegistryKind};
use isoforge_oci::layout::LAYOUT_FILE;
use rustix::mount::MountFlags;

use super::medium::Medium;
use crate::content::commit::NoService;
use crate::content::source::OfBundle;
use crate::content::zot::{self, Existing};
use crate::content::{pending, source::Source as _};
use crate::mount::Mounted;
use crate::paths;

/// Room beside the content, for file systems and what the machine does first.
const SLACK_BYTES: u64 = 64 << 20;

/// How often is told how far it is.
const TICK: Duration = Duration::from_millis(200);

/// The content of a medium, and what will serve it.
#[derive(Debug)]
pub(super) struct Content {
    folder: PathBuf,
    registry: Registry,
    bytes: u64,
}

impl Content {
    /// What of `medium` the registry of the installed system gets; none where
    /// either is missing.
    ///
    /// # Errors
    /// Where the medium can't be read.
    pub(super) fn find(medium: &Medium, registry: Option<&Registry>) -> Result<Option<Self>> {
        let folder = medium.path(iso::CONTENT);
        let Some(registry) = registry.filter(|_| folder.join(LAYOUT_FILE).is_file()) else {
            return Ok(None);
        };
        let mut bytes = 0_u64;
        for entry in fs::read_dir(folder.join("blobs/sha256"))? {
            bytes = bytes.saturating_add(entry?.metadata()?.len());
        }
        Ok(Some(Self {
            folder,
            registry: registry.clone(),
            bytes,
        }))
    }

    /// Whether it fits the `bytes` of the file system `label`.
    pub(super) fn check(&self, label: &str, bytes: u64) -> Result<()> {
        // Another registry makes a copy of its own.
        let copies = match self.registry.name {
            RegistryKind::Zot => 1,
            RegistryKind::Distribution => 2,
        };
        let needed = self
            .bytes
            .saturating_mul(copies)
            .saturating_add(SLACK_BYTES);
        if needed <= bytes {
            return Ok(());
        }
        bail!(
            "the content of the install medium needs {} on {}, which would have {}",
            human::size(needed),
            label,
            human::size(bytes)
        )
    }

    /// Puts it on PERSISTENT, which is mounted at `persistent`. `told` is told the
    /// bytes that are done, and all.
    ///
    /// # Errors
    /// Where the medium is damaged or the disk can't be written.
    pub(super) fn fill(
        &self,
        persistent: &Path,
        told: &mut dyn FnMut(u64, u64),
    ) -> Result<Vec<String>> {
        let within = self.registry.folder.trim_start_matches('/');
        self.fill_home(&persistent.join(paths::KEPT).join(within), told)
    }

    /// Puts it into `home`, which becomes the registry's folder.
    fn fill_home(&self, home: &Path, told: &mut dyn FnMut(u64, u64)) -> Result<Vec<String>> {
        let bundle = OfBundle::open(&self.folder).context("the medium's content can't be used")?;
        let done = Arc::new(AtomicU64::new(0));
        let progress = Progress::new(Arc::new(Counter(Arc::clone(&done))));
        let work = || match self.registry.name {
            RegistryKind::Zot => {
                let options = zot::Options {
                    existing: Existing::Trust,
                    replace: false,
                    service: &NoService,
                    room: &HostFileSystems,
                };
                let storage = home.join(REGISTRY_STORAGE);
                zot::import(&storage, &bundle, &options, &progress).map(|report| report.images)
            }
            RegistryKind::Distribution => {
                pending::put(&self.folder, home, &progress)?;
                let roots = bundle.roots().iter();
                Ok(roots.filter_map(|root| root.reference.clone()).collect())
            }
        };
        let images = std::thread::scope(|scope| {
            let worker = parallel::scoped(scope, work)?;
            while !worker.is_finished() {
                told(done.load(Ordering::Relaxed).min(self.bytes), self.bytes);
                std::thread::sleep(TICK);
            }
            parallel::joined(worker)
        })?;
        told(self.bytes, self.bytes);
        Ok(images)
    }
}

/// Puts the content of the medium at `medium` on the file system labelled `label`,
/// into `folder` of it: for a system that another installer has put on a disk, and
/// that binds this folder to the registry's. Tells the images; none where there is
/// no content.
///
/// # Errors
/// Where the medium is damaged, or the file system is missing or too small.
pub(crate) fn fill_labelled(
    medium: &Medium,
    registry: &Registry,
    label: &str,
    folder: &Path,
    told: &mut dyn FnMut(u64, u64),
) -> Result<Vec<String>> {
    let Some(content) = Content::find(medium, Some(registry))? else {
        return Ok(Vec::new());
    };
    let device = Path::new("/dev/disk/by-label").join(label);
    let at = Path::new(paths::INSTALL_WORK).join(label);
    let mounted = Mounted::new(&device, &at, "ext4", MountFlags::NOATIME, None)
        .with_context(|| format!("mounting {} failed", device.display()))?;
    let free = rustix::fs::statvfs(mounted.path())?;
    content.check(label, free.f_bavail.saturating_mul(free.f_frsize))?;
    let images = content.fill_home(&mounted.path().join(folder), told)?;
    mounted
        .unmount()
        .with_context(|| format!("writing {label} out failed"))?;
    Ok(images)
}

/// Counts bytes.
struct Counter(Arc<AtomicU64>);

impl Reporter for Counter {
    fn start(&self, _: TaskId, _: &str, _: Option<u64>) {}
    fn advance(&self, _: TaskId, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
    fn finish(&self, _: TaskId) {}
    fn note(&self, _: &str) {}
    fn warn(&self, _: &str) {}
    fn stage(&self, _: &str) {}
}

#[cfg(test)]
mod tests;
