//! Power cuts.

mod log;
mod replay;
