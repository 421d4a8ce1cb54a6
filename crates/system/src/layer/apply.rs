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
use isoforge_base::tree::{self, FileData, Inode, Kind, LayerId, Tree, display};

/// Merges `entries` of `layer` into `tree`, which holds the layers below.
///
/// # Errors
/// Where an entry's parent is no directory or leads through a loop of symbolic
/// links, or a hard link's target is missing. The tree is of no use then.
pub fn apply(tree: &mut Tree, layer: LayerId, entries: &[Entry]) -> Result<(), Error> {
    remove_whiteouts(tree, entries)?;
    for entry in entries {
        add(tree, layer, entry)?;
    }
    Ok(())
}

fn merge_error(entry: &Entry) -> impl FnOnce(tree::Error) -> Error + '_ {
    move |source| Error::Tree {
        class: Class::Verification,
        problem: format!("entry '{}': {source}", display(&entry.path)),
        source,
    }
}

fn remove_whiteouts(tree: &mut Tree, entries: &[Entry]) -> Result<(), Error> {
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
        if replaced_link(tree, parent, &directories) {
            continue;
        }
        let real = tree.resolve(parent).map_err(merge_error(entry))?;
        doomed.push((entry, real));
    }
    for (entry, real) in doomed {
        match (&entry.kind, tree::split(&entry.path)) {
            (EntryKind::Opaque, _) => tree.clear(&real),
            (_, Some((_, name))) => {
                tree.remove(&tree::join(&real, name));
            }
            (_, None) => {}
        }
    }
    Ok(())
}

fn replaced_link(tree: &Tree, path: &[u8], directories: &BTreeSet<&[u8]>) -> bool {
    let mut prefix = Some(path).filter(|p| !p.is_empty());
    while let Some(at) = prefix {
        let is_link = tree
            .get(at)
            .is_some_and(|id| matches!(tree.inode(id).kind, Kind::Symlink(_)));
        if is_link && directories.contains(at) {
            return true;
        }
        prefix = tree::split(at)
            .map(|(parent, _)| parent)
            .filter(|p| !p.is_empty());
    }
    false
}

fn add(tree: &mut Tree, layer: LayerId, entry: &Entry) -> Result<(), Error> {
    let kind = match &entry.kind {
        EntryKind::Whiteout | EntryKind::Opaque => return Ok(()),
        EntryKind::Hardlink(target) => return add_link(tree, entry, target),
        EntryKind::Directory => Kind::Directory(BTreeMap::new()),
        EntryKind::File { file, size } => Kind::File(FileData::Layer {
            layer,
            file: *file,
            size: *size,
        }),
        EntryKind::Symlink(target) => Kind::Symlink(target.clone()),
        EntryKind::CharDevice(device) => Kind::CharDevice(*device),
        EntryKind::BlockDevice(device) => Kind::BlockDevice(*device),
        EntryKind::Fifo => Kind::Fifo,
    };
    let path = real_path(tree, &entry.path).map_err(merge_error(entry))?;
    let inode = Inode {
        meta: entry.meta.clone(),
        kind,
    };
    tree.insert(&path, inode).map_err(merge_error(entry))?;
    Ok(())
}

fn add_link(tree: &mut Tree, entry: &Entry, target: &[u8]) -> Result<(), Error> {
    let path = real_path(tree, &entry.path).map_err(merge_error(entry))?;
    let real_target = real_path(tree, target).map_err(merge_error(entry))?;
    match tree.link(&path, &real_target) {
        Ok(_) => Ok(()),
        Err(tree::Error::NotFound { .. }) => {
            let (entry, target) = (display(&entry.path), display(target));
            let problem = format!("hard link '{entry}' leads to '{target}', which does not exist");
            Err(Failure::new(Class::Verification, problem).into())
        }
        Err(source) => Err(merge_error(entry)(source)),
    }
}

/// `path` with the symbolic links in its parent followed.
fn real_path(tree: &Tree, path: &[u8]) -> Result<Vec<u8>, tree::Error> {
    match tree::split(path) {
        None => Ok(Vec::new()),
        Some((parent, name)) => Ok(tree::join(&tree.resolve(parent)?, name)),
    }
}
