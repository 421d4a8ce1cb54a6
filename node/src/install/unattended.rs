//! An installation that asks nobody.

use isoforge_contract::machine::Config;

use super::model::{Choices, Disk, Event, Failure, Observer};
use super::sources::Site;
use super::{check, choose};
use crate::disks::Sysfs;

/// The step as it is told until the disk is chosen.
const STEP: &str = "Looking for what to do";

/// What an unattended installation does, or why it refuses.
pub(crate) fn decide(
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
        Failure::new(STEP, &*error, advice)
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
pub(crate) fn needs_account(config: &Config, site: &Site) -> bool {
    config.install.account.is_none() && !site.has_account()
}

#[cfg(test)]
mod tests;
