//! On-disk formats. Each module writes and, where isoforge must look at what
//! others made, reads one format; none of them knows what isoforge builds.

pub mod fat;
pub mod gpt;
pub mod iso9660;
pub mod squashfs;
