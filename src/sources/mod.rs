//! Where the OS and further layers come from.

pub mod components;
pub mod epoch;
