//! Why an installer ISO can't be written.

use std::io;

use super::SourceError;
use isoforge_base::error::{Class, Diagnose};
use isoforge_formats::fat;
use isoforge_formats::gpt;
use isoforge_formats::iso9660;

/// Largest EFI program that is accepted; they are held in memory.
pub(super) const MAX_EFI_PROGRAM_BYTES: u64 = 256 << 20;

/// Why an installer ISO can't be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ISO 9660 file system.
    #[error(transparent)]
    Iso(#[from] iso9660::Error),
    /// The EFI system partition's file system.
    #[error("making the EFI system partition")]
    Fat(#[from] fat::Error),
    /// The partition table.
    #[error(transparent)]
    Gpt(#[from] gpt::Error),
    /// The callback that writes the SquashFS failed.
    #[error("writing the root file system")]
    Squashfs {
        /// What it said.
        source: SourceError,
    },
    /// An EFI program that is larger than any.
    #[error("the EFI program '{name}' has {bytes} bytes, more than {MAX_EFI_PROGRAM_BYTES}")]
    EfiProgram {
        /// File name.
        name: String,
        /// Its size.
        bytes: u64,
    },
    /// Neither firmware could start the ISO.
    #[error("an ISO without boot files for BIOS and for UEFI starts nowhere")]
    NoFirmware,
    /// The stub's length changed with the marker's digits.
    #[error("a file of the ISO changed its size with the digest in it: {what}")]
    Moved {
        /// Which.
        what: &'static str,
    },
    /// Reading content for the ISO or writing the ISO failed.
    #[error("writing '{path}' to the ISO")]
    Io {
        /// Path on the ISO, or the part of it.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Iso(error) => error.class(),
            Self::Fat(error) => error.class(),
            Self::Gpt(error) => error.class(),
            Self::Squashfs { .. } | Self::Io { .. } => Class::Io,
            Self::EfiProgram { .. } | Self::NoFirmware => Class::Profile,
            Self::Moved { .. } => Class::Bug,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Iso(error) => error.hint(),
            Self::Gpt(error) => error.hint(),
            _ => None,
        }
    }
}
