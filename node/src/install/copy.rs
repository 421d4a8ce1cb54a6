//! Copying a file of the medium to several places at once: it is read once, and
//! what was read is checked.

use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use fs_err as fs;
use isoforge_base::digest::Sha256;
use rustix::fs::FallocateFlags;

use super::medium::{Medium, Source, unreadable};
use crate::content::BadSource;

/// Bytes that are read and written at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Bytes after which is waited until they are on the disk, so that what is told
/// of the progress is true, and the last step is short.
const SYNC_BYTES: u64 = 64 << 20;

/// Copies `source` to each of `copies`, which are new files, and has them on the
/// disk. `done` is told the bytes of each piece.
pub(super) fn copy(
    medium: &Medium,
    source: &Source,
    copies: &[PathBuf],
    done: &mut dyn FnMut(u64),
) -> Result<()> {
    let path = &source.path;
    let mut from = fs::File::open(medium.path(path)).with_context(|| unreadable(path))?;
    let mut to = Vec::new();
    for path in copies {
        to.push(Copy::new(path, source.content.size)?);
    }
    let mut hash = Sha256::new();
    let mut buffer = vec![0_u8; CHUNK_BYTES];
    let (mut total, mut unsynced) = (0_u64, 0_u64);
    loop {
        let length = from.read(&mut buffer).with_context(|| {
            BadSource(format!(
                "reading the install medium's '{path}' failed after {total} bytes"
            ))
        })?;
        let piece = buffer.get(..length).unwrap_or_default();
        if piece.is_empty() {
            break;
        }
        total = total.saturating_add(length as u64);
        // A file that grew is not the one that was built; nor shall it fill up
        // the disk.
        if total > source.content.size {
            break;
        }
        hash.update(piece);
        for copy in &mut to {
            copy.write(piece)?;
        }
        unsynced = unsynced.saturating_add(length as u64);
        if unsynced >= SYNC_BYTES {
            for copy in &to {
                copy.sync()?;
            }
            unsynced = 0;
        }
        done(length as u64);
    }
    source.check(total, hash.finish())?;
    for copy in &to {
        copy.sync()?;
    }
    Ok(())
}

/// A copy that is being written.
struct Copy {
    path: PathBuf,
    file: fs::File,
}

impl Copy {
    fn new(path: &PathBuf, size: u64) -> Result<Self> {
        let failed = || cant_write(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(failed)?;
        }
        let file = fs::File::create(path).with_context(failed)?;
        // The root file system has files that are root's alone.
        let mode = Permissions::from_mode(0o600);
        file.set_permissions(mode).with_context(failed)?;
        if size > 0 {
            // In one piece, and a disk that is full says so now.
            match rustix::fs::fallocate(file.file(), FallocateFlags::KEEP_SIZE, 0, size) {
                Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
                Err(errno) => return Err(errno).with_context(failed),
            }
        }
        Ok(Self {
            path: path.clone(),
            file,
        })
    }

    fn write(&mut self, piece: &[u8]) -> Result<()> {
        let written = self.file.write_all(piece);
        written.with_context(|| cant_write(&self.path))
    }

    fn sync(&self) -> Result<()> {
        let synced = self.file.sync_all();
        synced.with_context(|| cant_write(&self.path))
    }
}

fn cant_write(path: &Path) -> String {
    format!("'{}' can't be written", path.display())
}
