//! The output directory: temporary files that become artifacts together.

use std::collections::BTreeMap;
use std::fs::TryLockError;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::Error;
use super::single;
use super::together::{Rename, rename_all};
use crate::digest::Digest;
use crate::interrupt;

/// Start and end of a temporary file's name; what has both and no live build
/// is left over from a killed one.
pub(super) const PARTIAL_PREFIX: &str = ".isoforge-";
pub(super) const PARTIAL_SUFFIX: &str = ".partial";

/// Mode of artifacts before the umask.
const ARTIFACT_MODE: u32 = 0o666;

/// The directory that one build writes its artifacts to.
#[derive(Debug)]
pub struct OutputDir {
    path: PathBuf,
    /// The directory itself, open: holds the lock and takes the fsync.
    handle: fs_err::File,
    finished: BTreeMap<String, FinishedFile>,
    /// Directories that this build made, outermost first.
    made: Vec<PathBuf>,
    committed: bool,
    /// Removes what is partial where the build is interrupted.
    interrupt: Option<interrupt::Registration>,
}

#[derive(Debug)]
struct FinishedFile {
    file: NamedTempFile,
    /// Place in the order of renames.
    order: u32,
}

/// An artifact that is being written; dropped, it is gone.
#[derive(Debug)]
pub struct Pending {
    name: String,
    file: NamedTempFile,
}

/// What is known of a complete artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// File name within the output directory.
    pub name: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Size in bytes.
    pub size: u64,
}

