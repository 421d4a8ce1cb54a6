//! The demo's system once from an OCI layout and once from a real registry on
//! loopback: the root file systems have to be the same, byte for byte.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::demo::{self, files_in};
use crate::qemu::scratch;
use crate::sh;

/// The demo's provider image, which is a whole operating system.
const TAG: &str = "debian-1.32.3-1.0.0";

/// Pushes the demo's system and builds from both places.
pub(crate) fn check() -> Result<()> {
    let folder = std::path::absolute(scratch("same-root")?)?;
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let layout = folder.join("layout");
    std::fs::create_dir_all(&layout)?;
    std::fs::create_dir_all(folder.join("extra"))?;
    std::fs::write(folder.join("extra/same-root"), "laid over the system\n")?;
    std::fs::write(folder.join("profile.toml"), PROFILE)?;
    let mut unpack = sh::command(["tar", "--extract", "--file"]);
    sh::run(unpack.arg(archive()?).arg("--directory").arg(&layout))?;

    let registry = Registry::start(&folder)?;
    let local = format!("oci:{}:{TAG}", layout.display());
    let remote = format!("localhost:{}/demo/os:1", registry.port);
    let mut push = sh::command([
        "skopeo",
        "copy",
        "--quiet",
        "--all",
        "--dest-tls-verify=false",
    ]);
    sh::run(push.arg(&local).arg(format!("docker://{remote}")))?;

    let from_layout = build(&folder, "layout", &local)?;
    let from_registry = build(&folder, "registry", &remote)?;
    ensure!(
        from_layout == from_registry,
        "the root file systems differ: {from_layout} and {from_registry}"
    );
    println!("same root: {from_layout} from the OCI layout and from the registry");
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

const PROFILE: &str = r#"schema = 1

[appliance]
name = "same-root"
version = "1"
arch = ["amd64"]

[os]
flavor = "appliance"
distribution = "debian"
version = "13"
image = "set.by/the:task"

[kubernetes]
distribution = "debian"
version = "1.32.3"

[[kubernetes.layers]]
folder = "extra"

[provider]
repository = "registry.example/same-root"
"#;

fn archive() -> Result<PathBuf> {
    files_in(Path::new(demo::OUTPUT))?
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with(".oci.tar"))
        .with_context(|| format!("{} has no provider image", demo::OUTPUT))
}

/// Builds the ISO from `image` and gives the digest of its SquashFS.
fn build(folder: &Path, name: &str, image: &str) -> Result<String> {
    let out = folder.join(format!("dist-{name}"));
    let mut command = Command::new(sh::isoforge());
    command.arg("build").arg(folder.join("profile.toml"));
    command
        .args(["--only", "iso", "--set"])
        .arg(format!("os.image={image}"));
    sh::run(command.arg("--output").arg(&out))?;
    let text = std::fs::read_to_string(out.join("same-root-1/manifest.json"))?;
    let manifest: serde_json::Value = serde_json::from_str(&text)?;
    manifest
        .pointer("/architectures/amd64/squashfs/digest")
        .and_then(|digest| digest.as_str())
        .map(str::to_owned)
        .context("the manifest has no digest of the SquashFS")
}

/// Debian's docker-registry on a free port of loopback.
struct Registry {
    process: Child,
    port: u16,
}

impl Registry {
    fn start(folder: &Path) -> Result<Self> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = free.local_addr()?.port();
        drop(free);
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
