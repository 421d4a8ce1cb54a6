//! The program on the machine. On the medium it installs; on an installed
//! system it lays out the state before the root is switched, applies the
//! configuration, upgrades, and tells how things are. `ARCHITECTURE.md` tells how
//! the modules hang together.

pub mod accounts;
pub mod cli;
pub mod cloud;
pub mod content;
pub mod disks;
pub mod dns;
pub mod ext4;
pub mod files;
pub mod install;
pub mod media;
pub mod mount;
pub mod paths;
pub mod registry;
pub mod rooted;
pub mod run;
pub mod slots;
pub mod state;
#[cfg(test)]
mod testing;
mod tui;
pub mod upgrade;
pub mod verbs;
