//! What the builder and the program on the machine agree on: each fact is stated
//! here once, and both read it from here.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests look whether a file is there"
    )
)]

mod error;

pub mod arch;
pub mod cloud;
pub mod disk;
pub mod iso;
pub mod kept;
pub mod labels;
pub mod machine;
pub mod manifest;

pub use error::Error;
