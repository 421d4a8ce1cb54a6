//! What can be wrong with what builder and machine tell each other.

use isoforge_base::error::{Class, Diagnose};

use crate::cloud::Remark;

/// Why something that both sides agree on can't be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration of the program on the machine.
    #[error("the configuration of the program 'appliance' can't be read")]
    Config(#[from] serde_json::Error),
    /// A cloud-config: all that is wrong with it.
    #[error("{}", lines(.0))]
    CloudConfig(Vec<Remark>),
    /// A name that programs would stumble over.
    #[error(
        "'{0}' can't be the name of an account or group: a letter or '_', then letters, digits, '_', '-', '.', 32 at most"
    )]
    AccountName(String),
}

fn lines(problems: &[Remark]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Config(_) => Class::Verification,
            Self::CloudConfig(_) | Self::AccountName(_) => Class::Profile,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Config(_) => Some(
                "program and configuration come from one build; build the system again".to_owned(),
            ),
            Self::CloudConfig(_) | Self::AccountName(_) => None,
        }
    }
}
