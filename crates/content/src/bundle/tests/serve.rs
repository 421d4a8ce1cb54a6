//! The server against our own client, a foreign one, and plain requests.

use std::io::Write as _;
use std::net::TcpStream;
use std::num::NonZeroUsize;
use std::path::Path;

use crate::bundle::testing::{
    CNI, NODE, image, list, noise, sample_builder, seekable_bytes, write_folder,
};
use crate::bundle::*;
use isoforge_base::error::{Class, Diagnose as _};
use isoforge_base::progress::Progress;
use isoforge_oci::platform::Platform;
use isoforge_oci::pull::{Limits, Platforms, mirror_image};
use isoforge_oci::reference::ImageSource;
use isoforge_oci::registry::{Client, HostConfig, RegistryConfig};
use isoforge_oci::store::Store;

const THREADS: NonZeroUsize = NonZeroUsize::new(4).unwrap();

/// Serves while `work` is done, which gets the server's address.
fn served(bundle: &Path, work: impl FnOnce(&str)) {
    struct Stop<'a>(&'a Server);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.stop();
        }
    }
    let bundle = Bundle::open(bundle).unwrap();
    let server = Server::new(bundle, "127.0.0.1:0".parse().unwrap()).unwrap();
    std::thread::scope(|scope| {
        let stop = Stop(&server);
        scope.spawn(|| server.run());
        work(&server.address().to_string());
        drop(stop);
    });
}

/// The sample with what else a bundle may have: a signature, a port in a host's name,
/// a digest alone, a bare tag.
fn rich(archive: &Path) -> Digest {
    let mut builder = sample_builder();
    let other = image(&mut builder, "amd64", &[b"other".to_vec()]);
    list(&mut builder, "localhost:5000/a/b:1", other.clone());
    let pinned = format!("docker.io/x/y@{}", other.digest);
    list(&mut builder, &pinned, other.clone());
    builder.reference("v1", other.clone());
    let config = builder.bytes(b"{}".to_vec());
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{config}","size":2}},"layers":[],"subject":{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":{}}}}}"#,
        other.digest, other.size
    );
    let size = text.len() as u64;
    let digest = builder.bytes(text.into_bytes());
    builder.referrer(Descriptor::new(other.media_type, digest, size));
    fs_err::write(archive, seekable_bytes(&builder.build(), 300_000)).unwrap();
    other.digest
}

/// Status line and headers, and the body.
fn ask(address: &str, request: &str) -> (String, Vec<u8>) {
    ask_on(TcpStream::connect(address).unwrap(), request)
}

