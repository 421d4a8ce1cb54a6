//! Where an overlay's files are: on disk, or compiled in.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

/// A file that is compiled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbeddedFile {
    /// Path in a project, with slashes.
    pub path: &'static str,
    /// Its content.
    pub bytes: &'static [u8],
    /// Whether it may be executed.
    pub executable: bool,
}

/// An overlay's files and its manifest.
#[derive(Debug, Clone)]
pub enum Source {
    /// A directory on disk; the manifest is the file beside it whose name ends
    /// with `.toml`, if there is one.
    Disk(PathBuf),
    /// Compiled in.
    Embedded {
        /// By their paths in the overlay.
        files: BTreeMap<&'static str, &'static EmbeddedFile>,
        /// The manifest's text; empty where there is none.
        manifest: Vec<u8>,
    },
}

impl Source {
    /// The overlay `dir` that `files` make, with the manifest `dir.toml` among
    /// them.
    #[must_use]
    pub fn embedded(files: &'static [EmbeddedFile], dir: &str) -> Self {
        let manifest = format!("{dir}.toml");
        let manifest = files.iter().find(|file| file.path == manifest);
        Self::Embedded {
            manifest: manifest.map_or_else(Vec::new, |file| file.bytes.to_vec()),
            files: below(files, dir),
        }
    }

    /// The manifest's text; empty where there is none.
    pub(super) fn manifest(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::Disk(root) => {
                let mut path = root.clone().into_os_string();
                path.push(".toml");
                match fs_err::read(PathBuf::from(path)) {
                    Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
                    read => read,
                }
            }
            Self::Embedded { manifest, .. } => Ok(manifest.clone()),
        }
    }
}

/// The files below `dir`, by their paths in it.
#[must_use]
pub fn below(
    files: &'static [EmbeddedFile],
    dir: &str,
) -> BTreeMap<&'static str, &'static EmbeddedFile> {
    files
        .iter()
        .filter_map(|file| {
            let name = file.path.strip_prefix(dir)?.strip_prefix('/')?;
            Some((name, file))
        })
        .collect()
}
