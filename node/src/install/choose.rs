//! Which disk is taken where nobody is asked, and which one is proposed.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use globset::GlobBuilder;
use isoforge_base::human;
use isoforge_contract::machine::{Config, Device, Rule};

use super::medium::Image;
use super::model::Disk;
use super::sources::Site;
use crate::disks::Sysfs;
use isoforge_system::disk_plan;

/// Notes on each disk that is too small for `image` that it is, after what
/// [`crate::disks::list`] knows.
pub(crate) fn note_sizes(disks: &mut [Disk], config: &Config, image: &Image) {
    for disk in disks.iter_mut().filter(|disk| disk.unusable.is_none()) {
        let planned = disk_plan::plan(config, image.contents(), disk.bytes, disk.sector_bytes);
        if let Err(error) = planned {
            disk.unusable = Some(error.to_string());
        }
    }
}

/// The disk that an unattended installation takes. It never is one with an
/// installed appliance, unless `force` is set.
///
/// # Errors
/// Where there is none; it names every disk with its reason.
pub(crate) fn disk(sys: &Sysfs, config: &Config, site: &Site, disks: &[Disk]) -> Result<PathBuf> {
    choose(sys, &asked_device(config, site), disks, site.force(config))
}

/// The disk that the pages propose: as [`disk`], and where that one holds an
/// appliance all the same, since a person confirms it.
pub(crate) fn proposal(
    sys: &Sysfs,
    config: &Config,
    site: &Site,
    disks: &[Disk],
) -> Option<PathBuf> {
    let device = asked_device(config, site);
    choose(sys, &device, disks, false)
        .or_else(|_| choose(sys, &device, disks, true))
        .or_else(|_| choose(sys, &Device::Auto, disks, true))
        .ok()
}

/// What the site asks for, and where it asks for nothing, the profile.
fn asked_device(config: &Config, site: &Site) -> Device {
    match site.device() {
        None => config.install.device.clone(),
        Some("auto") => Device::Auto,
        Some(path) => Device::Path(path.to_owned()),
    }
}

fn choose(sys: &Sysfs, device: &Device, disks: &[Disk], force: bool) -> Result<PathBuf> {
    if disks.is_empty() {
        bail!("this machine has no disk");
    }
    let refused = |disk: &Disk| refusal(disk, force);
    let usable = disks.iter().filter(|disk| refused(disk).is_none());
    match device {
        Device::Path(path) => by_path(sys, path, disks, force),
        Device::Auto => largest(usable)
            .with_context(|| format!("no disk can be taken:{}", table(disks, &refused))),
        Device::Rule(rule) => {
            let rule = Matcher::new(rule)?;
            largest(usable.filter(|disk| rule.mismatch(disk).is_none())).with_context(|| {
                let why = |disk: &Disk| refused(disk).or_else(|| rule.mismatch(disk));
                format!(
                    "no disk fits the rule ({}):{}",
                    rule.words,
                    table(disks, &why)
                )
            })
        }
    }
}

fn by_path(sys: &Sysfs, path: &str, disks: &[Disk], force: bool) -> Result<PathBuf> {
    let refused = |why: String| {
        let disks = table(disks, &|disk| refusal(disk, force));
        anyhow::anyhow!("the disk '{path}' can't be taken: {why}{disks}")
    };
    let device = sys
        .name_of(Path::new(path))
        .map(|name| sys.dev.join(name.replace('!', "/")))
        .map_err(|error| refused(error.to_string()))?;
    let disk = disks
        .iter()
        .find(|disk| disk.path == device)
        .ok_or_else(|| refused("it is no disk to install on".to_owned()))?;
    match refusal(disk, force) {
        None => Ok(disk.path.clone()),
        Some(why) => Err(refused(why)),
    }
}

/// Of equally large ones the first in the list.
fn largest<'a>(disks: impl Iterator<Item = &'a Disk>) -> Option<PathBuf> {
    disks
        .reduce(|best, disk| if disk.bytes > best.bytes { disk } else { best })
        .map(|disk| disk.path.clone())
}

fn refusal(disk: &Disk, force: bool) -> Option<String> {
    if disk.unusable.is_some() {
        return disk.unusable.clone();
    }
    let installed = disk.appliance.as_ref().filter(|_| !force)?;
    Some(format!(
        "holds an installed appliance ({installed}); only install.force overwrites it"
    ))
}

/// All disks, one a line, with why each is not taken.
fn table(disks: &[Disk], why: &dyn Fn(&Disk) -> Option<String>) -> String {
    disks
        .iter()
        .map(|disk| {
            let why = why(disk).unwrap_or_else(|| "can be taken".to_owned());
            format!("\n    {}: {why}", name(disk))
        })
        .collect()
}

/// A disk in a line of text: device, size, model, serial number.
pub(crate) fn name(disk: &Disk) -> String {
    let mut words = vec![human::size(disk.bytes)];
    for text in [&disk.model, &disk.serial] {
        if !text.is_empty() {
            words.push(text.clone());
        }
    }
    format!("{} ({})", disk.path.display(), words.join(", "))
}

/// A rule that is ready to be held against disks.
struct Matcher {
    min_bytes: Option<u64>,
    max_bytes: Option<u64>,
    globs: Vec<Glob>,
    words: String,
}

/// What of a disk a pattern is held against.
type Field = fn(&Disk) -> &str;

struct Glob {
    what: &'static str,
    of: Field,
    matcher: globset::GlobMatcher,
}

impl Matcher {
    fn new(rule: &Rule) -> Result<Self> {
        let mut globs = Vec::new();
        let mut words = Vec::new();
        words.extend(
            rule.min_bytes
                .map(|min| format!("at least {}", human::size(min))),
        );
        words.extend(
            rule.max_bytes
                .map(|max| format!("at most {}", human::size(max))),
        );
        let patterns: [(&'static str, &Option<String>, Field); 3] = [
            ("model", &rule.model, |disk| &disk.model),
            ("serial", &rule.serial, |disk| &disk.serial),
            ("transport", &rule.transport, |disk| &disk.transport),
        ];
        for (what, pattern, of) in patterns {
            let Some(pattern) = pattern else { continue };
            words.push(format!("{what} {pattern}"));
            let glob = GlobBuilder::new(pattern)
                .case_insensitive(true)
                .build()
                .map_err(|error| {
                    let why = error.kind();
                    anyhow::anyhow!("the rule's {what} '{pattern}' is no pattern: {why}")
                })?;
            globs.push(Glob {
                what,
                of,
                matcher: glob.compile_matcher(),
            });
        }
        Ok(Self {
            min_bytes: rule.min_bytes,
            max_bytes: rule.max_bytes,
            globs,
            words: words.join(", "),
        })
    }

    /// What of the rule a disk does not fit.
    fn mismatch(&self, disk: &Disk) -> Option<String> {
        if self.min_bytes.is_some_and(|min| disk.bytes < min) {
            return Some("smaller than the rule asks".to_owned());
        }
        if self.max_bytes.is_some_and(|max| disk.bytes > max) {
            return Some("larger than the rule asks".to_owned());
        }
        self.globs
            .iter()
            .find(|glob| !glob.matcher.is_match((glob.of)(disk)))
            .map(|glob| match (glob.of)(disk) {
                "" => format!("tells no {}", glob.what),
                text => format!("{} is '{text}'", glob.what),
            })
    }
}

#[cfg(test)]
mod tests;
