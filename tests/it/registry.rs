//! Pulling: registries that behave and that don't, layouts and archives, a real
//! registry.

mod auth;
mod coded;
mod faults;
mod images;
mod login;
mod mirror;
mod mirrors;
mod proxy;
mod real;
mod referrers;
mod resume;
mod tls;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use isoforge_base::error::{Class, Diagnose};
use isoforge_base::progress::Progress;
use isoforge_oci::pull::{self, Limits, PulledImage};
use isoforge_oci::registry::{Client, RegistryConfig, RetryPolicy};
use isoforge_oci::store::Store;

/// A store and a client that does not really wait: its clock moves by what it
/// would have waited.
struct Puller {
    folder: tempfile::TempDir,
    store: Store,
    client: Client,
    waits: Arc<Mutex<Vec<Duration>>>,
}

impl Puller {
    fn new() -> Self {
        Self::with(|_| {})
    }

    /// With settings changed by `change`.
    fn with(change: impl FnOnce(&mut RegistryConfig)) -> Self {
        Self::in_folder(|_, config| change(config))
    }

    /// On the same folder, as the next run of the program: with a store that is
    /// opened anew.
    fn next_run(self) -> Self {
        let Self {
            folder,
            store,
            client,
            waits,
        } = self;
        drop(store);
        let store = Store::open(&folder.path().join("store")).unwrap();
        Self {
            folder,
            store,
            client,
            waits,
        }
    }

    /// With settings changed by `change`, which may put files into the folder.
    fn in_folder(change: impl FnOnce(&Path, &mut RegistryConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let waits = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&waits);
        let (start, moved) = (Instant::now(), Arc::new(Mutex::new(Duration::ZERO)));
        let clock = Arc::clone(&moved);
        let mut config = RegistryConfig {
            retry: RetryPolicy {
                wait: Arc::new(move |delay| {
                    log.lock().unwrap().push(delay);
                    *clock.lock().unwrap() += delay;
                }),
                now: Arc::new(move || start + *moved.lock().unwrap()),
                ..RetryPolicy::default()
            },
            ..RegistryConfig::default()
        };
        change(folder.path(), &mut config);
        Self {
            folder,
            store,
            client: Client::new(config),
            waits,
        }
    }

    fn pull(&self, source: &str) -> Result<PulledImage, isoforge_oci::Error> {
        self.pull_for(source, "linux/amd64")
    }

    fn pull_for(&self, source: &str, platform: &str) -> Result<PulledImage, isoforge_oci::Error> {
        self.pull_within(source, platform, &Limits::default())
    }

    fn pull_within(
        &self,
        source: &str,
        platform: &str,
        limits: &Limits,
    ) -> Result<PulledImage, isoforge_oci::Error> {
        pull::pull_image(
            &self.client,
            &source.parse().unwrap(),
            &platform.parse().unwrap(),
            &self.store,
            limits,
            NonZeroUsize::new(2).unwrap(),
            &Progress::silent(),
        )
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The pull fails in this class; gives the whole chain of messages. Whatever
    /// happened, the store holds complete blobs only.
    fn fails(&self, source: &str, class: Class) -> String {
        let error = self.pull(source).unwrap_err();
        assert_eq!(error.class(), class, "{}", chain(&error));
        self.assert_sound();
        chain(&error)
    }

    /// Bytes of the blobs under way that the store keeps.
    fn partial_sizes(&self) -> Vec<u64> {
        let folder = self.root().join("store/v1/partial");
        let files = std::fs::read_dir(folder).unwrap();
        files
            .map(|file| file.unwrap().metadata().unwrap().len())
            .collect()
    }

    /// Every blob has its digest, and nothing is left in the temporary folder.
    fn assert_sound(&self) {
        for entry in walkdir::WalkDir::new(self.root().join("store/v1")) {
            let entry = entry.unwrap();
            let path = entry.path().to_string_lossy().into_owned();
            if !entry.file_type().is_file() || path.ends_with("/lock") {
                continue;
            }
            assert!(!path.contains("/v1/tmp/"), "left over: {path}");
            if path.contains("/blobs/") {
                let hex = entry.file_name().to_string_lossy();
                let digest = format!("sha256:{hex}").parse().unwrap();
                self.store.verify(&digest).unwrap();
            }
        }
    }
}

/// An error with all its causes, as a user sees them, without ports.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        said.push_str(": ");
        said.push_str(&cause.to_string());
        next = cause.source();
    }
    said
}

/// `chain` with the port of a server on loopback made constant.
fn without_port(said: &str, host: &str) -> String {
    said.replace(host, "127.0.0.1:PORT")
}
