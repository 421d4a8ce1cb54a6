//! Real registries on loopback, and skopeo as their client.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// A registry; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Registry {
    process: Child,
    /// `127.0.0.1:<port>`.
    pub(crate) host: String,
}

/// The Zot to test with; without one the test is skipped.
pub(crate) fn zot() -> Option<PathBuf> {
    isoforge_judges::named_by("ISOFORGE_TEST_ZOT", "Zot")
}

/// A port that is free, as is the next one; no other test of this process gets one
/// of them.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Below those that systems give out by themselves.
    let first = 20_000 + (std::process::id() % 500) as u16 * 20;
    loop {
        let port = first + NEXT.fetch_add(2, Ordering::Relaxed);
        let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        if bind(port).is_ok() && bind(port + 1).is_ok() {
            return port;
        }
    }
}

impl Registry {
    /// Zot on this storage. `gc` is its delay, where garbage collection runs at
    /// once.
    pub(crate) fn zot(program: &Path, storage: &Path, work: &Path, gc: Option<&str>) -> Self {
        let port = free_port();
        let mut config = serde_json::json!({
            "distSpecVersion": "1.1.0",
            "storage": { "rootDirectory": storage, "dedupe": true, "gc": gc.is_some() },
            "http": { "address": "127.0.0.1", "port": port.to_string(), "compat": ["docker2s2"] },
            "log": { "level": "debug" },
        });
        if let Some(delay) = gc {
            config["storage"]["gcDelay"] = delay.into();
            config["storage"]["gcInterval"] = "2s".into();
            // As sharp as it can be told to.
            config["storage"]["retention"] = serde_json::json!({
                "delay": delay,
                "policies": [{
                    "repositories": ["**"],
                    "deleteReferrers": true,
                    "deleteUntagged": true,
                }],
            });
        }
        let path = work.join("zot.json");
        std::fs::write(&path, config.to_string()).unwrap();
        Self::start(
            program,
            &[Path::new("serve"), &path],
            port,
            &work.join("zot.log"),
        )
    }

    /// A registry with a configuration of its own.
    pub(crate) fn start(program: &Path, args: &[&Path], port: u16, log: &Path) -> Self {
        let log = std::fs::File::create(log).unwrap();
        #[allow(clippy::disallowed_methods)]
        let process = Command::new(program)
            .args(args)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let registry = Self {
            process,
            host: format!("127.0.0.1:{port}"),
        };
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(30), "no registry");
            std::thread::sleep(Duration::from_millis(50));
        }
        registry
    }

    /// What it answers to a GET over plain HTTP.
    pub(crate) fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        let request = format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_to_string(&mut answer).unwrap();
        answer
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs skopeo.
pub(crate) fn skopeo(args: &[&str]) -> Output {
    #[allow(clippy::disallowed_methods)]
    let output = Command::new("skopeo")
        .args(args)
        .stdin(Stdio::null())
        .output();
    output.expect("the Debian package skopeo has it")
}

/// What skopeo says of an image's digest in a registry without TLS.
pub(crate) fn digest_at(host: &str, image: &str) -> String {
    let from = format!("docker://{host}/{image}");
    let output = skopeo(&["inspect", "--raw", "--tls-verify=false", &from]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{image}: {text}");
    isoforge_base::digest::Digest::of(&output.stdout).to_string()
}

/// Lines of a file.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    let file = std::fs::File::open(path).unwrap();
    BufReader::new(file).lines().map_while(Result::ok).collect()
}
