//! Debian packages as a layer of their own: parts a bootstrapped root file
//! system, which has everything, into what some packages brought and the rest.
//!
//! Which files are a package's is what dpkg recorded when it installed them
//! (`/var/lib/dpkg/info/<package>.list`, dpkg(1)). A path that another package
//! has too stays in the lower layer, and so does what no package has: what
//! maintainer scripts made, dpkg's own database. So the two layers, laid one
//! over the other, are the tree that was parted, and the lower one alone lacks
//! nothing that its own packages brought.
//!
//! Not parted: packages that were installed only because one of the named ones
//! depends on them; they may be anyone's.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Context as _, Failure, Result};
use isoforge_base::progress::Progress;
use isoforge_base::tree::{self, FileData, Inode, InodeId, Kind, LayerId, ReadFile, Tree};
use isoforge_formats::tar::Limits;
use isoforge_oci::layer::Layer;
use isoforge_oci::store::Store;
use isoforge_system::layer::{Entry, FileSink, apply, read_layer};
use isoforge_system::spool::{FileId, NoData, Spool, SpoolWriter};
use isoforge_system::tar_out::{self, Over};

/// Kind of the store's facts on parted layers.
const FACT: &str = "package-layers";

/// Counts up when equal input no longer gives equal bytes.
const VERSION: u32 = 1;

const NOT_WRITTEN: &str = "a part of the system can't be written";
const NOT_PUT_ASIDE: &str = "the packages' files can't be put aside";

const INFO: &[u8] = b"var/lib/dpkg/info";
const LIST_SUFFIX: &[u8] = b".list";

/// Largest list of a package's files that is read, in bytes.
const MAX_LIST_BYTES: u64 = 64 << 20;

/// A root file system in two layers.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Parted {
    /// The system without what only the packages have.
    pub system: Layer,
    /// What only the packages have; none where that is nothing.
    pub packages: Option<Layer>,
}

/// What [`part`] gave for the same layer before, where the store still has it.
///
/// # Errors
/// The store's.
pub(crate) fn known(store: &Store, layer: &Layer, names: &[String]) -> Result<Option<Parted>> {
    if names.is_empty() {
        return Ok(Some(Parted {
            system: layer.clone(),
            packages: None,
        }));
    }
    let there = |parted: &Parted| {
        let mut layers = std::iter::once(&parted.system).chain(&parted.packages);
        layers.all(|layer| store.has_blob(&layer.digest))
    };
    let known = store.fact::<Parted>(FACT, &key(layer, names)?)?;
    Ok(known.filter(there))
}

fn key(layer: &Layer, names: &[String]) -> Result<String> {
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let key = serde_json::to_vec(&(VERSION, layer.diff_id, &names))?;
    Ok(Digest::of(&key).hex())
}

/// Parts what the packages `names` brought from the rest of `layer`, a whole
/// root file system. Names that dpkg has not installed there part nothing.
///
/// # Errors
/// The layer is damaged, unsafe or too large; the store.
pub(crate) fn part(
    store: &Store,
    layer: &Layer,
    names: &[String],
    limits: &Limits,
    progress: &Progress,
) -> Result<Parted> {
    if let Some(known) = known(store, layer, names)? {
        return Ok(known);
    }
    let key = key(layer, names)?;
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let (tree, spool) = read(store, layer, limits, progress)?;
    let moved = moved_paths(&tree, &spool, &names)?;
    let parted = if moved.is_empty() {
        Parted {
            system: layer.clone(),
            packages: None,
        }
    } else {
        let upper = upper(&tree, &moved).map_err(|error| {
            let message = "the packages' files can't be parted from the system's";
            Failure::caused(Class::Bug, message, error)
        })?;
        let mut lower = tree;
        for path in moved.iter().rev() {
            lower.remove(path);
        }
        // The packages' own directories keep their metadata; others are the lower
        // layer's.
        let over = Over {
            keep: Cow::Borrowed(&moved),
            ..Over::default()
        };
        Parted {
            system: Layer::write(store, |out| {
                tar_out::write_tar(&lower, &spool, out).context(NOT_WRITTEN)
            })?,
            packages: Some(Layer::write(store, |out| {
                tar_out::write_over(&upper, &over, &spool, out).context(NOT_WRITTEN)
            })?),
        }
    };
    store.put_fact(FACT, &key, &parted)?;
    Ok(parted)
}

