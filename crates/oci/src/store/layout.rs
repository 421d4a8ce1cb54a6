//! Writing an OCI image layout to a directory or as a tar archive.
//!
//! The archive is POSIX ustar with every field fixed: owner 0, mode 0644, one
//! time stamp, the layout's order. Blobs are hashed again on their way out, so
//! that damage to the store never gets into an artifact.

use std::io::{self, Read, Write};
use std::path::Path;

use fs_err::File;

use super::{FILE_MODE, Result, Store};
use crate::Error;
use crate::layout::{LayoutFile, OciLayout};
use isoforge_base::digest::{Digest, HashingReader};

impl OciLayout {
    /// Writes the layout as a tar archive. `epoch` is the time stamp of all
    /// members, in seconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// [`Error::Missing`] and [`Error::Damaged`] on blobs of the store,
    /// [`Error::Store`].
    pub fn write_tar(&self, store: &Store, out: impl Write, epoch: u64) -> Result<()> {
        let mut archive = tar::Builder::new(out);
        for (path, file) in &self.files {
            let header = tar_header(path, file.size(), epoch)?;
            with_content(store, file, |reader| Ok(archive.append(&header, reader)?))?;
        }
        archive.into_inner()?.flush()?;
        Ok(())
    }

    /// Writes the layout into `folder`, which is made where it is missing.
    ///
    /// # Errors
    /// [`Error::Missing`] and [`Error::Damaged`] on blobs of the store,
    /// [`Error::Store`].
    pub fn write_dir(&self, store: &Store, folder: &Path) -> Result<()> {
        for (path, file) in &self.files {
            let path = folder.join(path);
            if let Some(parent) = path.parent() {
                fs_err::create_dir_all(parent)?;
            }
            let mut out = File::create(&path)?;
            with_content(store, file, |reader| {
                io::copy(reader, &mut out)?;
                Ok(())
            })?;
            out.sync_all()?;
        }
        Ok(())
    }
}

/// The header of a layout's file of `size` bytes in an archive: the same for the same
/// file, whoever writes it. `epoch` is its time, in seconds since 1970-01-01 UTC.
///
/// # Errors
/// For a path that no header takes.
pub fn tar_header(path: &str, size: u64, epoch: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_path(path)?;
    header.set_mode(FILE_MODE);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(epoch);
    header.set_size(size);
    header.set_cksum();
    Ok(header)
}

/// Gives `write` a reader over the file's bytes and checks afterwards that they
/// were the right ones.
fn with_content(
    store: &Store,
    file: &LayoutFile,
    write: impl FnOnce(&mut dyn Read) -> Result<()>,
) -> Result<()> {
    match file {
        LayoutFile::Bytes(bytes) => write(&mut bytes.as_slice()),
        LayoutFile::Blob(digest, size) => {
            let mut reader = HashingReader::new(store.open_sized_blob(digest, *size)?);
            write(&mut reader)?;
            check(&store.blob_path(digest), digest, *size, reader)
        }
        LayoutFile::File(path, digest, size) => {
            // Never more than the archive's header has said.
            let mut reader = HashingReader::new(File::open(path)?.take(*size));
            write(&mut reader)?;
            check(path, digest, *size, reader)
        }
    }
}

fn check<R: Read>(path: &Path, digest: &Digest, size: u64, reader: HashingReader<R>) -> Result<()> {
    let (found, bytes) = reader.finish();
    if found == *digest && bytes == size {
        return Ok(());
    }
    Err(Error::Damaged {
        path: path.to_owned(),
        problem: format!("its digest is {found}"),
    })
}
