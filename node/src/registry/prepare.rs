//! `appliance registry prepare`.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use fs_err as fs;
use isoforge_base::process::Program;
use isoforge_contract::machine::{Registry, RegistryKind};
use serde_json::Value;

use super::tls::Names;
use super::{
    Ids, Reading, RegistryPaths, USER, Upstream, containerd, credentials, distribution, give,
    rancher, tls, write_config, zot,
};
use crate::accounts::table::{Kind, Table, passwd};
use crate::files;
use crate::rooted::Root;

/// Where this machine's accounts are.
const ETC: &str = "/etc";

/// What makes the registry's account.
const SYSUSERS: &str = "/usr/lib/sysusers.d/appliance-registry.conf";

/// Most that systemd-sysusers prints.
const OUTPUT_MAX_BYTES: u64 = 65_536;

/// Modes: of folders that all may enter, and of the registry's configuration.
const FOLDER: u32 = 0o755;
const RUN_FOLDER: u32 = 0o750;
const CONFIG: u32 = 0o640;

/// What was prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Whether there is a new certificate, which a running registry does not have.
    pub renewed: bool,
    /// What K3s or RKE2 reads when it starts the next time.
    pub changed: Vec<PathBuf>,
    /// The same, written by the site, and left alone: the registry is not looked
    /// into.
    pub foreign: Vec<PathBuf>,
}

/// Makes all that the registry needs, and has container runtimes look for
/// `upstreams` in it.
///
/// # Errors
/// Where a file can't be read, made or written.
pub fn prepare(
    registry: &Registry,
    places: &RegistryPaths,
    upstreams: &BTreeSet<Upstream>,
) -> Result<Prepared> {
    let owner = owner(&places.etc)?;
    files::directory(&places.home, FOLDER)?;
    storage(&places.storage(), owner)?;
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let mut names = Names::of(&host, &places.proc);
    // The machine may not have it yet.
    names.addresses.insert(registry.own_address().ip());
    let renewed = tls::prepare(places, &names, owner)?;
    let credentials = credentials::prepare(places, registry)?;
    files::directory(&places.run, RUN_FOLDER)?;
    let group = owner.map(|(_, gid)| (0, gid));
    give(&places.run, group)?;
    credentials::publish(places, &credentials, owner)?;
    for (name, config) in configs(registry, places) {
        write_config(&places.run.join(name), &config, CONFIG, group)?;
    }
    let reading = Reading {
        address: registry.own_address(),
        password: credentials.reader,
    };
    containerd::prepare(places, &reading, upstreams)?;
    let rancher::Files { changed, foreign } = rancher::prepare(places, &reading, upstreams)?;
    Ok(Prepared {
        renewed,
        changed,
        foreign,
    })
}

/// The configurations, by the names that the units have.
fn configs(registry: &Registry, places: &RegistryPaths) -> Vec<(&'static str, Value)> {
    match registry.name {
        RegistryKind::Zot => vec![("config.json", zot::config(registry, places))],
        RegistryKind::Distribution => vec![
            ("config.json", distribution::serving(registry, places)),
            ("push.json", distribution::pushing(registry, places)),
        ],
    }
}

/// The registry's account; none where this is not root, as in a dry run.
fn owner(etc: &Path) -> Result<Option<Ids>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let mut ids = account(etc)?;
    if ids.is_none() && etc == Path::new(ETC) {
        // systemd makes it at each boot, where it finds that `/etc` is new.
        Program::new("systemd-sysusers", "systemd")
            .arg(SYSUSERS)
            .output(OUTPUT_MAX_BYTES)?;
        ids = account(etc)?;
    }
    ids.map(Some).with_context(|| {
        format!(
            "there is no account '{USER}', which the registry runs as (systemd-sysusers makes it)"
        )
    })
}

fn account(etc: &Path) -> Result<Option<Ids>> {
    let table = Table::parse(Kind::Passwd, &fs::read(etc.join("passwd"))?);
    let row = table.get(USER.as_bytes());
    Ok(row.and_then(|row| Some((row.number(passwd::UID)?, row.number(passwd::GID)?))))
}

/// The storage, all of it the registry's. The installer writes it as root, and an
/// upgrade may give the account another number. The folder itself is given last:
/// cut off before, it all is given again.
fn storage(path: &Path, owner: Option<Ids>) -> Result<()> {
    if !path.is_dir() {
        files::directory(path, 0o700)?;
    }
    let Some((uid, gid)) = owner else {
        return Ok(());
    };
    let metadata = fs::metadata(path)?;
    if (metadata.uid(), metadata.gid()) != (uid, gid) {
        // An account that had it before may have left links in it.
        Root::open(path)?.folder().give_below(uid, gid)?;
        give(path, owner)?;
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    pub(crate) fn registry(name: &str, port: u16) -> Registry {
        Registry {
            name: match name {
                "zot" => RegistryKind::Zot,
                _ => RegistryKind::Distribution,
            },
            port,
            listen: None,
            anonymous: true,
            folder: "/var/lib/registry".to_owned(),
        }
    }
}
