//! Registries that break off, refuse, forget and lie.

use isoforge_base::error::{Class, Diagnose};
use isoforge_oci::push::Amount;
use isoforge_oci::registry::push::Pieces;

use super::{Pusher, amount, assert_there, built_upon, image};
use crate::support::layers::Image;
use crate::support::registry::{Access, FakeRegistry, Fault};

const REPOSITORY: &str = "edge/app";

/// Sent so that one blob alone is under way.
fn small() -> Image {
    Image::simple(&[])
}

fn to(registry: &FakeRegistry) -> String {
    format!("{}/{REPOSITORY}", registry.host())
}

/// The ranges of the bodies that were sent, by method.
fn ranges(registry: &FakeRegistry) -> Vec<String> {
    let requests = registry.requests();
    let writes = requests
        .iter()
        .filter(|request| ["PATCH", "PUT"].contains(&request.method.as_str()))
        .filter(|request| request.target.contains("/uploads/"));
    writes
        .map(|request| {
            let range = request.headers.get("content-range");
            format!("{} {}", request.method, range.map_or("-", String::as_str))
        })
        .collect()
}

#[test]
fn what_passes_is_tried_again() {
    let faults = [
        ("HEAD ", Fault::Status(503, "")),
        ("POST ", Fault::Reset),
        ("POST ", Fault::Status(502, "")),
        ("PUT /v2/edge/app/blobs", Fault::Reset),
        ("PUT /v2/edge/app/blobs", Fault::Status(500, "")),
        ("PUT /v2/edge/app/blobs", Fault::Status(404, "")),
        ("PUT /v2/edge/app/blobs", Fault::Status(416, "")),
        ("PUT /v2/edge/app/manifests", Fault::Reset),
        ("PUT /v2/edge/app/manifests", Fault::Status(504, "")),
    ];
    for (place, fault) in faults {
        let registry = FakeRegistry::start();
        let pusher = Pusher::new();
        let image = image();
        registry.fault(place, 1, fault.clone());
        let pushed = pusher.push(&pusher.layout(&image), &to(&registry));
        let report = pushed.unwrap_or_else(|error| panic!("{place} {fault:?}: {error:?}"));
        assert_eq!(
            report.images[0].uploaded,
            amount(&[&image.config, &image.layers[0], &image.layers[1]]),
            "{place} {fault:?}"
        );
        assert_there(&registry, REPOSITORY, "v1", &image);
        assert_eq!(pusher.waits.lock().unwrap().len(), 1, "{place} {fault:?}");
    }
}

#[test]
fn a_registry_that_asks_for_time_gets_it() {
    let registry = FakeRegistry::start();
    let pusher = Pusher::new();
    registry.fault("POST ", 1, Fault::Status(429, "Retry-After: 7"));
    pusher
        .push(&pusher.layout(&small()), &to(&registry))
        .unwrap();
    let waits = pusher.waits.lock().unwrap();
    // What is left of the time when the next request wants to go out.
    let rounded: Vec<f64> = waits
        .iter()
        .map(|wait| wait.as_secs_f64().round())
        .collect();
    assert_eq!(rounded, [7.0]);
}

#[test]
fn a_broken_upload_goes_on_where_it_broke() {
    let registry = FakeRegistry::start();
    let pusher = Pusher::new();
    let image = image();
    // The other blobs are there, so that this one breaks.
    registry.put_blob(REPOSITORY, &image.config.bytes);
    registry.put_blob(REPOSITORY, &image.layers[1].bytes);
    registry.fault("PUT /v2/edge/app/blobs", 1, Fault::BreakUpload(70_001));
    registry.fault("GET /v2/edge/app/blobs", 1, Fault::Status(503, ""));
    let report = pusher.push(&pusher.layout(&image), &to(&registry)).unwrap();
    assert_eq!(report.images[0].uploaded, amount(&[&image.layers[0]]));
    assert_there(&registry, REPOSITORY, "v1", &image);
    let last = image.layers[0].bytes.len() - 1;
    assert_eq!(ranges(&registry), ["PUT -", &format!("PUT 70001-{last}")]);
    assert_eq!(registry.count("/uploads/"), 5, "POST, PUT, GET, GET, PUT");
}

