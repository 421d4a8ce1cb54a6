//! The registry of this machine: what it needs before it starts.
//!
//! `appliance registry prepare` runs at each boot before it and before the
//! container runtime. `/etc` and `/run` start empty, so what lies there is made each
//! time; what must stay lies in the registry's folder, which is kept:
//!
//! ```text
//! /var/lib/registry/storage/        the content; the registry's own
//! /var/lib/registry/tls/            authority and certificate of this machine
//! /var/lib/registry/credentials/    who may push and read; root's alone
//! /run/appliance/registry/          the registry's configuration, for its group
//! /etc/containerd/                  where the container runtime looks first
//! /etc/rancher/                     the same for those of K3s and RKE2
//! ```
//!
//! Invariants:
//! - Keys, passwords and the authority are made once. What is there stays.
//! - The private key of the authority and passwords are readable by root alone; so are
//!   files of container runtimes that have one. The registry reads its own key and the
//!   passwords' hashes.

pub mod containerd;
pub mod credentials;
mod distribution;
pub mod prepare;
mod rancher;
pub mod tls;
mod zot;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use isoforge_contract::machine::{Registry, RegistryKind};
use serde_json::Value;

use crate::files;

/// The account that the registry runs as (`sysusers.d`).
pub const USER: &str = "appliance-registry";

/// Where the registry's configuration is, for its units.
pub const RUN: &str = "/run/appliance/registry";

/// Begins a file of this program that others could have written.
const MARK: &str = "# Written by 'appliance registry prepare'.";

/// Where the registry's things are; another root in tests.
#[derive(Debug, Clone)]
pub struct RegistryPaths {
    /// What is kept.
    pub home: PathBuf,
    /// What is made at each boot.
    pub run: PathBuf,
    /// `/etc`.
    pub etc: PathBuf,
    /// `/proc`.
    pub proc: PathBuf,
    /// What the image's programs are below.
    pub root: PathBuf,
}

/// A host whose content is in the registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Upstream {
    /// The host, as references name it.
    pub host: String,
    /// What repositories of the registry begin with that come from it.
    pub folder: String,
}

impl Upstream {
    /// The host `host`, whose repositories are in `folder`.
    #[must_use]
    pub fn new(host: &str, folder: &str) -> Self {
        Self {
            host: host.to_owned(),
            folder: folder.to_owned(),
        }
    }
}

impl RegistryPaths {
    /// Those of this machine.
    #[must_use]
    pub fn this(registry: &Registry) -> Self {
        Self {
            home: registry.folder.clone().into(),
            run: RUN.into(),
            etc: "/etc".into(),
            proc: "/proc".into(),
            root: "/".into(),
        }
    }

    /// Those below a folder.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        Self {
            home: root.join("registry"),
            run: root.join("run"),
            etc: root.join("etc"),
            proc: root.join("proc"),
            root: root.to_owned(),
        }
    }

    /// The content.
    #[must_use]
    pub fn storage(&self) -> PathBuf {
        self.home.join(isoforge_contract::machine::REGISTRY_STORAGE)
    }

    /// The certificate of the machine's authority, which clients trust.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.home.join("tls/ca.crt")
    }

    /// Who may push, as `docker login` writes it.
    #[must_use]
    pub fn credentials(&self) -> PathBuf {
        self.home.join("credentials/config.json")
    }
}

/// Whether this program wrote a file, and not the site.
fn is_ours(text: &[u8]) -> bool {
    text.starts_with(MARK.as_bytes())
}

/// User and group of an account.
type Ids = (u32, u32);

/// Writes a file of a mode, for an owner; only where something changes.
fn write(path: &Path, bytes: &[u8], mode: u32, owner: Option<Ids>) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder)?;
    }
    if files::read(path)?.as_deref() != Some(bytes) {
        files::write(path, bytes, mode)?;
    }
    give(path, owner)
}

/// Writes a configuration as [`write`] does.
fn write_config(path: &Path, value: &Value, mode: u32, owner: Option<Ids>) -> Result<()> {
    let mut text =
        serde_json::to_vec_pretty(value).context("the configuration can't be written")?;
    text.push(b'\n');
    Ok(write(path, &text, mode, owner)?)
}

fn give(path: &Path, owner: Option<Ids>) -> io::Result<()> {
    match owner {
        Some((uid, gid)) if rustix::process::geteuid().is_root() => {
            fs_err::os::unix::fs::chown(path, Some(uid), Some(gid))
        }
        _ => Ok(()),
    }
}

/// The port that pushes go to: Zot tells who may push by itself.
#[must_use]
pub fn push_port(registry: &Registry) -> u16 {
    match registry.name {
        RegistryKind::Zot => registry.port,
        RegistryKind::Distribution => registry.port.saturating_add(1),
    }
}

/// Where the machine itself pushes to.
#[must_use]
pub fn push_address(registry: &Registry) -> SocketAddr {
    SocketAddr::new(registry.own_address().ip(), push_port(registry))
}

/// How the machine's container runtimes read.
#[derive(Debug, Clone)]
struct Reading {
    /// Where.
    address: SocketAddr,
    /// The password of [`credentials::READER`], where nobody reads without an account.
    password: Option<String>,
}

impl Reading {
    /// Mode of a file that has it.
    fn mode(&self) -> u32 {
        match self.password {
            Some(_) => 0o600,
            None => 0o644,
        }
    }
}
