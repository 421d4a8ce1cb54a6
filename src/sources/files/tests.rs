use std::io::Write as _;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use isoforge_oci::registry::{RegistryConfig, RetryPolicy};
use tempfile::TempDir;

/// Answers each connection with the next of `answers` and remembers what was
/// asked for.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

fn serve(answers: Vec<Vec<u8>>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap() == 0 {
                    break;
                }
                request.push(byte[0]);
            }
            let request = String::from_utf8(request).unwrap();
            let line = request.lines().next().unwrap_or_default().to_owned();
            seen.lock().unwrap().push(line);
            stream.write_all(&answer).unwrap();
        }
    });
    Server { url, asked }
}

fn answer(status: &str, body: &[u8], length: usize) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn ok(body: &[u8]) -> Vec<u8> {
    answer("200 OK", body, body.len())
}

struct Fixture {
    _dir: TempDir,
    store: Store,
    client: Client,
    waits: Arc<AtomicUsize>,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let waits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&waits);
    let client = Client::new(RegistryConfig {
        retry: RetryPolicy {
            attempts: 3,
            first_delay: Duration::from_millis(1),
            wait: Arc::new(move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
            }),
            ..RetryPolicy::default()
        },
        ..RegistryConfig::default()
    });
    Fixture {
        _dir: dir,
        store,
        client,
        waits,
    }
}

fn file(url: &str, content: &[u8], path: &str, mode: u32) -> FileSpec {
    FileSpec {
        url: url.to_owned(),
        sha256: Digest::of(content),
        path: path.to_owned(),
        mode,
        arch: None,
    }
}

impl Fixture {
    fn lay(&self, files: &[FileSpec]) -> Result<Laid> {
        let role = manifest::Role::Kubernetes;
        lay(
            &self.store,
            &self.client,
            files,
            role,
            1_700_000_000,
            &Progress::silent(),
        )
    }
}

#[test]
fn files_lie_at_their_paths_with_their_modes() {
    let fixture = fixture();
    let server = serve(vec![ok(b"kubelet"), ok(b"unit")]);
    let files = [
        file(
            &format!("{}/kubelet?token=secret", server.url),
            b"kubelet",
            "/usr/bin/kubelet",
            0o755,
        ),
        file(
            &format!("{}/unit", server.url),
            b"unit",
            "/usr/lib/systemd/system/kubelet.service",
            0o644,
        ),
    ];
    let laid = fixture.lay(&files).unwrap();
    assert_eq!(laid.inputs[0].name, format!("{}/kubelet", server.url));
    assert_eq!((laid.inputs[0].size, laid.inputs[1].size), (7, 4));
    let asked = server.asked.lock().unwrap().clone();
    assert_eq!(
        asked,
        ["GET /kubelet?token=secret HTTP/1.1", "GET /unit HTTP/1.1"]
    );
    let blob = fs_err::read(fixture.store.blob_path(&laid.layer.digest)).unwrap();
    let mut archive = tar::Archive::new(&*blob);
    let members: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let header = entry.header();
            let (mode, mtime) = (header.mode().unwrap(), header.mtime().unwrap());
            let path = entry.path().unwrap().display().to_string();
            format!("{mode:o} {mtime} {path} {text}")
        })
        .collect();
    assert_eq!(
        members,
        [
            "755 1700000000 usr/bin/kubelet kubelet",
            "644 1700000000 usr/lib/systemd/system/kubelet.service unit",
        ]
    );
    // All is in the store now, and the server answers no more.
    assert_eq!(fixture.lay(&files).unwrap(), laid);
}

#[test]
fn a_broken_transfer_is_tried_again() {
    let fixture = fixture();
    let server = serve(vec![
        answer("503 Service Unavailable", b"", 0),
        answer("200 OK", b"half", 8),
        ok(b"complete"),
    ]);
    let file = file(&format!("{}/x", server.url), b"complete", "/x", 0o755);
    fixture.lay(std::slice::from_ref(&file)).unwrap();
    assert_eq!(fixture.waits.load(Ordering::Relaxed), 2);
    assert!(fixture.store.has_blob(&file.sha256));
}

#[test]
fn another_file_than_named_is_refused_at_once_and_not_kept() {
    let fixture = fixture();
    let server = serve(vec![ok(b"evil")]);
    let error = fixture
        .lay(&[file(
            &format!("{}/x?sig=secret", server.url),
            b"good",
            "/x",
            0o755,
        )])
        .unwrap_err();
    assert_eq!(error.class(), Class::Verification);
    let message = error.to_string();
    assert!(
        message.contains(&format!("{}/x: digest", server.url)),
        "{message}"
    );
    assert!(!message.contains("secret"), "{message}");
    assert!(error.hint().unwrap().contains(&Digest::of(b"evil").hex()));
    assert!(!fixture.store.has_blob(&Digest::of(b"evil")));
    assert_eq!(fixture.waits.load(Ordering::Relaxed), 0);
}

#[test]
fn a_server_that_has_no_such_file_or_never_answers_is_a_network_error() {
    let fixture = fixture();
    let server = serve(vec![answer("404 Not Found", b"", 0)]);
    let error = fixture
        .lay(&[file(&format!("{}/gone", server.url), b"x", "/x", 0o755)])
        .unwrap_err();
    assert_eq!(error.class(), Class::Network, "{error:?}");
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = fixture
        .lay(&[file(&format!("http://{closed}/x"), b"x", "/x", 0o755)])
        .unwrap_err();
    assert_eq!(error.class(), Class::Network, "{error:?}");
    assert_eq!(fixture.waits.load(Ordering::Relaxed), 2);
}
