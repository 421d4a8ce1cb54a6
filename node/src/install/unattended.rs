//! An installation that asks nobody.

use isoforge_contract::machine::Config;

use super::engine::Installation;
use super::medium::Medium;
use super::model::{Choices, Disk, Event, Failure, Observer};
use super::sources::{Site, gather_from};
use super::{check, choose};
use crate::disks::Sysfs;
use crate::media::{Attached, Media};

/// The step as it is told until the disk is chosen.
const STEP: &str = "Looking for what to do";

/// Gathers the site's configuration, chooses a disk and installs. It gives what
/// was chosen, so that the caller knows what follows.
///
/// # Errors
/// [`Failure`]: before any disk is touched where nobody could log in
/// afterwards, where the machine falls short of what is required, and where no
/// disk fits.
pub fn unattended(
    medium: &Medium,
    config: &Config,
    observer: &mut dyn Observer,
) -> Result<Choices, Failure> {
    let sys = Sysfs::default();
    let media = Attached { sys: &sys };
    unattended_on(medium, config, &sys, &media, observer)
}

/// As [`unattended`], on a machine that is given.
pub(super) fn unattended_on(
    medium: &Medium,
    config: &Config,
    sys: &Sysfs,
    media: &dyn Media,
    observer: &mut dyn Observer,
) -> Result<Choices, Failure> {
    let site = gather_from(medium, sys, media).map_err(|error| {
        let advice = "Nothing was written. Correct the configuration and start again.";
        failure(&error, advice)
    })?;
    let disks = super::disks(medium, config, sys)
        .map_err(|error| failure(&error, "Nothing was written. Try another install medium."))?;
    let choices = decide(config, &site, sys, &disks, observer)?;
    Installation {
        medium,
        config,
        choices: &choices,
        sys,
        media,
    }
    .run(observer)?;
    Ok(choices)
}

/// What an unattended installation does, or why it refuses.
///
/// # Errors
/// [`Failure`].
pub fn decide(
    config: &Config,
    site: &Site,
    sys: &Sysfs,
    disks: &[Disk],
    observer: &mut dyn Observer,
) -> Result<Choices, Failure> {
    if needs_account(config, site) {
        return Err(Failure {
            step: STEP.to_owned(),
            cause: "neither the profile nor the site's configuration gives an account, so nobody \
                    could log in to the installed system"
                .to_owned(),
            advice: "Nothing was written. Put 'users' with a password hash or SSH keys into \
                     /config.yaml of the ISO or into user-data of a medium labelled 'cidata', or \
                     choose the interactive installer."
                .to_owned(),
        });
    }
    let disk = choose::disk(sys, config, site, disks).map_err(|error| {
        let advice = "Nothing was written. Attach a disk that fits, or correct install.device; \
                      install.force = true overwrites an installed appliance.";
        failure(&error, advice)
    })?;
    let chosen = disks.iter().find(|of| of.path == disk);
    for finding in chosen.map_or_else(Vec::new, |disk| check::findings_on(sys, config, disk)) {
        if finding.refuses {
            return Err(Failure {
                step: STEP.to_owned(),
                cause: finding.message,
                advice: "Nothing was written. This machine lacks what the appliance requires."
                    .to_owned(),
            });
        }
        observer.event(Event::Log(format!("Warning: {}", finding.message)));
    }
    Ok(Choices {
        disk,
        account: None,
        hostname: None,
        network: None,
        after: site.after(config),
    })
}

/// Whether an account has to be asked for.
#[must_use]
pub fn needs_account(config: &Config, site: &Site) -> bool {
    config.install.account.is_none() && !site.has_account()
}

fn failure(error: &dyn std::error::Error, advice: &str) -> Failure {
    let mut cause = error.to_string();
    let mut source = error.source();
    while let Some(next) = source {
        cause.push_str(": ");
        cause.push_str(&next.to_string());
        source = next.source();
    }
    Failure {
        step: STEP.to_owned(),
        cause,
        advice: advice.to_owned(),
    }
}

#[cfg(test)]
#[path = "unattended_tests.rs"]
mod tests;
