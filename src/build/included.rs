//! Kubernetes that the image of the operating system holds already.

use super::lock::Locked;
use crate::sources::held::{self, Held};
use isoforge_base::error::{Class, Context as _, Failure, Result};
use isoforge_contract::arch::Arch;
use isoforge_system::merged::System;

/// The version of Kubernetes that the system for `arch` holds, where the profile says that
/// it does; it is compared with `version` of the profile.
///
/// # Errors
/// It holds none or another one, unless the build is forced; a file can't be read.
pub(super) fn check(
    build: &Locked<'_>,
    system: &System,
    arch: Arch,
    version: &str,
) -> Result<Option<String>> {
    let kubernetes = &build.profile().kubernetes;
    if !kubernetes.included {
        return Ok(None);
    }
    let distribution = kubernetes.distribution.as_str();
    let held = held::find(&system.tree, &system.slabs, distribution)
        .context("the version of Kubernetes in the image can't be read")?;
    let progress = build.session.progress;
    match held {
        Held::Version(found) if version.is_empty() || held::is_of(&found, version) => {
            return Ok(Some(found));
        }
        Held::Version(found) => unfit(
            build,
            format!("the image for {arch} holds {distribution} {found}, not {version}"),
            "correct 'version' in [kubernetes], or leave it out: then it is the image's",
        )?,
        Held::Program(path) => progress.warn(format!(
            "/{path} of the image for {arch} does not tell its version{}",
            match version {
                "" => "; the image's labels have none".to_owned(),
                version => format!("; {version} is taken from the profile"),
            }
        )),
        Held::Nothing => unfit(
            build,
            format!("the image for {arch} does not hold {distribution}"),
            "take an image that has it, or say with 'image', 'archive', 'layers' or 'files' in \
             [kubernetes] where it comes from",
        )?,
    }
    Ok(None)
}

/// An error, unless the build is forced.
fn unfit(build: &Locked<'_>, message: String, hint: &str) -> Result<()> {
    if build.request.settings.force {
        build.session.progress.warn(message);
        return Ok(());
    }
    let hint = format!("{hint}; --force builds nonetheless");
    Err(Failure::new(Class::Profile, message).with_hint(hint))
}
