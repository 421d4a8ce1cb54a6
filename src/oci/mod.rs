//! OCI types: digests, references, manifests, media types. Pure: no file, no
//! network.

pub mod digest;
pub mod layer;
