//! Random sequences of faults, each from a seed: whatever a registry does, the
//! store holds complete blobs alone, and a pull from a registry that behaves
//! succeeds after it.
//!
//! `ISOFORGE_TEST_SEED=17 cargo test --test it faults_random` runs one seed.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Diagnose};
use isoforge_base::progress::Progress;
use isoforge_oci::layer::LayerCompression::{Gzip, Plain, Zstd};
use isoforge_oci::media::Family;
use isoforge_oci::pull::{Limits, Platforms, mirror_image, pull_image};
use isoforge_oci::registry::{Client, RegistryConfig, RetryPolicy};
use isoforge_oci::store::Store;

use crate::support::layers::{Blob, Image, index};
use crate::support::registry::{Access, FakeRegistry, Fault};

const SEQUENCES: u64 = 1000;
/// Small, so that the blobs of these images are worth resuming.
const RESUME_BYTES: u64 = 600;
/// How long a server may be silent. Where the machine is slow, it also ends good
/// transfers, which is one more fault.
const SILENCE: Duration = Duration::from_millis(60);

/// Images that all sequences pull.
struct Images {
    root: Blob,
    image: Image,
    other: Image,
}

impl Images {
    fn new() -> Self {
        let noise: String = (0..60_u32)
            .map(|number| Digest::of(&number.to_le_bytes()).hex())
            .collect();
        let texts = [
            (format!("file noise 0644 {noise}"), Gzip),
            ("fill plain 0644 abcdefg*900".to_owned(), Plain),
            (format!("file more 0644 {}", &noise[..2500]), Zstd),
            ("file small 0644 s".to_owned(), Gzip),
        ];
        let layers: Vec<_> = texts
            .iter()
            .map(|(text, how)| (text.as_str(), *how))
            .collect();
        let image = Image::new(Family::Oci, "linux/amd64", &layers);
        let other = Image::new(Family::Oci, "linux/arm64", &layers[..1]);
        Self {
            root: index(Family::Oci, &[&image, &other]),
            image,
            other,
        }
    }

    fn serve(&self, registry: &FakeRegistry) {
        registry.put_image("a", "amd64", &self.image);
        registry.put_image("a", "arm64", &self.other);
        registry.put_manifest("a", "1", &self.root);
    }
}

/// A fault and the part of a target that it is for.
fn draw_fault(random: &mut fastrand::Rng, storage: &FakeRegistry) -> (&'static str, Fault) {
    let bytes = random.usize(..5000);
    let few = 1 + random.usize(..50);
    let fault = match random.u32(..20) {
        0..=3 => Fault::Truncate(bytes),
        4 => Fault::Garble,
        5 => Fault::TooLong(few),
        6 => Fault::TooShort(few),
        7 => Fault::NoLength(few),
        8 => Fault::Status(429, ""),
        9 => Fault::Status(429, "Retry-After: 5"),
        10 => Fault::Status(*random.choice(&[500, 502, 503, 504]).unwrap(), ""),
        11 => Fault::Status(503, "Retry-After: 100"),
        12 => Fault::Stall,
        13 => Fault::Reset,
        14 => Fault::IgnoreRange,
        15 => Fault::RefuseRange,
        16 => Fault::WrongRange,
        17 => Fault::Redirect(storage.url()),
        18 => Fault::Status(404, ""),
        _ => Fault::ContentType("text/html"),
    };
    // Hard faults are rare, or no sequence would get to the end.
    let hard = matches!(
        fault,
        Fault::Garble | Fault::TooLong(_) | Fault::TooShort(_) | Fault::Status(404, _)
    );
    if hard && random.u32(..3) > 0 {
        return ("", Fault::Nothing);
    }
    (
        random
            .choice(&["", "", "/blobs/", "/blobs/", "/manifests/", "/token"])
            .unwrap(),
        fault,
    )
}

fn client(random: &mut fastrand::Rng, silence: Duration) -> Client {
    let moved = Arc::new(Mutex::new(Duration::ZERO));
    let (start, clock) = (Instant::now(), Arc::clone(&moved));
    Client::new(RegistryConfig {
        read_timeout: silence,
        response_timeout: silence.max(Duration::from_millis(200)),
        retry: RetryPolicy {
            resume_bytes: RESUME_BYTES,
            random: Arc::new(Mutex::new(random.fork())),
            wait: Arc::new(move |delay| *clock.lock().unwrap() += delay),
            now: Arc::new(move || start + *moved.lock().unwrap()),
            ..RetryPolicy::default()
        },
        ..RegistryConfig::default()
    })
}

