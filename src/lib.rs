//! isoforge turns one infrastructure profile into a bootable installer ISO and
//! a provider image. The modules stand in the order of the flow;
//! `ARCHITECTURE.md` tells how they hang together.

pub mod error;
pub mod progress;
pub mod tree;
pub mod util;
pub mod oci;
pub mod formats;
pub mod store;
pub mod registry;
pub mod pull;
pub mod profile;
pub mod render;
pub mod rootfs;
pub mod boot;
pub mod output;
pub mod provider;
pub mod sources;
pub mod installer_iso;
pub mod inspect;
pub mod pipeline;
pub mod cli;
