//! A root file system made from Debian packages with mmdebstrap.
//!
//! The result is one layer, a plain tar, that depends on the packages and the
//! [`Spec`] alone: mmdebstrap runs in a user namespace (`--mode=unshare`, for
//! root too, because its other modes give other trees), in an empty
//! environment, with umask 022, with SOURCE_DATE_EPOCH from the newest Release
//! file, and what it takes over from the host is removed again.
//!
//! **Reuse.** A result is recorded under its `Spec` with the Release files that
//! it was made from. While every Release file still has the same digest the
//! recorded layer is taken. When the archives can't be reached, or must not be
//! (`--offline`), the recorded layer is taken too, with a warning in the former
//! case: it is what a previous build made from the same profile. Where nothing
//! is recorded, unreachable archives are an error.

mod error;
mod hooks;
mod packages;
mod release;

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

use crate::inputs::Spec;
pub(crate) use crate::lock::Release;
use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Context as _, Failure, Result};
use isoforge_base::process::Program;
use isoforge_base::progress::Progress;
use isoforge_contract::arch;
use isoforge_oci::layer::Layer;
use isoforge_oci::store::Store;

/// Kind of the store's facts on results.
const FACT: &str = "bootstrap";

/// Counts up when the same [`Spec`] shall give another tree.
const RECIPE_VERSION: u32 = 1;

/// Debian's archive, and that of its security updates.
const DEBIAN: &str = "http://deb.debian.org/debian";
const DEBIAN_SECURITY: &str = "http://deb.debian.org/debian-security";

/// Suites that have neither updates nor security of their own.
const ROLLING: [&str; 4] = ["sid", "unstable", "experimental", "rc-buggy"];

const UNREADABLE: &str = "the bootstrapped root file system can't be read or written";

/// One line of progress for so many packages.
const PACKAGES_PER_NOTE: usize = 20;

/// Most that `mmdebstrap --version` may print, in bytes.
const VERSION_MAX_BYTES: u64 = 4096;

/// What of the host takes part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Host {
    /// Variables that name proxies (`http_proxy`, `https_proxy`, `no_proxy`),
    /// with their values.
    pub proxies: Vec<(String, String)>,
    /// The archives must not be asked.
    pub offline: bool,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bootstrapped {
    /// The root file system, in the store.
    pub layer: Layer,
    /// Date of the newest Release file, in seconds since 1970-01-01 UTC.
    pub epoch: u64,
    /// The Release files that it was made from.
    pub releases: Vec<Release>,
    /// The packages in it, with their versions.
    pub packages: BTreeMap<String, String>,
    /// Digests of the files that the packages came in, as far as the archives'
    /// indexes say them.
    #[serde(default)]
    pub hashes: BTreeMap<String, Digest>,
    /// What `mmdebstrap --version` said.
    pub made_by: String,
}

impl Spec {
    /// Digest of all that is asked for, the keyring by its content, so that it
    /// is the same wherever a project lies.
    ///
    /// # Errors
    /// The keyring can't be read.
    pub fn digest(&self) -> Result<Digest> {
        let keyring = match &self.keyring {
            Some(path) => Some(Digest::of(&fs_err::read(path).context(UNREADABLE)?)),
            None => None,
        };
        let without = Self {
            keyring: None,
            ..self.clone()
        };
        let bytes = serde_json::to_vec(&(RECIPE_VERSION, without, keyring))?;
        Ok(Digest::of(&bytes))
    }
}

/// Makes the root file system, or takes the recorded one (see the module). One
/// that a lock pins is taken out of the store without any question.
///
/// # Errors
/// The archives can't be reached, the packages can't be installed, or this host can't
/// do it.
pub(crate) fn bootstrap(
    spec: &Spec,
    pinned: Option<&Bootstrapped>,
    store: &Store,
    host: &Host,
    progress: &Progress,
) -> Result<Bootstrapped> {
    if let Some(pinned) = pinned
        && store.blob_size(&pinned.layer.digest)? == Some(pinned.layer.size)
    {
        return Ok(pinned.clone());
    }
    let key = key(spec)?;
    let recorded = store
        .fact::<Bootstrapped>(FACT, &key)?
        .filter(|made| store.has_blob(&made.layer.digest));
    if host.offline {
        return recorded.ok_or_else(|| {
            let message =
                "the bootstrapped root file system is not in the store, and the build is offline";
            Failure::new(Class::Network, message).with_hint("build once without --offline")
        });
    }
    let sources = sources(spec)?;
    let releases = match (
        release::fetch_all(&sources, host, store.temp_dir())?,
        recorded.clone(),
    ) {
        (Ok(releases), _) => releases,
        (Err(unreachable), None) => return Err(unreachable),
        (Err(unreachable), Some(made)) => {
            progress.warn(format!(
                "{unreachable}; the root file system made earlier is used"
            ));
            return Ok(made);
        }
    };
    if let Some(made) = recorded.filter(|made| made.releases == releases) {
        progress.note("bootstrap: nothing changed in the archives; the earlier result is used");
        return Ok(made);
    }
    let made = make(spec, &sources, releases, store, host, progress)?;
    store.put_fact(FACT, &key, &made)?;
    Ok(made)
}

fn key(spec: &Spec) -> Result<String> {
    let recipe = (RECIPE_VERSION, hooks::digest(), spec);
    Ok(Digest::of(&serde_json::to_vec(&recipe)?).hex())
}

