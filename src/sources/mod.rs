//! Where the OS and further layers come from.

pub mod archive;
pub mod bootstrap;
pub mod components;
pub mod epoch;
pub mod filter;
mod spool;
