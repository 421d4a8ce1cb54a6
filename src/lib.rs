//! isoforge turns one infrastructure profile into a bootable installer ISO and
//! a provider image. The modules stand in the order of the flow;
//! `ARCHITECTURE.md` tells how they hang together.

pub mod error;
pub mod oci;
pub mod progress;
pub mod pull;
pub mod registry;
pub mod rootfs;
pub mod store;
pub mod tree;
