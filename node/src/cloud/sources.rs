//! Where the cloud-configs of a boot come from.

use std::path::Path;

use isoforge_contract::cloud::Document;
use isoforge_contract::machine::{Flavor, INSTALL_ARGUMENT, SLOT_ARGUMENT};

use crate::paths;
use crate::rooted::{self, Root};

/// The medium's cloud-config.
const MEDIUM_FILE: &str = "config.yaml";

/// What was booted, as far as configurations go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Boot {
    /// An installed system: its site configuration counts.
    Installed,
    /// The system on the medium: the medium's configuration counts.
    Live,
    /// The installer, or a system that others configure: none counts.
    Other,
}

impl Boot {
    /// Tells it from the kernel's command line and who installs.
    #[must_use]
    pub(crate) fn of(cmdline: &str, flavor: Flavor) -> Self {
        let has = |name: &str| {
            let mut words = cmdline.split_ascii_whitespace();
            words.any(|word| word.split('=').next() == Some(name))
        };
        match flavor {
            Flavor::Kairos => Self::Other,
            Flavor::Appliance if has(SLOT_ARGUMENT) => Self::Installed,
            Flavor::Appliance if has(INSTALL_ARGUMENT) => Self::Other,
            Flavor::Appliance => Self::Live,
        }
    }
}

/// The documents of a boot in the order in which they count, and what could
/// not be read of them.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Those that could be read.
    pub documents: Vec<Document>,
    /// What is wrong with the rest.
    pub failures: Vec<String>,
}

/// Finds and reads them. What can't be read does not keep the rest away: it may
/// be what lets somebody in to mend it.
#[must_use]
pub(crate) fn find(root: &Root, boot: Boot) -> Found {
    match boot {
        Boot::Installed => folder(root, paths::OEM),
        Boot::Live => {
            let mut found = Found::default();
            let path = format!("{}/{MEDIUM_FILE}", paths::MEDIUM);
            found.add(MEDIUM_FILE, root.read(&path));
            found
        }
        Boot::Other => Found::default(),
    }
}

/// The configurations of a folder, in byte order of their names.
#[must_use]
pub(crate) fn folder(root: &Root, path: &str) -> Found {
    let mut found = Found::default();
    let folder = match root.dir(path) {
        Ok(Some(folder)) => folder,
        Ok(None) => return found,
        Err(error) => {
            found.failures.push(error.to_string());
            return found;
        }
    };
    let names = match folder.names() {
        Ok(names) => names,
        Err(error) => {
            found.failures.push(error.to_string());
            return found;
        }
    };
    for name in names {
        let extension = Path::new(&name).extension().and_then(|ext| ext.to_str());
        if matches!(extension, Some("yaml" | "yml")) && !name.starts_with('.') {
            let text = folder.read(&name);
            found.add(&name, text);
        }
    }
    found
}

impl Found {
    fn add(&mut self, name: &str, bytes: Result<Option<Vec<u8>>, rooted::Error>) {
        let bytes = match bytes {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return,
            Err(error) => return self.failures.push(error.to_string()),
        };
        match String::from_utf8(bytes) {
            Ok(text) => {
                let (document, problems) = Document::salvage(name, &text);
                self.documents.push(document);
                self.failures
                    .extend(problems.iter().map(ToString::to_string));
            }
            Err(_) => self.failures.push(format!("{name}: it is no UTF-8 text")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_boot_has_its_own() {
        for (cmdline, flavor, boot) in [
            (
                "quiet appliance.slot=a x",
                Flavor::Appliance,
                Boot::Installed,
            ),
            (
                "appliance.slot=recovery",
                Flavor::Appliance,
                Boot::Installed,
            ),
            (
                "appliance.install=interactive",
                Flavor::Appliance,
                Boot::Other,
            ),
            (
                "appliance.slots=a appliance.installx",
                Flavor::Appliance,
                Boot::Live,
            ),
            ("appliance.slot=a", Flavor::Kairos, Boot::Other),
        ] {
            assert_eq!(Boot::of(cmdline, flavor), boot, "{cmdline}");
        }
    }

    #[test]
    fn documents_come_in_byte_order_and_broken_parts_alone_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(dir.path().join("oem")).unwrap();
        for (name, text) in [
            ("90_installer.yaml", "hostname: c"),
            ("10_medium.yaml", "hostname: a"),
            ("2.yml", "hostname: b"),
            ("20_broken.yaml", "hostname: [\n"),
            (".hidden.yaml", "hostname: d"),
            ("notes.txt", "hostname: e"),
        ] {
            fs_err::write(dir.path().join("oem").join(name), text).unwrap();
        }
        fs_err::write(dir.path().join("oem/30.yaml"), b"hostname: \xff").unwrap();
        let root = Root::open(dir.path()).unwrap();
        let found = find(&root, Boot::Installed);
        let names: Vec<_> = found
            .documents
            .iter()
            .map(|d| (d.name.as_str(), d.hostname.as_deref().unwrap_or("-")))
            .collect();
        assert_eq!(
            names,
            [
                ("10_medium.yaml", "a"),
                ("2.yml", "b"),
                ("20_broken.yaml", "-"),
                ("90_installer.yaml", "c")
            ]
        );
        assert_eq!(found.failures.len(), 2, "{:?}", found.failures);
        assert!(found.failures[0].starts_with("20_broken.yaml:"));
        assert!(find(&root, Boot::Live).documents.is_empty());
        let live = dir.path().join("run/initramfs/live");
        fs_err::create_dir_all(&live).unwrap();
        fs_err::write(live.join("config.yaml"), "hostname: live").unwrap();
        assert_eq!(find(&root, Boot::Live).documents.len(), 1);
        assert!(find(&root, Boot::Other).documents.is_empty());
    }
}
