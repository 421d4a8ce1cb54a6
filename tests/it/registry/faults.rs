//! A registry that misbehaves: what is tried again, what is not, and what
//! remains.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::time::Duration;

use isoforge_base::error::Class;

use super::{Puller, without_port};
use crate::support::judge;
use crate::support::layers::Image;
use crate::support::registry::{FakeRegistry, Fault};

const ATTEMPTS: usize = isoforge_oci::registry::config::ATTEMPTS as usize;

/// A registry with one image `a:1`, and the target of its layer.
fn registry() -> (FakeRegistry, Image, String) {
    let registry = FakeRegistry::start();
    let image = Image::simple(&["file usr/x 0755 'some content'"]);
    registry.put_image("a", "1", &image);
    let layer = format!("/blobs/{}", image.layers[0].digest());
    (registry, image, layer)
}

fn source(registry: &FakeRegistry) -> String {
    format!("{}/a:1", registry.host())
}

#[test]
fn what_passes_is_tried_again() {
    for fault in [
        Fault::Truncate(10),
        Fault::Truncate(0),
        Fault::NoLength(7),
        Fault::Reset,
        Fault::Status(500, ""),
        Fault::Status(503, ""),
        Fault::Status(429, ""),
    ] {
        let (registry, image, layer) = registry();
        registry.fault(&layer, ATTEMPTS - 1, fault.clone());
        // By its tag alone nobody knows how long a manifest is.
        let early_end = matches!(fault, Fault::NoLength(_));
        if !early_end {
            registry.fault("/manifests/", ATTEMPTS - 1, fault.clone());
        }
        let puller = Puller::new();
        let pulled = puller.pull(&source(&registry)).unwrap();
        assert_eq!(pulled.manifest.raw, image.manifest.bytes, "{fault:?}");
        assert_eq!(registry.count(&layer), ATTEMPTS, "{fault:?}");
        let manifests = if early_end { 1 } else { ATTEMPTS };
        assert_eq!(registry.count("/manifests/"), manifests, "{fault:?}");
        puller.assert_sound();
        let waits = puller.waits.lock().unwrap();
        let bounds = [500, 1000, 2000].repeat(if early_end { 1 } else { 2 });
        assert_eq!(waits.len(), bounds.len(), "{fault:?}");
        for (wait, bound) in waits.iter().zip(bounds) {
            assert!(*wait <= Duration::from_millis(bound), "{fault:?}: {wait:?}");
        }
    }
}

