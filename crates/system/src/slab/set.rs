//! The slabs of one build.

use std::io::{self, Read};

use super::Slab;
use isoforge_base::tree::{FileData, LayerId, ReadFile};
use isoforge_formats::squashfs::pack::{PackedData, PackedLayers};

/// The slabs of a build's layers, in the order of its list of layers.
#[derive(Debug, Default)]
pub struct SlabSet {
    slabs: Vec<Slab>,
}

impl SlabSet {
    /// The slabs of layer 0, 1, 2, ….
    #[must_use]
    pub fn new(slabs: Vec<Slab>) -> Self {
        Self { slabs }
    }

    /// Adds the slab of the next layer up and gives the layer's number; none
    /// where the numbers are used up.
    pub fn push(&mut self, slab: Slab) -> Option<LayerId> {
        let layer = u32::try_from(self.slabs.len()).ok().map(LayerId)?;
        self.slabs.push(slab);
        Some(layer)
    }

    /// The slab of a layer.
    #[must_use]
    pub fn get(&self, layer: LayerId) -> Option<&Slab> {
        self.slabs.get(layer.0 as usize)
    }

    /// All slabs with their layers, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = (LayerId, &Slab)> {
        (0..).map(LayerId).zip(&self.slabs)
    }
}

impl PackedLayers for SlabSet {
    fn layer(&self, layer: LayerId) -> Option<&dyn PackedData> {
        self.get(layer).map(|slab| slab as &dyn PackedData)
    }
}

impl ReadFile for SlabSet {
    fn open<'a>(&'a self, data: &FileData) -> io::Result<Box<dyn Read + 'a>> {
        match data {
            FileData::Inline(bytes) => Ok(Box::new(io::Cursor::new(bytes.clone()))),
            FileData::Layer { layer, file, .. } => {
                let slab = self.get(*layer).ok_or_else(|| {
                    io::Error::new(
                        io::ErrorKind::NotFound,
                        format!("there is no layer {}", layer.0),
                    )
                })?;
                Ok(Box::new(slab.read_file(*file)?))
            }
        }
    }
}
