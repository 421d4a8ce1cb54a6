//! What a build tells at its end.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::oci::digest::Digest;
use crate::output::manifest::{Component, Epoch};

/// The result of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Version of this format.
    pub schema: u32,
    /// `appliance.name`.
    pub name: String,
    /// `appliance.version`.
    pub version: String,
    /// The folder with the outputs.
    pub folder: PathBuf,
    /// The outputs.
    pub outputs: Vec<OutputFile>,
    /// References of the provider images, by tag in the archive.
    pub provider_images: Vec<String>,
    /// What is in the ISO's system, or in the first provider image's.
    pub components: Vec<Component>,
    /// The time stamp of all outputs.
    pub epoch: Epoch,
}

/// One finished file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutputFile {
    /// Its name in the folder.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub digest: Digest,
}

/// Bytes as a person reads them.
pub(super) fn size(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    if bytes < MIB {
        format!("{:.1} KiB", bytes as f64 / 1024.0)
    } else {
        format!("{:.1} MiB", bytes as f64 / MIB as f64)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.name, self.version)?;
        let width = self
            .components
            .iter()
            .map(|component| component.name.len())
            .max()
            .unwrap_or(0);
        for component in &self.components {
            writeln!(f, "  {:width$}  {}", component.name, component.version)?;
        }
        writeln!(f, "{}", self.folder.display())?;
        for output in &self.outputs {
            writeln!(
                f,
                "  {:>13}  {}  {}",
                size(output.size),
                output.digest.short(),
                output.name
            )?;
        }
        for image in &self.provider_images {
            writeln!(f, "  provider image {image}")?;
        }
        writeln!(
            f,
            "time stamp {} ({})",
            self.epoch.seconds, self.epoch.source
        )
    }
}
