//! Merging a layer's entries into the tree of the layers below.
//!
//! OCI Image Specification v1.1, "Applying Changesets". Where it is silent, the
//! container runtimes decide (containerd, Docker), so that an image gives the
//! same tree here and there:
//! - Whiteouts and opaque marks act on lower layers only, wherever in the
//!   archive they stand; they are all applied first.
//! - Symbolic links in an entry's *parent* path are followed inside the root,
//!   absolute targets too; missing parents become directories.
//! - The last name is not followed. A directory over a directory takes the new
//!   metadata and keeps the entries; anything else is replaced, also a symbolic
//!   link to a directory by a directory.
//! - A hard link leads to the inode at its target as it is at that moment;
//!   the link's own metadata says nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::{Entry, EntryKind};
use crate::Error;
use isoforge_base::error::{Class, Failure};
use isoforge_base::limit::{self, Budget};
use isoforge_base::tree::{self, FileData, Inode, Kind, LayerId, Tree, display};

/// Merges `entries` of `layer` into `tree`, which holds the layers below.
///
/// # Errors
/// Where an entry's parent is no directory or leads through a loop of symbolic
/// links, or a hard link's target is missing. The tree is of no use then.
pub fn apply(tree: &mut Tree, layer: LayerId, entries: &[Entry]) -> Result<(), Error> {
    apply_within(tree, layer, entries, limit::LAYER_RESOLVE_STEPS)
}

/// [`apply`], which looks at `steps` components at most to resolve paths.
pub(super) fn apply_within(
    tree: &mut Tree,
    layer: LayerId,
    entries: &[Entry],
    steps: u64,
) -> Result<(), Error> {
    let mut merger = Merger {
        tree,
        layer,
        steps: Budget::new(steps),
        parent: None,
    };
    merger.remove_whiteouts(entries)?;
    for entry in entries {
        merger.add(entry)?;
    }
    Ok(())
}

struct Merger<'t> {
    tree: &'t mut Tree,
    layer: LayerId,
    /// Components that may still be looked at: links of links cost much and are written
    /// with few bytes.
    steps: Budget,
    /// The parent of the entry before as its path has it, and as it is: archives list a
    /// directory's entries one behind the other.
    parent: Option<(Vec<u8>, Vec<u8>)>,
}

fn merge_error(entry: &Entry) -> impl FnOnce(tree::Error) -> Error + '_ {
    move |source| Error::Tree {
        class: Class::Verification,
        problem: format!("entry '{}': {source}", display(&entry.path)),
        source,
    }
}

