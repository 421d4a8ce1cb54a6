//! Content on the machine: images, packs and charts, and the registry's storage
//! that they lie in.
//!
//! | module | what it does |
//! |---|---|
//! | `source` | what content comes from, such as a bundle |
//! | `names` | where a reference lies in the registry |
//! | `storage` | the storage of Zot: a layout for each repository |
//! | `distribution` | the storage of distribution |
//! | `files` | reading their folders |
//! | `images` | what both are read through |
//! | `plan` | what of a source goes where, known before anything is written |
//! | `fill` | the blobs, each copied and verified once |
//! | `pump` | a blob's bytes, hashed on their way |
//! | `commit` | the repositories' indexes, once all blobs are there |
//! | `zot` | these three together |
//! | `index` | what of a repository is listed |
//! | `inspect` | what the storage holds |
//! | `verify` | whether it is sound |
//! | `collect` | removing what nothing names |
//! | `export` | content out of the storage |
//! | `imported` | which bundles were imported |
//! | `push` | filling a registry over HTTP |
//! | `pending` | what the installer left for a registry that is filled so |
//! | `upstreams` | from which hosts it has something |
//! | `locate` | where a bundle is on what a person names |
//!
//! Invariants:
//! - What a repository's index names is there and whole: indexes are written last.
//! - A blob has its name only once all its bytes were hashed and are on the disk.
//!   So an import that was cut off goes on where it was.
//! - An import that fails leaves the repositories as they were.

pub mod collect;
pub mod commit;
pub mod distribution;
mod error;
pub mod export;
mod files;
mod fill;
pub mod images;
pub mod imported;
pub mod index;
pub mod inspect;
pub mod into_registry;
pub mod locate;
pub mod names;
pub mod pending;
pub mod plan;
mod pump;
pub mod push;
pub mod source;
pub mod storage;
pub mod upstreams;
pub mod verify;
pub mod zot;

pub use error::{BadRecord, BadSource};
