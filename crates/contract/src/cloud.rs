//! Cloud-configs as the machine executes them, and as the build checks them: by the
//! same reader, so that the two can't drift.
//!
//! The vocabulary is that of the template that isoforge brings, in the sense
//! that Kairos gives it; `docs/cloud-config.md` has all of it. What the machine
//! does not act on is told with its place ([`Document::unknown`]): a setting that
//! is silently ignored is found out when it is missed.

mod checks;
mod document;
mod file;
pub mod pattern;
mod reader;
mod step;
#[cfg(test)]
mod tests;
mod user;

use std::fmt;

pub use checks::{check_field, check_hostname, check_name, check_password, is_hash};
pub use document::{Document, Install, MAX_BYTES, foreign};
pub use file::{File, Id};
pub use step::{Conditions, Dns, Override, Step, Systemctl};
pub use user::{Password, User};

/// The stages that the machine runs, in order; each also with `.before` and `.after`.
pub const STAGES: [&str; 4] = ["initramfs", "fs", "boot", "network"];

/// Something to be told about a document: what is wrong in it, or what nothing acts
/// on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    /// Name of the document.
    pub document: String,
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// What it is, and why where that helps.
    pub message: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            document,
            line,
            column,
            message,
        } = self;
        write!(f, "{document}:{line}:{column}: {message}")
    }
}
