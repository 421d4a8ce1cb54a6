//! The program on the machine. On the medium it installs; on an installed
//! system it lays out the state before the root is switched, applies the
//! configuration, upgrades, and tells how things are. The modules stand in the
//! order in which a machine meets them; `ARCHITECTURE.md` tells how they hang
//! together.

pub mod accounts;
pub mod cli;
pub mod cloud;
pub mod disks;
pub mod install;
pub mod paths;
pub mod rooted;
pub mod slots;
mod tui;
pub mod verbs;