impl Merger<'_> {
    fn remove_whiteouts(&mut self, entries: &[Entry]) -> Result<(), Error> {
        let is_whiteout = |e: &&Entry| matches!(e.kind, EntryKind::Whiteout | EntryKind::Opaque);
        if !entries.iter().any(|e| is_whiteout(&e)) {
            return Ok(());
        }
        let directories: BTreeSet<&[u8]> = entries
            .iter()
            .filter(|e| e.kind == EntryKind::Directory)
            .map(|e| e.path.as_slice())
            .collect();
        // All are looked up before any acts, so that their order does not matter.
        let mut doomed = Vec::new();
        for entry in entries.iter().filter(is_whiteout) {
            let parent = match entry.kind {
                EntryKind::Opaque => entry.path.as_slice(),
                _ => tree::split(&entry.path).map_or(&[][..], |(parent, _)| parent),
            };
            // Where this layer replaces a symbolic link on the way by a directory,
            // lower layers have nothing at this path.
            if replaced_link(self.tree, parent, &directories) {
                continue;
            }
            let real = self.resolve(parent, entry)?;
            doomed.push((entry, real));
        }
        for (entry, real) in doomed {
            match (&entry.kind, tree::split(&entry.path)) {
                (EntryKind::Opaque, _) => self.tree.clear(&real),
                (_, Some((_, name))) => {
                    self.tree.remove(&tree::join(&real, name));
                }
                (_, None) => {}
            }
        }
        Ok(())
    }

    fn add(&mut self, entry: &Entry) -> Result<(), Error> {
        let kind = match &entry.kind {
            EntryKind::Whiteout | EntryKind::Opaque => return Ok(()),
            EntryKind::Hardlink(target) => return self.add_link(entry, target),
            EntryKind::Directory => Kind::Directory(BTreeMap::new()),
            EntryKind::File { file, size } => Kind::File(FileData::Layer {
                layer: self.layer,
                file: *file,
                size: *size,
            }),
            EntryKind::Symlink(target) => Kind::Symlink(target.clone()),
            EntryKind::CharDevice(device) => Kind::CharDevice(*device),
            EntryKind::BlockDevice(device) => Kind::BlockDevice(*device),
            EntryKind::Fifo => Kind::Fifo,
        };
        let path = self.real_path(&entry.path, entry)?;
        self.forget_if_moved(&path, &kind);
        let inode = Inode {
            meta: entry.meta.clone(),
            kind,
        };
        let inserted = self.tree.insert(&path, inode);
        inserted.map_err(merge_error(entry))?;
        Ok(())
    }

    fn add_link(&mut self, entry: &Entry, target: &[u8]) -> Result<(), Error> {
        let path = self.real_path(&entry.path, entry)?;
        let real_target = self.real_path(target, entry)?;
        // What the target is may be a symbolic link.
        self.parent = None;
        match self.tree.link(&path, &real_target) {
            Ok(_) => Ok(()),
            Err(tree::Error::NotFound { .. }) => {
                let (entry, target) = (display(&entry.path), display(target));
                let problem =
                    format!("hard link '{entry}' leads to '{target}', which does not exist");
                Err(Failure::new(Class::Verification, problem).into())
            }
            Err(source) => Err(merge_error(entry)(source)),
        }
    }

    /// Forgets the parent where something at `path` changes where paths lead to: a
    /// symbolic link that comes or goes, a directory that goes.
    fn forget_if_moved(&mut self, path: &[u8], new: &Kind) {
        let old = self.tree.get(path).map(|id| &self.tree.inode(id).kind);
        let moves = match (old, new) {
            (_, Kind::Symlink(_)) | (Some(Kind::Symlink(_)), _) => true,
            (Some(Kind::Directory(_)), Kind::Directory(_)) => false,
            (Some(Kind::Directory(_)), _) => true,
            _ => false,
        };
        if moves {
            self.parent = None;
        }
    }

    /// `path` with the symbolic links in its parent followed.
    fn real_path(&mut self, path: &[u8], entry: &Entry) -> Result<Vec<u8>, Error> {
        let Some((parent, name)) = tree::split(path) else {
            return Ok(Vec::new());
        };
        if let Some((written, real)) = &self.parent
            && written == parent
        {
            return Ok(tree::join(real, name));
        }
        let real = self.resolve(parent, entry)?;
        let path = tree::join(&real, name);
        self.parent = Some((parent.to_vec(), real));
        Ok(path)
    }

    fn resolve(&mut self, path: &[u8], entry: &Entry) -> Result<Vec<u8>, Error> {
        let resolved = self.tree.resolve_counted(path);
        let (real, steps) = resolved.map_err(merge_error(entry))?;
        self.steps.take(steps).map_err(|limit| {
            let path = display(&entry.path);
            let problem = format!(
                "up to the entry '{path}' the paths of the layer lead through more than {limit} \
                 directories, those of symbolic links counted"
            );
            Error::from(Failure::new(Class::Verification, problem))
        })?;
        Ok(real)
    }
}

/// Whether one of `directories` takes the place of a symbolic link on the way to `path`.
fn replaced_link(tree: &Tree, path: &[u8], directories: &BTreeSet<&[u8]>) -> bool {
    let (mut at, mut end) = (tree.root(), 0);
    for name in path.split(|&byte| byte == b'/') {
        let Some(&child) = tree.children(at).and_then(|children| children.get(name)) else {
            return false;
        };
        end += name.len();
        if matches!(tree.inode(child).kind, Kind::Symlink(_)) {
            // Nothing is below a link.
            let link = path.get(..end).unwrap_or_default();
            return directories.contains(link);
        }
        end += 1;
        at = child;
    }
    false
}
