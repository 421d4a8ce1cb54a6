//! OCI images: references, manifests and media types, registries and layouts, the store,
//! pulling into it and pushing.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests look whether a file is there"
    )
)]

pub mod artifact;
pub mod compression;
mod error;
pub mod layer;
pub mod layout;
pub mod manifest;
pub mod media;
pub mod platform;
pub mod pull;
pub mod push;
pub mod reference;
pub mod referrer;
pub mod registry;
pub mod store;

pub use error::{Answer, Error, Step};
