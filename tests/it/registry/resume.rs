//! Blobs that come in several parts, in one run or in several.

use std::io::Read as _;
use std::time::Duration;

use isoforge::profile::FileSpec;
use isoforge::sources::files;
use isoforge_base::digest::Digest;
use isoforge_base::error::Class;
use isoforge_base::progress::Progress;
use isoforge_contract::manifest::Role;
use isoforge_oci::manifest::Descriptor;
use isoforge_oci::media::MediaType;

use super::Puller;
use crate::support::docker_registry::DockerRegistry;
use crate::support::judge;
use crate::support::layers::{Image, write_layout};
use crate::support::registry::{Access, FakeRegistry, Fault};

/// Blobs of so many bytes are resumed in these tests.
const RESUME_BYTES: u64 = 1000;

struct Fixture {
    registry: FakeRegistry,
    image: Image,
    /// Target of the layer.
    layer: String,
    source: String,
}

/// A registry with one image of one layer that is worth resuming.
fn fixture() -> Fixture {
    let registry = FakeRegistry::start();
    let noise: String = (0..200_u32)
        .map(|number| Digest::of(&number.to_le_bytes()).hex())
        .collect();
    let text = format!("file noise 0644 {noise}");
    let image = Image::simple(&[&text]);
    registry.put_image("a", "1", &image);
    Fixture {
        layer: format!("/blobs/{}", image.layers[0].digest()),
        source: format!("{}/a:1", registry.host()),
        image,
        registry,
    }
}

fn puller() -> Puller {
    Puller::with(|config| config.retry.resume_bytes = RESUME_BYTES)
}

impl Fixture {
    /// Offsets that the layer was asked for from, 0 for all of it.
    fn offsets(&self) -> Vec<usize> {
        let requests = self.registry.requests();
        requests
            .iter()
            .filter(|request| request.target.contains(&self.layer))
            .map(|request| request.offset().unwrap_or(0))
            .collect()
    }

    fn fault(&self, times: usize, fault: Fault) {
        self.registry.fault(&self.layer, times, fault);
    }

    /// The pull succeeds, and the layer is in the store with its bytes.
    fn assert_pulls(&self, puller: &Puller) {
        let pulled = puller.pull(&self.source).unwrap();
        let layer = &pulled.layers[0];
        assert_eq!(layer.diff_id, self.image.diff_ids[0]);
        let bytes = std::fs::read(puller.store.blob_path(&layer.digest)).unwrap();
        assert_eq!(bytes, self.image.layers[0].bytes);
        assert!(puller.partial_sizes().is_empty());
        puller.assert_sound();
    }
}

#[test]
fn a_broken_transfer_goes_on_where_it_broke() {
    let fixture = fixture();
    fixture.fault(1, Fault::Truncate(2000));
    fixture.fault(1, Fault::Truncate(1500));
    fixture.assert_pulls(&puller());
    assert_eq!(fixture.offsets(), [0, 2000, 3500]);
}

#[test]
fn what_one_run_left_the_next_goes_on_with() {
    let fixture = fixture();
    fixture.fault(1, Fault::Truncate(2000));
    fixture.fault(3, Fault::Status(500, ""));
    let puller = puller();
    puller.fails(&fixture.source, Class::Network);
    assert_eq!(puller.partial_sizes(), [2000]);
    let puller = puller.next_run();
    fixture.assert_pulls(&puller);
    assert_eq!(fixture.offsets(), [0, 2000, 2000, 2000, 2000]);
}

#[test]
fn a_blob_that_came_whole_is_not_asked_for_again() {
    let fixture = fixture();
    let puller = puller();
    let layer = &fixture.image.layers[0];
    std::fs::write(puller.store.partial_path(&layer.digest()), &layer.bytes).unwrap();
    fixture.assert_pulls(&puller);
    assert!(fixture.offsets().is_empty());
}

#[test]
fn servers_that_do_not_know_ranges_give_all_of_it() {
    for (fault, offsets) in [
        (Fault::IgnoreRange, vec![0, 2000]),
        (Fault::RefuseRange, vec![0, 2000, 0]),
        (Fault::WrongRange, vec![0, 2000, 0]),
        (Fault::TooShort(9), vec![0, 2000, 0]),
    ] {
        let fixture = fixture();
        fixture.fault(1, Fault::Truncate(2000));
        fixture.fault(1, fault.clone());
        fixture.assert_pulls(&puller());
        assert_eq!(fixture.offsets(), offsets, "{fault:?}");
    }
}

