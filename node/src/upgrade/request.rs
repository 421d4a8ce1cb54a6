//! What an old program asks of a new one: to make the files of a slot. Both
//! sides are versions of this program, years apart perhaps: members may be
//! added, what is there keeps its meaning.

use std::path::PathBuf;

use isoforge_base::digest::Digest;
use isoforge_oci::layer::Layer;
use serde::{Deserialize, Serialize};

use isoforge_system::slots::Slot;

/// The `schema` that this version writes and reads.
pub const SCHEMA: u32 = 1;

/// Makes the files of a slot, or finds out how large they get.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    /// Version of this format.
    pub schema: u32,
    /// The folder of the store that has the layers.
    pub store: PathBuf,
    /// The image's layers, lowest first.
    pub layers: Vec<Layer>,
    /// OCI's name of the architecture.
    pub architecture: String,
    /// What the SquashFS is compressed with: `zstd:9`.
    pub compression: String,
    /// Its block size in bytes.
    pub block_size: u32,
    /// Its time of making, in seconds since 1970-01-01 UTC.
    pub epoch: u32,
    /// Threads that compress.
    pub jobs: usize,
    pub slot: Slot,
    /// UUID of STATE.
    pub state: String,
    /// UUID of PERSISTENT.
    pub persistent: String,
    /// UUID of OEM.
    pub oem: String,
    /// Version of Kubernetes in the image, where it is known.
    #[serde(default)]
    pub kubernetes: Option<String>,
    /// The image, for people.
    pub source: String,
    /// An empty folder that gets the slot's files; none: nothing is written.
    #[serde(default)]
    pub target: Option<PathBuf>,
}

/// What the new program found out, or wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Digest of the SquashFS.
    pub digest: Digest,
    /// Bytes of all files of the slot.
    pub bytes: u64,
    /// GRUB's menu as the new version has it.
    #[serde(default)]
    pub menu: Option<String>,
}
