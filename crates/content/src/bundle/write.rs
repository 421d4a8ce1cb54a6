//! Writing a bundle: as a folder, or as a compressed archive in one file or several.
//!
//! Blobs are hashed on their way out, so that damage never gets into a bundle.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::archive::archive;
use super::blobs::{Blobs, each_chunk};
use super::parts::{ArchivePart, PARTS_SUFFIX, PartsList};
use crate::error::{Error, writing};
use isoforge_base::digest::Digest;
use isoforge_base::output;
use isoforge_base::output::CHECKSUM_SUFFIX;
use isoforge_base::progress::{Progress, Task};
use isoforge_oci::layout::OciLayout;

/// What a bundle's archive is called behind its name and version.
const ARCHIVE_SUFFIX: &str = ".tar.zst";
/// Largest part where nothing else is said: what FAT can hold.
pub const DEFAULT_PART_BYTES: u64 = 4000 * 1024 * 1024;

/// What a bundle is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A folder.
    Folder,
    /// An archive; in parts of at most so many bytes where it has more.
    Archive {
        /// Size of a part in bytes.
        part_bytes: Option<u64>,
    },
}

impl Form {
    /// The same, in parts where `folder` is on a file system that can't hold large
    /// files.
    #[must_use]
    pub fn fitting(self, folder: &Path) -> Self {
        match self {
            Self::Archive { part_bytes: None } if is_on_fat(folder) => Self::Archive {
                part_bytes: Some(DEFAULT_PART_BYTES),
            },
            form => form,
        }
    }
}

/// Whether a folder, or where it will be made, is on FAT.
fn is_on_fat(folder: &Path) -> bool {
    // linux/magic.h, MSDOS_SUPER_MAGIC
    const FAT: rustix::fs::FsWord = 0x4d44;
    // What can't be looked at is not FAT.
    let is_there = |path: &&Path| fs_err::exists(path).unwrap_or_default();
    let existing = folder.ancestors().find(is_there);
    let existing = existing.filter(|path| !path.as_os_str().is_empty());
    rustix::fs::statfs(existing.unwrap_or(Path::new("."))).is_ok_and(|found| found.f_type == FAT)
}

/// Where a bundle is written to.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The folder that it gets into, made where it is missing.
    pub folder: &'a Path,
    /// Its name there, without a suffix.
    pub name: &'a str,
    /// As what.
    pub form: Form,
    /// Files of that name are replaced.
    pub replace: bool,
}

/// A bundle that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The folder or archive, or the list of its parts.
    pub path: PathBuf,
    /// Bytes of the archive, or of the files in the folder.
    pub bytes: u64,
    /// Digest of the archive; none of a folder.
    pub digest: Option<Digest>,
    /// The parts of a split archive.
    pub parts: Vec<ArchivePart>,
}

impl Target<'_> {
    /// Whether something is in the way, found before the work starts.
    ///
    /// # Errors
    /// [`output::Error::Exists`].
    pub fn check(&self) -> Result<(), Error> {
        let path = self.folder.join(self.name);
        let archive = self.folder.join(format!("{}{ARCHIVE_SUFFIX}", self.name));
        let list = self
            .folder
            .join(format!("{}{ARCHIVE_SUFFIX}{PARTS_SUFFIX}", self.name));
        let in_the_way: &[PathBuf] = match self.form {
            Form::Folder => &[path],
            Form::Archive { .. } if self.replace => &[],
            Form::Archive { .. } => &[archive, list],
        };
        for path in in_the_way {
            if fs_err::exists(path).map_err(writing)? {
                return Err(output::Error::Exists { path: path.clone() }.into());
            }
        }
        Ok(())
    }
}

