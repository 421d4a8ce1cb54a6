//! Where the OS and further layers come from.

pub mod bootstrap;
