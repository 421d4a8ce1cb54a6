//! On-disk formats, each written and read here: pure byte layouts that know
//! nothing of registries, stores or profiles.

pub mod squashfs;