#[test]
fn a_bad_beginning_is_not_there_for_ever() {
    let fixture = fixture();
    let puller = puller();
    let layer = &fixture.image.layers[0];
    let partial = puller.store.partial_path(&layer.digest());
    std::fs::write(&partial, vec![7; 2000]).unwrap();
    fixture.assert_pulls(&puller);
    assert_eq!(fixture.offsets(), [2000, 0]);
    // A rest of other bytes is noticed just so.
    let fixture = self::fixture();
    fixture.fault(1, Fault::Truncate(2000));
    fixture.fault(1, Fault::Garble);
    fixture.assert_pulls(&self::puller());
    assert_eq!(fixture.offsets(), [0, 2000, 0]);
}

#[test]
fn wrong_bytes_from_the_first_on_are_an_error_and_nothing_is_kept() {
    let fixture = fixture();
    let puller = puller();
    let layer = &fixture.image.layers[0];
    std::fs::write(puller.store.partial_path(&layer.digest()), vec![7; 2000]).unwrap();
    fixture.fault(usize::MAX, Fault::Garble);
    let said = puller.fails(&fixture.source, Class::Verification);
    assert!(said.contains("digest mismatch"), "{said}");
    assert_eq!(fixture.offsets(), [2000, 0], "once more, not for ever");
    assert!(puller.partial_sizes().is_empty());
}

#[test]
fn a_beginning_longer_than_the_blob_is_dropped() {
    let fixture = fixture();
    let puller = puller();
    let layer = &fixture.image.layers[0];
    let mut longer = layer.bytes.clone();
    longer.push(0);
    std::fs::write(puller.store.partial_path(&layer.digest()), longer).unwrap();
    fixture.assert_pulls(&puller);
    assert_eq!(fixture.offsets(), [0]);
}

#[test]
fn a_long_transfer_over_a_line_that_breaks_now_and_then_ends() {
    let fixture = fixture();
    let size = fixture.image.layers[0].bytes.len();
    let pieces = size / RESUME_BYTES as usize;
    assert!(pieces > 2 * isoforge_oci::registry::config::ATTEMPTS as usize);
    fixture.fault(usize::MAX, Fault::Truncate(RESUME_BYTES as usize));
    fixture.assert_pulls(&puller());
    // One that hardly gets on is given up.
    let fixture = self::fixture();
    fixture.fault(usize::MAX, Fault::Truncate(RESUME_BYTES as usize - 1));
    puller().fails(&fixture.source, Class::Network);
    assert_eq!(fixture.offsets().len(), 4);
    // So is one that never gets further than it was.
    let fixture = self::fixture();
    fixture.fault(1, Fault::Truncate(2000));
    for _ in 0..50 {
        fixture.fault(1, Fault::Status(500, ""));
        fixture.fault(1, Fault::Truncate(0));
    }
    puller().fails(&fixture.source, Class::Network);
    assert_eq!(fixture.offsets().len(), 4);
}

#[test]
fn a_token_that_expires_in_the_middle_is_renewed_for_the_rest() {
    let fixture = fixture();
    fixture.registry.require(Access::Token {
        service: None,
        login: None,
        uses: 1,
    });
    fixture.fault(1, Fault::Nothing);
    fixture.fault(1, Fault::Truncate(2000));
    fixture.assert_pulls(&puller());
    let offsets = fixture.offsets();
    assert_eq!(
        offsets,
        [0, 0, 2000, 2000],
        "each refused once, then served"
    );
}

#[test]
fn a_redirect_takes_the_range_along() {
    let fixture = fixture();
    let storage = FakeRegistry::start();
    storage.put_image("a", "1", &fixture.image);
    fixture.fault(usize::MAX, Fault::Redirect(storage.url()));
    storage.fault(&fixture.layer, 1, Fault::Truncate(2000));
    fixture.assert_pulls(&puller());
    let asked = storage.requests();
    assert_eq!(asked[1].offset(), Some(2000));
}

#[test]
fn small_blobs_are_not_kept_in_part() {
    let fixture = fixture();
    let puller = Puller::new();
    fixture.fault(usize::MAX, Fault::Truncate(2000));
    puller.fails(&fixture.source, Class::Network);
    assert!(puller.partial_sizes().is_empty());
    assert_eq!(fixture.offsets(), [0; 4]);
}

#[test]
fn somebody_elses_beginning_is_left_alone() {
    let fixture = fixture();
    let puller = puller();
    let layer = &fixture.image.layers[0];
    let (digest, size) = (layer.digest(), layer.bytes.len() as u64);
    let mut other = puller.store.receive(&digest, size, true).unwrap();
    other.write(&layer.bytes[..100]).unwrap();
    fixture.fault(1, Fault::Truncate(2000));
    let pulled = puller.pull(&fixture.source).unwrap();
    assert_eq!(fixture.offsets(), [0, 2000], "resumed in its own file");
    assert_eq!(pulled.layers[0].diff_id, fixture.image.diff_ids[0]);
    assert_eq!(puller.partial_sizes(), [100]);
    other.write(&layer.bytes[100..]).unwrap();
    other.commit(Some(size)).unwrap();
    puller.assert_sound();
}

