//! Helpers without a place of their own in the flow.

pub mod human;
pub mod interrupt;
pub mod parallel;
pub mod process;
pub mod read_at;
pub(crate) mod section;
pub mod yaml;