fn ask_on(mut stream: TcpStream, request: &str) -> (String, Vec<u8>) {
    let request = format!("{request}\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let body = answer.split_off(end + 4);
    (String::from_utf8(answer).unwrap(), body)
}

#[test]
fn requests_are_answered_as_the_specification_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tar.zst");
    let other = rich(&path);
    served(&path, |address| {
        let text = |request: &str| {
            let (head, body) = ask(address, request);
            let status = head.split(' ').nth(1).unwrap().to_owned();
            format!("{status} {}", String::from_utf8_lossy(&body))
        };
        let layer = Digest::of(&noise(1, 3_000_000));
        let said = [
            "GET /v2/ HTTP/1.1".to_owned(),
            "GET /v2/_catalog HTTP/1.1".to_owned(),
            "GET /v2/_catalog?n=2&last=docker.io/calico/cni HTTP/1.1".to_owned(),
            "GET /v2/docker.io/calico/node/tags/list HTTP/1.1".to_owned(),
            "GET /v2/_catalog?n=1&last=docker.io%2fcalico%2Fcni HTTP/1.1".to_owned(),
            "GET /v2/docker.io%2fcalico%2Fnode/tags/list HTTP/1.1".to_owned(),
            "GET /v2/docker.io/x/y/tags/list HTTP/1.1".to_owned(),
            "GET /v2/none/tags/list HTTP/1.1".to_owned(),
            "GET /v2/docker.io/calico/node/manifests/v2 HTTP/1.1".to_owned(),
            "GET /v2/docker.io/calico/node/blobs/sha256:0 HTTP/1.1".to_owned(),
            format!(
                "GET /v2/docker.io/calico/node/blobs/{} HTTP/1.1",
                Digest::of(b"none")
            ),
            format!("GET /v2/localhost_5000/a/b/referrers/{other} HTTP/1.1"),
            format!("GET /v2/local/blobs/{} HTTP/1.1", Digest::of(b"other")),
            format!("GET /v2/local/blobs/{layer} HTTP/1.1\r\nRange: bytes=3000000-"),
            "DELETE /v2/docker.io/calico/node/manifests/v3.29.2 HTTP/1.1".to_owned(),
            "PUT /v2/docker.io/calico/node/manifests/v4 HTTP/1.1\r\nContent-Length: 0".to_owned(),
            "GET /../../etc/passwd HTTP/1.1".to_owned(),
        ]
        .map(|request| {
            let first = request.replace("HTTP/1.1", "");
            format!("{}\n  {}", first.trim_end(), text(&request))
        });
        insta::assert_snapshot!(said.join("\n"), @r#"
        GET /v2/
          200 {}
        GET /v2/_catalog
          200 {"repositories":["docker.io/calico/cni","docker.io/calico/node","docker.io/x/y","local","localhost_5000/a/b"]}
        GET /v2/_catalog?n=2&last=docker.io/calico/cni
          200 {"repositories":["docker.io/calico/node","docker.io/x/y"]}
        GET /v2/docker.io/calico/node/tags/list
          200 {"name":"docker.io/calico/node","tags":["v3.29.2"]}
        GET /v2/_catalog?n=1&last=docker.io%2fcalico%2Fcni
          200 {"repositories":["docker.io/calico/node"]}
        GET /v2/docker.io%2fcalico%2Fnode/tags/list
          200 {"name":"docker.io/calico/node","tags":["v3.29.2"]}
        GET /v2/docker.io/x/y/tags/list
          200 {"name":"docker.io/x/y","tags":[]}
        GET /v2/none/tags/list
          404 {"errors":[{"code":"NAME_UNKNOWN","message":"the bundle has no such repository"}]}
        GET /v2/docker.io/calico/node/manifests/v2
          404 {"errors":[{"code":"MANIFEST_UNKNOWN","message":"the bundle has no such manifest"}]}
        GET /v2/docker.io/calico/node/blobs/sha256:0
          400 {"errors":[{"code":"DIGEST_INVALID","message":"this is no sha256 digest"}]}
        GET /v2/docker.io/calico/node/blobs/sha256:140bedbf9c3f6d56a9846d2ba7088798683f4da0c248231336e6a05679e4fdfe
          404 {"errors":[{"code":"BLOB_UNKNOWN","message":"the bundle has no such blob"}]}
        GET /v2/localhost_5000/a/b/referrers/sha256:dc6cc6f8adf12a1fe1d0319616df456b88fe5168342fede95f226bb93e04d0b0
          200 {"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:f19935e26af31e619a14985a97033d6d3aeafea70577cf860a0726225d9ffead","size":402}]}
        GET /v2/local/blobs/sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa
          200 other
        GET /v2/local/blobs/sha256:47d086ad36ee27e7da2e90fd3050901cbd1a74afeadbf4cb6da678e6e438cf16 
        Range: bytes=3000000-
          416 {"errors":[{"code":"RANGE_INVALID","message":"the blob has no such range"}]}
        DELETE /v2/docker.io/calico/node/manifests/v3.29.2
          405 {"errors":[{"code":"UNSUPPORTED","message":"a bundle can only be read"}]}
        PUT /v2/docker.io/calico/node/manifests/v4 
        Content-Length: 0
          405 {"errors":[{"code":"UNSUPPORTED","message":"a bundle can only be read"}]}
        GET /../../etc/passwd
          404 {"errors":[{"code":"NAME_UNKNOWN","message":"there is nothing here"}]}
        "#);

        let (head, body) = ask(
            address,
            &format!("GET /v2/local/blobs/{layer} HTTP/1.1\r\nRange: bytes=2999990-2999994"),
        );
        assert!(head.starts_with("HTTP/1.1 206"), "{head}");
        assert!(
            head.contains("Content-Range: bytes 2999990-2999994/3000000"),
            "{head}"
        );
        assert_eq!(body, noise(1, 3_000_000)[2_999_990..2_999_995]);
        let (head, body) = ask(address, &format!("HEAD /v2/local/blobs/{layer} HTTP/1.1"));
        assert!(head.contains("Content-Length: 3000000"), "{head}");
        assert_eq!(body, b"");
        let (head, _) = ask(address, "HEAD /v2/local/manifests/v1 HTTP/1.1");
        assert!(
            head.contains(&format!("Docker-Content-Digest: {other}")),
            "{head}"
        );
        assert!(
            head.contains("Content-Type: application/vnd.oci.image.manifest.v1+json"),
            "{head}"
        );
        let (head, _) = ask(address, "GET /v2/_catalog?n=1 HTTP/1.1");
        assert!(
            head.contains("Link: </v2/_catalog?n=1&last=docker.io/calico/cni>; rel=\"next\""),
            "{head}"
        );
    });
}