#[test]
fn a_registry_that_asks_for_time_gets_it_from_all_threads() {
    let registry = FakeRegistry::start();
    let image = Image::simple(&["file a 0644 a", "file b 0644 b", "file c 0644 c"]);
    registry.put_image("a", "1", &image);
    registry.fault("/manifests/", 1, Fault::Status(429, "Retry-After: 9"));
    let puller = Puller::new();
    let first = format!("/blobs/{}", image.layers[0].digest());
    registry.fault(&first, 1, Fault::Status(503, "Retry-After: 30"));
    puller.pull(&format!("{}/a:1", registry.host())).unwrap();
    let waits: Vec<u64> = puller
        .waits
        .lock()
        .unwrap()
        .iter()
        .map(Duration::as_secs)
        .collect();
    assert_eq!(waits[..2], [9, 30]);
}

#[test]
fn a_file_by_url_is_resumed_too() {
    let fixture = fixture();
    let puller = puller();
    fixture.fault(1, Fault::Truncate(2000));
    let layer = &fixture.image.layers[0];
    let spec = FileSpec {
        url: format!("{}/v2/a{}", fixture.registry.url(), fixture.layer),
        sha256: layer.digest(),
        path: "/opt/file".to_owned(),
        mode: 0o644,
        arch: None,
    };
    let lay = || {
        files::lay(
            &puller.store,
            &puller.client,
            std::slice::from_ref(&spec),
            Role::Kubernetes,
            0,
            &Progress::silent(),
        )
    };
    assert_eq!(lay().unwrap().inputs[0].size, layer.bytes.len() as u64);
    assert_eq!(fixture.offsets(), [0, 2000]);
    puller.assert_sound();
    // A beginning that is longer than the file, whose size nobody knows.
    let blob = puller.store.blob_path(&layer.digest());
    std::fs::remove_file(blob).unwrap();
    let mut longer = layer.bytes.clone();
    longer.push(0);
    std::fs::write(puller.store.partial_path(&layer.digest()), &longer).unwrap();
    lay().unwrap();
    assert_eq!(fixture.offsets(), [0, 2000, longer.len(), 0]);
    puller.assert_sound();
}

#[test]
fn layouts_and_archives_give_the_rest_too() {
    let fixture = fixture();
    let puller = puller();
    let folder = puller.root().join("layout");
    write_layout(
        &folder,
        &[("v1", &fixture.image.manifest)],
        &[&fixture.image],
    );
    let archive = puller.root().join("layout.tar");
    let (from, to) = (folder.display(), archive.display());
    judge(
        "tar",
        "tar",
        &["-C", &from.to_string(), "-cf", &to.to_string(), "."],
    );
    let layer = &fixture.image.layers[0];
    for source in [format!("oci:{from}:v1"), format!("oci-archive:{to}:v1")] {
        let _ = std::fs::remove_file(puller.store.blob_path(&layer.digest()));
        let partial = puller.store.partial_path(&layer.digest());
        std::fs::write(partial, &layer.bytes[..2000]).unwrap();
        puller.pull(&source).unwrap();
        puller.store.verify(&layer.digest()).unwrap();
        assert!(puller.partial_sizes().is_empty());
    }
}

#[test]
fn a_real_registry_gives_the_rest_of_a_blob() {
    let image = fixture().image;
    let puller = puller();
    let registry = DockerRegistry::start(puller.root(), false);
    let folder = puller.root().join("layout");
    write_layout(&folder, &[("v1", &image.manifest)], &[&image]);
    judge(
        "skopeo",
        "skopeo",
        &[
            "copy",
            "-q",
            "--dest-tls-verify=false",
            &format!("oci:{}:v1", folder.display()),
            &format!("docker://{}/os:v1", registry.host),
        ],
    );
    let source = format!("{}/os:v1", registry.host);
    let layer = &image.layers[0];
    let digest = layer.digest();
    let opened = puller
        .client
        .open(&source.parse().unwrap(), puller.root())
        .unwrap();
    let media_type = MediaType::parse(&layer.media_type);
    let descriptor = Descriptor::new(media_type, digest, layer.bytes.len() as u64);
    let (start, rest) = opened
        .each(&Progress::silent(), |registry| {
            let mut part = registry.blob(&descriptor, 2000)?;
            let mut rest = Vec::new();
            part.reader.read_to_end(&mut rest).unwrap();
            Ok::<_, isoforge_oci::Error>((part.start, rest))
        })
        .unwrap();
    assert_eq!((start, rest.as_slice()), (2000, &layer.bytes[2000..]));
    std::fs::write(puller.store.partial_path(&digest), &layer.bytes[..3000]).unwrap();
    let pulled = puller.pull(&source).unwrap();
    assert_eq!(pulled.layers[0].digest, digest);
    assert!(puller.partial_sizes().is_empty());
    puller.assert_sound();
}
