//! Cloud-configs: read ([`Document`]), and applied stage by stage ([`apply`]).
//!
//! The vocabulary is that of the template that isoforge brings, in the sense
//! that Kairos gives it; `docs/cloud-config.md` has all of it. What nothing
//! here acts on is told with its place ([`Document::unknown`]): a setting that
//! is silently ignored is found out when it is missed.

mod apply;
mod document;
mod file;
mod host;
mod pattern;
mod reader;
pub mod sources;
mod step;
mod user;
mod yaml;

pub use apply::{Failure, apply};
pub use document::{Document, Install};
pub use file::{File, Id};
pub use host::{Host, System, Telling};
pub use step::{Conditions, Dns, Override, Step, Systemctl};
pub use user::{Password, User};

use std::fmt;

/// When something is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Stage {
    /// Before any service that reads what is configured: Kairos's stages
    /// `initramfs` and `fs`, and what stands outside of stages.
    Initramfs,
    /// When the system's basis is up.
    Boot,
    /// When the network is up.
    Network,
}

impl Stage {
    /// The stages of a document that make it up, in order.
    #[must_use]
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Initramfs => &["initramfs", "fs"],
            Self::Boot => &["boot"],
            Self::Network => &["network"],
        }
    }

    /// All stages, in order.
    pub const ALL: [Self; 3] = [Self::Initramfs, Self::Boot, Self::Network];
}

/// Something wrong in a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Name of the document.
    pub document: String,
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Problem {
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

/// Something that nothing here acts on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unknown {
    /// Name of the document.
    pub document: String,
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// What it is, and why where that helps.
    pub message: String,
}

impl fmt::Display for Unknown {
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

/// Why a document can't be used: all that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct Error(pub Vec<Problem>);

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests;
