//! Taking some paths out of layers: where only binaries are wanted of an image
//! or an archive.
//!
//! The layers are merged into a tree without their data; what the filter keeps
//! of it is then read from the layers, put aside in one temporary file, and
//! written as a new, plain, deterministic layer. The result is remembered under
//! the layers' diffIDs and the patterns.
//!
//! Patterns are globs over paths without a leading slash: `*` and `?` stay
//! within a component, `**` goes over several. A pattern that matches a
//! directory stands for all below it. Directories on the way to a kept path
//! that are not kept themselves are written as nothing but parents, so that
//! they leave those of the system alone.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::spool::{FileId, NoData, Spool, SpoolWriter};
use crate::error::{Class, Diagnose};
use crate::oci::digest::Digest;
use crate::oci::layer::{Layer, LayerCompression};
use crate::progress::Progress;
use crate::rootfs::layer::{InLayer, Limits, apply, decompress, read_tar};
use crate::rootfs::tar_out;
use crate::store::{self, Store};
use crate::tree::{self, FileData, Inode, InodeId, Kind, LayerId, Tree};

/// Kind of the store's facts on filtered layers.
const FACT: &str = "filtered-layer";

/// Counts up when equal input no longer gives equal bytes.
const VERSION: u32 = 1;

/// Why paths can't be taken out of layers.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A pattern is no glob.
    #[error("'{pattern}' is no pattern of paths: {problem}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A pattern of `include` matches no path.
    #[error("'{pattern}' matches no path in {from}")]
    NoMatch {
        /// The pattern.
        pattern: String,
        /// What the layers are of.
        from: String,
    },
    /// A layer is damaged, unsafe or too large.
    #[error(transparent)]
    Layer(#[from] InLayer),
    /// The kept tree can't be put together.
    #[error("the filtered tree can't be made")]
    Tree(#[from] tree::Error),
    /// The new layer can't be written.
    #[error("the filtered layer can't be written")]
    Write(#[from] tar_out::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Reading or writing failed.
    #[error("the filtered files can't be put aside")]
    Io(#[from] io::Error),
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Pattern { .. } | Self::NoMatch { .. } => Class::Profile,
            Self::Layer(error) => error.class(),
            Self::Tree(_) => Class::Bug,
            Self::Write(error) => error.class(),
            Self::Store(error) => error.class(),
            Self::Io(_) => Class::Io,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoMatch { .. } => Some(
                "patterns are over real paths without a leading slash, as in 'usr/bin/kubelet' or 'opt/cni/**'"
                    .into(),
            ),
            Self::Layer(error) => error.hint(),
            Self::Write(error) => error.hint(),
            Self::Store(error) => error.hint(),
            _ => None,
        }
    }
}

/// Which paths are kept.
#[derive(Debug, Clone)]
pub struct Filter {
    include: Vec<String>,
    exclude: Vec<String>,
    included: GlobSet,
    excluded: GlobSet,
}

impl Filter {
    /// Keeps what `include` matches, everything where it is empty, without what
    /// `exclude` matches.
    ///
    /// # Errors
    /// [`Error::Pattern`].
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, Error> {
        Ok(Self {
            include: include.to_vec(),
            exclude: exclude.to_vec(),
            included: glob_set(include)?,
            excluded: glob_set(exclude)?,
        })
    }

    /// Whether nothing is left out.
    #[must_use]
    pub fn keeps_everything(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    fn key(&self, layers: &[Layer]) -> Result<String, Error> {
        let diff_ids: Vec<Digest> = layers.iter().map(|layer| layer.diff_id).collect();
        let text = serde_json::to_vec(&(VERSION, diff_ids, &self.include, &self.exclude))
            .map_err(io::Error::from)?;
        Ok(Digest::of(&text).hex())
    }

    /// The kept part of `tree`.
    fn apply(&self, tree: &Tree, from: &str) -> Result<Tree, Error> {
        let mut kept = Tree::new();
        let mut links: BTreeMap<InodeId, Vec<u8>> = BTreeMap::new();
        // Directories that are not left out, and whether an include pattern
        // holds for all below.
        let mut open: BTreeMap<Vec<u8>, bool> = BTreeMap::new();
        let mut matched = BTreeSet::new();
        for (path, id) in tree.walk() {
            let Some((parent, _)) = tree::split(&path) else {
                open.insert(Vec::new(), self.include.is_empty());
                continue;
            };
            let Some(&parent_included) = open.get(parent) else {
                continue;
            };
            let as_path = Path::new(OsStr::from_bytes(&path));
            if self.excluded.is_match(as_path) {
                continue;
            }
            let matches = self.included.matches(as_path);
            let included = parent_included || !matches.is_empty();
            matched.extend(matches);
            if tree.children(id).is_some() {
                open.insert(path.clone(), included);
            }
            if included {
                keep(tree, &mut kept, &mut links, &path, id)?;
            }
        }
        match (0..self.include.len()).find(|at| !matched.contains(at)) {
            Some(at) => Err(Error::NoMatch {
                pattern: self.include.get(at).cloned().unwrap_or_default(),
                from: from.to_owned(),
            }),
            None => Ok(kept),
        }
    }
}

fn glob_set(patterns: &[String]) -> Result<GlobSet, Error> {
    let error = |pattern: &str, error: &globset::Error| Error::Pattern {
        pattern: pattern.to_owned(),
        problem: error.kind().to_string(),
    };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern.trim_start_matches('/').trim_end_matches('/'))
            .literal_separator(true)
            .backslash_escape(true)
            .build()
            .map_err(|e| error(pattern, &e))?;
        set.add(glob);
    }
    set.build().map_err(|e| error(&patterns.join(" "), &e))
}

