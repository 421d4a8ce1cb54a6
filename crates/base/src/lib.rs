//! What every other crate stands on: error classes and hints, progress, digests,
//! the file tree as a value, running programs, addresses of hosts, and finished files on disk.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests look whether a file is there"
    )
)]

pub mod beneath;
pub mod digest;
pub mod error;
pub mod human;
pub mod inflate;
pub mod interrupt;
pub mod limit;
pub mod output;
pub mod parallel;
pub mod process;
pub mod progress;
pub mod read_at;
pub mod regular;
pub mod resolve;
pub mod shown;
pub mod tree;
pub mod yaml;
