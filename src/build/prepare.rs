//! What can be said of a build before any input is looked at: what goes in, and what
//! the lock would be if nothing had moved.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use isoforge_base::error::{Class, Failure, Result};

use super::lock::{project, sketch};
use super::program::Program;
use super::renderer::Renderer;
use super::session::Session;
use super::{Request, Upgrade, content, convert};
use crate::inputs::{self, Inputs};
use crate::lock::{self, Lock};
use crate::profile::Profile;
use isoforge_base::progress::Progress;
use isoforge_contract::arch::Arch;
use isoforge_formats::squashfs;
use isoforge_system::slab_maker::SlabMaker;

/// The first value of a build: nothing is made yet, and nothing was asked for but
/// charts.
pub(super) struct Prepared<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) session: Session<'a>,
    pub(super) renderer: Renderer,
    pub(super) squashfs: squashfs::Settings,
    /// The programs that the systems carry.
    pub(super) programs: BTreeMap<Arch, Program>,
    /// The lock's file.
    pub(super) lock_path: PathBuf,
    /// What the file says; none where there is no file.
    pub(super) old: Option<Lock>,
    /// What packs, charts and manifests need.
    pub(super) content: content::Searched,
    /// What goes in.
    pub(super) inputs: Inputs,
    /// See [`sketch`].
    pub(super) sketch: Lock,
}

impl<'a> Prepared<'a> {
    /// Reads the lock, the project's files, packs, charts and manifests. `stage` is
    /// what is told of it.
    pub(super) fn of(
        request: &'a Request<'a>,
        renderer: Renderer,
        upgrade: &Upgrade,
        stage: Option<&str>,
        progress: &'a Progress,
    ) -> Result<Self> {
        let (loaded, how) = (request.loaded, &request.lock);
        let session = Session::open(Some(loaded), &request.settings, how.offline, progress)?;
        let programs = request
            .settings
            .programs
            .find(&loaded.profile.appliance.arch)?;
        if let Some(stage) = stage {
            progress.stage(stage);
        }
        let lock_path = lock::locate(request.profile_path, how.path.as_deref())?;
        let old = lock::read_if_there(&lock_path)?;
        let (content, inputs) =
            content::find(&session, loaded, how.accept_scan, old.as_ref(), upgrade)?;
        let digests = programs
            .iter()
            .map(|(arch, program)| (*arch, program.digest));
        let project = &renderer.project;
        let files = inputs::project_files(loaded, project, &inputs, &content.inputs, digests)?;
        let known = project::lock(request, project, &files, &inputs, &content)?;
        check_owner(&lock_path, old.as_ref(), &known.profile)?;
        let sketch = sketch::sketch(known, &inputs, old.as_ref(), &loaded.profile)?;
        Ok(Self {
            request,
            session,
            renderer,
            squashfs: convert::squashfs(&loaded.profile),
            programs,
            lock_path,
            old,
            content,
            inputs,
            sketch,
        })
    }

    pub(super) fn profile(&self) -> &'a Profile {
        &self.request.loaded.profile
    }

    pub(super) fn maker(&self) -> SlabMaker<'_> {
        SlabMaker {
            store: &self.session.store,
            squashfs: &self.squashfs,
            limits: &self.session.limits,
            jobs: self.session.settings.jobs,
            progress: self.session.progress,
        }
    }
}

fn check_owner(path: &Path, old: Option<&Lock>, profile: &str) -> Result<()> {
    match old {
        Some(old) if old.profile != profile => {
            let message = format!(
                "the lock file '{}' was made for the profile '{}', not for '{profile}'",
                path.display(),
                old.profile
            );
            Err(Failure::new(Class::Profile, message).with_hint("name another file with --lock"))
        }
        _ => Ok(()),
    }
}
