//! What a build tells at its end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use isoforge_base::digest::Digest;
use isoforge_base::progress::{Counted, Figures, Tally};
use isoforge_contract::manifest::{Component, Epoch};
use isoforge_oci::push;

/// The result of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    /// Version of this format.
    pub schema: u32,
    /// `appliance.name`.
    pub name: String,
    /// `appliance.version`.
    pub version: String,
    /// The folder with the outputs.
    pub folder: PathBuf,
    pub outputs: Vec<OutputFile>,
    /// References of the provider images, by tag in the archive.
    pub provider_images: Vec<String>,
    /// What is in the ISO's system, or in the first provider image's.
    pub components: Vec<Component>,
    /// The time stamp of all outputs.
    pub epoch: Epoch,
    /// What became of the provider images, where they were pushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed: Option<push::Report>,
    /// What it took. The only part that differs from build to build.
    pub run: Run,
    /// Commands that fit now.
    pub next: Vec<Next>,
}

/// A command that may come next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Next {
    /// What for.
    pub purpose: String,
    /// For a shell, in the folder that the build was started in.
    pub command: String,
}

/// What a build took and used. Read off a clock: it is never part of an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Run {
    /// From beginning to end.
    pub milliseconds: u64,
    /// In order; what no stage names is the time before the first one.
    pub stages: Vec<Stage>,
    /// Blobs that the store had.
    pub stored: Tally,
    /// Blobs from registries and web servers.
    pub downloaded: Tally,
    /// Blobs from local images and archives.
    pub imported: Tally,
    /// Layers that were compressed before, by their blobs' bytes.
    pub layers_stored: Tally,
    /// Layers that were compressed, by their blobs' bytes.
    pub layers_compressed: Tally,
}

/// A stage's time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Stage {
    /// As progress names it.
    pub name: String,
    /// All of its time.
    pub milliseconds: u64,
}

impl Run {
    /// Of what progress has noted.
    #[must_use]
    pub(crate) fn of(figures: &Figures) -> Self {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            milliseconds: milliseconds(figures.total),
            stages: figures
                .stages
                .iter()
                .map(|stage| Stage {
                    name: stage.name.clone(),
                    milliseconds: milliseconds(stage.time),
                })
                .collect(),
            stored: figures.tally(Counted::Stored),
            downloaded: figures.tally(Counted::Downloaded),
            imported: figures.tally(Counted::Imported),
            layers_stored: figures.tally(Counted::SlabStored),
            layers_compressed: figures.tally(Counted::SlabMade),
        }
    }
}

/// `text` as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./,:=@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// What fits a build with its outputs in `folder`.
pub(super) fn next(folder: &Path, outputs: &[OutputFile]) -> Vec<Next> {
    let mut next = vec![Next {
        purpose: "look into it".to_owned(),
        command: format!("isoforge inspect {}", quoted(&folder.display().to_string())),
    }];
    let iso = outputs
        .iter()
        .find(|output| output.name.ends_with(".iso") && !output.name.ends_with("-arm64.iso"));
    if let Some(iso) = iso {
        let path = folder.join(&iso.name).display().to_string();
        next.push(Next {
            purpose: "boot it".to_owned(),
            command: format!(
                "qemu-system-x86_64 -machine q35 -m 4096 -cdrom {}",
                quoted(&path)
            ),
        });
    }
    next
}

/// One finished file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct OutputFile {
    /// Its name in the folder.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    pub digest: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_commands_can_be_pasted() {
        let output = |name: &str| OutputFile {
            name: name.to_owned(),
            size: 1,
            digest: Digest::of(b""),
        };
        let commands = |folder: &str, names: &[&str]| -> Vec<String> {
            let outputs: Vec<_> = names.iter().map(|name| output(name)).collect();
            let next = next(Path::new(folder), &outputs);
            next.into_iter().map(|next| next.command).collect()
        };
        assert_eq!(
            commands("dist/a-1", &["a-1-amd64.iso", "a-1-arm64.iso"]),
            [
                "isoforge inspect dist/a-1",
                "qemu-system-x86_64 -machine q35 -m 4096 -cdrom dist/a-1/a-1-amd64.iso",
            ]
        );
        assert_eq!(
            commands("it's here/a", &["a-provider.oci.tar"]),
            [r"isoforge inspect 'it'\''s here/a'"]
        );
        assert_eq!(commands("a", &["a-1-arm64.iso"]).len(), 1);
    }
}
