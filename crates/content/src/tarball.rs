//! Deterministic archives of packs and charts.
//!
//! Specification: POSIX.1-2017 ustar with GNU's long names, gzip of RFC 1952.
//! Equal files give equal bytes: sorted, mode 0644, no owner, time 0.

use std::io::{self, Write as _};

use flate2::{Compression, GzBuilder};

use crate::Error;
use crate::files::Files;

/// Mode of every file.
const MODE: u32 = 0o644;
/// `OS` of the gzip header: unknown.
const GZIP_OS_UNKNOWN: u8 = 255;

/// A gzip-compressed tar archive of the files, which must be sorted.
///
/// # Errors
/// Where a path can't be said in a header.
pub fn gzip<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> io::Result<Vec<u8>> {
    let gzip = GzBuilder::new()
        .mtime(0)
        .operating_system(GZIP_OS_UNKNOWN)
        .write(Vec::new(), Compression::best());
    let mut archive = tar::Builder::new(gzip);
    archive.mode(tar::HeaderMode::Deterministic);
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(MODE);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, path, bytes)?;
    }
    let mut gzip = archive.into_inner()?;
    gzip.flush()?;
    gzip.finish()
}

/// The archive of `files` in one folder of this name.
pub(crate) fn of_files(files: &Files, folder: &str) -> Result<Vec<u8>, Error> {
    let within: Vec<(String, &[u8])> = files
        .iter()
        .map(|(path, bytes)| (format!("{folder}/{path}"), bytes))
        .collect();
    gzip(within.iter().map(|(path, bytes)| (path.as_str(), *bytes)))
        .map_err(|error| Error::archive(files.place(), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    #[allow(clippy::disallowed_methods)] // tar is the judge
    fn tar_reads_it_and_equal_files_give_equal_bytes() {
        let long = format!("pack/{}/x", "n".repeat(180));
        let files = [("pack/a", b"1".as_slice()), (&long, b"two")];
        let bytes = gzip(files).unwrap();
        assert_eq!(bytes, gzip(files).unwrap());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.tgz");
        fs_err::write(&path, &bytes).unwrap();
        let out = Command::new("tar").arg("tvzf").arg(&path).output().unwrap();
        assert!(out.status.success());
        let text = String::from_utf8(out.stdout).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("-rw-r--r-- 0/0"), "{text}");
        assert!(lines[1].ends_with(&long), "{text}");
    }
}
