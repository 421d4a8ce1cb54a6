//! Where templates and overlays come from: the project's directory, else the
//! defaults that are compiled in.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::defaults::{EmbeddedFile, embedded_files};
use super::error::Error;

/// Where templates lie that others may include.
const INCLUDE_DIR: &str = "templates/include";

/// A project's directory: the one that holds the profile. A file of its own
/// wins over the default of the same path.
#[derive(Debug, Clone)]
pub struct Project {
    root: PathBuf,
}

impl Project {
    /// The project at `root`.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Its directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file's bytes. `path` is relative to the project or absolute.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Read`].
    pub fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        match fs_err::read(self.root.join(path)) {
            Ok(bytes) => Ok(bytes),
            Err(e) if e.kind() == io::ErrorKind::NotFound => default_file(path)
                .map(|file| file.bytes.to_vec())
                .ok_or_else(|| self.missing(path)),
            Err(source) => Err(Error::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// A text file's content.
    ///
    /// # Errors
    /// [`Error::NotUtf8`] and those of [`read`](Self::read).
    pub fn read_text(&self, path: &str) -> Result<String, Error> {
        String::from_utf8(self.read(path)?).map_err(|e| Error::NotUtf8 {
            path: path.to_owned(),
            offset: e.utf8_error().valid_up_to(),
        })
    }

    /// Whether `path` is one of the defaults because the project has nothing
    /// there.
    #[must_use]
    pub fn is_built_in(&self, path: &str) -> bool {
        !self.root.join(path).exists()
    }

    /// Paths of the templates that others may include, sorted.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn includes(&self) -> Result<Vec<String>, Error> {
        let mut paths = self.list(INCLUDE_DIR)?;
        paths.retain(|path| path.ends_with(super::TEMPLATE_SUFFIX));
        Ok(paths)
    }

    /// The project's directory `dir` on disk, where it has one; otherwise the
    /// defaults below it. Either is used alone, they are not mixed.
    ///
    /// # Errors
    /// [`Error::Missing`] where neither exists, [`Error::Read`].
    pub(crate) fn directory(&self, dir: &str) -> Result<Directory, Error> {
        let path = self.root.join(dir);
        match fs_err::metadata(&path) {
            Ok(meta) if meta.is_dir() => return Ok(Directory::Disk(path)),
            Ok(_) => {
                return Err(Error::Read {
                    path: dir.to_owned(),
                    source: io::Error::from(io::ErrorKind::NotADirectory),
                });
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(Error::Read {
                    path: dir.to_owned(),
                    source,
                });
            }
        }
        let files = defaults_below(dir);
        if files.is_empty() {
            return Err(self.missing(dir));
        }
        Ok(Directory::Defaults(files))
    }

    /// Paths of the files below `dir`, the project's and the defaults, sorted;
    /// none where `dir` does not exist.
    fn list(&self, dir: &str) -> Result<Vec<String>, Error> {
        let mut paths: Vec<String> = defaults_below(dir)
            .keys()
            .map(|name| format!("{dir}/{name}"))
            .collect();
        for entry in walkdir::WalkDir::new(self.root.join(dir)).sort_by_file_name() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(e) if e.io_error().map(io::Error::kind) == Some(io::ErrorKind::NotFound) => {
                    continue;
                }
                Err(e) => {
                    return Err(Error::Read {
                        path: dir.to_owned(),
                        source: e.into(),
                    });
                }
            };
            if entry.file_type().is_dir() {
                continue;
            }
            if let Some(path) = entry
                .path()
                .strip_prefix(&self.root)
                .ok()
                .and_then(Path::to_str)
            {
                paths.push(path.to_owned());
            }
        }
        paths.sort();
        paths.dedup();
        Ok(paths)
    }

    fn missing(&self, path: &str) -> Error {
        Error::Missing {
            path: path.to_owned(),
            project: self.root.display().to_string(),
        }
    }
}

/// A directory of a project.
#[derive(Debug)]
pub(crate) enum Directory {
    /// On disk.
    Disk(PathBuf),
    /// Compiled in: paths relative to it.
    Defaults(BTreeMap<&'static str, &'static EmbeddedFile>),
}

/// `./a//b/` and `a/b` name the same default.
fn relative(path: &str) -> Option<String> {
    let names: Option<Vec<&str>> = Path::new(path)
        .components()
        .filter(|c| !matches!(c, Component::CurDir))
        .map(|c| match c {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    Some(names?.join("/"))
}

fn default_file(path: &str) -> Option<&'static EmbeddedFile> {
    let path = relative(path)?;
    embedded_files().iter().find(|file| file.path == path)
}

fn defaults_below(dir: &str) -> BTreeMap<&'static str, &'static EmbeddedFile> {
    let Some(dir) = relative(dir) else {
        return BTreeMap::new();
    };
    embedded_files()
        .iter()
        .filter_map(|file| {
            let name = file.path.strip_prefix(&dir)?.strip_prefix('/')?;
            Some((name, file))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use isoforge_base::error::{Class, Diagnose};

    const CLOUD_CONFIG: &str = "templates/cloud-config.yaml.tera";

    #[test]
    fn the_projects_file_wins_over_the_default() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::new(dir.path());
        let default = project.read_text(&format!("./{CLOUD_CONFIG}")).unwrap();
        assert!(default.starts_with("#cloud-config"));
        fs_err::create_dir(dir.path().join("templates")).unwrap();
        fs_err::write(dir.path().join(CLOUD_CONFIG), "mine").unwrap();
        assert_eq!(project.read_text(CLOUD_CONFIG).unwrap(), "mine");
    }

    #[test]
    fn a_missing_file_is_named_with_the_project() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::new(dir.path());
        for error in [
            project.read("templates/nope.tera").unwrap_err(),
            project.directory("overlays/nope").map(|_| ()).unwrap_err(),
        ] {
            assert_eq!(error.class(), Class::Profile);
            assert!(error.to_string().contains("nope"), "{error}");
            assert!(
                error.to_string().contains(dir.path().to_str().unwrap()),
                "{error}"
            );
            assert!(error.hint().unwrap().contains("isoforge init"));
        }
    }

    #[test]
    fn text_that_is_no_utf8_is_an_error_with_the_byte() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("x"), b"ab\xff").unwrap();
        let error = Project::new(dir.path()).read_text("x").unwrap_err();
        assert_eq!(error.to_string(), "'x' is not UTF-8 text (first at byte 2)");
    }
}
