//! TLS with an authority of one's own, and with client certificates, against
//! Debian's docker-registry.

use std::path::Path;

use isoforge_base::error::{Class, Diagnose};
use isoforge_oci::registry::RegistryConfig;

use super::{Puller, chain, without_port};
use crate::support::certificates::Certificates;
use crate::support::docker_registry::DockerRegistry;
use crate::support::judge;
use crate::support::layers::{Image, write_layout};

/// A registry with TLS and the image `os:v1`.
struct Peer {
    folder: tempfile::TempDir,
    certificates: Certificates,
    registry: DockerRegistry,
    image: Image,
}

impl Peer {
    fn start(clients: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificates = Certificates::make(folder.path());
        let registry = DockerRegistry::start_tls(folder.path(), &certificates, clients);
        let image = Image::simple(&["file a 0644 'a'"]);
        let layout = folder.path().join("layout");
        write_layout(&layout, &[("v1", &image.manifest)], &[&image]);
        judge(
            "skopeo",
            "skopeo",
            &[
                "copy",
                "-q",
                "--dest-cert-dir",
                &certificates.for_skopeo(),
                &format!("oci:{}:v1", layout.display()),
                &format!("docker://{}/os:v1", registry.host),
            ],
        );
        Self {
            folder,
            certificates,
            registry,
            image,
        }
    }

    fn source(&self) -> String {
        format!("{}/os:v1", self.registry.host)
    }

    /// A puller that speaks TLS to the registry.
    fn puller(&self, change: impl FnOnce(&mut RegistryConfig)) -> Puller {
        Puller::with(|config| {
            let host = config.hosts.entry(self.registry.host.clone()).or_default();
            host.plain_http = Some(false);
            config.retry.attempts = 1;
            change(config);
        })
    }

    fn host_with(&self, ca: bool, cert: Option<&Path>, key: Option<&Path>) -> Puller {
        self.puller(|config| {
            let host = config.hosts.get_mut(&self.registry.host).unwrap();
            host.ca = ca.then(|| self.certificates.path("ca.crt"));
            host.client_cert = cert.map(Path::to_owned);
            host.client_key = key.map(Path::to_owned);
        })
    }

    fn pulls(&self, puller: &Puller) {
        let pulled = puller.pull(&self.source()).unwrap();
        assert_eq!(pulled.manifest.raw, self.image.manifest.bytes);
    }
}

#[test]
fn an_authority_of_ones_own_is_trusted_where_the_settings_name_it() {
    let peer = Peer::start(false);
    let said = peer.puller(|_| {}).fails(&peer.source(), Class::Network);
    assert!(
        said.contains("invalid peer certificate: UnknownIssuer"),
        "{said}"
    );
    peer.pulls(&peer.host_with(true, None, None));
    let ca = peer.certificates.path("ca.crt");
    peer.pulls(&peer.puller(|config| config.extra_cert_file = Some(ca.clone())));
    let dir = peer.folder.path().join("dir");
    std::fs::create_dir(&dir).unwrap();
    std::fs::copy(&ca, dir.join("mine.pem")).unwrap();
    peer.pulls(&peer.puller(|config| config.extra_cert_dirs = vec![dir]));
    // A mirror is talked to as its own entry says, and another host's authority is
    // not trusted for it.
    let through_mirror = |name: &str| {
        peer.puller(|config| {
            let quay = config.hosts.entry("quay.io".to_owned()).or_default();
            quay.mirrors = Some(vec![peer.registry.host.clone()]);
            let host = config.hosts.entry(name.to_owned()).or_default();
            host.ca = Some(ca.clone());
        })
    };
    through_mirror(&peer.registry.host)
        .pull("quay.io/os:v1")
        .unwrap();
    let said = through_mirror("quay.io").fails("quay.io/os:v1", Class::Network);
    assert!(said.contains("UnknownIssuer"), "{said}");
}

#[test]
fn a_registry_may_want_to_know_who_asks() {
    let peer = Peer::start(true);
    let said = peer
        .host_with(true, None, None)
        .fails(&peer.source(), Class::Network);
    // Go's TLS says so by this alert.
    assert!(said.contains("BadCertificate"), "{said}");
    let (cert, key) = (
        peer.certificates.path("client.cert"),
        peer.certificates.path("client.key"),
    );
    peer.pulls(&peer.host_with(true, Some(&cert), Some(&key)));
    let both = peer.folder.path().join("both.pem");
    let pem = [&key, &cert].map(|path| std::fs::read_to_string(path).unwrap());
    std::fs::write(&both, pem.concat()).unwrap();
    peer.pulls(&peer.host_with(true, Some(&both), None));
}

#[test]
fn files_that_are_no_certificate_or_key_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(folder.path());
    let host = "127.0.0.1:1";
    let mut messages = Vec::new();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing\n").unwrap();
    let broken = folder.path().join("broken.pem");
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&broken, pem).unwrap();
    let (cert, wrong_key) = (
        certificates.path("client.cert"),
        certificates.path("server.key"),
    );
    let missing = folder.path().join("missing.pem");
    for (ca, cert, key) in [
        (Some(&missing), None, None),
        (Some(&empty), None, None),
        (Some(&broken), None, None),
        (None, Some(&empty), None),
        (None, Some(&cert), None),
        (None, Some(&cert), Some(&wrong_key)),
        (None, Some(&broken), Some(&wrong_key)),
    ] {
        let puller = Puller::with(|config| {
            let host = config.hosts.entry(host.to_owned()).or_default();
            host.plain_http = Some(false);
            host.ca = ca.cloned();
            host.client_cert = cert.cloned();
            host.client_key = key.cloned();
        });
        let error = puller.pull(&format!("{host}/a:1")).unwrap_err();
        assert_eq!(error.class(), Class::Profile, "{}", chain(&error));
        assert!(puller.waits.lock().unwrap().is_empty(), "not tried again");
        messages.push(without_port(&chain(&error), host));
    }
    let puller = Puller::with(|config| {
        config.hosts.entry(host.to_owned()).or_default().plain_http = Some(false);
        config.extra_cert_file = Some(missing.clone());
    });
    messages.push(without_port(
        &puller.fails(&format!("{host}/a:1"), Class::Profile),
        host,
    ));
    let said = messages
        .join("\n")
        .replace(&folder.path().display().to_string(), "[DIR]");
    insta::assert_snapshot!(said, @r"
    127.0.0.1:PORT/a:1 can't be pulled: [DIR]/missing.pem: No such file or directory (os error 2)
    127.0.0.1:PORT/a:1 can't be pulled: [DIR]/empty.pem: there is no certificate in PEM form in it
    127.0.0.1:PORT/a:1 can't be pulled: [DIR]/broken.pem: invalid peer certificate: BadEncoding
    127.0.0.1:PORT/a:1 can't be pulled: [DIR]/empty.pem: there is no certificate in PEM form in it
    127.0.0.1:PORT/a:1 can't be pulled: [DIR]/certificates/client.cert: there is no key in PEM form without a password in it
    127.0.0.1:PORT/a:1 can't be pulled: [DIR]/certificates/server.key: keys may not be consistent: KeyMismatch
    127.0.0.1:PORT/a:1 can't be pulled: [DIR]/certificates/server.key: invalid peer certificate: BadEncoding
    127.0.0.1:PORT/a:1 can't be pulled: [DIR]/missing.pem: failed to read PEM from file: No such file or directory (os error 2) at '[DIR]/missing.pem'
    ");
}
