//! Helpers without a place of their own in the flow.

pub mod process;
