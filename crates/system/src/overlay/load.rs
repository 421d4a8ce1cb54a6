//! From a directory on disk, or the defaults, to an overlay.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::OFlags;

use super::manifest::{self, Manifest, wrong_value};
use super::source::{EmbeddedFile, Source};
use super::{HOST_DATA, OverlayLayer, is_file};
use crate::Error;
use crate::error::unfit;
use crate::filter::Patterns;
use isoforge_base::error::Failure;
use isoforge_base::tree::{FileData, Inode, Kind, Meta, Tree, display, normalize};

const FILE_MODE: u16 = 0o644;
const EXECUTABLE_MODE: u16 = 0o755;
const DIRECTORY_MODE: u16 = 0o755;
const LINK_MODE: u16 = 0o777;

/// Ending of files that are templates.
pub(super) const TEMPLATE_SUFFIX: &str = ".tera";

/// Fills in a template: what messages call it, and its text.
pub type Render<'a> = &'a dyn Fn(&str, &str) -> Result<String, Failure>;

/// Loads an overlay, which messages call `name`, with its manifest. `mtime`
/// (seconds since 1970) becomes the time of everything in it.
///
/// # Errors
/// See [`Error`].
pub fn load(
    source: &Source,
    name: &str,
    render: Render<'_>,
    mtime: i64,
) -> Result<OverlayLayer, Error> {
    let name = name.trim_end_matches('/');
    let mut tree = Tree::new();
    let root = tree.root();
    tree.meta_mut(root).mtime = mtime;
    let mut loader = Loader {
        name,
        render,
        mtime,
        tree,
        host_files: Vec::new(),
    };
    match source {
        Source::Disk(root) => loader.disk(root)?,
        Source::Embedded { files, .. } => loader.embedded(files)?,
    }
    let manifest_path = format!("{name}.toml");
    let manifest = source.manifest().and_then(|bytes| {
        String::from_utf8(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
    });
    let manifest = manifest.map_err(|e| loader.read_error(manifest_path.as_bytes(), e))?;
    let manifest = manifest::parse(&manifest_path, &manifest)?;
    loader.finish(&manifest_path, &manifest)
}

/// Opens a file that must not have become a symbolic link since it was listed.
pub(super) fn open_no_follow(path: &Path) -> io::Result<fs_err::File> {
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    fs_err::OpenOptions::new()
        .read(true)
        .custom_flags(no_follow)
        .open(path)
}

struct Loader<'a> {
    name: &'a str,
    render: Render<'a>,
    mtime: i64,
    tree: Tree,
    host_files: Vec<PathBuf>,
}