#[test]
fn what_lasts_is_given_up_as_a_failure_of_the_network() {
    let mut messages = Vec::new();
    for fault in [
        Fault::Truncate(10),
        Fault::NoLength(7),
        Fault::Status(500, ""),
        Fault::Status(429, ""),
    ] {
        let (registry, image, layer) = registry();
        registry.fault(&layer, usize::MAX, fault);
        let puller = Puller::new();
        let said = puller.fails(&source(&registry), Class::Network);
        assert_eq!(registry.count(&layer), ATTEMPTS);
        assert!(!puller.store.has_blob(&image.layers[0].digest()));
        messages.push(without_port(&said, &registry.host()));
    }
    let (registry, _, layer) = registry();
    registry.fault(&layer, usize::MAX, Fault::Reset);
    let said = Puller::new().fails(&source(&registry), Class::Network);
    assert!(said.contains("reset by peer"), "{said}");
    insta::assert_snapshot!(messages.join("\n"), @r"
    127.0.0.1:PORT/a:1 can't be pulled: http://127.0.0.1:PORT/v2/a/blobs/sha256:1b7bce46da979d81e42a97fc36269a06d8e753e9efdcdd6bd4b009fa4b391ea7: ended after 10 of 108 bytes
    127.0.0.1:PORT/a:1 can't be pulled: http://127.0.0.1:PORT/v2/a/blobs/sha256:1b7bce46da979d81e42a97fc36269a06d8e753e9efdcdd6bd4b009fa4b391ea7: ended after 101 of 108 bytes
    127.0.0.1:PORT/a:1 can't be pulled: http://127.0.0.1:PORT/v2/a/blobs/sha256:1b7bce46da979d81e42a97fc36269a06d8e753e9efdcdd6bd4b009fa4b391ea7: HTTP status 500, the registry says TOLD_TO: as told
    127.0.0.1:PORT/a:1 can't be pulled: http://127.0.0.1:PORT/v2/a/blobs/sha256:1b7bce46da979d81e42a97fc36269a06d8e753e9efdcdd6bd4b009fa4b391ea7: HTTP status 429, the registry says TOLD_TO: as told
    ");
}

#[test]
fn retry_after_is_honoured_up_to_a_cap() {
    let (registry, _, layer) = registry();
    registry.fault(&layer, 1, Fault::Status(429, "Retry-After: 7"));
    registry.fault(&layer, 1, Fault::Status(503, "Retry-After: 86400"));
    let puller = Puller::new();
    puller.pull(&source(&registry)).unwrap();
    let waits: Vec<u64> = puller
        .waits
        .lock()
        .unwrap()
        .iter()
        .map(Duration::as_secs)
        .collect();
    assert_eq!(waits, [7, 60]);
}

#[test]
fn a_server_that_stops_sending_runs_into_the_time_limit() {
    let (registry, _, layer) = registry();
    registry.fault(&layer, usize::MAX, Fault::Stall);
    let puller = Puller::with(|config| {
        config.read_timeout = Duration::from_millis(100);
        config.retry.attempts = 2;
    });
    let said = puller.fails(&source(&registry), Class::Network);
    assert!(said.contains("no answer in time"), "{said}");
    assert_eq!(registry.count(&layer), 2);
}

/// Each byte is in time, but all of them are not.
#[test]
fn a_server_that_trickles_is_given_up_whatever_it_sends() {
    for target in ["/manifests/", "/blobs/"] {
        let (registry, _, _) = registry();
        registry.fault(target, usize::MAX, Fault::Trickle);
        let puller = Puller::with(|config| {
            config.rate_window = Duration::from_millis(200);
            config.retry.attempts = 2;
        });
        let said = puller.fails(&source(&registry), Class::Network);
        let expected = "less than 1024 bytes a second came over 0.2 s";
        assert!(said.contains(expected), "{target}: {said}");
    }
}

#[test]
fn wrong_bytes_are_not_tried_again_and_leave_nothing() {
    let (registry, image, layer) = registry();
    registry.fault(&layer, usize::MAX, Fault::Garble);
    let puller = Puller::new();
    let said = puller.fails(&source(&registry), Class::Verification);
    assert!(
        said.contains(&format!("expected {}", image.layers[0].digest())),
        "{said}"
    );
    assert!(said.contains("got sha256:"), "{said}");
    assert_eq!(registry.count(&layer), 1);
    assert!(!puller.store.has_blob(&image.layers[0].digest()));
}

#[test]
fn a_wrong_length_is_noticed_before_the_body_is_read() {
    let (registry, _, layer) = registry();
    registry.fault(&layer, usize::MAX, Fault::TooLong(5));
    let said = Puller::new().fails(&source(&registry), Class::Verification);
    assert!(said.contains("the size should be"), "{said}");
    assert_eq!(registry.count(&layer), 1);
}

#[test]
fn a_manifest_must_have_its_digest() {
    let (registry, image, _) = registry();
    registry.fault("/manifests/", usize::MAX, Fault::Garble);
    for name in [
        source(&registry),
        format!("{}/a@{}", registry.host(), image.manifest.digest()),
    ] {
        let said = Puller::new().fails(&name, Class::Verification);
        assert!(said.contains("digest mismatch"), "{said}");
    }
    let registry = FakeRegistry::start();
    registry.put_image("a", "1", &image);
    registry.fault("/manifests/", 1, Fault::TooLong(4 * 1024 * 1024));
    let said = Puller::new().fails(&source(&registry), Class::Verification);
    assert!(said.contains("more than 4194304 bytes"), "{said}");
}

#[test]
fn what_is_not_there_is_not_asked_for_again() {
    let (registry, _, _) = registry();
    let said = Puller::new().fails(&format!("{}/a:2", registry.host()), Class::Network);
    assert_eq!(registry.requests().len(), 1);
    insta::assert_snapshot!(without_port(&said, &registry.host()), @"127.0.0.1:PORT/a:2 can't be pulled: http://127.0.0.1:PORT/v2/a/manifests/2: not found, the registry says MANIFEST_UNKNOWN: as told");
}

#[test]
fn a_registry_out_of_reach_is_named() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let host = free.local_addr().unwrap().to_string();
    drop(free);
    let puller = Puller::new();
    let said = puller.fails(&format!("{host}/a:1"), Class::Network);
    assert!(
        said.contains(&format!("http://{host}/v2/a/manifests/1")),
        "{said}"
    );
    assert!(said.contains("refused"), "{said}");
    assert_eq!(puller.waits.lock().unwrap().len(), ATTEMPTS - 1);
}

