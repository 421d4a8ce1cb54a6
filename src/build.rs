//! The order of the stages and nothing else; the only module that sees them
//! all.

mod assemble;
mod boot_files;
mod bundle;
pub(crate) mod cache;
mod check;
mod content;
mod convert;
mod gather;
mod included;
mod iso;
mod kernel_line;
mod lock;
mod machine;
mod network;
mod pack;
mod plan;
mod prepare;
mod program;
mod programs;
mod provider;
mod push;
mod registry;
mod renderer;
mod requirements;
mod session;
mod summary;
mod system;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(crate) use bundle::{Built, BundleRequest, apply as apply_bundle, build as build_bundle};
pub(crate) use check::check;
pub(crate) use convert::user_registries;
pub(crate) use lock::{LockUse, Report, Upgrade, lock, pull};
pub(crate) use pack::{PackPushRequest, push_pack};
pub(crate) use plan::{Origin, Plan, plan};
pub(crate) use program::{NamedProgram, ProgramPlaces};
pub(crate) use push::{PushRequest, push, push_built};
#[cfg(test)]
pub(crate) use summary::Stage;
pub(crate) use summary::{Run, Summary};

use isoforge_base::error::Result;

use crate::profile::Loaded;
use isoforge_base::output::OutputDir;
use isoforge_base::progress::Progress;
use isoforge_oci::registry::HostConfig;
use lock::{LockFile, Locked};
use prepare::Prepared;
use renderer::Renderer;
use write::Written;

/// What a build needs to know beside the profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The store's folder.
    pub cache_dir: PathBuf,
    /// Threads that compress and pull.
    pub jobs: usize,
    /// By host as references spell it.
    pub registries: BTreeMap<String, HostConfig>,
    /// Files with registry credentials, most important first.
    pub credential_files: Vec<PathBuf>,
    /// Proxy variables with their values, for registries and programs that are
    /// run.
    pub proxies: Vec<(String, String)>,
    /// `SSL_CERT_FILE`: certificates trusted beside the system's.
    pub extra_cert_file: Option<PathBuf>,
    /// `SSL_CERT_DIR`: folders of such files.
    pub extra_cert_dirs: Vec<PathBuf>,
    /// `SOURCE_DATE_EPOCH`.
    pub epoch: Option<u32>,
    /// Where the program for the machine is looked for.
    pub programs: ProgramPlaces,
    /// Take along what registries hold about the images of the content.
    pub with_referrers: bool,
    /// Build the ISO although a check says that it can't boot.
    pub force: bool,
}

/// Reads an environment variable; the library itself looks at none.
pub(crate) type ReadEnv<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Artifacts {
    /// ISO and provider image.
    Both,
    /// The installer ISO.
    Iso,
    /// The provider image.
    Provider,
}

impl Artifacts {
    fn iso(self) -> bool {
        self != Self::Provider
    }

    fn provider(self) -> bool {
        self != Self::Iso
    }
}

/// A build that is asked for.
#[derive(Clone)]
pub(crate) struct Request<'a> {
    /// The profile.
    pub loaded: &'a Loaded,
    /// Where it was read from; its folder is the project.
    pub profile_path: &'a Path,
    /// What to build.
    pub artifacts: Artifacts,
    /// Folder in which the build gets its own.
    pub output: &'a Path,
    /// How the lock is used.
    pub lock: LockUse,
    /// Beside the profile.
    pub settings: Settings,
    /// For secrets.
    pub env: ReadEnv<'a>,
}

impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("profile_path", &self.profile_path)
            .field("artifacts", &self.artifacts)
            .finish_non_exhaustive()
    }
}

/// Builds what the request asks for: one value after the other, each made of the one
/// before.
///
/// # Errors
/// Of every stage; nothing of the outputs is there then.
pub(crate) fn build(request: &Request<'_>, progress: &Progress) -> Result<Summary> {
    let loaded = request.loaded;
    let renderer = Renderer::new(loaded, request.profile_path, request.env)?;
    for warning in check::check_with(loaded, &renderer)? {
        progress.warn(warning);
    }
    let appliance = &loaded.profile.appliance;
    let output = OutputDir::prepare(request.output, &appliance.name, &appliance.version)?;

    let (upgrade, stage) = (Upgrade::None, Some("Gathering inputs"));
    let prepared = Prepared::of(request, renderer, &upgrade, stage, progress)?;
    let locked = Locked::of(prepared, &upgrade)?;
    requirements::check_cluster(&locked)?;
    let mut file = LockFile::of(&locked);
    file.write(&locked.lock)?;
    let gathered = gather::gather(&locked)?;
    // Systems are put together and written one after the other.
    let mut written = Written::of(&gathered, output)?;
    file.write(&locked.with_core_images(std::mem::take(&mut written.core_images)))?;
    written.provider()?;
    written.finish()
}
