//! isoforge turns one infrastructure profile into a bootable installer ISO and
//! a provider image. The modules stand in the order of the flow;
//! `ARCHITECTURE.md` tells how they hang together.

pub mod boot;
pub mod cli;
pub mod content;
pub mod error;
pub mod formats;
pub mod inspect;
pub mod installer_iso;
pub mod lock;
pub mod node;
pub mod oci;
pub mod output;
pub mod pipeline;
pub mod profile;
pub mod progress;
pub mod provider;
pub mod pull;
pub mod push;
pub mod registry;
pub mod render;
pub mod rootfs;
pub mod sources;
pub mod store;
pub mod tree;
pub mod util;
