//! On-disk formats. Each module writes and, where isoforge must look at what
//! others made, reads one format; none of them knows what isoforge builds.
//! On-disk formats, each written and read here: pure byte layouts that know
//! nothing of registries, stores or profiles.

pub mod elf;
pub mod fat;
pub mod gpt;
pub mod iso9660;
pub mod squashfs;
pub mod zstd_seekable;
