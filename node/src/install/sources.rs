//! Where the site's configuration is looked for. Of these, later ones win:
//!
//! 1. the medium's own `/config.yaml`;
//! 2. a second medium labelled `cidata` or `CIDATA`, as cloud-init's NoCloud has
//!    it: `user-data`, and of `meta-data` the host name;
//! 3. the file that the kernel argument `appliance.config=LABEL:/PATH` names.
//!
//! A configuration that can't be read ends the installation: a machine that
//! comes up otherwise than its site wanted is worse than none.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use fs_err as fs;
use isoforge_contract::cloud::{self, Document};
use isoforge_contract::machine::{After, CONFIG_ARGUMENT, Config};
use serde::Deserialize;

use super::medium::Medium;
use crate::disks::Sysfs;
use crate::files;
use crate::media::{Attached, Media};

/// Labels of a medium with configuration for cloud-init.
const CIDATA: [&str; 2] = ["cidata", "CIDATA"];

/// Largest configuration that is read.
const TEXT_MAX_BYTES: u64 = 1 << 20;

/// A configuration as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    /// Name of its file in OEM.
    pub file: &'static str,
    /// Where it was found, in words.
    pub origin: String,
    pub text: String,
}

/// The configuration of this machine's site.
#[derive(Debug, Default)]
pub(crate) struct Site {
    /// In the order in which they apply: later ones win.
    pub documents: Vec<Document>,
    /// The texts that they were read from.
    pub texts: Vec<Text>,
}

/// The members of NoCloud's `meta-data` that count.
#[derive(Deserialize)]
struct MetaData {
    #[serde(rename = "local-hostname")]
    local_hostname: Option<String>,
    hostname: Option<String>,
}

/// The configuration of this machine's site.
pub(crate) fn gather(medium: &Medium) -> Result<Site> {
    let sys = Sysfs::default();
    gather_from(medium, &sys, &Attached { sys: &sys })
}

/// As [`gather`], from a machine and media that are given.
pub(crate) fn gather_from(medium: &Medium, sys: &Sysfs, media: &dyn Media) -> Result<Site> {
    let mut site = Site::default();
    if let Some(text) = medium.config()? {
        site.add("10_medium.yaml", "/config.yaml of the install medium", text)?;
    }
    for label in CIDATA {
        if let Some(opened) = media.open(label)? {
            cidata(&mut site, label, &opened.folder)?;
            break;
        }
    }
    if let Some((label, path)) = argument(sys)? {
        let opened = media.open(&label)?.with_context(|| {
            format!("no medium is labelled '{label}', which {CONFIG_ARGUMENT} asks for")
        })?;
        let origin = format!("'{}' of the medium labelled '{label}'", path.display());
        let relative = path.strip_prefix("/").unwrap_or(&path);
        let file = opened.folder.join(relative);
        let text = read(&file, &origin)?;
        site.add("30_cmdline.yaml", &origin, text)?;
    }
    Ok(site)
}

fn cidata(site: &mut Site, label: &str, folder: &Path) -> Result<()> {
    let origin = |name: &str| format!("'{name}' of the medium labelled '{label}'");
    if let Some(text) = read_if_there(&folder.join("meta-data"), &origin("meta-data"))? {
        let of = origin("meta-data");
        if let Some(name) = hostname(&text, &of)? {
            let value = serde_json::Value::from(name);
            let text = format!("#cloud-config\nhostname: {value}\n");
            site.add("15_cidata_meta.yaml", &of, text)?;
        }
    }
    if let Some(text) = read_if_there(&folder.join("user-data"), &origin("user-data"))?
        && !text.trim().is_empty()
    {
        site.add("20_cidata.yaml", &origin("user-data"), text)?;
    }
    Ok(())
}

fn hostname(meta_data: &str, origin: &str) -> Result<Option<String>> {
    if meta_data.trim().is_empty() {
        return Ok(None);
    }
    let data: MetaData = serde_saphyr::from_str(meta_data)
        .map_err(|error| anyhow::anyhow!("{origin} can't be used: {error}"))?;
    Ok(data.local_hostname.or(data.hostname))
}

/// Label and path of the kernel argument; of several, the last.
fn argument(sys: &Sysfs) -> Result<Option<(String, PathBuf)>> {
    let text = fs::read_to_string(sys.proc.join("cmdline"))
        .context("the kernel's command line can't be read")?;
    let value = text.split_whitespace().rev().find_map(|word| {
        word.trim_matches('"')
            .strip_prefix(CONFIG_ARGUMENT)?
            .strip_prefix('=')
    });
    let Some(value) = value else { return Ok(None) };
    let malformed = || {
        let value = value.escape_debug();
        format!("the kernel argument {CONFIG_ARGUMENT}={value} is not of the form LABEL:/PATH")
    };
    let (label, path) = value.split_once(':').with_context(malformed)?;
    let path = Path::new(path);
    let leads_out = path.components().any(|part| part == Component::ParentDir);
    if label.is_empty() || !path.is_absolute() || leads_out {
        bail!(malformed());
    }
    Ok(Some((label.to_owned(), path.to_owned())))
}

fn read_if_there(path: &Path, origin: &str) -> Result<Option<String>> {
    let is_there = fs_err::exists(path).with_context(|| format!("{origin} can't be read"))?;
    is_there.then(|| read(path, origin)).transpose()
}

fn read(path: &Path, origin: &str) -> Result<String> {
    files::read_at_most(path, TEXT_MAX_BYTES)
        .and_then(files::text)
        .with_context(|| format!("{origin} can't be read"))
}

impl Site {
    fn add(&mut self, file: &'static str, origin: &str, text: String) -> Result<()> {
        let document = Document::parse(origin, &text)
            .with_context(|| format!("the configuration {origin} can't be used"))?;
        self.documents.push(document);
        self.texts.push(Text {
            file,
            origin: origin.to_owned(),
            text,
        });
        Ok(())
    }

    /// Whether it gives an account.
    pub(crate) fn has_account(&self) -> bool {
        self.documents.iter().any(Document::has_account)
    }

    /// The disk that it asks for.
    pub(crate) fn device(&self) -> Option<&str> {
        self.last(|install| install.device.as_deref())
            .filter(|device| !device.is_empty())
    }

    /// Whether nobody shall be asked.
    pub(crate) fn unattended(&self, config: &Config) -> bool {
        self.last(|install| install.auto)
            .unwrap_or(config.install.unattended)
    }

    /// Whether an installed appliance may be overwritten without asking.
    pub(crate) fn force(&self, config: &Config) -> bool {
        self.last(|install| install.force)
            .unwrap_or(config.install.force)
    }

    /// What follows the installation.
    pub(crate) fn after(&self, config: &Config) -> After {
        let reboot = self.last(|install| install.reboot);
        let poweroff = self.last(|install| install.poweroff);
        match (reboot, poweroff) {
            (_, Some(true)) => After::Poweroff,
            (Some(true), _) => After::Reboot,
            (None, None) => config.install.after,
            _ => After::None,
        }
    }

    fn last<'a, T>(&'a self, of: impl Fn(&'a cloud::Install) -> Option<T>) -> Option<T> {
        self.documents
            .iter()
            .rev()
            .find_map(|document| of(document.install()))
    }
}

#[cfg(test)]
mod tests;