/// The layer's tree, and the data of all its files.
fn read(
    store: &Store,
    layer: &Layer,
    limits: &Limits,
    progress: &Progress,
) -> Result<(Tree, Spool)> {
    let name = layer.digest.to_string();
    let read = |label: &str, sink: &mut dyn FileSink| -> Result<Vec<Entry>> {
        let task = progress.task(label, Some(layer.size));
        Ok(read_layer(store, layer, &name, limits, &task, sink)?)
    };
    let id = LayerId(0);
    let entries = read("read the system's packages", &mut NoData)?;
    let mut tree = Tree::new();
    apply(&mut tree, id, &entries).map_err(|error| error.in_layer(name.as_str()))?;
    drop(entries);
    let wanted: BTreeSet<FileId> = tree
        .walk()
        .filter_map(|(_, id)| match &tree.inode(id).kind {
            Kind::File(FileData::Layer { layer, file, .. }) => Some((*layer, *file)),
            _ => None,
        })
        .collect();
    let file = tempfile::tempfile_in(store.temp_dir()).context(NOT_PUT_ASIDE)?;
    let mut spool = SpoolWriter::new(file);
    read(
        "part packages from the system",
        &mut spool.layer(id, &wanted),
    )?;
    Ok((tree, spool.finish().context(NOT_PUT_ASIDE)?))
}

/// The paths that go to the upper layer, each directory of them with all that
/// is in it.
fn moved_paths(
    tree: &Tree,
    data: &dyn ReadFile,
    names: &BTreeSet<&str>,
) -> Result<BTreeSet<Vec<u8>>> {
    let (mut own, mut others) = (BTreeSet::new(), BTreeSet::new());
    let lists = tree.lookup(INFO).and_then(|id| tree.children(id));
    for (name, &id) in lists.into_iter().flatten() {
        let Some(package) = name.strip_suffix(LIST_SUFFIX) else {
            continue;
        };
        let Kind::File(list) = &tree.inode(id).kind else {
            continue;
        };
        // `name:architecture` where several may be installed.
        let package = package
            .split(|&byte| byte == b':')
            .next()
            .unwrap_or(package);
        let named = names.iter().any(|name| name.as_bytes() == package);
        let paths = if named { &mut own } else { &mut others };
        let mut text = Vec::new();
        data.open(list)
            .and_then(|list| list.take(MAX_LIST_BYTES).read_to_end(&mut text))
            .context(NOT_PUT_ASIDE)?;
        for line in text.split(|&byte| byte == b'\n') {
            if let Some(path) = real_path(tree, line) {
                paths.insert(path);
            }
        }
    }
    let mut moved: BTreeSet<Vec<u8>> = BTreeSet::new();
    let links = names_by_inode(tree);
    let mut walk: Vec<(Vec<u8>, InodeId)> = tree.walk().skip(1).collect();
    // Children come before their directories.
    walk.reverse();
    for (path, id) in walk {
        if !own.contains(&path) || others.contains(&path) {
            continue;
        }
        let complete = match tree.children(id) {
            Some(children) => children
                .keys()
                .all(|name| moved.contains(&tree::join(&path, name))),
            None => links.get(&id).is_none_or(|names| {
                names
                    .iter()
                    .all(|name| own.contains(name) && !others.contains(name))
            }),
        };
        if complete {
            moved.insert(path);
        }
    }
    Ok(moved)
}

/// A path as dpkg lists it, with the symbolic links in its parent followed; the
/// root and what is no path give none.
fn real_path(tree: &Tree, listed: &[u8]) -> Option<Vec<u8>> {
    let path = tree::normalize(listed).ok()?;
    let (parent, name) = tree::split(&path)?;
    Some(tree::join(&tree.resolve(parent).ok()?, name))
}

/// All names of each file that has several.
fn names_by_inode(tree: &Tree) -> BTreeMap<InodeId, Vec<Vec<u8>>> {
    let mut names: BTreeMap<InodeId, Vec<Vec<u8>>> = BTreeMap::new();
    for (path, id) in tree.walk() {
        if tree.children(id).is_none() {
            names.entry(id).or_default().push(path);
        }
    }
    names.retain(|_, names| names.len() > 1);
    names
}

fn upper(tree: &Tree, moved: &BTreeSet<Vec<u8>>) -> Result<Tree, tree::Error> {
    let mut upper = Tree::new();
    let mut first_names: BTreeMap<InodeId, &[u8]> = BTreeMap::new();
    for path in moved {
        let Some(id) = tree.get(path) else {
            continue;
        };
        if let Some(first) = first_names.get(&id) {
            upper.link(path, first)?;
            continue;
        }
        let inode = tree.inode(id);
        let kind = match &inode.kind {
            Kind::Directory(_) => Kind::Directory(BTreeMap::new()),
            other => {
                first_names.insert(id, path);
                other.clone()
            }
        };
        upper.insert(
            path,
            Inode {
                meta: inode.meta.clone(),
                kind,
            },
        )?;
    }
    Ok(upper)
}

#[cfg(test)]
mod tests;