#[test]
fn a_host_can_be_told_to_use_tls_or_not() {
    let (registry, _, _) = registry();
    let puller = Puller::with(|config| {
        let host = config.hosts.entry(registry.host()).or_default();
        host.plain_http = Some(false);
    });
    let said = puller.fails(&source(&registry), Class::Network);
    assert!(
        said.contains(&format!("https://{}/v2/", registry.host())),
        "{said}"
    );
    assert!(registry.requests().is_empty(), "nothing is sent in plain");
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused() {
    let puller = Puller::new();
    let path = |name: &str| puller.root().join(name).display().to_string();
    let (key, certificate) = (path("key.pem"), path("cert.pem"));
    judge(
        "openssl",
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-keyout",
            &key,
            "-out",
            &certificate,
        ],
    );
    let mut server = Command::new("openssl")
        .args([
            "s_server",
            "-accept",
            "127.0.0.1:0",
            "-www",
            "-key",
            &key,
            "-cert",
            &certificate,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let log = BufReader::new(server.stdout.take().unwrap());
    let up = log
        .lines()
        .map_while(Result::ok)
        .find(|line| line.starts_with("ACCEPT"));
    let port = up
        .expect("s_server starts")
        .rsplit(':')
        .next()
        .unwrap()
        .to_owned();
    let host = format!("localhost:{port}");
    let puller = Puller::with(|config| {
        config.hosts.entry(host.clone()).or_default().plain_http = Some(false);
        config.retry.attempts = 1;
    });
    let said = puller.fails(&format!("{host}/a:1"), Class::Network);
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(said.contains("certificate"), "{said}");
}

#[test]
fn redirects_are_followed_without_credentials_and_not_forever() {
    let (registry, image, layer) = registry();
    let storage = FakeRegistry::start();
    storage.put_image("a", "1", &image);
    registry.fault(&layer, usize::MAX, Fault::Redirect(storage.url()));
    let puller = Puller::new();
    puller.pull(&source(&registry)).unwrap();
    assert_eq!(storage.count(&layer), 1);
    storage.fault(&layer, usize::MAX, Fault::Redirect(storage.url()));
    let said = Puller::new().fails(&source(&registry), Class::Network);
    assert!(said.contains("redirect"), "{said}");
    assert_eq!(
        storage.count(&layer),
        1 + isoforge_oci::registry::MAX_REDIRECTS
    );
    let (registry, _, layer) = self::registry();
    registry.fault(
        &layer,
        usize::MAX,
        Fault::Redirect("file:///etc/passwd?".to_owned()),
    );
    let said = Puller::new().fails(&source(&registry), Class::Network);
    assert!(said.contains("no HTTP"), "{said}");
}

#[test]
fn one_failure_ends_the_pull_of_the_other_layers() {
    let registry = FakeRegistry::start();
    let texts: Vec<String> = (0..20)
        .map(|n| format!("fill f{n} 0644 {n}*100000"))
        .collect();
    let image = Image::simple(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    registry.put_image("a", "1", &image);
    for layer in &image.layers {
        registry.fault(&layer.digest().to_string(), 1, Fault::Garble);
    }
    Puller::new().fails(&source(&registry), Class::Verification);
    // The configuration, and one layer for each of the two threads.
    assert!(
        registry.count("/blobs/") <= 3,
        "{}",
        registry.count("/blobs/")
    );
}
