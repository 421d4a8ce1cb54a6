//! The program on the machine. On the medium it installs; on an installed
//! system it lays out the state before the root is switched, applies the
//! configuration, upgrades, and tells how things are. `ARCHITECTURE.md` tells how
//! the modules hang together.
//!
//! Only its own tests use it as a library: what they need is public.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests look whether a file is there"
    )
)]
#![allow(missing_docs, reason = "only its own tests use it as a library")]

mod accounts;
mod boot_lock;
pub mod cli;
mod cloud;
mod console;
pub mod content;
mod disks;
mod ext4;
mod files;
mod install;
mod installer;
mod interfaces;
mod media;
mod mount;
mod paths;
mod random;
pub mod registry;
mod rooted;
mod run;
mod settings;
mod state;
#[cfg(test)]
mod testing;
mod tui;
pub mod upgrade;
mod verbs;
