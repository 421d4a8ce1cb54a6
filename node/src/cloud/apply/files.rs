//! Files and directories.

use super::Run;
use crate::accounts::database::Databases;
use crate::accounts::edit;
use crate::rooted::Attributes;
use isoforge_contract::cloud::{File, Id, pattern};

/// What systemd and its generators read.
const UNIT_PLACES: &[&str] = &[
    "/etc/systemd/system/",
    "/etc/systemd/system.conf",
    "/run/systemd/system/",
    "/usr/local/lib/systemd/system/",
    "/usr/lib/systemd/system/",
    "/etc/netplan/",
    "/etc/init.d/",
    "/etc/fstab",
    "/etc/crypttab",
];

/// What systemd-networkd reads.
const NETWORK_PLACES: &[&str] = &[
    "/etc/systemd/network/",
    "/run/systemd/network/",
    "/etc/netplan/",
];

impl Run<'_> {
    pub(super) fn file(&mut self, file: &File) {
        let what = format!("file {}", file.path);
        if let Some(attributes) = self.attributes(file, 0o644, &what) {
            let written = self.write_file(file, attributes);
            if self.attempt(&what, written) == Some(true) {
                self.changed(&file.path);
            }
        }
    }

    pub(super) fn directory(&mut self, file: &File) {
        let what = format!("directory {}", file.path);
        let Some(attributes) = self.attributes(file, 0o755, &what) else {
            return;
        };
        let path = file.path.trim_end_matches('/');
        let made = match path.rsplit_once('/') {
            Some((parent, name)) if !matches!(name, "" | "." | "..") => self
                .root
                .make_dir(parent, Attributes::root(0o755))
                .and_then(|parent| parent.sub(name, attributes))
                .map(|_| ()),
            _ => Ok(()),
        };
        self.attempt(&what, made);
    }

    fn write_file(&self, file: &File, attributes: Attributes) -> Result<bool, String> {
        let content = match std::str::from_utf8(&file.content) {
            Ok(text) => pattern::fill(text, &self.facts()).into_bytes(),
            Err(_) => file.content.clone(),
        };
        let write = |bytes: &[u8], attributes| {
            self.root
                .write(&file.path, bytes, attributes)
                .map_err(|error| error.to_string())
        };
        if !file.append {
            return write(&content, attributes);
        }
        let there = self
            .root
            .read(&file.path)
            .map_err(|error| error.to_string())?;
        let there = there.unwrap_or_default();
        // A kept file has it since the last boot.
        let has = content.is_empty() || there.windows(content.len()).any(|part| part == content);
        if has {
            return Ok(false);
        }
        write(&[there, content].concat(), attributes.or_kept())
    }

    fn attributes(&mut self, file: &File, mode: u32, what: &str) -> Option<Attributes> {
        let ids = self.ids(file);
        let (uid, gid) = self.attempt(what, ids)?;
        Some(Attributes {
            mode: file.mode.unwrap_or(mode),
            uid,
            gid,
            keep: false,
        })
    }

    fn ids(&self, file: &File) -> Result<(u32, u32), String> {
        let needs_names = [&file.owner, &file.group]
            .iter()
            .any(|id| matches!(id, Some(Id::Name(_))));
        let names = match self.root.dir("/etc") {
            Ok(Some(etc)) if needs_names => {
                Some(Databases::read(etc.path()).map_err(|error| error.to_string())?)
            }
            _ => None,
        };
        let uid = match &file.owner {
            None => 0,
            Some(Id::Number(number)) => *number,
            Some(Id::Name(name)) => names
                .as_ref()
                .and_then(|names| edit::account(names, name))
                .map(|account| account.uid)
                .ok_or_else(|| format!("there is no account '{name}'"))?,
        };
        let gid = match &file.group {
            None => 0,
            Some(Id::Number(number)) => *number,
            Some(Id::Name(name)) => names
                .as_ref()
                .and_then(|names| edit::gid(names, name))
                .ok_or_else(|| format!("there is no group '{name}'"))?,
        };
        Ok((uid, gid))
    }

    /// Notes what must be read anew.
    pub(super) fn changed(&mut self, path: &str) {
        let below = |places: &[&str]| places.iter().any(|place| path.starts_with(place));
        self.units_changed |= below(UNIT_PLACES);
        self.network_changed |= below(NETWORK_PLACES);
    }
}