/// Writes a bundle, whole or not at all.
///
/// # Errors
/// What the blobs give, [`Error::DamagedBlob`] where one is not what its digest says, and
/// what the output gives.
pub fn write(
    layout: &OciLayout,
    blobs: &dyn Blobs,
    target: &Target<'_>,
    progress: &Progress,
) -> Result<Written, Error> {
    target.check()?;
    let task = progress.task(&format!("write {}", target.name), Some(layout.size()));
    fs_err::create_dir_all(target.folder).map_err(writing)?;
    match target.form {
        Form::Folder => {
            let path = target.folder.join(target.name);
            output::new_folder(&path, |folder| write_folder(layout, blobs, folder, &task))?;
            Ok(Written {
                path,
                bytes: layout.size(),
                digest: None,
                parts: Vec::new(),
            })
        }
        Form::Archive { part_bytes } => {
            let name = format!("{}{ARCHIVE_SUFFIX}", target.name);
            let before = replaced(target, &name)?;
            let mut written = None;
            output::new_files(target.folder, target.replace, |folder| {
                let parts = archive(layout, blobs, folder, &name, part_bytes, &task)?;
                let (names, result) = finish(parts, folder, target.folder)?;
                written = Some((result, names.clone()));
                Ok::<_, Error>(names)
            })?;
            let (written, names) =
                written.ok_or_else(|| writing(io::Error::other("nothing was written")))?;
            for old in before.iter().filter(|old| !names.contains(old)) {
                fs_err::remove_file(target.folder.join(old)).map_err(writing)?;
            }
            Ok(written)
        }
    }
}

/// Files of the bundle that is replaced, whatever form it had.
fn replaced(target: &Target<'_>, name: &str) -> Result<Vec<String>, Error> {
    if !target.replace {
        return Ok(Vec::new());
    }
    let list = format!("{name}{PARTS_SUFFIX}");
    let mut names = vec![name.to_owned()];
    if let Ok(parts) = PartsList::read(&target.folder.join(&list)) {
        names.push(list);
        names.extend(parts.parts.into_iter().map(|part| part.name));
    }
    let mut there = Vec::with_capacity(names.len());
    for name in names {
        if fs_err::exists(target.folder.join(&name)).map_err(writing)? {
            there.push(name);
        }
    }
    Ok(there)
}

/// Writes the layout's files into `folder`, each brought to the disk.
///
/// # Errors
/// What the blobs give, [`Error::DamagedBlob`], and what writing gives.
pub fn write_folder(
    layout: &OciLayout,
    blobs: &dyn Blobs,
    folder: &Path,
    task: &Task,
) -> Result<(), Error> {
    let mut chunk = Vec::new();
    for (path, file) in &layout.files {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs_err::create_dir_all(parent).map_err(writing)?;
        }
        let mut out = fs_err::File::create(&path).map_err(writing)?;
        each_chunk(blobs, file, &mut chunk, |chunk| {
            out.write_all(chunk)?;
            task.advance(chunk.len() as u64);
            Ok(())
        })?;
        out.sync_all().map_err(writing)?;
    }
    Ok(())
}

/// Writes checksums and the list of parts; gives the names of all files, what is to
/// be there last at the end.
fn finish(mut parts: PartsList, folder: &Path, to: &Path) -> Result<(Vec<String>, Written), Error> {
    let put = |name: &str, text: &[u8]| fs_err::write(folder.join(name), text).map_err(writing);
    let is_split = parts.parts.len() > 1;
    if let ([one], false) = (parts.parts.as_mut_slice(), is_split) {
        fs_err::rename(folder.join(&one.name), folder.join(&parts.name)).map_err(writing)?;
        one.name.clone_from(&parts.name);
    }
    let mut checksums = String::new();
    for part in &parts.parts {
        checksums.push_str(&output::checksum_line(&part.digest, &part.name));
    }
    let checksum_name = format!("{}{CHECKSUM_SUFFIX}", parts.name);
    put(&checksum_name, checksums.as_bytes())?;
    let mut names: Vec<String> = parts.parts.iter().map(|part| part.name.clone()).collect();
    names.push(checksum_name);
    let mut path = to.join(&parts.name);
    if is_split {
        let list = format!("{}{PARTS_SUFFIX}", parts.name);
        let mut text = serde_json::to_vec_pretty(&parts)
            .map_err(io::Error::from)
            .map_err(writing)?;
        text.push(b'\n');
        put(&list, &text)?;
        path = to.join(&list);
        names.push(list);
    }
    Ok((
        names,
        Written {
            path,
            bytes: parts.size,
            digest: Some(parts.digest),
            parts: if is_split { parts.parts } else { Vec::new() },
        },
    ))
}
