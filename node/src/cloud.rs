//! Cloud-configs ([`isoforge_contract::cloud`]) found and applied stage by stage
//! ([`apply`]).

mod apply;
mod host;
pub(crate) mod sources;

pub(crate) use apply::{apply, apply_setting};
pub(crate) use host::{Host, System, Telling};

/// When something is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Stage {
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
    pub(crate) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Initramfs => &["initramfs", "fs"],
            Self::Boot => &["boot"],
            Self::Network => &["network"],
        }
    }
}