#[test]
fn an_upload_whose_last_answer_was_lost_is_found_there() {
    let registry = FakeRegistry::start();
    let pusher = Pusher::new();
    let image = small();
    // The bytes are taken, the answer is another.
    registry.fault("PUT /v2/edge/app/blobs", 1, Fault::Status(504, ""));
    let report = pusher.push(&pusher.layout(&image), &to(&registry)).unwrap();
    assert_eq!(report.images[0].uploaded, amount(&[&image.config]));
    assert_eq!(report.images[0].there, Amount::default());
    let posts = registry.log();
    let posts = posts.iter().filter(|line| line.starts_with("POST"));
    assert_eq!(posts.count(), 1);
}

#[test]
fn a_registry_that_stays_broken_is_given_up() {
    let registry = FakeRegistry::start();
    let pusher = Pusher::new();
    registry.fault("POST ", usize::MAX, Fault::Status(503, ""));
    let error = pusher.push(&pusher.layout(&small()), &to(&registry));
    let error = error.unwrap_err();
    assert_eq!(error.class(), Class::Network);
    assert_eq!(
        error.to_string(),
        format!("{}:v1 can't be pushed", to(&registry))
    );
    assert_eq!(registry.count("/uploads/"), 4);
    assert!(registry.manifest(REPOSITORY, "v1").is_none());
}

#[test]
fn a_mount_that_is_none_becomes_an_upload() {
    for refusal in [
        None,
        Some(Fault::Status(400, "")),
        Some(Fault::Status(403, "")),
    ] {
        let registry = FakeRegistry::start();
        let pusher = Pusher::new();
        let image = built_upon(image(), &format!("{}/os/base:1", registry.host()));
        registry.put_blob("os/base", &image.layers[0].bytes);
        registry.manner(|manner| manner.no_mounts = true);
        if let Some(fault) = refusal {
            registry.fault("?mount=", usize::MAX, fault);
        }
        let report = pusher.push(&pusher.layout(&image), &to(&registry)).unwrap();
        assert_eq!(report.images[0].mounted, Amount::default());
        assert_there(&registry, REPOSITORY, "v1", &image);
    }
}

#[test]
fn a_registry_that_stored_something_else_is_named() {
    let registry = FakeRegistry::start();
    registry.manner(|manner| manner.wrong_digest = true);
    let pusher = Pusher::new();
    let image = small();
    let error = pusher.push(&pusher.layout(&image), &to(&registry));
    let error = error.unwrap_err();
    assert_eq!(error.class(), Class::Verification);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        cause.contains("the registry stored sha256:")
            && cause.contains(&format!("but was sent {}", image.manifest.digest())),
        "{cause}"
    );
    assert!(pusher.waits.lock().unwrap().is_empty());
}

#[test]
fn a_damaged_blob_never_becomes_one_of_the_registry() {
    for pieces in [
        Pieces::default(),
        Pieces {
            whole_bytes: 0,
            chunk_bytes: 30_000,
        },
    ] {
        let registry = FakeRegistry::start();
        let mut pusher = Pusher::new();
        pusher.pieces = pieces;
        let image = image();
        let layout = pusher.layout(&image);
        let large = &image.layers[0];
        let mut damaged = large.bytes.clone();
        damaged[50_000] ^= 1;
        let file = layout.join("blobs/sha256").join(large.digest().hex());
        std::fs::write(file, damaged).unwrap();
        let error = pusher.push(&layout, &to(&registry)).unwrap_err();
        assert_eq!(error.class(), Class::Verification);
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("digest mismatch"), "{cause}");
        assert!(pusher.waits.lock().unwrap().is_empty(), "not tried again");
        assert!(registry.blob(REPOSITORY, &large.digest()).is_none());
        assert!(registry.manifest(REPOSITORY, "v1").is_none());
    }
}

#[test]
fn large_blobs_go_in_pieces_and_go_on_at_the_piece_that_broke() {
    let registry = FakeRegistry::start();
    let mut pusher = Pusher::new();
    pusher.pieces = Pieces {
        whole_bytes: 50_000,
        chunk_bytes: 40_000,
    };
    let image = image();
    registry.put_blob(REPOSITORY, &image.config.bytes);
    registry.put_blob(REPOSITORY, &image.layers[1].bytes);
    registry.fault("_state=40000", 1, Fault::Status(503, ""));
    pusher.push(&pusher.layout(&image), &to(&registry)).unwrap();
    assert_there(&registry, REPOSITORY, "v1", &image);
    let said = ranges(&registry);
    // The registry took the piece although it said that it did not: so the next
    // one is asked for.
    assert_eq!(
        said[..3],
        ["PATCH 0-39999", "PATCH 40000-79999", "PATCH 80000-119999"]
    );
    let last = image.layers[0].bytes.len() - 1;
    let begin = last / 40_000 * 40_000;
    assert_eq!(*said.last().unwrap(), format!("PUT {begin}-{last}"));
}

