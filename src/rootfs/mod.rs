//! From layers to one file tree: reading layers, merging them, overlays, and
//! slabs of compressed data.

pub mod entry;
pub mod filter;
pub mod layer;
pub mod overlay;
pub mod slab;
pub mod tar_out;
