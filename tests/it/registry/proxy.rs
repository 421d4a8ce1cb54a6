//! Proxies, judged by one that records what it is asked.

use std::net::{Ipv4Addr, TcpListener};

use isoforge_base::error::Class;
use isoforge_oci::registry::{RegistryConfig, Secret};

use super::Puller;
use crate::support::certificates::Certificates;
use crate::support::docker_registry::DockerRegistry;
use crate::support::judge;
use crate::support::layers::{Image, write_layout};
use crate::support::proxy::Proxy;
use crate::support::registry::FakeRegistry;

/// A host that nobody but the proxy knows (RFC 6761, 6.4).
const HIDDEN: &str = "registry.invalid:5000";

/// A registry that can be reached through the proxy alone.
fn hidden() -> (Proxy, FakeRegistry, Image) {
    let (proxy, registry) = (Proxy::start(), FakeRegistry::start());
    proxy.knows(HIDDEN, &registry.host());
    let image = Image::simple(&["file a 0644 'a'"]);
    registry.put_image("a", "1", &image);
    (proxy, registry, image)
}

fn variable(config: &mut RegistryConfig, name: &str, value: String) {
    config.proxies.push((name.to_owned(), Secret::new(value)));
}

/// A puller with these variables; `HIDDEN` speaks plain HTTP.
fn puller(variables: &[(&str, String)]) -> Puller {
    Puller::with(|config| {
        let host = config.hosts.entry(HIDDEN.to_owned()).or_default();
        host.plain_http = Some(true);
        config.retry.attempts = 1;
        for (name, value) in variables {
            variable(config, name, value.clone());
        }
    })
}

#[test]
fn proxies_of_the_environment_carry_what_is_not_on_this_machine() {
    for (scheme, protocol) in [
        ("http", "CONNECT"),
        ("socks5h", "SOCKS5"),
        ("socks4a", "SOCKS4"),
    ] {
        let (proxy, registry, image) = hidden();
        let address = format!("{scheme}://{}", proxy.host());
        // The proxy is understood by a foreign client too.
        let url = format!("http://{HIDDEN}/v2/");
        judge("curl", "curl", &["-sSfp", "-x", &address, &url]);
        let puller = puller(&[("http_proxy", address)]);
        let pulled = puller.pull(&format!("{HIDDEN}/a:1")).unwrap();
        assert_eq!(pulled.manifest.raw, image.manifest.bytes);
        let asked = proxy.asked();
        // curl's, the manifest's, the configuration's and the layer's.
        assert_eq!(asked, vec![format!("{protocol} {HIDDEN}"); 4]);
        // What is on this machine is not asked for through it.
        puller.pull(&format!("{}/a:1", registry.host())).unwrap();
        assert_eq!(proxy.asked().len(), 4);
    }
}

#[test]
fn user_and_password_go_to_the_proxy_and_nowhere_else() {
    for (scheme, protocol) in [("http", "CONNECT"), ("socks5h", "SOCKS5")] {
        let (proxy, registry, _) = hidden();
        proxy.require("me@home", "hunter2:x");
        let address = |password: &str| format!("{scheme}://me%40home:{password}@{}", proxy.host());
        let right = puller(&[("all_proxy", address("hunter2%3Ax"))]);
        right.pull(&format!("{HIDDEN}/a:1")).unwrap();
        let asked = proxy.asked();
        let expected = format!("{protocol} {HIDDEN} as me@home");
        assert!(asked.iter().all(|asked| *asked == expected), "{asked:?}");
        for request in registry.requests() {
            assert!(!format!("{request:?}").contains("hunter2"));
            assert!(!request.headers.contains_key("proxy-authorization"));
        }
        let wrong = puller(&[("all_proxy", address("hunter3"))]);
        let said = wrong.fails(&format!("{HIDDEN}/a:1"), Class::Network);
        let through = format!("(through the proxy {scheme}://{})", proxy.host());
        assert!(said.contains(&through), "{said}");
        let all = format!("{said}{:?}", wrong.client);
        assert!(!all.contains("hunter3"), "{all}");
    }
}