/// Every blob has its digest; nothing but blobs, facts and beginnings is there.
fn assert_sound(folder: &Path) {
    for entry in walkdir::WalkDir::new(folder.join("v1")) {
        let entry = entry.unwrap();
        let path = entry.path().to_string_lossy().into_owned();
        if !entry.file_type().is_file() || path.ends_with("/lock") {
            continue;
        }
        assert!(!path.contains("/v1/tmp/"), "left over: {path}");
        if path.contains("/blobs/") {
            let found = Digest::of(&std::fs::read(entry.path()).unwrap()).hex();
            assert_eq!(found, entry.file_name().to_string_lossy(), "{path}");
        }
    }
}

struct Outcome {
    pulled: bool,
    resumed: bool,
    faults: usize,
}

/// One sequence: a pull or copy with faults, then the next run without.
fn sequence(seed: u64, images: &Images, storage: &FakeRegistry) -> Outcome {
    let mut random = fastrand::Rng::with_seed(seed);
    let registry = FakeRegistry::start();
    images.serve(&registry);
    let faults = random.usize(1..12);
    for _ in 0..faults {
        let (target, fault) = draw_fault(&mut random, storage);
        registry.fault(target, 1, fault);
    }
    if random.u32(..3) == 0 {
        registry.require(Access::Token {
            service: None,
            login: None,
            uses: random.usize(1..4),
        });
    }
    let folder = tempfile::tempdir().unwrap();
    let copies = random.bool();
    let source = format!("{}/a:1", registry.host()).parse().unwrap();
    let platform = "linux/amd64".parse().unwrap();
    let run = |client: &Client, store: &Store| -> Result<(), isoforge_oci::Error> {
        let (limits, threads) = (Limits::default(), NonZeroUsize::MIN);
        let progress = Progress::silent();
        if copies {
            let all = Platforms::All;
            mirror_image(client, &source, &all, store, &limits, threads, &progress).map(drop)
        } else {
            pull_image(
                client, &source, &platform, store, &limits, threads, &progress,
            )
            .map(drop)
        }
    };
    let store = Store::open(folder.path()).unwrap();
    let first = run(&client(&mut random, SILENCE), &store);
    assert_sound(folder.path());
    if let Err(error) = &first {
        let class = error.class();
        let said = format!("{class:?}: {error:?}");
        assert!(
            matches!(class, Class::Network | Class::Verification),
            "{said}"
        );
        assert!(error.to_string().contains(&registry.host()), "{said}");
    }
    drop(store);
    registry.behave();
    let store = Store::open(folder.path()).unwrap();
    let patient = client(&mut random, Duration::from_secs(30));
    run(&patient, &store).expect("a pull without faults");
    assert_sound(folder.path());
    let wanted = if copies { 2 } else { 1 };
    for image in [&images.image, &images.other].into_iter().take(wanted) {
        for blob in image.blobs().chain([&image.manifest, &images.root]) {
            assert!(store.read_blob(&blob.digest(), 1 << 20).unwrap() == blob.bytes);
        }
    }
    assert_eq!(
        std::fs::read_dir(folder.path().join("v1/partial"))
            .unwrap()
            .count(),
        0
    );
    let asked = registry.requests();
    Outcome {
        pulled: first.is_ok(),
        resumed: asked.iter().any(|request| request.offset().is_some()),
        faults,
    }
}

/// The one seed that is asked for, if one is.
fn wanted_seed() -> Option<u64> {
    let text = std::env::var("ISOFORGE_TEST_SEED").ok()?;
    Some(text.parse().expect("ISOFORGE_TEST_SEED is a number"))
}

#[test]
fn a_thousand_sequences_of_faults_leave_a_sound_store() {
    let images = Images::new();
    let storage = FakeRegistry::start();
    images.serve(&storage);
    if let Some(seed) = wanted_seed() {
        sequence(seed, &images, &storage);
        return;
    }
    let next = AtomicU64::new(0);
    let (pulled, resumed, faults) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        // They mostly wait for silent servers and the disk.
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SEQUENCES {
                        break;
                    }
                    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        sequence(seed, &images, &storage)
                    }));
                    let outcome = result.unwrap_or_else(|panic| {
                        eprintln!("failed: ISOFORGE_TEST_SEED={seed}");
                        std::panic::resume_unwind(panic)
                    });
                    pulled.fetch_add(outcome.pulled.into(), Ordering::Relaxed);
                    resumed.fetch_add(outcome.resumed.into(), Ordering::Relaxed);
                    faults.fetch_add(outcome.faults as u64, Ordering::Relaxed);
                }
            });
        }
    });
    // The sequences are worth something only where both ends are frequent.
    let (pulled, resumed) = (pulled.into_inner(), resumed.into_inner());
    let shown = format!("{pulled} pulled, {resumed} resumed, {faults:?} faults");
    assert!(
        (SEQUENCES / 5..SEQUENCES * 4 / 5).contains(&pulled),
        "{shown}"
    );
    assert!(resumed > SEQUENCES / 10, "{shown}");
}
