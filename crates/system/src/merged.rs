//! Layers merged to one system: the tree, its data in slabs, and what is in it.

use isoforge_base::tree::Tree;
use isoforge_contract::manifest::{self, Component};
use isoforge_oci::layer::Layer;

use crate::Error;
use crate::layer::apply;
use crate::slab::SlabSet;
use crate::slab_maker::SlabMaker;
use isoforge_base::error::{Class, Failure};

/// A layer of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltLayer {
    /// The layer in the store; plain ones are compressed.
    pub layer: Layer,
    /// What it is, for the image's history: `kubernetes`, `overlay`, ….
    pub purpose: String,
}

/// A merged system.
#[derive(Debug, Default)]
pub struct System {
    /// All layers, lowest first, with what they are.
    pub layers: Vec<BuiltLayer>,
    /// Their slabs, in the same order.
    pub slabs: SlabSet,
    /// All layers merged.
    pub tree: Tree,
    /// What is in it, with versions.
    pub components: Vec<Component>,
    /// The overlays among the layers.
    pub overlays: Vec<manifest::File>,
}

impl System {
    /// Lays one layer over the system.
    ///
    /// # Errors
    /// Of the layer, or of the store.
    pub fn add(
        &mut self,
        layer: &Layer,
        purpose: &str,
        maker: &SlabMaker<'_>,
    ) -> Result<(), Error> {
        let slab = maker.get(layer, purpose)?;
        let id = self.slabs.push(slab).ok_or_else(|| {
            let problem = "the system has more layers than can be numbered";
            Failure::new(Class::Bug, problem)
        })?;
        let entries = self.slabs.get(id).map(|slab| slab.entries());
        apply(&mut self.tree, id, entries.unwrap_or_default())
            .map_err(|error| error.in_layer(format!("{purpose} ({})", layer.digest.short())))?;
        self.layers.push(BuiltLayer {
            layer: layer.clone(),
            purpose: purpose.to_owned(),
        });
        Ok(())
    }
}
