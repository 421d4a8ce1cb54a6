//! On-disk formats: each module writes one and, where isoforge must look at what
//! others made, reads it. They know nothing of registries, stores or profiles.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests look whether a file is there"
    )
)]

mod error;

pub mod cpio;
pub mod elf;
pub mod fat;
pub mod gpt;
pub mod iso9660;
pub mod squashfs;
pub mod tar;
pub mod zstd_seekable;

pub use error::Error;