#[test]
fn our_own_client_pulls_what_went_in() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tar.zst");
    rich(&path);
    served(&path, |address| {
        let store = Store::open(&dir.path().join("store")).unwrap();
        let config = RegistryConfig {
            hosts: [(
                "docker.io".to_owned(),
                HostConfig {
                    mirrors: Some(vec![format!("{address}/docker.io")]),
                    plain_http: Some(true),
                    ..HostConfig::default()
                },
            )]
            .into(),
            ..RegistryConfig::default()
        };
        let client = Client::new(config);
        let mirror = |name: &str, platforms: &Platforms| {
            let source = ImageSource::Registry(name.parse().unwrap());
            let progress = Progress::silent();
            mirror_image(
                &client,
                &source,
                platforms,
                &store,
                &Limits::DEFAULT,
                THREADS,
                &progress,
            )
        };
        let bundle = Bundle::open(&path).unwrap();
        for name in [NODE, CNI] {
            let amd64 = Platforms::Only(vec![Platform::linux("amd64")]);
            let found = mirror(name, &amd64).unwrap();
            let root = bundle
                .roots()
                .iter()
                .find(|root| root.reference == name)
                .unwrap();
            assert_eq!(found.root.digest, root.descriptor.digest);
            for blob in bundle.walk(root).unwrap() {
                store.verify(&blob.digest).unwrap();
            }
        }
        // What the bundle leaves out is not there.
        let error = mirror(NODE, &Platforms::All).unwrap_err();
        assert_eq!(error.class(), Class::Network, "{error}");
    });
}

#[test]
#[allow(clippy::disallowed_methods)]
fn skopeo_copies_an_image_out_with_its_digest() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("layout");
    write_folder(&sample_builder().build(), &folder);
    served(&folder, |address| {
        let bundle = Bundle::open(&folder).unwrap();
        for (root, name) in bundle.roots().iter().zip(["cni", "node"]) {
            let to = dir.path().join(name);
            let out = std::process::Command::new("skopeo")
                .args(["copy", "-q", "--preserve-digests", "--src-tls-verify=false"])
                .args(["--override-os", "linux", "--override-arch", "amd64"])
                .arg(format!("docker://{address}/{}", root.reference))
                .arg(format!("dir:{}", to.display()))
                .output()
                .expect("skopeo of the Debian package skopeo is needed");
            assert!(
                out.status.success(),
                "{}",
                String::from_utf8_lossy(&out.stderr)
            );
            let manifest = Digest::of(&fs_err::read(to.join("manifest.json")).unwrap());
            let shown = inspect(&bundle).unwrap();
            let report = shown
                .roots
                .iter()
                .find(|r| r.reference == root.reference)
                .unwrap();
            assert_eq!(manifest, report.platforms[0].digest);
            let layer = to.join(Digest::of(&noise(1, 3_000_000)).hex());
            assert_eq!(fs_err::read(layer).unwrap(), noise(1, 3_000_000));
        }
    });
}

#[test]
fn only_this_machine_is_served() {
    let dir = tempfile::tempdir().unwrap();
    write_folder(&sample_builder().build(), dir.path());
    let bundle = Bundle::open(dir.path()).unwrap();
    let error = Server::new(bundle, "0.0.0.0:0".parse().unwrap()).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("is no address of this machine alone"),
        "{error}"
    );
}

#[test]
fn one_connection_too_many_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    write_folder(&sample_builder().build(), dir.path());
    served(dir.path(), |address| {
        let connect = || TcpStream::connect(address).unwrap();
        let mut open: Vec<_> = (0..http::MAX_CONNECTIONS).map(|_| connect()).collect();
        let status = || {
            let (head, _) = ask(address, "GET /v2/ HTTP/1.1");
            head.lines().next().unwrap().to_owned()
        };
        assert_eq!(status(), "HTTP/1.1 503 Service Unavailable");
        // One that was open before is served still.
        let (head, _) = ask_on(open.remove(0), "GET /v2/ HTTP/1.1");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let start = std::time::Instant::now();
        while status() != "HTTP/1.1 200 OK" {
            assert!(start.elapsed() < std::time::Duration::from_secs(20));
        }
    });
}
