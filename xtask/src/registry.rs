//! A real registry on loopback.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::qemu::free_port;
use crate::sh;

/// Debian's docker-registry on a free port of loopback.
pub(crate) struct Registry {
    process: Child,
    pub(crate) port: u16,
}

impl Registry {
    /// Starts it with its data in `folder`, which must be there.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let port = free_port()?;
        let config = folder.join("registry.yml");
        std::fs::write(
            &config,
            format!(
                "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    \
                 rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n",
                folder.join("registry").display()
            ),
        )?;
        let mut process = sh::command(["docker-registry", "serve"])
            .arg(&config)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("can't start docker-registry; 'cargo xtask setup' installs it")?;
        let Some(log) = process.stderr.take() else {
            bail!("docker-registry has no standard error");
        };
        let this = Self { process, port };
        let mut lines = BufReader::new(log).lines().map_while(Result::ok);
        ensure!(
            lines.any(|line| line.contains("listening on")),
            "docker-registry did not start"
        );
        // Keeps the pipe empty, or the registry would block on its log.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(this)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