#[test]
fn a_registry_that_gives_a_smallest_piece_is_sent_such() {
    let registry = FakeRegistry::start();
    registry.manner(|manner| manner.minimum = Some(60_000));
    let mut pusher = Pusher::new();
    pusher.pieces.chunk_bytes = 1_000;
    let image = image();
    pusher.push(&pusher.layout(&image), &to(&registry)).unwrap();
    assert_there(&registry, REPOSITORY, "v1", &image);
    let said = ranges(&registry);
    assert!(said.contains(&"PATCH 0-59999".to_owned()), "{said:?}");
    assert!(said.contains(&"PATCH 60000-119999".to_owned()), "{said:?}");
}

#[test]
fn a_registry_that_gives_up_pieces_is_sent_the_blob_whole() {
    let registry = FakeRegistry::start();
    let mut pusher = Pusher::new();
    pusher.pieces = Pieces {
        whole_bytes: 50_000,
        chunk_bytes: 40_000,
    };
    registry.fault("PATCH ", usize::MAX, Fault::Status(416, ""));
    let image = image();
    pusher.push(&pusher.layout(&image), &to(&registry)).unwrap();
    assert_there(&registry, REPOSITORY, "v1", &image);
    assert_eq!(pusher.waits.lock().unwrap().len(), 1);
}

#[test]
fn credentials_do_not_follow_an_upload_to_another_host() {
    let registry = FakeRegistry::start();
    registry.require(Access::Basic("user:hunter2".to_owned()));
    let storage = FakeRegistry::start();
    storage.manner(|manner| manner.credulous = true);
    registry.manner(|manner| {
        manner.elsewhere = Some(storage.url());
        manner.credulous = true;
    });
    let pusher = Pusher::logged_in(&registry.host(), "user", "hunter2");
    let image = image();
    pusher.push(&pusher.layout(&image), &to(&registry)).unwrap();
    for blob in image.blobs() {
        assert_eq!(
            storage.blob(REPOSITORY, &blob.digest()),
            Some(blob.bytes.clone())
        );
    }
    let elsewhere = storage.requests();
    assert_eq!(elsewhere.len(), 3);
    assert!(
        elsewhere
            .iter()
            .all(|request| request.authorization().is_none())
    );
    let written = registry.manifest(REPOSITORY, "v1");
    assert_eq!(written, Some(image.manifest.bytes));
}

#[test]
fn a_token_that_runs_out_in_an_upload_is_renewed() {
    let registry = FakeRegistry::start();
    registry.require(Access::Token {
        service: None,
        login: None,
        uses: 1,
    });
    let pusher = Pusher::new();
    let image = small();
    pusher.push(&pusher.layout(&image), &to(&registry)).unwrap();
    assert_there(&registry, REPOSITORY, "v1", &image);
    assert!(pusher.waits.lock().unwrap().is_empty());
}

#[test]
fn who_may_not_push_is_told_so() {
    let registry = FakeRegistry::start();
    registry.require(Access::Basic("user:hunter2".to_owned()));
    let pusher = Pusher::logged_in(&registry.host(), "user", "wrong");
    let error = pusher.push(&pusher.layout(&small()), &to(&registry));
    let error = error.unwrap_err();
    assert_eq!(error.class(), Class::Network);
    let hint = error.hint().unwrap();
    assert!(hint.contains("may push to the repository"), "{hint}");
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[test]
fn an_upload_is_not_followed_away_with_a_changed_method() {
    let registry = FakeRegistry::start();
    let pusher = Pusher::new();
    let redirect = Fault::Status(303, "Location: /elsewhere");
    registry.fault("PUT /v2/edge/app/manifests", usize::MAX, redirect);
    let error = pusher.push(&pusher.layout(&small()), &to(&registry));
    let cause = error.unwrap_err();
    let cause = std::error::Error::source(&cause).unwrap().to_string();
    assert!(
        cause.contains("redirect of a request that writes"),
        "{cause}"
    );
    assert_eq!(registry.count("/elsewhere"), 0);
}
