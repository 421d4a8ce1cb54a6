//! The packages of a root file system in a tar, from dpkg's database.
//!
//! Format: Debian Policy, chapter 5 (control files); `/var/lib/dpkg/status` has
//! a paragraph for each package.

use std::io::{self, Read, Seek};

use serde::{Deserialize, Serialize};

const STATUS: &str = "var/lib/dpkg/status";

/// Largest database that is read, in bytes; a desktop's has 5 MB.
const STATUS_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture; `all` for none.
    pub arch: String,
}

/// Reads the installed packages, sorted by name.
pub(super) fn read(tar: impl Read + Seek) -> io::Result<Vec<Package>> {
    let mut archive = tar::Archive::new(tar);
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let path = entry.path_bytes();
        if path.strip_prefix(b"./").unwrap_or(&path) != STATUS.as_bytes() {
            continue;
        }
        let mut text = Vec::new();
        entry.take(STATUS_MAX_BYTES).read_to_end(&mut text)?;
        return Ok(parse(&String::from_utf8_lossy(&text)));
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the archive has no /{STATUS}"),
    ))
}

fn parse(status: &str) -> Vec<Package> {
    let mut packages: Vec<_> = status.split("\n\n").filter_map(paragraph).collect();
    packages.sort();
    packages
}

fn paragraph(text: &str) -> Option<Package> {
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(|value| value.trim().to_owned())
    };
    // "Status: install ok installed"; removed packages keep a paragraph.
    field("Status")?.ends_with(" installed").then_some(())?;
    Some(Package {
        name: field("Package")?,
        version: field("Version")?,
        arch: field("Architecture")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\n\
         Version: 1:1.3\nDescription: x\n Version: 9\n\nPackage: gone\n\
         Status: deinstall ok config-files\nArchitecture: all\nVersion: 1\n\n\
         Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2-1\n";

    fn tar_with(path: &str) -> io::Cursor<Vec<u8>> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, text) in [("./etc/before", "x"), (path, TEXT)] {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, path, text.as_bytes()).unwrap();
        }
        io::Cursor::new(tar.into_inner().unwrap())
    }

    #[test]
    fn installed_packages_sorted() {
        let found = read(tar_with("./var/lib/dpkg/status")).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|p| format!("{} {} {}", p.name, p.version, p.arch))
            .collect();
        assert_eq!(found, ["bash 5.2-1 amd64", "zlib1g 1:1.3 amd64"]);
    }

    #[test]
    fn an_archive_without_database_is_an_error() {
        let error = read(tar_with("./var/other")).unwrap_err();
        assert!(error.to_string().contains("/var/lib/dpkg/status"));
    }
}