impl OutputDir {
    /// Makes `<base>/<name>-<version>` where it is missing, takes its lock,
    /// removes what a killed build left there, and proves that it can be
    /// written to, so that a build fails now and not at its end.
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::NotWritable`], [`Error::Busy`].
    pub fn prepare(base: &Path, name: &str, version: &str) -> Result<Self, Error> {
        let directory = format!("{name}-{version}");
        check_name(&directory)?;
        let path = base.join(directory);
        let not_writable = |source| Error::NotWritable {
            path: path.clone(),
            source,
        };
        let mut made = Vec::new();
        let handle = make_directories(&path, &mut made)
            .and_then(|()| fs_err::File::open(&path))
            .inspect_err(|_| remove_directories(&made))
            .map_err(not_writable)?;
        let mut this = Self {
            handle,
            path: path.clone(),
            finished: BTreeMap::new(),
            made,
            committed: false,
            interrupt: None,
        };
        match this.handle.file().try_lock() {
            Ok(()) => {
                this.interrupt = Some(this.on_interrupt());
                remove_leftovers(&path).map_err(not_writable)?;
            }
            Err(TryLockError::WouldBlock) => {
                this.made.clear();
                return Err(Error::Busy { path });
            }
            // A file system without locks: nothing says whether what lies
            // there is another build's, so it stays.
            Err(TryLockError::Error(_)) => {}
        }
        drop(temporary(&path).map_err(not_writable)?);
        Ok(this)
    }

    fn on_interrupt(&self) -> interrupt::Registration {
        let (path, made) = (self.path.clone(), self.made.clone());
        interrupt::on_interrupt(move || {
            let _ = remove_leftovers(&path);
            remove_directories(&made);
        })
    }

    /// Where the artifacts will be.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins the artifact `name`.
    ///
    /// # Errors
    /// [`Error::BadName`] where it isn't a plain file name, or what the system
    /// says.
    pub fn create(&self, name: &str) -> Result<Pending, Error> {
        check_name(name)?;
        Ok(Pending {
            name: name.to_owned(),
            file: temporary(&self.path)?,
        })
    }

    /// Ends an artifact: its bytes are brought to the disk and hashed. It gets
    /// its name with [`commit`](Self::commit).
    ///
    /// # Errors
    /// [`Error::DuplicateName`], or what the system says.
    pub fn finish(&mut self, mut pending: Pending) -> Result<Finished, Error> {
        pending.file.as_file_mut().flush()?;
        let digest = hash(pending.file.as_file_mut())?;
        self.finish_hashed(pending, digest)
    }

    /// Like [`finish`](Self::finish) for an artifact whose writer computed the
    /// digest on the way.
    ///
    /// # Errors
    /// [`Error::DuplicateName`], or what the system says.
    pub fn finish_hashed(&mut self, pending: Pending, digest: Digest) -> Result<Finished, Error> {
        if self.finished.contains_key(&pending.name) {
            return Err(Error::DuplicateName { name: pending.name });
        }
        pending.file.as_file().sync_all()?;
        let size = pending.file.as_file().metadata()?.len();
        let order = u32::try_from(self.finished.len()).unwrap_or(u32::MAX);
        self.finished.insert(
            pending.name.clone(),
            FinishedFile {
                file: pending.file,
                order,
            },
        );
        Ok(Finished {
            name: pending.name,
            digest,
            size,
        })
    }

    /// Writes and ends a small artifact.
    ///
    /// # Errors
    /// As [`create`](Self::create) and [`finish`](Self::finish).
    pub fn put(&mut self, name: &str, bytes: &[u8]) -> Result<Finished, Error> {
        let mut pending = self.create(name)?;
        pending.write_all(bytes)?;
        self.finish(pending)
    }

    /// Writes `<name>.sha256` for a finished artifact, in the form that
    /// `sha256sum --check` reads: digest, two spaces, name.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn put_checksum(&mut self, of: &Finished) -> Result<Finished, Error> {
        self.put(
            &format!("{}{CHECKSUM_SUFFIX}", of.name),
            checksum_line(&of.digest, &of.name).as_bytes(),
        )
    }

    /// Gives all finished artifacts their names, in the order in which they
    /// were finished, and brings the directory to the disk. What has the same
    /// name from an earlier build is replaced.
    ///
    /// # Errors
    /// What the system says; then none has its name, and an earlier build's artifacts
    /// are as they were.
    pub fn commit(mut self) -> Result<(), Error> {
        let _whole = interrupt::hold();
        let mut files: Vec<_> = std::mem::take(&mut self.finished).into_iter().collect();
        files.sort_by_key(|(_, finished)| finished.order);
        let renames: Vec<Rename> = files
            .iter()
            .map(|(name, finished)| Rename {
                from: finished.file.path().to_owned(),
                to: self.path.join(name),
            })
            .collect();
        // Where it fails, the files go with their temporary names.
        rename_all(&renames, &self.path, &self.path)?;
        self.committed = true;
        for (_, finished) in files {
            // It has another name now.
            let _ = finished.file.into_temp_path().keep();
        }
        self.sync_new_directories()?;
        Ok(())
    }

    fn sync_new_directories(&self) -> io::Result<()> {
        for made in &self.made {
            if let Some(parent) = made.parent() {
                let parent = if parent.as_os_str().is_empty() {
                    Path::new(".")
                } else {
                    parent
                };
                fs_err::File::open(parent)?.sync_all()?;
            }
        }
        Ok(())
    }
}

impl Drop for OutputDir {
    /// A failed build leaves no empty directory that wasn't there before.
    fn drop(&mut self) {
        self.finished.clear();
        if !self.committed {
            remove_directories(&self.made);
        }
    }
}

impl Pending {
    /// The file, for writers that seek.
    pub fn file(&mut self) -> &mut std::fs::File {
        self.file.as_file_mut()
    }
}

impl Write for Pending {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// What a checksum file's name adds to the name of the file that it is about.
pub const CHECKSUM_SUFFIX: &str = ".sha256";

/// A line of a `.sha256` file.
pub fn checksum_line(digest: &Digest, name: &str) -> String {
    format!("{}  {name}\n", digest.hex())
}

/// Only names that mean the same in every shell, URL and file system.
pub fn check_name(name: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(Error::BadName {
            name: name.to_owned(),
        });
    }
    Ok(())
}

/// Like `create_dir_all`, and adds the directories that were missing to `made`,
/// outermost first, even where it fails half-way.
fn make_directories(path: &Path, made: &mut Vec<PathBuf>) -> io::Result<()> {
    let missing: Vec<&Path> = path
        .ancestors()
        // What can't be looked at is not made; its child's error says why.
        .take_while(|path| !path.as_os_str().is_empty() && !fs_err::exists(path).unwrap_or(true))
        .collect();
    for directory in missing.into_iter().rev() {
        match fs_err::create_dir(directory) {
            Ok(()) => made.push(directory.to_owned()),
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    fs_err::create_dir_all(path)
}

/// Removes directories, innermost first, that still are empty.
fn remove_directories(made: &[PathBuf]) {
    for directory in made.iter().rev() {
        let _ = fs_err::remove_dir(directory);
    }
}

fn temporary(dir: &Path) -> io::Result<NamedTempFile> {
    let _whole = interrupt::hold();
    tempfile::Builder::new()
        .prefix(PARTIAL_PREFIX)
        .suffix(PARTIAL_SUFFIX)
        .permissions(std::fs::Permissions::from_mode(ARTIFACT_MODE))
        .tempfile_in(dir)
}

fn remove_leftovers(dir: &Path) -> io::Result<()> {
    single::remove_leftovers(dir);
    for entry in fs_err::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_ours = name.starts_with(PARTIAL_PREFIX) && name.ends_with(PARTIAL_SUFFIX);
        if is_ours && !entry.file_type()?.is_dir() {
            fs_err::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn hash(file: &mut std::fs::File) -> io::Result<Digest> {
    file.seek(SeekFrom::Start(0))?;
    Ok(Digest::of_reader(file)?.0)
}

#[cfg(test)]
mod tests {
    use super::super::testing::names;
    use super::*;
    use crate::error::{Class, Diagnose};

    #[test]
    fn artifacts_get_their_names_together_and_checksums_are_canonical() {
        let base = tempfile::tempdir().unwrap();
        let mut out = OutputDir::prepare(&base.path().join("dist"), "demo", "1.0").unwrap();
        let iso = out.put("demo.iso", b"image").unwrap();
        out.put_checksum(&iso).unwrap();
        let dir = out.path().to_path_buf();
        assert!(names(&dir).iter().all(|n| n.ends_with(PARTIAL_SUFFIX)));
        out.commit().unwrap();
        assert_eq!(names(&dir), ["demo.iso", "demo.iso.sha256"]);
        assert_eq!(
            fs_err::read_to_string(dir.join("demo.iso.sha256")).unwrap(),
            "6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d  demo.iso\n"
        );
        assert_eq!(iso.digest, Digest::of(b"image"));
        assert_eq!(iso.size, 5);
    }

    #[test]
    fn a_digest_that_the_writer_knows_is_taken_with_the_files_size() {
        let base = tempfile::tempdir().unwrap();
        let mut out = OutputDir::prepare(base.path(), "demo", "1.0").unwrap();
        let mut pending = out.create("demo.iso").unwrap();
        pending.file().set_len(4096).unwrap();
        let iso = out.finish_hashed(pending, Digest::of(b"known")).unwrap();
        assert_eq!((iso.size, iso.digest), (4096, Digest::of(b"known")));
    }

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn sha256sum_reads_the_checksum_file() {
        let base = tempfile::tempdir().unwrap();
        let mut out = OutputDir::prepare(base.path(), "demo", "1.0").unwrap();
        let iso = out.put("demo.iso", b"image").unwrap();
        out.put_checksum(&iso).unwrap();
        let dir = out.path().to_path_buf();
        out.commit().unwrap();
        let status = std::process::Command::new("sha256sum")
            .args(["--check", "--strict", "--status", "demo.iso.sha256"])
            .current_dir(dir)
            .status()
            .expect("sha256sum of the Debian package coreutils is needed");
        assert!(status.success());
    }

    #[test]
    fn a_failed_build_leaves_the_earlier_output_and_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        let mut first = OutputDir::prepare(base.path(), "demo", "1.0").unwrap();
        first.put("demo.iso", b"good").unwrap();
        let dir = first.path().to_path_buf();
        first.commit().unwrap();

        let mut second = OutputDir::prepare(base.path(), "demo", "1.0").unwrap();
        second.put("demo.iso", b"half of a better one").unwrap();
        let mut pending = second.create("manifest.json").unwrap();
        pending.write_all(b"{").unwrap();
        drop(pending);
        drop(second);
        assert_eq!(names(&dir), ["demo.iso"]);
        assert_eq!(fs_err::read(dir.join("demo.iso")).unwrap(), b"good");
    }

    #[test]
    fn an_artifact_that_can_not_get_its_name_keeps_the_others_from_theirs() {
        let base = tempfile::tempdir().unwrap();
        let commit = || {
            let mut out = OutputDir::prepare(base.path(), "demo", "1.0").unwrap();
            out.put("demo.iso", b"new").unwrap();
            out.put("demo.tar", b"new").unwrap();
            out.commit()
        };
        let dir = base.path().join("demo-1.0");
        let in_the_way = dir.join("demo.tar/mine");
        fs_err::create_dir_all(in_the_way.parent().unwrap()).unwrap();
        fs_err::write(&in_the_way, b"").unwrap();
        let error = commit().unwrap_err();
        assert_eq!(error.class(), Class::Io);
        assert!(error.to_string().contains("demo.tar"), "{error}");
        assert_eq!(names(&dir), ["demo.tar"], "the ISO has no name");
        fs_err::write(dir.join("demo.iso"), b"good").unwrap();
        commit().unwrap_err();
        assert_eq!(names(&dir), ["demo.iso", "demo.tar"]);
        assert_eq!(fs_err::read(dir.join("demo.iso")).unwrap(), b"good");
        assert!(in_the_way.exists());
    }

    #[test]
    fn a_failed_first_build_leaves_no_directory() {
        let base = tempfile::tempdir().unwrap();
        let dist = base.path().join("a/dist");
        let mut out = OutputDir::prepare(&dist, "demo", "1.0").unwrap();
        out.put("demo.iso", b"image").unwrap();
        drop(out);
        assert!(names(base.path()).is_empty());
    }

    #[test]
    fn a_file_in_the_way_is_found_before_the_work_starts() {
        let base = tempfile::tempdir().unwrap();
        let in_the_way = base.path().join("dist");
        fs_err::write(&in_the_way, b"").unwrap();
        let error = OutputDir::prepare(&in_the_way, "demo", "1.0").unwrap_err();
        assert_eq!(error.class(), Class::Io);
        assert!(error.to_string().contains("dist/demo-1.0"), "{error}");
        assert!(error.hint().unwrap().contains("--output"));
        assert_eq!(fs_err::read(&in_the_way).unwrap(), b"");
    }

    #[test]
    fn a_second_build_into_the_same_directory_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let first = OutputDir::prepare(base.path(), "demo", "1.0").unwrap();
        let pending = first.create("demo.iso").unwrap();
        let error = OutputDir::prepare(base.path(), "demo", "1.0").unwrap_err();
        assert!(matches!(error, Error::Busy { .. }), "{error}");
        assert_eq!(names(first.path()).len(), 1);
        drop(pending);
    }

    #[test]
    fn what_a_killed_build_left_is_removed() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("demo-1.0");
        fs_err::create_dir(&dir).unwrap();
        fs_err::write(dir.join(".isoforge-AbCdEf.partial"), b"half").unwrap();
        fs_err::create_dir(dir.join(".isoforge-export.partial")).unwrap();
        fs_err::write(dir.join("notes.txt"), b"mine").unwrap();
        let out = OutputDir::prepare(base.path(), "demo", "1.0").unwrap();
        assert_eq!(names(out.path()), ["notes.txt"]);
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let base = tempfile::tempdir().unwrap();
        for (name, version) in [("../x", "1"), ("a/b", "1"), (".hidden", "1"), ("a", "1\n")] {
            let error = OutputDir::prepare(base.path(), name, version).unwrap_err();
            assert!(matches!(error, Error::BadName { .. }), "{error}");
        }
        let mut out = OutputDir::prepare(base.path(), "demo", "1").unwrap();
        assert!(matches!(out.create("a/b"), Err(Error::BadName { .. })));
        out.put("a", b"").unwrap();
        assert!(matches!(
            out.put("a", b""),
            Err(Error::DuplicateName { .. })
        ));
    }
}
