//! A layer of the store, from its blob to entries.

use crate::Error;
use isoforge_base::error::{Class, Diagnose as _};
use isoforge_base::progress::Task;
use isoforge_formats::tar::Limits;
use isoforge_oci::layer::Layer;
use isoforge_oci::pull::diff_id::Checking;
use isoforge_oci::store::Store;

use super::{Entry, FileSink, decompress, read_tar};

/// Reads a layer to its end: its entries come back, its files' data goes to `sink`. All
/// bytes are hashed, and nothing that was made of them may be used where this fails.
/// `name` is what errors call it; `task` advances by what is read of the blob.
///
/// # Errors
/// Where the layer is damaged, unsafe, too large or not what its image says; what `sink`
/// gives; of the store.
pub fn read_layer(
    store: &Store,
    layer: &Layer,
    name: &str,
    limits: &Limits,
    task: &Task,
    sink: &mut dyn FileSink,
) -> Result<Vec<Entry>, Error> {
    let in_layer = |error: Error| error.in_layer(name);
    let blob = task.reader(store.open_blob(&layer.digest)?);
    let tar = decompress(blob, layer.compression, limits).map_err(in_layer)?;
    let mut tar = Checking::new(store, layer, name, tar)?;
    match read_tar(&mut tar, limits, sink) {
        Ok(entries) => {
            tar.finish()?;
            Ok(entries)
        }
        // What rotted in the store seldom decompresses.
        Err(error) if error.class() == Class::Verification => Err(tar.or_damaged(in_layer(error))),
        Err(error) => Err(in_layer(error)),
    }
}
