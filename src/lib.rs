//! isoforge turns one infrastructure profile into a bootable installer ISO and
//! a provider image. The modules stand in the order of the flow;
//! `ARCHITECTURE.md` tells how they hang together.

pub mod build;
pub mod cli;
pub mod inputs;
pub mod inspect;
pub mod lock;
pub mod profile;
pub mod render;
pub mod sources;
