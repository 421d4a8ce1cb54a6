//! isoforge turns one infrastructure profile into a bootable installer ISO and
//! a provider image. The modules stand in the order of the flow;
//! `ARCHITECTURE.md` tells how they hang together.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests look whether a file is there"
    )
)]
#![allow(missing_docs, reason = "the program is what is public")]

mod build;
pub mod cli;
pub mod inputs;
mod inspect;
pub mod lock;
pub mod profile;
mod render;
pub mod sources;
