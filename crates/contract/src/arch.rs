//! Processor architectures, by the names of Debian, Go and OCI platforms.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An architecture that systems are built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// x86-64, which starts by UEFI and BIOS.
    Amd64,
    /// 64-bit Arm, which starts by UEFI alone.
    Arm64,
}

impl Arch {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// The name that Debian, Go and OCI platforms use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The architecture of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|arch| arch.as_str() == name)
    }

    /// What UEFI's file names call it (UEFI 2.10, section 3.5.1.1).
    #[must_use]
    pub fn efi(self) -> &'static str {
        match self {
            Self::Amd64 => "x64",
            Self::Arm64 => "aa64",
        }
    }
}

/// The name of the architecture that this program runs on; Rust's, where it is none of
/// [`Arch`].
#[must_use]
pub fn host() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