#[test]
fn a_hosts_own_proxy_wins_over_the_environment() {
    let (proxy, registry, _) = hidden();
    let other = Proxy::start();
    let own = |value: &str| {
        Puller::with(|config| {
            variable(config, "all_proxy", format!("http://{}", other.host()));
            let host = config.hosts.entry(registry.host()).or_default();
            host.proxy = Some(Secret::new(value.to_owned()));
        })
    };
    let source = format!("{}/a:1", registry.host());
    // SOCKS 4 and 5 without 'a' and 'h' are told an address, which is known here.
    for (scheme, protocol) in [
        ("http", "CONNECT"),
        ("socks4", "SOCKS4"),
        ("socks5", "SOCKS5"),
    ] {
        own(&format!("{scheme}://{}", proxy.host()))
            .pull(&source)
            .unwrap();
        let asked = proxy.asked();
        assert_eq!(
            asked.last().unwrap(),
            &format!("{protocol} {}", registry.host())
        );
    }
    let before = proxy.asked().len();
    own("none").pull(&source).unwrap();
    assert_eq!((proxy.asked().len(), other.asked().len()), (before, 0));
}

#[test]
fn exceptions_are_not_asked_for_through_the_proxy() {
    let (proxy, _registry, _) = hidden();
    let address = format!("http://{}", proxy.host());
    let puller = puller(&[
        ("http_proxy", address),
        ("no_proxy", "other.example,.invalid:5000".to_owned()),
    ]);
    let said = puller.fails(&format!("{HIDDEN}/a:1"), Class::Network);
    assert!(!said.contains("proxy"), "{said}");
    assert_eq!(proxy.asked(), Vec::<String>::new());
}

#[test]
fn tls_goes_through_a_proxy_from_end_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(folder.path());
    let registry = DockerRegistry::start_tls(folder.path(), &certificates, false);
    let image = Image::simple(&["file a 0644 'a'"]);
    let layout = folder.path().join("layout");
    write_layout(&layout, &[("v1", &image.manifest)], &[&image]);
    let from = format!("oci:{}:v1", layout.display());
    let to = format!("docker://{}/os:v1", registry.host);
    let dir = certificates.for_skopeo();
    judge(
        "skopeo",
        "skopeo",
        &["copy", "-q", "--dest-cert-dir", &dir, &from, &to],
    );
    let proxy = Proxy::start();
    // The name in the certificate is the one that is asked for.
    let name = "localhost:443";
    proxy.knows(name, &registry.host);
    let puller = Puller::with(|config| {
        let host = config.hosts.entry("localhost".to_owned()).or_default();
        host.plain_http = Some(false);
        host.ca = Some(certificates.path("ca.crt"));
        host.proxy = Some(Secret::new(format!("http://{}", proxy.host())));
    });
    let pulled = puller.pull("localhost/os:v1").unwrap();
    assert_eq!(pulled.manifest.raw, image.manifest.bytes);
    let asked = proxy.asked();
    assert!(
        !asked.is_empty() && asked.iter().all(|asked| asked == "CONNECT localhost:443"),
        "{asked:?}"
    );
}

#[test]
fn a_proxy_out_of_reach_is_named() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let dead = free.local_addr().unwrap().to_string();
    drop(free);
    let puller = puller(&[("all_proxy", format!("http://me:hunter2@{dead}"))]);
    let said = puller.fails(&format!("{HIDDEN}/a:1"), Class::Network);
    let said = said.replace(&dead, "127.0.0.1:PORT");
    insta::assert_snapshot!(said, @"registry.invalid:5000/a:1 can't be pulled: http://registry.invalid:5000/v2/a/manifests/1: io: Connection refused (os error 111) (through the proxy http://127.0.0.1:PORT)");
    let (proxy, ..) = hidden();
    let puller = self::puller(&[("all_proxy", format!("http://{}", proxy.host()))]);
    let said = puller.fails("127.0.0.2.invalid:1/a:1", Class::Network);
    let said = said.replace(&proxy.host(), "127.0.0.1:PORT");
    insta::assert_snapshot!(said, @"127.0.0.2.invalid:1/a:1 can't be pulled: https://127.0.0.2.invalid:1/v2/a/manifests/1: CONNECT proxy failed: proxy server responded 502/502 (through the proxy http://127.0.0.1:PORT)");
}
