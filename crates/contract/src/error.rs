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
    /// A host's name that the kernel or resolvers would stumble over.
    #[error(
        "'{0}' can't be a host's name: letters, digits and '-', in parts of 63 at most with dots between, 64 in all"
    )]
    HostName(String),
    /// A password that crypt(3) does not take.
    #[error("a password is 1 to {most} bytes without a zero byte")]
    Password {
        /// Most bytes.
        most: usize,
    },
    /// A field of an account that would break its line.
    #[error("the {what} of '{account}' holds a ':' or a control character")]
    AccountField {
        /// What the field is.
        what: &'static str,
        /// Whose it is.
        account: String,
    },
    /// A path that can be no file's.
    #[error("'{0}' ends in no name")]
    FilePath(String),
    /// A setting that would break its line: its key.
    #[error("'{0}' can't be written on a line")]
    Setting(String),
    /// An argument that systemd-firstboot(1) does not have.
    #[error("there is no '{0}'")]
    Firstboot(String),
}

fn lines(problems: &[Remark]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Config(_) => Class::Verification,
            _ => Class::Profile,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Config(_) => Some(
                "program and configuration come from one build; build the system again".to_owned(),
            ),
            _ => None,
        }
    }
}
