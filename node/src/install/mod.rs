//! From a bare disk to an installed system.

pub mod model;