fn keep(
    tree: &Tree,
    kept: &mut Tree,
    links: &mut BTreeMap<InodeId, Vec<u8>>,
    path: &[u8],
    id: InodeId,
) -> Result<(), Error> {
    let inode = tree.inode(id);
    if let Some(first) = links.get(&id) {
        kept.link(path, first)?;
        return Ok(());
    }
    let kind = match &inode.kind {
        Kind::Directory(_) => Kind::Directory(BTreeMap::new()),
        other => {
            links.insert(id, path.to_vec());
            other.clone()
        }
    };
    kept.insert(
        path,
        Inode {
            meta: inode.meta.clone(),
            kind,
        },
    )?;
    Ok(())
}

/// The kept part of what `layers`, lowest first, make together, as one plain
/// layer in the store. `from` names them in errors.
///
/// # Errors
/// [`Error`].
pub fn filter(
    store: &Store,
    layers: &[Layer],
    filter: &Filter,
    from: &str,
    limits: &Limits,
    progress: &Progress,
) -> Result<Layer, Error> {
    let key = filter.key(layers)?;
    if let Some(known) = store.fact::<Layer>(FACT, &key)?
        && store.has_blob(&known.digest)
    {
        return Ok(known);
    }
    let kept = filter.apply(&merge(store, layers, limits, progress)?, from)?;
    let spool = put_aside(store, layers, &kept, limits, progress)?;
    let mut blob = store.blob_writer()?;
    tar_out::write_over(&kept, &BTreeSet::new(), &BTreeSet::new(), &spool, &mut blob)?;
    let (digest, size) = blob.commit(None)?;
    let layer = Layer {
        digest,
        size,
        compression: LayerCompression::Plain,
        diff_id: digest,
    };
    store.put_fact(FACT, &key, &layer)?;
    Ok(layer)
}

fn layer_id(at: usize) -> LayerId {
    LayerId(u32::try_from(at).unwrap_or(u32::MAX))
}

fn merge(
    store: &Store,
    layers: &[Layer],
    limits: &Limits,
    progress: &Progress,
) -> Result<Tree, Error> {
    let mut tree = Tree::new();
    for (at, layer) in layers.iter().enumerate() {
        let in_layer = |e: crate::rootfs::layer::Error| e.in_layer(layer.digest.to_string());
        let label = format!("read layer {}", layer.digest.short());
        let task = progress.task(&label, Some(layer.size));
        let blob = task.reader(store.open_blob(&layer.digest)?);
        let tar = decompress(blob, layer.compression, limits).map_err(in_layer)?;
        let entries = read_tar(tar, limits, &mut NoData).map_err(in_layer)?;
        apply(&mut tree, layer_id(at), &entries).map_err(in_layer)?;
    }
    Ok(tree)
}

/// Copies the data of all files in `kept` out of the layers.
fn put_aside(
    store: &Store,
    layers: &[Layer],
    kept: &Tree,
    limits: &Limits,
    progress: &Progress,
) -> Result<Spool, Error> {
    let wanted: BTreeSet<FileId> = kept
        .walk()
        .filter_map(|(_, id)| match &kept.inode(id).kind {
            Kind::File(FileData::Layer { layer, file, .. }) => Some((*layer, *file)),
            _ => None,
        })
        .collect();
    let mut spool = SpoolWriter::new(tempfile::tempfile_in(store.temp_dir())?);
    for (at, layer) in layers.iter().enumerate() {
        let id = layer_id(at);
        if wanted.range((id, 0)..=(id, u32::MAX)).next().is_none() {
            continue;
        }
        let in_layer = |e: crate::rootfs::layer::Error| e.in_layer(layer.digest.to_string());
        let label = format!("take files out of layer {}", layer.digest.short());
        let task = progress.task(&label, Some(layer.size));
        let blob = task.reader(store.open_blob(&layer.digest)?);
        let tar = decompress(blob, layer.compression, limits).map_err(in_layer)?;
        read_tar(tar, limits, &mut spool.layer(id, &wanted)).map_err(in_layer)?;
    }
    Ok(spool.finish()?)
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
