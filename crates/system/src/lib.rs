//! From layers to a system: layers read and merged into one tree, their data in
//! slabs, boot files found, the kernel's command line and menus.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests look whether a file is there"
    )
)]

pub mod appliance_layer;
pub mod boot;
pub mod core_images;
pub mod disk_plan;
pub mod entry;
mod error;
pub mod filter;
pub mod filtered;
pub mod hardening;
pub mod installer_iso;
pub mod kairos_lock;
pub mod layer;
pub mod merged;
pub mod overlay;
pub mod provider;
pub mod registry_layer;
pub mod replay;
pub mod slab;
pub mod slab_maker;
pub mod slots;
pub mod spool;
pub mod tar_out;

pub use error::Error;
