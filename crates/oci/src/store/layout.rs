//! Writing an OCI image layout to a directory or as a tar archive.
//!
//! The archive is POSIX ustar with every field fixed: owner 0, mode 0644, one
//! time stamp, the layout's order. Blobs are hashed again on their way out, so
//! that damage to the store never gets into an artifact.

use std::io::{self, Read, Write};
use std::path::Path;

use fs_err::File;

use super::{CheckedBlob, FILE_MODE, Result, Store};
use crate::layout::{LayoutFile, OciLayout};

impl OciLayout {
    /// Writes the layout as a tar archive. `epoch` is the time stamp of all
    /// members, in seconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// [`crate::Error::Missing`] and [`crate::Error::Damaged`] on blobs of the store,
    /// [`crate::Error::Store`].
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
    /// [`crate::Error::Missing`] and [`crate::Error::Damaged`] on blobs of the store,
    /// [`crate::Error::Store`].
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

/// Gives `write` a reader over the file's bytes, which fails where they are not the
/// right ones.
fn with_content(
    store: &Store,
    file: &LayoutFile,
    write: impl FnOnce(&mut dyn Read) -> Result<()>,
) -> Result<()> {
    let mut reader = match file {
        LayoutFile::Bytes(bytes) => return write(&mut bytes.as_slice()),
        LayoutFile::Blob(digest, size) => store.open_checked_sized(digest, *size)?,
        LayoutFile::File(path, digest, size) => CheckedBlob::open(path, digest, *size)?,
    };
    if let Err(error) = write(&mut reader) {
        return Err(reader.or_damaged(error));
    }
    reader.finish()
}
