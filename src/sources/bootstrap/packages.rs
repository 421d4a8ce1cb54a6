//! The packages of a root file system in a tar, from dpkg's database.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek};

use crate::sources::components;

const STATUS: &str = "var/lib/dpkg/status";

/// Largest database that is read, in bytes; a desktop's has 5 MB.
const STATUS_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Reads the installed packages and their versions.
pub(super) fn read(tar: impl Read + Seek) -> io::Result<BTreeMap<String, String>> {
    let mut archive = tar::Archive::new(tar);
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let path = entry.path_bytes();
        if path.strip_prefix(b"./").unwrap_or(&path) != STATUS.as_bytes() {
            continue;
        }
        let mut text = Vec::new();
        entry.take(STATUS_MAX_BYTES).read_to_end(&mut text)?;
        return Ok(components::dpkg_status(&String::from_utf8_lossy(&text)));
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the archive has no /{STATUS}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Package: bash\nStatus: install ok installed\nVersion: 5.2-1\n";

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
    fn the_database_is_found_within_the_archive() {
        let found = read(tar_with("./var/lib/dpkg/status")).unwrap();
        assert_eq!(
            found,
            BTreeMap::from([("bash".to_owned(), "5.2-1".to_owned())])
        );
    }

    #[test]
    fn an_archive_without_database_is_an_error() {
        let error = read(tar_with("./var/other")).unwrap_err();
        assert!(error.to_string().contains("/var/lib/dpkg/status"));
    }
}
