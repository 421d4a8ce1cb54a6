//! On-disk formats, each written and read here: pure byte layouts that know
//! nothing of registries, stores or profiles.

pub mod fat;
pub mod gpt;
pub mod iso9660;
pub mod squashfs;
