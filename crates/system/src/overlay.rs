//! Files that a project lays over the root file system or the ISO.
//!
//! An overlay is a directory (`overlays/base`) and, beside it, an optional
//! manifest of the same name (`overlays/base.toml`, see `manifest` and
//! `docs/overlays.md`). It is the only place where files of the host enter a
//! tree, so nothing else of the host may come along: owners are root, modes
//! 0644 or 0755 (the executable bit is kept), the time is the build's, whatever
//! the host's user, umask and clock. Files ending in `.tera` are templates; who
//! loads an overlay says how they are filled in ([`Render`]).
//! Symbolic links are taken as they are and never followed; devices, pipes and
//! sockets are refused.
//!
//! As a layer (`OverlayLayer::to_tar`) it leaves out directories that are
//! only on the way to something (see [`write_over`](crate::tar_out::write_over)),
//! and links and directories that are there already, which keep their times.

mod digest;
mod load;
mod manifest;
mod source;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

pub use digest::digest;
pub use load::{Render, load};
pub use source::{EmbeddedFile, Source, below};

use crate::Error;
use crate::filter::Patterns;
use crate::tar_out::{self, Over};
use isoforge_base::error::Context as _;
use isoforge_base::tree::{self, FileData, Inode, Kind, LayerId, Meta, ReadFile, Tree, display};
use isoforge_oci::layer::Layer;
use isoforge_oci::store::Store;

/// The layer number of data that is still on the host's disk; only the
/// [`OverlayLayer`] itself can open it.
const HOST_DATA: LayerId = LayerId(u32::MAX);

/// An overlay, ready to become a layer or part of the ISO.
#[derive(Debug, Clone, Default)]
pub struct OverlayLayer {
    /// What it adds. Its files are opened through this value's [`ReadFile`].
    pub tree: Tree,
    /// What it removes from below.
    deletes: Patterns,
    /// Directories that the manifest speaks of, to be written even where they
    /// are like any other.
    keep: BTreeSet<Vec<u8>>,
    /// Files on the host's disk, by their number in the tree.
    host_files: Vec<PathBuf>,
    /// Whether there may be secrets in it, which the store keeps for its owner alone.
    pub is_private: bool,
}

impl OverlayLayer {
    /// Adds a file of the owner root.
    ///
    /// # Errors
    /// Where the path can't be one, or leads through a file.
    pub fn add_file(&mut self, path: &str, mode: u16, bytes: Arc<[u8]>) -> Result<(), Error> {
        self.add(path, mode, Kind::File(FileData::Inline(bytes)))
    }

    /// Adds a symbolic link of the owner root.
    ///
    /// # Errors
    /// As [`add_file`](Self::add_file).
    pub(crate) fn add_link(&mut self, path: &str, target: &str) -> Result<(), Error> {
        self.add(path, 0o777, Kind::Symlink(target.as_bytes().to_vec()))
    }

    /// Adds a directory of the owner root and mode 0755, to be written even
    /// where it is like any other.
    ///
    /// # Errors
    /// As [`add_file`](Self::add_file).
    pub(crate) fn add_directory(&mut self, path: &str) -> Result<(), Error> {
        if self.tree.get(path.as_bytes()).is_none() {
            self.add(path, 0o755, Kind::Directory(BTreeMap::new()))?;
        }
        self.keep.insert(path.as_bytes().to_vec());
        Ok(())
    }

    fn add(&mut self, path: &str, mode: u16, kind: Kind) -> Result<(), Error> {
        let meta = Meta::with_mode(mode);
        self.tree
            .insert(path.as_bytes(), Inode { meta, kind })
            .map(drop)
            .map_err(|source| Error::overlay_tree(path, source))
    }

    /// Gives everything in it the time `mtime` (seconds since 1970).
    pub fn set_mtime(&mut self, mtime: i64) {
        let walk: Vec<_> = self.tree.walk().map(|(_, id)| id).collect();
        for id in walk {
            self.tree.meta_mut(id).mtime = mtime;
        }
    }

    /// What of `below` the overlay removes: each path that matches and stands
    /// below no other that does, except those it replaces by a file.
    #[must_use]
    pub(crate) fn whiteouts(&self, below: &Tree) -> BTreeSet<Vec<u8>> {
        let mut found: BTreeSet<Vec<u8>> = BTreeSet::new();
        if self.deletes.is_empty() {
            return found;
        }
        let mut last: Option<Vec<u8>> = None;
        for (path, _) in below.walk().skip(1) {
            let is_inside = last.as_ref().is_some_and(|dir| {
                path.strip_prefix(dir.as_slice())
                    .is_some_and(|rest| rest.starts_with(b"/"))
            });
            if is_inside || !self.deletes.matches(&path) {
                continue;
            }
            let replaced = self
                .tree
                .get(&path)
                .is_some_and(|id| self.tree.children(id).is_none());
            if !replaced {
                found.insert(path.clone());
            }
            last = Some(path);
        }
        found
    }

