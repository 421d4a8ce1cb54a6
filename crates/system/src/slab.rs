//! A slab is one layer, compressed once: its entries and its packed file data
//! in one file that is kept and copied from by every build.
//!
//! The file, all integers little-endian:
//!
//! | part    | bytes                                                          |
//! |---------|----------------------------------------------------------------|
//! | header  | magic (8), format version (u32), zero (u32)                    |
//! | data    | the stored bytes of the packed data                            |
//! | index   | settings, entries and index of the packed data, as postcard    |
//! | trailer | length of the index (u64), checksum (32), magic (8)            |
//!
//! The checksum is the BLAKE3 hash of header, index and its length. The index
//! holds the hash of each stored block and their summed length, so a slab that
//! is cut off or whose index is damaged fails to open, and a damaged block is
//! noticed when it is read. Either way the slab is simply made anew: it depends
//! on nothing but the layer and the settings.

mod check;
mod container;
mod set;

#[cfg(test)]
mod tests;

pub use check::diff_id;
pub use container::{MakeAgain, Slab, build, is_of_this_version, key};
pub use set::SlabSet;