/// The entries of sources.list.
fn sources(spec: &Spec) -> Result<Vec<release::Source>> {
    let components = spec.components.join(" ");
    let suite = &spec.suite;
    let mut lines: Vec<String> = spec
        .mirrors
        .iter()
        .map(|mirror| {
            if mirror.starts_with("deb ") {
                mirror.clone()
            } else {
                format!("deb {mirror} {suite} {components}")
            }
        })
        .collect();
    if lines.is_empty() {
        lines.push(format!("deb {DEBIAN} {suite} {components}"));
        if !ROLLING.contains(&suite.as_str()) {
            lines.push(format!("deb {DEBIAN} {suite}-updates {components}"));
            lines.push(format!(
                "deb {DEBIAN_SECURITY} {suite}-security {components}"
            ));
        }
    }
    lines
        .iter()
        .map(|line| release::Source::parse(line))
        .collect()
}

fn make(
    spec: &Spec,
    sources: &[release::Source],
    releases: Vec<Release>,
    store: &Store,
    host: &Host,
    progress: &Progress,
) -> Result<Bootstrapped> {
    check_host(spec)?;
    let made_by = Program::new("mmdebstrap", "mmdebstrap")
        .arg("--version")
        .output(VERSION_MAX_BYTES)
        .map_err(error::not_made)?;
    let epoch = releases.iter().map(|r| r.epoch).max().unwrap_or_default();
    let program = with_proxies(program(spec, sources, epoch), host);
    progress.note(format!(
        "bootstrap: {} with {} packages named; this takes a minute or two",
        spec.suite,
        spec.packages.len()
    ));
    let task = progress.task("root file system from packages", None);
    let mut blob = store.blob_writer()?;
    let mut narrator = Narrator::new(progress);
    let mut hashes = BTreeMap::new();
    program
        .run(
            |tar| io::copy(&mut task.reader(tar), &mut blob),
            &mut |line: &str| match hooks::package(line) {
                Some((name, digest)) => {
                    // Of two sources of one version the first was installed from.
                    hashes.entry(name.to_owned()).or_insert(digest);
                }
                None => narrator.line(line),
            },
        )
        .map_err(error::of_mmdebstrap)?;
    let (digest, size) = blob.commit(None)?;
    let packages = packages::read(store.open_blob(&digest)?).context(UNREADABLE)?;
    progress.note(format!("bootstrap: {} packages installed", packages.len()));
    Ok(Bootstrapped {
        layer: Layer::plain(digest, size),
        epoch,
        releases,
        packages,
        hashes,
        made_by: String::from_utf8_lossy(&made_by).trim().to_owned(),
    })
}

/// The host has to be of the same architecture, and let its users make user
/// namespaces.
fn check_host(spec: &Spec) -> Result<()> {
    let native = arch::host();
    if spec.arch != native {
        let message = format!(
            "bootstrap can't make a root file system for {} on {native}",
            spec.arch
        );
        return Err(Failure::new(Class::Profile, message).with_hint(format!(
            "write `arch = [\"{native}\"]`, build on a machine of that architecture, or name an \
             image with `os.image`"
        )));
    }
    Program::new("unshare", "util-linux")
        .args(["--user", "--map-root-user", "--mount", "true"])
        .output(0)
        .map_err(error::no_namespaces)?;
    Ok(())
}

fn program(spec: &Spec, sources: &[release::Source], epoch: u64) -> Program {
    let mut program = Program::new("mmdebstrap", "mmdebstrap")
        .args(["--mode=unshare", "--format=tar", "--verbose"])
        .arg(format!("--variant={}", spec.variant))
        .arg(format!("--architectures={}", spec.arch))
        .env("SOURCE_DATE_EPOCH", epoch.to_string())
        .env("HOME", "/nonexistent")
        // Large, on disk (/tmp may be memory), and open to all users, as the
        // namespace's root is another user.
        .env("TMPDIR", "/var/tmp");
    if !spec.packages.is_empty() {
        program = program.arg(format!("--include={}", spec.packages.join(",")));
    }
    if let Some(keyring) = &spec.keyring {
        program = program.arg(format!("--keyring={}", keyring.display()));
    }
    program = hooks::add(program).arg(&spec.suite).arg("-");
    program.args(sources.iter().map(|source| &source.line))
}

fn with_proxies(program: Program, host: &Host) -> Program {
    host.proxies
        .iter()
        .fold(program, |program, (name, value)| program.env(name, value))
}

/// Turns mmdebstrap's many lines into a few.
struct Narrator<'a> {
    progress: &'a Progress,
    unpacked: usize,
    set_up: usize,
}

impl<'a> Narrator<'a> {
    fn new(progress: &'a Progress) -> Self {
        Self {
            progress,
            unpacked: 0,
            set_up: 0,
        }
    }

    fn line(&mut self, line: &str) {
        let (count, verb) = if line.starts_with("Unpacking ") {
            (&mut self.unpacked, "unpacked")
        } else if line.starts_with("Setting up ") {
            (&mut self.set_up, "set up")
        } else {
            // mmdebstrap announces hooks by their whole text.
            if line.starts_with("I: running --") {
                return;
            }
            if let Some(text) = line.strip_prefix("I: ") {
                self.progress.note(format!("bootstrap: {text}"));
            } else if let Some(text) = line.strip_prefix("W: ") {
                self.progress.warn(format!("bootstrap: {text}"));
            }
            return;
        };
        *count += 1;
        if count.is_multiple_of(PACKAGES_PER_NOTE) {
            self.progress
                .note(format!("bootstrap: {count} packages {verb}"));
        }
    }
}

#[cfg(test)]
mod tests;
