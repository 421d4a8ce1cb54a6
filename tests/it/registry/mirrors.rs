//! Several places that have an image: who is asked in which order, and what is
//! said of it.

use isoforge_base::error::Class;
use isoforge_oci::registry::RegistryConfig;

use super::Puller;
use crate::support::layers::Image;
use crate::support::registry::{Access, FakeRegistry, Fault};

const ATTEMPTS: usize = isoforge_oci::registry::config::ATTEMPTS as usize;
const SOURCE: &str = "quay.invalid/a:1";

struct Mirrors {
    first: FakeRegistry,
    second: FakeRegistry,
    image: Image,
}

impl Mirrors {
    /// Two mirrors that both have the image.
    fn start() -> Self {
        let image = Image::simple(&["file a 0644 'a'", "file b 0644 'b'", "file c 0644 'c'"]);
        let this = Self {
            first: FakeRegistry::start(),
            second: FakeRegistry::start(),
            image,
        };
        this.first.put_image("one/a", "1", &this.image);
        this.second.put_image("a", "1", &this.image);
        this
    }

    fn set(&self, config: &mut RegistryConfig) {
        let host = config.hosts.entry("quay.invalid".to_owned()).or_default();
        host.mirrors = Some(vec![
            format!("{}/one", self.first.host()),
            self.second.host(),
        ]);
    }

    fn puller(&self) -> Puller {
        Puller::with(|config| self.set(config))
    }

    fn without_ports(&self, said: &str) -> String {
        said.replace(&self.first.host(), "FIRST")
            .replace(&self.second.host(), "SECOND")
    }

    fn pulls(&self, puller: &Puller) {
        let pulled = puller.pull(SOURCE).unwrap();
        assert_eq!(pulled.manifest.raw, self.image.manifest.bytes);
        assert_eq!(pulled.reference, SOURCE);
        puller.assert_sound();
    }
}

#[test]
fn the_first_is_asked_alone_as_long_as_it_has_everything() {
    let mirrors = Mirrors::start();
    mirrors.pulls(&mirrors.puller());
    assert_eq!(mirrors.first.requests().len(), 5);
    assert_eq!(mirrors.second.requests().len(), 0);
}

#[test]
fn the_next_is_asked_where_one_refuses_or_fails_after_all_attempts() {
    for (fault, attempts) in [
        (Fault::Status(404, ""), 1),
        (Fault::Status(403, ""), 1),
        (Fault::Status(401, ""), 1),
        (Fault::Status(400, ""), 1),
        (Fault::Status(500, ""), ATTEMPTS),
        (Fault::Status(429, ""), ATTEMPTS),
        (Fault::Reset, ATTEMPTS),
        (Fault::Truncate(3), ATTEMPTS),
        (Fault::Redirect("file:///x?".to_owned()), 1),
    ] {
        let mirrors = Mirrors::start();
        let layer = format!("/blobs/{}", mirrors.image.layers[1].digest());
        mirrors.first.fault(&layer, usize::MAX, fault.clone());
        mirrors.pulls(&mirrors.puller());
        assert_eq!(mirrors.first.count(&layer), attempts, "{fault:?}");
        assert_eq!(mirrors.second.count(&layer), 1, "{fault:?}");
        // The tag is resolved once: no two places are mixed by name.
        assert_eq!(mirrors.second.count("/manifests/"), 0, "{fault:?}");
    }
}

#[test]
fn a_mirror_out_of_reach_costs_its_attempts_once() {
    let mirrors = Mirrors::start();
    mirrors.first.fault("", usize::MAX, Fault::Reset);
    let puller = mirrors.puller();
    mirrors.pulls(&puller);
    assert_eq!(mirrors.first.requests().len(), ATTEMPTS);
    let other = Image::simple(&["file other 0644 'x'"]);
    mirrors.second.put_image("b", "1", &other);
    puller.pull("quay.invalid/b:1").unwrap();
    assert_eq!(
        mirrors.first.requests().len(),
        ATTEMPTS,
        "for other images too"
    );
}

