//! Pushing: registries that behave and that don't, a real registry and its other
//! clients, the command and the build.

mod command;
mod faults;
mod real;

use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use insta::assert_snapshot;
use isoforge_base::digest::Digest;
use isoforge_base::progress::Progress;
use isoforge_oci::layer::LayerCompression::Gzip;
use isoforge_oci::manifest::Descriptor;
use isoforge_oci::media::{Family, MediaType};
use isoforge_oci::push::{self, Amount, Options, Report, Selection, State};
use isoforge_oci::reference::Reference;
use isoforge_oci::registry::push::{Blobs, ImageLayout, Pieces};
use isoforge_oci::registry::{Client, RegistryConfig, RetryPolicy};
use serde_json::json;

use crate::support::layers::{Blob, Image, index, write_layout};
use crate::support::registry::{Access, FakeRegistry};

/// Bytes of [`Pusher::image`]'s large layer, at least.
const LARGE: usize = 100_000;

/// A folder with a layout, and a client that does not really wait.
struct Pusher {
    folder: tempfile::TempDir,
    client: Client,
    waits: Arc<Mutex<Vec<Duration>>>,
    pieces: Pieces,
    dry_run: bool,
}

impl Pusher {
    fn new() -> Self {
        Self::with(|_, _| {})
    }

    /// With settings changed by `change`, which may put files into the folder.
    fn with(change: impl FnOnce(&Path, &mut RegistryConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let waits = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&waits);
        let mut config = RegistryConfig {
            retry: RetryPolicy {
                wait: Arc::new(move |delay| log.lock().unwrap().push(delay)),
                ..RetryPolicy::default()
            },
            ..RegistryConfig::default()
        };
        change(folder.path(), &mut config);
        Self {
            folder,
            client: Client::new(config),
            waits,
            pieces: Pieces::default(),
            dry_run: false,
        }
    }