    /// Its links and directories that `below` has too, but for their times. Files are
    /// not compared: those of `below` would have to be read.
    fn same_as(&self, below: &Tree, whiteouts: &BTreeSet<Vec<u8>>) -> BTreeSet<Vec<u8>> {
        let is_same = |path: &[u8], id| {
            let there = below.get(path).map(|there| below.inode(there));
            there.is_some_and(|there| says_the_same(self.tree.inode(id), there))
                && !is_removed(path, whiteouts)
        };
        let walk = self.tree.walk();
        walk.filter(|(path, id)| is_same(path, *id))
            .map(|(path, _)| path)
            .collect()
    }

    /// The texts in it that are no files of the host: what was rendered, and what
    /// was added. With their paths, for people.
    pub fn texts(&self) -> impl Iterator<Item = (String, String)> {
        self.tree.walk().filter_map(|(path, id)| {
            let Kind::File(FileData::Inline(bytes)) = &self.tree.inode(id).kind else {
                return None;
            };
            Some((display(&path), String::from_utf8_lossy(bytes).into_owned()))
        })
    }

    /// Writes the overlay as a layer's tar stream; `below` is the tree that it
    /// is laid over, in which the manifest's `delete` patterns are looked up.
    ///
    /// # Errors
    /// What reading its files, or writing, gives.
    pub(crate) fn to_tar(&self, below: &Tree, out: impl Write) -> Result<(), Error> {
        let whiteouts = self.whiteouts(below);
        let over = Over {
            same: self.same_as(below, &whiteouts),
            keep: Cow::Borrowed(&self.keep),
            whiteouts,
        };
        tar_out::write_over(&self.tree, &over, self, out)
    }

    /// Writes it over `below` into the store, as a layer of its own; messages call
    /// it `name`.
    ///
    /// # Errors
    /// Where its files can't be read, or the store can't keep them.
    pub fn store(&self, store: &Store, below: &Tree, name: &str) -> Result<Layer, Error> {
        Layer::write(store, |blob| {
            blob.set_private(self.is_private);
            self.to_tar(below, blob)
                .with_context(|| format!("writing {name} as a layer"))?;
            Ok(())
        })
    }
}

impl ReadFile for OverlayLayer {
    fn open<'a>(&'a self, data: &FileData) -> io::Result<Box<dyn Read + 'a>> {
        match data {
            FileData::Inline(bytes) => Ok(Box::new(io::Cursor::new(bytes.clone()))),
            FileData::Layer {
                layer: HOST_DATA,
                file,
                ..
            } => {
                let path = usize::try_from(*file)
                    .ok()
                    .and_then(|at| self.host_files.get(at))
                    .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
                Ok(Box::new(load::open_no_follow(path)?))
            }
            FileData::Layer { layer, .. } => Err(io::Error::other(format!(
                "layer {} is not part of this overlay",
                layer.0
            ))),
        }
    }
}

/// Whether both are links, or both directories, and differ in their times at most. A
/// link's mode means nothing.
fn says_the_same(one: &Inode, other: &Inode) -> bool {
    let mode = match (&one.kind, &other.kind) {
        (Kind::Symlink(target), Kind::Symlink(there)) if target == there => one.meta.mode,
        (Kind::Directory(_), Kind::Directory(_)) => other.meta.mode,
        _ => return false,
    };
    let mtime = one.meta.mtime;
    let there = Meta {
        mode,
        mtime,
        ..other.meta.clone()
    };
    one.meta == there
}

/// Whether a whiteout removes the path, or something on the way to it.
fn is_removed(path: &[u8], whiteouts: &BTreeSet<Vec<u8>>) -> bool {
    std::iter::successors(Some(path), |path| Some(tree::split(path)?.0))
        .any(|path| whiteouts.contains(path))
}

/// A file of the overlay can't be read.
fn read_error(overlay: &str, path: &[u8], source: io::Error) -> Error {
    let path = display(path);
    Error::io(format!("overlay '{overlay}': can't read '{path}'"))(source)
}

/// Whether an inode of the tree is a regular file.
fn is_file(tree: &Tree, path: &[u8]) -> bool {
    tree.get(path)
        .is_some_and(|id| matches!(tree.inode(id).kind, Kind::File(_)))
}

#[cfg(test)]
mod tests;
