//! Helpers without a place of their own in the flow.

pub mod human;
pub mod interrupt;
pub mod parallel;
pub mod process;
pub(crate) mod section;
