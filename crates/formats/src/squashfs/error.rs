//! What can go wrong while data is packed or an image is planned and written.

use std::io;

use super::layout::{IDS_MAX, NAME_BYTES_MAX, SYMLINK_BYTES_MAX};
use super::settings::{Settings, SettingsError};
use isoforge_base::error::{Class, Diagnose};

/// Why an image can't be made. Paths are lossily decoded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings are not ones that an image can have.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A compressor failed.
    #[error("compressing failed")]
    Compress {
        /// What it said.
        source: io::Error,
    },
    /// Packed data could not be kept.
    #[error("writing packed file data failed")]
    WritePacked {
        /// What writing gave.
        source: io::Error,
    },
    /// A file name that the format can't hold.
    #[error("'{path}': the name has {bytes} bytes, SquashFS holds {NAME_BYTES_MAX}")]
    NameTooLong {
        /// The path.
        path: String,
        /// Length of the name.
        bytes: usize,
    },
    /// A target that Linux can't read from an image.
    #[error(
        "'{path}': the symbolic link's target has {bytes} bytes, Linux reads 1 to {SYMLINK_BYTES_MAX}"
    )]
    SymlinkLength {
        /// The path.
        path: String,
        /// Length of the target.
        bytes: usize,
    },
    /// A device number that the format can't hold.
    #[error("'{path}': device {major}:{minor} does not fit in 12 and 20 bits")]
    DeviceNumber {
        /// The path.
        path: String,
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// An extended attribute beyond Linux's limits.
    #[error(
        "'{path}': the extended attribute '{name}' is larger than Linux allows ({bytes} bytes)"
    )]
    XattrTooLarge {
        /// The path.
        path: String,
        /// The attribute's name.
        name: String,
        /// Length of the value.
        bytes: usize,
    },
    /// A directory with more than 4 GiB of entries.
    #[error("'{path}': the directory has more entries than SquashFS holds")]
    DirectoryTooLarge {
        /// The path.
        path: String,
    },
    /// More owners and groups than the id table holds.
    #[error("the tree has more than {IDS_MAX} different owners and groups")]
    TooManyIds,
    /// A table that outgrew its offsets.
    #[error("the {table} outgrows what SquashFS can address")]
    TableTooLarge {
        /// Which one.
        table: &'static str,
    },
    /// The tree names data that the packed layers do not have.
    #[error("'{path}': layer {layer} has no file number {file} of {bytes} bytes")]
    MissingData {
        /// The path.
        path: String,
        /// Place of the layer in the build's list.
        layer: u32,
        /// Number of the file within the layer.
        file: u32,
        /// Size that the tree says.
        bytes: u64,
    },
    /// A layer was packed with other settings than the image's.
    #[error("layer {layer} was packed with {found:?}, the image needs {expected:?}")]
    SettingsDiffer {
        /// Place of the layer in the build's list.
        layer: u32,
        /// Settings of the layer.
        found: Settings,
        /// Settings of the image.
        expected: Settings,
    },
    /// A layer's packed data could not be read.
    #[error("reading the packed data of '{path}' from {layer} failed")]
    ReadPacked {
        /// A file whose data it is.
        path: String,
        /// The layer.
        layer: String,
        /// What reading gave.
        source: io::Error,
    },
    /// A layer's packed data is not what it was.
    #[error("the packed data of '{path}' in {layer} is damaged at offset {offset}")]
    Damaged {
        /// A file whose data it is.
        path: String,
        /// The layer.
        layer: String,
        /// Where in the packed data.
        offset: u64,
    },
    /// The image could not be written.
    #[error("writing the SquashFS image failed")]
    WriteImage {
        /// What writing gave.
        source: io::Error,
    },
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Settings(_)
            | Self::NameTooLong { .. }
            | Self::SymlinkLength { .. }
            | Self::DeviceNumber { .. }
            | Self::XattrTooLarge { .. }
            | Self::DirectoryTooLarge { .. }
            | Self::TooManyIds
            | Self::TableTooLarge { .. } => Class::Profile,
            Self::MissingData { .. } | Self::SettingsDiffer { .. } | Self::Compress { .. } => {
                Class::Bug
            }
            Self::Damaged { .. } => Class::Verification,
            Self::WritePacked { .. } | Self::ReadPacked { .. } | Self::WriteImage { .. } => {
                Class::Io
            }
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Damaged { layer, .. } => Some(format!(
                "remove {layer} from the store and build again: it is made anew"
            )),
            Self::WritePacked { source } | Self::WriteImage { source }
                if source.kind() == io::ErrorKind::StorageFull =>
            {
                Some("free some disk space and build again".to_owned())
            }
            _ => None,
        }
    }
}
