//! Taking some paths out of layers: where only binaries are wanted of an image
//! or an archive.
//!
//! The layers are merged into a tree without their data; what the filter keeps
//! of it is then read from the layers, put aside in one temporary file, and
//! written as a new, plain, deterministic layer. The result is remembered under
//! the layers' diffIDs and the patterns; so these are checked before anything made
//! of the layers is used.
//!
//! The patterns and what they keep are those of [`crate::filter`]; here
//! each pattern to include must match something.

use std::collections::BTreeSet;
use std::io;

use super::spool::{FileId, NoData, Spool, SpoolWriter};
use crate::Error;
use crate::filter::{self, Patterns};
use crate::layer::{apply, bounds, read_layer};
use crate::tar_out::{self, Over};
use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Context as _};
use isoforge_base::progress::Progress;
use isoforge_base::tree::{FileData, Kind, LayerId, Tree};
use isoforge_formats::tar::Limits;
use isoforge_oci::layer::Layer;
use isoforge_oci::pull::diff_id;
use isoforge_oci::store::Store;

/// Kind of the store's facts on filtered layers.
const FACT: &str = "filtered-layer";

/// Counts up when equal input no longer gives equal bytes.
const VERSION: u32 = 1;

/// What is said where files can't be written or read on the way.
const PUT_ASIDE: &str = "the filtered files can't be put aside";

/// Which paths are kept.
#[derive(Debug, Clone)]
pub struct Filter {
    include: Vec<String>,
    exclude: Vec<String>,
    included: Patterns,
    excluded: Patterns,
}

impl Filter {
    /// Keeps what `include` matches, everything where it is empty, without what
    /// `exclude` matches.
    ///
    /// # Errors
    /// For a pattern that is malformed.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, Error> {
        Ok(Self {
            include: include.to_vec(),
            exclude: exclude.to_vec(),
            included: Patterns::new(include)?,
            excluded: Patterns::new(exclude)?,
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
            .map_err(io::Error::from)
            .map_err(Error::io(PUT_ASIDE))?;
        Ok(Digest::of(&text).hex())
    }

    /// The kept part of `tree`.
    fn apply(&self, tree: &Tree, from: &str) -> Result<Tree, Error> {
        for pattern in &self.include {
            let alone = Patterns::new(&[pattern])?;
            if !tree.walk().any(|(path, _)| alone.matches(&path)) {
                return Err(Error::NoMatch {
                    pattern: pattern.clone(),
                    from: from.to_owned(),
                });
            }
        }
        filter::filter(tree, &self.included, &self.excluded).map_err(|source| Error::Tree {
            class: Class::Bug,
            problem: "the filtered tree can't be made".to_owned(),
            source,
        })
    }
}

/// What [`filter_layers`] gave for the same layers before, where the store still
/// has it. The layers' diffIDs are taken as claimed: this is for saying what a build
/// would do.
///
/// # Errors
/// [`Error::Oci`].
pub fn known(store: &Store, layers: &[Layer], filter: &Filter) -> Result<Option<Layer>, Error> {
    let known = store.fact::<Layer>(FACT, &filter.key(layers)?)?;
    Ok(known.filter(|known| store.has_blob(&known.digest)))
}

/// The kept part of what `layers`, lowest first, make together, as one plain
/// layer in the store. `from` names them in errors.
///
/// # Errors
/// [`Error`].
pub fn filter_layers(
    store: &Store,
    layers: &[Layer],
    filter: &Filter,
    from: &str,
    limits: &Limits,
    progress: &Progress,
) -> Result<Layer, Error> {
    if let Some(known) = known(store, layers, filter)? {
        for layer in layers {
            diff_id::check(store, layer, from, bounds(limits), progress)?;
        }
        return Ok(known);
    }
    let key = filter.key(layers)?;
    let kept = filter.apply(&merge(store, layers, from, limits, progress)?, from)?;
    let spool = put_aside(store, layers, &kept, from, limits, progress)?;
    let layer = Layer::write(store, |blob| -> Result<(), Error> {
        blob.set_private(layers.iter().any(|from| store.is_private(&from.digest)));
        tar_out::write_over(&kept, &Over::default(), &spool, blob)
            .context("the filtered layer can't be written")?;
        Ok(())
    })?;
    store.put_fact(FACT, &key, &layer)?;
    Ok(layer)
}

fn layer_id(at: usize) -> LayerId {
    LayerId(u32::try_from(at).unwrap_or(u32::MAX))
}

/// The layers' merged tree, their diffIDs checked; their data is read past. `from`
/// names them in errors.
///
/// # Errors
/// Where a layer is damaged, unsafe or not what its image says; of the store.
pub fn merge(
    store: &Store,
    layers: &[Layer],
    from: &str,
    limits: &Limits,
    progress: &Progress,
) -> Result<Tree, Error> {
    let mut tree = Tree::new();
    for (at, layer) in layers.iter().enumerate() {
        let label = format!("read layer {}", layer.digest.short());
        let task = progress.task(&label, Some(layer.size));
        let entries = read_layer(store, layer, from, limits, &task, &mut NoData)?;
        apply(&mut tree, layer_id(at), &entries)
            .map_err(|error| error.in_layer(layer.digest.to_string()))?;
    }
    Ok(tree)
}

/// Copies the data of all files in `kept` out of the layers.
fn put_aside(
    store: &Store,
    layers: &[Layer],
    kept: &Tree,
    from: &str,
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
    let mut spool =
        SpoolWriter::new(tempfile::tempfile_in(store.temp_dir()).map_err(Error::io(PUT_ASIDE))?);
    for (at, layer) in layers.iter().enumerate() {
        let id = layer_id(at);
        if wanted.range((id, 0)..=(id, u32::MAX)).next().is_none() {
            continue;
        }
        let label = format!("take files out of layer {}", layer.digest.short());
        let task = progress.task(&label, Some(layer.size));
        let mut sink = spool.layer(id, &wanted);
        read_layer(store, layer, from, limits, &task, &mut sink)?;
    }
    spool.finish().map_err(Error::io(PUT_ASIDE))
}

#[cfg(test)]
mod tests;