    /// With credentials for a registry.
    fn logged_in(host: &str, user: &str, password: &str) -> Self {
        Self::with(|folder, config| {
            let file = folder.join("config.json");
            let text = json!({ "auths": { host: { "username": user, "password": password } } });
            std::fs::write(&file, text.to_string()).unwrap();
            config.credential_files = vec![file];
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A layout of one image under `v1`.
    fn layout(&self, image: &Image) -> PathBuf {
        let folder = self.path("layout");
        write_layout(&folder, &[("v1", &image.manifest)], &[image]);
        folder
    }

    fn push(&self, layout: &Path, to: &str) -> Result<Report, isoforge_oci::Error> {
        let layout = ImageLayout::open(layout, self.folder.path())?;
        let selection = push::select(&layout, Some(&to.parse().unwrap()), &[])?;
        let options = Options {
            threads: NonZeroUsize::new(2).unwrap(),
            dry_run: self.dry_run,
            pieces: self.pieces,
        };
        push::push(
            &self.client,
            &layout,
            &selection,
            &options,
            &Progress::silent(),
        )
    }
}

/// An image of two layers, one of which takes some time.
fn image() -> Image {
    // Digits of a generator, since what repeats would be compressed away.
    let mut random = fastrand::Rng::with_seed(1);
    let digits: String = std::iter::repeat_with(|| format!("{:016x}", random.u64(..)))
        .take(LARGE / 6)
        .collect();
    let large = format!("file usr/big 0644 '{digits}'");
    let image = Image::simple(&[&large, "file etc/x 0644 'x'"]);
    assert!(image.layers[0].bytes.len() > LARGE);
    image
}

/// The registry has all of the image, under this tag and as it is.
#[track_caller]
fn assert_there(registry: &FakeRegistry, repository: &str, tag: &str, image: &Image) {
    for blob in image.blobs() {
        let found = registry.blob(repository, &blob.digest());
        assert_eq!(found.as_ref(), Some(&blob.bytes));
    }
    let found = registry.manifest(repository, tag);
    assert_eq!(found.as_ref(), Some(&image.manifest.bytes));
}

fn amount(blobs: &[&Blob]) -> Amount {
    Amount {
        blobs: blobs.len() as u64,
        bytes: blobs.iter().map(|blob| blob.bytes.len() as u64).sum(),
    }
}

/// `image` with the base image's name in its manifest.
fn built_upon(mut image: Image, base: &str) -> Image {
    image.seal(|manifest| {
        manifest["annotations"] = json!({ "org.opencontainers.image.base.name": base });
    });
    image
}

#[test]
fn blobs_go_first_the_tag_last_and_a_second_push_asks_once() {
    let pusher = Pusher::new();
    let registry = FakeRegistry::start();
    let shared = "file usr/shared 0644 'shared'";
    let amd64 = Image::new(
        Family::Oci,
        "linux/amd64",
        &[(shared, Gzip), ("file a 0644 'a'", Gzip)],
    );
    let arm64 = Image::new(Family::Oci, "linux/arm64", &[(shared, Gzip)]);
    let root = index(Family::Oci, &[&amd64, &arm64]);
    let layout = pusher.path("layout");
    write_layout(&layout, &[("v1", &root)], &[&amd64, &arm64]);
    let to = format!("{}/edge/app", registry.host());
    let report = pusher.push(&layout, &to).unwrap();
    let image = &report.images[0];
    assert_eq!(image.reference, format!("{to}:v1"));
    assert_eq!((image.state, image.digest), (State::Pushed, root.digest()));
    assert_eq!(image.manifests.pushed, 3);
    let all = [
        &amd64.config,
        &arm64.config,
        &amd64.layers[0],
        &amd64.layers[1],
    ];
    assert_eq!(image.uploaded, amount(&all));
    for tag in ["v1", &root.digest().to_string()] {
        assert_eq!(registry.manifest("edge/app", tag), Some(root.bytes.clone()));
    }
    // The fake refuses a manifest before what it names.
    let log = registry.log();
    assert_eq!(log.last().unwrap(), "PUT /v2/edge/app/manifests/v1");
    let before = log.len();
    let again = pusher.push(&layout, &to).unwrap();
    assert_eq!(again.images[0].state, State::AlreadyThere);
    assert_eq!(again.images[0].there, amount(&all));
    let log = registry.log();
    assert_eq!(log[before..], ["HEAD /v2/edge/app/manifests/v1"]);
    // Another tag for it costs its index alone.
    let tagged = pusher.push(&layout, &format!("{to}:latest")).unwrap();
    assert_eq!(tagged.images[0].uploaded, Amount::default());
    let log = registry.log();
    assert_eq!(log.last().unwrap(), "PUT /v2/edge/app/manifests/latest");
    assert!(!log[before..].iter().any(|line| line.contains("/blobs/")));
}

#[test]
fn a_foreign_layer_goes_along_where_it_is() {
    let registry = FakeRegistry::start();
    let pusher = Pusher::new();
    let mut image = image();
    image.layers[0].media_type =
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip".to_owned();
    image.seal(|_| {});
    let layout = pusher.layout(&image);
    let to = format!("{}/a:1", registry.host());
    pusher.push(&layout, &to).unwrap();
    assert_there(&registry, "a", "1", &image);
    let layer = layout
        .join("blobs/sha256")
        .join(image.layers[0].digest().hex());
    std::fs::remove_file(layer).unwrap();
    let error = pusher.push(&layout, &to).unwrap_err();
    let said = said(&error);
    assert!(said.contains("is a foreign layer"), "{said}");
}

#[test]
fn a_dry_run_asks_and_sends_nothing() {
    let mut pusher = Pusher::new();
    pusher.dry_run = true;
    let registry = FakeRegistry::start();
    let base = format!("{}/os/base:1", registry.host());
    let image = built_upon(image(), &base);
    registry.put_blob("os/base", &image.layers[0].bytes);
    registry.put_blob("edge/app", &image.config.bytes);
    let to = format!("{}/edge/app", registry.host());
    let report = pusher.push(&pusher.layout(&image), &to).unwrap();
    let found = &report.images[0];
    assert_eq!(found.state, State::WouldBePushed);
    assert_eq!(found.there, amount(&[&image.config]));
    assert_eq!(found.mounted, amount(&[&image.layers[0]]));
    assert_eq!(found.uploaded, amount(&[&image.layers[1]]));
    assert!(registry.log().iter().all(|line| line.starts_with("HEAD ")));
}

#[test]
fn layers_of_the_base_are_mounted_with_a_token_for_both_repositories() {
    let pusher = Pusher::new();
    let registry = FakeRegistry::start();
    registry.require(Access::Token {
        service: None,
        login: None,
        uses: usize::MAX,
    });
    let base = format!("{}/os/base:1", registry.host());
    let image = built_upon(image(), &base);
    registry.put_blob("os/base", &image.layers[0].bytes);
    let to = format!("{}/edge/app", registry.host());
    let report = pusher.push(&pusher.layout(&image), &to).unwrap();
    assert_eq!(report.images[0].mounted, amount(&[&image.layers[0]]));
    assert_eq!(
        report.images[0].uploaded,
        amount(&[&image.config, &image.layers[1]])
    );
    assert_there(&registry, "edge/app", "v1", &image);
    let requests = registry.requests();
    let mut tokens: Vec<_> = requests
        .iter()
        .filter(|request| request.target.starts_with("/token"))
        .map(|request| request.target.as_str())
        .collect();
    tokens.sort_unstable();
    assert_eq!(
        tokens,
        [
            "/token?service=fake.example&scope=repository%3Aedge%2Fapp%3Apull%2Cpush",
            "/token?service=fake.example&scope=repository%3Aedge%2Fapp%3Apull%2Cpush\
             &scope=repository%3Aos%2Fbase%3Apull",
        ]
    );
}

#[test]
fn a_mirror_of_the_bases_registry_is_mounted_from_and_never_pushed_to() {
    let registry = FakeRegistry::start();
    let pusher = Pusher::with(|_, config| {
        let mirrors = Some(vec![format!("{}/quay", registry.host())]);
        config
            .hosts
            .entry("quay.io".to_owned())
            .or_default()
            .mirrors = mirrors;
        let elsewhere = Some(vec!["127.0.0.1:1/never".to_owned()]);
        config.hosts.entry(registry.host()).or_default().mirrors = elsewhere;
    });
    let image = built_upon(image(), "quay.io/kairos/ubuntu:22.04");
    registry.put_blob("quay/kairos/ubuntu", &image.layers[0].bytes);
    let to = format!("{}/edge/app", registry.host());
    let report = pusher.push(&pusher.layout(&image), &to).unwrap();
    assert_eq!(report.images[0].mounted.blobs, 1);
    assert_there(&registry, "edge/app", "v1", &image);
}

#[test]
fn several_images_share_what_the_first_one_brought() {
    let pusher = Pusher::new();
    let registry = FakeRegistry::start();
    let layer = "file usr/shared 0644 'shared'";
    let one = Image::simple(&[layer, "file a 0644 'a'"]);
    let two = Image::simple(&[layer, "file b 0644 'b'"]);
    let layout = pusher.path("layout");
    let roots = [("v1", &one.manifest), ("v2", &two.manifest)];
    write_layout(&layout, &roots, &[&one, &two]);
    let to = format!("{}/edge/app", registry.host());
    let report = pusher.push(&layout, &to).unwrap();
    assert_eq!(report.images[1].there, amount(&[&two.layers[0]]));
    assert_there(&registry, "edge/app", "v1", &one);
    assert_there(&registry, "edge/app", "v2", &two);
    let heads = format!("HEAD /v2/edge/app/blobs/{}", two.layers[0].digest());
    let asked = registry.log().into_iter().filter(|line| *line == heads);
    assert_eq!(asked.count(), 1);
}

/// Blobs in memory.
#[derive(Debug)]
struct InMemory(std::collections::BTreeMap<Digest, Vec<u8>>);

impl Blobs for InMemory {
    fn open(&self, digest: &Digest) -> io::Result<Option<(u64, Box<dyn Read + Send>)>> {
        let bytes = self.0.get(digest).cloned();
        Ok(bytes.map(|bytes| {
            let size = bytes.len() as u64;
            let reader: Box<dyn Read + Send> = Box::new(io::Cursor::new(bytes));
            (size, reader)
        }))
    }
}

/// Content that is no layout's may leave out images of an index; a layout may not.
#[test]
fn an_index_goes_as_it_is_though_not_all_of_it_is_there() {
    let pusher = Pusher::new();
    let registry = FakeRegistry::start();
    registry.manner(|manner| manner.credulous = true);
    let amd64 = image();
    let arm64 = Image::new(Family::Oci, "linux/arm64", &[("file b 0644 'b'", Gzip)]);
    let root = index(Family::Oci, &[&amd64, &arm64]);
    let parts = amd64.blobs().chain([&root, &amd64.manifest]);
    let mut blobs: std::collections::BTreeMap<_, _> = parts
        .map(|blob| (blob.digest(), blob.bytes.clone()))
        .collect();
    let descriptor = Descriptor::new(
        MediaType::Index(Family::Oci),
        root.digest(),
        root.bytes.len() as u64,
    );
    let push = |blobs, registry: &FakeRegistry| {
        let reference: Reference = format!("{}/edge/app", registry.host()).parse().unwrap();
        let layout = ImageLayout::over(Path::new("memory"), vec![], Box::new(InMemory(blobs)));
        let selection = Selection {
            repository: reference.name(),
            reference,
            images: vec![(descriptor.clone(), "v1".to_owned())],
        };
        let options = Options {
            threads: NonZeroUsize::MIN,
            dry_run: false,
            pieces: Pieces::default(),
        };
        let progress = Progress::silent();
        push::push(&pusher.client, &layout, &selection, &options, &progress)
    };
    let report = push(blobs.clone(), &registry).unwrap();
    assert_eq!(report.images[0].manifests.pushed, 2);
    assert_there(
        &registry,
        "edge/app",
        &amd64.manifest.digest().to_string(),
        &amd64,
    );
    assert_eq!(
        registry.manifest("edge/app", "v1"),
        Some(root.bytes.clone())
    );
    // A layer can't be left out, nor be another one.
    let layer = amd64.layers[0].digest();
    let other = FakeRegistry::start();
    blobs.get_mut(&layer).unwrap()[100] ^= 1;
    let mut errors = Vec::new();
    errors.push(said(&push(blobs.clone(), &other).unwrap_err()));
    blobs.remove(&layer);
    errors.push(said(&push(blobs, &other).unwrap_err()));
    assert_eq!(other.manifest("edge/app", "v1"), None);
    let text = errors.join("\n").replace(&other.host(), "HOST");
    assert_snapshot!(text, @r#"
    HOST/edge/app:v1 can't be pushed: memory: sha256:7f77da0bf5c98f245e280ee572d392e672fbe4db2988f12c50d6a7ed0276d335: digest mismatch: expected sha256:7f77da0bf5c98f245e280ee572d392e672fbe4db2988f12c50d6a7ed0276d335, got sha256:b1e77a301dffb2fee09a6abf8085d1449b7fd85e558c783c8686824d4a75b497
    HOST/edge/app:v1 can't be pushed: an image can't be read: memory: sha256:7f77da0bf5c98f245e280ee572d392e672fbe4db2988f12c50d6a7ed0276d335 is missing
    "#);
}

/// An error with its causes.
fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