impl Loader<'_> {
    fn disk(&mut self, root: &Path) -> Result<(), Error> {
        let walk = walkdir::WalkDir::new(root).min_depth(1).sort_by_file_name();
        for entry in walk {
            let entry = entry.map_err(|e| {
                let path = e.path().map(|p| p.as_os_str().as_bytes().to_vec());
                self.read_error(&path.unwrap_or_default(), e.into())
            })?;
            let on_disk = entry.path();
            let relative = on_disk.strip_prefix(root).unwrap_or(on_disk);
            let path = relative.as_os_str().as_bytes();
            let kind = entry.file_type();
            if kind.is_dir() {
                self.put(path, DIRECTORY_MODE, Kind::Directory(BTreeMap::new()))?;
            } else if kind.is_symlink() {
                let target = fs_err::read_link(on_disk).map_err(|e| self.read_error(path, e))?;
                let target = target.as_os_str().as_bytes().to_vec();
                self.put(path, LINK_MODE, Kind::Symlink(target))?;
            } else if kind.is_file() {
                self.host_file(path, on_disk)?;
            } else {
                return Err(self.refused(path, special_kind(kind)));
            }
        }
        Ok(())
    }

    fn host_file(&mut self, path: &[u8], on_disk: &Path) -> Result<(), Error> {
        let meta = fs_err::symlink_metadata(on_disk).map_err(|e| self.read_error(path, e))?;
        let executable = meta.permissions().mode() & 0o100 != 0;
        if let Some(target) = path.strip_suffix(TEMPLATE_SUFFIX.as_bytes()) {
            let bytes = open_no_follow(on_disk)
                .and_then(|mut file| {
                    let mut bytes = Vec::new();
                    io::Read::read_to_end(&mut file, &mut bytes).map(|_| bytes)
                })
                .map_err(|e| self.read_error(path, e))?;
            return self.template(path, target, &bytes, executable);
        }
        let file = u32::try_from(self.host_files.len()).map_err(|_| {
            let max = u32::MAX;
            unfit(format!("overlay '{}' has more than {max} files", self.name))
        })?;
        self.host_files.push(on_disk.to_owned());
        let data = FileData::Layer {
            layer: HOST_DATA,
            file,
            size: meta.len(),
        };
        self.put(path, file_mode(executable), Kind::File(data))
    }

    fn embedded(&mut self, files: &BTreeMap<&str, &EmbeddedFile>) -> Result<(), Error> {
        for (path, file) in files {
            let path = path.as_bytes();
            if let Some(target) = path.strip_suffix(TEMPLATE_SUFFIX.as_bytes()) {
                self.template(path, target, file.bytes, file.executable)?;
                continue;
            }
            let data = FileData::Inline(Arc::from(file.bytes));
            self.put(path, file_mode(file.executable), Kind::File(data))?;
        }
        Ok(())
    }

    fn template(
        &mut self,
        path: &[u8],
        target: &[u8],
        bytes: &[u8],
        executable: bool,
    ) -> Result<(), Error> {
        let name = format!("{}/{}", self.name, display(path));
        let text = std::str::from_utf8(bytes).map_err(|e| {
            let offset = e.valid_up_to();
            unfit(format!(
                "'{name}' is not UTF-8 text (first at byte {offset})"
            ))
        })?;
        let rendered = (self.render)(&name, text)?;
        let data = FileData::Inline(Arc::from(rendered.into_bytes()));
        self.put(target, file_mode(executable), Kind::File(data))
    }

    /// Puts something of the directory into the tree; names are unique there,
    /// but for a file and the template of the same file.
    fn put(&mut self, path: &[u8], mode: u16, kind: Kind) -> Result<(), Error> {
        if is_file(&self.tree, path) {
            let (overlay, path) = (self.name, display(path));
            let problem =
                format!("overlay '{overlay}': '{path}' comes both as it is and from '{path}.tera'");
            return Err(unfit(problem).into());
        }
        let meta = Meta {
            mtime: self.mtime,
            ..Meta::with_mode(mode)
        };
        self.insert(path, Inode { meta, kind })
    }

    fn insert(&mut self, path: &[u8], inode: Inode) -> Result<(), Error> {
        self.tree
            .insert(path, inode)
            .map(|_| ())
            .map_err(|source| self.tree_error(source))
    }

    fn finish(mut self, manifest_path: &str, manifest: &Manifest) -> Result<OverlayLayer, Error> {
        let mut keep = BTreeSet::new();
        self.directories(manifest_path, manifest, &mut keep)?;
        self.links(manifest_path, manifest)?;
        self.attributes(manifest_path, manifest, &mut keep)?;
        // Parents that only the manifest implies have the build's time too.
        let walk: Vec<_> = self.tree.walk().map(|(_, id)| id).collect();
        for id in walk {
            self.tree.meta_mut(id).mtime = self.mtime;
        }
        Ok(OverlayLayer {
            tree: self.tree,
            deletes: patterns(manifest_path, &manifest.delete)?,
            keep,
            host_files: self.host_files,
            is_private: false,
        })
    }

    fn directories(
        &mut self,
        manifest_path: &str,
        manifest: &Manifest,
        keep: &mut BTreeSet<Vec<u8>>,
    ) -> Result<(), Error> {
        for directory in &manifest.directories {
            let path = self.normal(&directory.path)?;
            if self
                .tree
                .get(&path)
                .is_some_and(|id| self.tree.children(id).is_none())
            {
                return Err(conflict(manifest_path, &directory.path));
            }
            let mut meta = Meta::with_mode(DIRECTORY_MODE);
            if let Some(text) = &directory.mode {
                meta.mode = manifest::mode(manifest_path, text)?;
            }
            if let Some(text) = &directory.owner {
                (meta.uid, meta.gid) = manifest::owner(manifest_path, text)?;
            }
            let kind = Kind::Directory(BTreeMap::new());
            self.insert(&path, Inode { meta, kind })?;
            keep.insert(path);
        }
        Ok(())
    }

    fn links(&mut self, manifest_path: &str, manifest: &Manifest) -> Result<(), Error> {
        for link in &manifest.links {
            let path = self.normal(&link.path)?;
            if self.tree.get(&path).is_some() {
                return Err(conflict(manifest_path, &link.path));
            }
            if link.target.is_empty() || link.target.contains('\0') {
                return Err(wrong_value(manifest_path, "target", &link.target, "a path"));
            }
            let inode = Inode {
                meta: Meta::with_mode(LINK_MODE),
                kind: Kind::Symlink(link.target.as_bytes().to_vec()),
            };
            self.insert(&path, inode)?;
        }
        Ok(())
    }

    fn attributes(
        &mut self,
        manifest_path: &str,
        manifest: &Manifest,
        keep: &mut BTreeSet<Vec<u8>>,
    ) -> Result<(), Error> {
        for rule in &manifest.attributes {
            let owner = rule
                .owner
                .as_deref()
                .map(|t| manifest::owner(manifest_path, t));
            let owner = owner.transpose()?;
            let mode = rule
                .mode
                .as_deref()
                .map(|t| manifest::mode(manifest_path, t));
            let mode = mode.transpose()?;
            let mut xattrs = BTreeMap::new();
            for (name, value) in &rule.xattrs {
                let value = manifest::xattr(manifest_path, value)?;
                xattrs.insert(name.as_bytes().to_vec(), value);
            }
            for pattern in &rule.paths {
                for path in self.matching(manifest_path, pattern)? {
                    let Some(id) = self.tree.get(&path) else {
                        continue;
                    };
                    let is_link = matches!(self.tree.inode(id).kind, Kind::Symlink(_));
                    if self.tree.children(id).is_some() {
                        keep.insert(path);
                    }
                    let meta = self.tree.meta_mut(id);
                    (meta.uid, meta.gid) = owner.unwrap_or((meta.uid, meta.gid));
                    // A symbolic link's mode means nothing.
                    meta.mode = mode.filter(|_| !is_link).unwrap_or(meta.mode);
                    meta.xattrs.extend(xattrs.clone());
                }
            }
        }
        Ok(())
    }

    fn matching(&self, manifest_path: &str, pattern: &str) -> Result<Vec<Vec<u8>>, Error> {
        let set = patterns(manifest_path, std::slice::from_ref(&pattern))?;
        let found: Vec<Vec<u8>> = self
            .tree
            .walk()
            .map(|(path, _)| path)
            .filter(|path| set.matches(path))
            .collect();
        if found.is_empty() {
            let problem = format!("{manifest_path}: '{pattern}' matches nothing in the overlay");
            let hint = "attributes are set on what the overlay itself has, not on the layers below";
            return Err(unfit(problem).with_hint(hint).into());
        }
        Ok(found)
    }

    fn normal(&self, path: &str) -> Result<Vec<u8>, Error> {
        normalize(path.as_bytes()).map_err(|source| self.tree_error(source))
    }

    fn tree_error(&self, source: isoforge_base::tree::Error) -> Error {
        Error::overlay_tree(self.name, source)
    }

    fn refused(&self, path: &[u8], kind: &str) -> Error {
        let problem = format!("overlay '{}': '{}' is {kind}", self.name, display(path));
        let hint = "an overlay holds files, directories and symbolic links only";
        unfit(problem).with_hint(hint).into()
    }

    fn read_error(&self, path: &[u8], source: io::Error) -> Error {
        super::read_error(self.name, path, source)
    }
}

fn file_mode(executable: bool) -> u16 {
    if executable {
        EXECUTABLE_MODE
    } else {
        FILE_MODE
    }
}

fn special_kind(kind: std::fs::FileType) -> &'static str {
    if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

fn patterns<S: AsRef<str>>(manifest: &str, patterns: &[S]) -> Result<Patterns, Error> {
    Patterns::new(patterns).map_err(|error| {
        let problem = format!("{manifest}: {error}");
        Failure::from(error).context(problem).into()
    })
}

fn conflict(manifest: &str, path: &str) -> Error {
    unfit(format!("{manifest}: '{path}' is in the overlay already")).into()
}
