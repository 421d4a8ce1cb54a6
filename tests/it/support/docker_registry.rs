//! A real registry on loopback: Debian's docker-registry.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::certificates::Certificates;

/// Who may read where a password is asked for.
pub(crate) const USER: &str = "reader";
pub(crate) const PASSWORD: &str = "hunter2-in-the-wild";
/// bcrypt of [`PASSWORD`].
const HTPASSWD: &str = "reader:$2y$05$abcdefghijklmnopqrstuu0WoJEp6GeYg2Lea9gXdKdVt6jTMUWqa\n";

/// The registry; it ends when it is dropped.
pub(crate) struct DockerRegistry {
    process: Child,
    /// `127.0.0.1:<port>`.
    pub(crate) host: String,
}

impl DockerRegistry {
    /// Starts the registry with its data in `folder`, open to all or to [`USER`]
    /// alone.
    pub(crate) fn start(folder: &Path, with_password: bool) -> Self {
        Self::start_with(folder, with_password, "")
    }

    /// The same with TLS, and open only to whom the authority vouches for where
    /// `clients` is set.
    pub(crate) fn start_tls(folder: &Path, certificates: &Certificates, clients: bool) -> Self {
        let mut http = format!(
            "  tls:\n    certificate: {}\n    key: {}\n",
            certificates.text("server.cert"),
            certificates.text("server.key")
        );
        if clients {
            http.push_str(&format!(
                "    clientcas:\n      - {}\n",
                certificates.text("ca.crt")
            ));
        }
        Self::start_with(folder, false, &http)
    }

    fn start_with(folder: &Path, with_password: bool, http: &str) -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let host = free.local_addr().unwrap().to_string();
        drop(free);
        let mut config = format!(
            "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {host}\n{http}",
            folder.join("data").display()
        );
        if with_password {
            let htpasswd = folder.join("htpasswd");
            std::fs::write(&htpasswd, HTPASSWD).unwrap();
            config.push_str(&format!(
                "auth:\n  htpasswd:\n    realm: test\n    path: {}\n",
                htpasswd.display()
            ));
        }
        let path = folder.join("config.yml");
        std::fs::write(&path, config).unwrap();
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry can't be run; the Debian package docker-registry has it ('cargo xtask setup' installs it)");
        let log = BufReader::new(process.stderr.take().unwrap());
        let mut lines = log.lines().map_while(Result::ok);
        let mut seen = String::new();
        let up = lines.by_ref().any(|line| {
            seen.push_str(&line);
            line.contains("listening on")
        });
        assert!(up, "docker-registry did not start: {seen}");
        // Keeps the pipe empty, or the registry would block on its log.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, host }
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