#[test]
fn what_was_asked_where_is_said_at_the_end() {
    let mirrors = Mirrors::start();
    mirrors
        .first
        .fault("/manifests/", usize::MAX, Fault::Status(503, ""));
    let said = mirrors.puller().fails("quay.invalid/a:2", Class::Network);
    insta::assert_snapshot!(mirrors.without_ports(&said), @"quay.invalid/a:2 can't be pulled: http://SECOND/v2/a/manifests/2: not found, the registry says MANIFEST_UNKNOWN: as told; asked before: http://FIRST/v2/one/a/manifests/2: HTTP status 503, the registry says TOLD_TO: as told");
}

#[test]
fn the_host_itself_is_asked_only_where_the_settings_allow_it() {
    let mirrors = Mirrors::start();
    let host = FakeRegistry::start();
    host.put_image("a", "3", &mirrors.image);
    let puller = |fallback: bool| {
        Puller::with(|config| {
            let set = config.hosts.entry(host.host()).or_default();
            set.mirrors = Some(vec![mirrors.second.host()]);
            set.fallback = Some(fallback);
        })
    };
    let source = format!("{}/a:3", host.host());
    let said = puller(false).fails(&source, Class::Network);
    assert!(said.contains("not found"), "{said}");
    assert_eq!(host.requests().len(), 0);
    puller(true).pull(&source).unwrap();
    assert_eq!(mirrors.second.count("/v2/a/manifests/3"), 2);
    assert_eq!(host.count("/manifests/"), 1);
    // What had the image is asked for the rest of it.
    assert_eq!(mirrors.second.count("/blobs/"), 0);
}

#[test]
fn wrong_bytes_are_an_error_at_once_that_names_the_mirror() {
    let mut messages = Vec::new();
    for target in ["/blobs/", "/manifests/"] {
        let mirrors = Mirrors::start();
        mirrors.first.fault(target, usize::MAX, Fault::Garble);
        let said = mirrors.puller().fails(SOURCE, Class::Verification);
        assert_eq!(mirrors.second.requests().len(), 0, "{target}");
        messages.push(mirrors.without_ports(&said));
    }
    let said = messages.join("\n");
    let mut settings = insta::Settings::clone_current();
    settings.add_filter("[0-9a-f]{64}", "[HEX]");
    settings.bind(|| insta::assert_snapshot!(said, @r"
    quay.invalid/a:1 (from FIRST) can't be stored: digest mismatch: expected sha256:[HEX], got sha256:[HEX]
    quay.invalid/a:1 can't be pulled: http://FIRST/v2/one/a/manifests/1: digest mismatch: expected sha256:[HEX], got sha256:[HEX]
    "));
}

#[test]
fn pinned_content_is_verified_from_whomever_it_comes() {
    let mirrors = Mirrors::start();
    let other = Image::simple(&["file evil 0644 'x'"]);
    let pinned = format!("quay.invalid/a@{}", mirrors.image.manifest.digest());
    let path = format!("/v2/one/a/manifests/{}", mirrors.image.manifest.digest());
    mirrors.first.put_at(&path, &other.manifest);
    let said = mirrors.puller().fails(&pinned, Class::Verification);
    assert!(said.contains("digest mismatch"), "{said}");
    assert!(said.contains(&mirrors.first.host()), "{said}");
    assert_eq!(mirrors.second.requests().len(), 0);
}

#[test]
fn one_connection_is_enough_for_many_threads_tokens_and_challenges() {
    let registry = FakeRegistry::start();
    let texts: Vec<String> = (0..12)
        .map(|n| format!("fill f{n} 0644 {n}*1000"))
        .collect();
    let image = Image::simple(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    registry.put_image("a", "1", &image);
    registry.require(Access::Token {
        service: None,
        login: None,
        uses: 2,
    });
    let puller = Puller::with(|config| {
        let host = config.hosts.entry(registry.host()).or_default();
        host.max_connections = std::num::NonZeroU32::new(1);
    });
    puller.pull(&format!("{}/a:1", registry.host())).unwrap();
    puller.assert_sound();
}
