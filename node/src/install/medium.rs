//! The install medium: what is on it, and what its manifest says that it is.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use fs_err as fs;
use isoforge_base::digest::Digest;
use isoforge_contract::iso::{
    BIOS_CORE, BIOS_MBR, CONFIG, EFI_FOLDER, INITRD, KERNEL, MANIFEST, ROOTFS,
};
use isoforge_contract::machine::Firmware;
use isoforge_contract::manifest::{
    Appliance, Architecture, ComponentKind, Content, Manifest, SCHEMA,
};
use isoforge_system::disk_plan::Contents;

use crate::content::BadSource;
use crate::{files, paths};

/// Largest manifest and configuration, and largest program that is held in
/// memory.
const TEXT_MAX_BYTES: u64 = 16 << 20;
const PROGRAM_MAX_BYTES: u64 = 64 << 20;

/// The install medium where it is mounted.
#[derive(Debug, Clone)]
pub(crate) struct Medium {
    root: PathBuf,
}

/// A file of the medium that is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// Its path on the medium, without leading slash.
    pub path: String,
    /// What it has to be.
    pub content: Content,
}

/// What the medium installs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    /// The appliance's name.
    pub name: String,
    pub version: String,
    /// Version of Kubernetes, where the manifest has it.
    pub kubernetes: Option<String>,
    /// Creation time of the root file system.
    pub epoch: Option<u32>,
    /// The root file system.
    pub rootfs: Source,
    pub kernel: Source,
    pub initrd: Source,
    /// The programs for the ESP, the one that the firmware starts last.
    pub efi: Vec<Source>,
    /// GRUB for BIOS: core image and MBR.
    pub bios: Option<(Source, Source)>,
}

impl Default for Medium {
    fn default() -> Self {
        Self::new(paths::MEDIUM)
    }
}

impl Medium {
    /// The medium that is mounted at `root`.
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where a file of it is.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Its cloud-config; none where it carries none.
    pub(crate) fn config(&self) -> Result<Option<String>> {
        let there = self.path(CONFIG).try_exists();
        if !there.with_context(|| unreadable(CONFIG))? {
            return Ok(None);
        }
        let bytes = self.bytes(CONFIG, TEXT_MAX_BYTES)?;
        let text = files::text(bytes).with_context(|| unreadable(CONFIG))?;
        Ok(Some(text).filter(|text| !text.trim().is_empty()))
    }

    /// What it installs for the firmwares that a disk shall boot under. That
    /// every file is there and has its size is checked here; its content, when
    /// it is read.
    pub(crate) fn image(&self, firmware: &[Firmware]) -> Result<Image> {
        let bytes = self.bytes(MANIFEST, TEXT_MAX_BYTES)?;
        let unusable = |why: String| bad(MANIFEST, &format!("can't be used: {why}"));
        let manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|error| unusable(error.to_string()))?;
        if manifest.schema != SCHEMA {
            let schema = manifest.schema;
            return Err(unusable(format!(
                "it has schema {schema}; this version reads {SCHEMA}"
            )));
        }
        let Some(architecture) = manifest.architectures.into_values().next() else {
            return Err(unusable("it tells of no architecture".to_owned()));
        };
        let image = image(manifest.appliance, architecture, firmware)?;
        let bios = image.bios.iter().flat_map(|(core, mbr)| [core, mbr]);
        for source in [&image.rootfs, &image.kernel, &image.initrd]
            .into_iter()
            .chain(&image.efi)
            .chain(bios)
        {
            self.check_size(source)?;
        }
        Ok(image)
    }

    /// A file that is small enough to be held in memory, checked.
    pub(crate) fn verified(&self, source: &Source) -> Result<Vec<u8>> {
        let bytes = self.bytes(&source.path, PROGRAM_MAX_BYTES)?;
        source.check(bytes.len() as u64, Digest::of(&bytes))?;
        Ok(bytes)
    }

    /// Folders below `/EFI` that have a GRUB configuration, where one of its
    /// builds looks for it; sorted.
    pub(crate) fn stub_folders(&self) -> Vec<String> {
        crate::disks::holders::names_in(&self.path("EFI"))
            .into_iter()
            .map(|name| format!("EFI/{name}"))
            .filter(|folder| self.path(folder).join("grub.cfg").is_file())
            .collect()
    }

    fn check_size(&self, source: &Source) -> Result<()> {
        let metadata = fs::metadata(self.path(&source.path));
        source.check_size(metadata.with_context(|| unreadable(&source.path))?.len())
    }

    fn bytes(&self, path: &str, limit: u64) -> Result<Vec<u8>> {
        let bytes = files::read_at_most(&self.path(path), limit);
        bytes.map_err(|error| match error.kind() {
            io::ErrorKind::FileTooLarge => bad(path, &format!("has more than {limit} bytes")),
            _ => anyhow::Error::new(error).context(unreadable(path)),
        })
    }
}

impl Source {
    /// Compares what was read with what it has to be.
    pub(crate) fn check(&self, size: u64, digest: Digest) -> Result<()> {
        self.check_size(size)?;
        let expected = self.content.digest;
        if digest != expected {
            let problem = format!("is damaged: its content is {digest}, not {expected}");
            return Err(bad(&self.path, &problem));
        }
        Ok(())
    }

    fn check_size(&self, size: u64) -> Result<()> {
        let expected = self.content.size;
        if size != expected {
            return Err(bad(
                &self.path,
                &format!("has {size} bytes, not {expected}"),
            ));
        }
        Ok(())
    }

    /// The last element of its path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

impl Image {
    /// What a disk has to hold of it.
    pub(crate) fn contents(&self) -> Contents {
        let sum = |sources: &[&Source]| {
            sources
                .iter()
                .fold(0_u64, |sum, source| sum.saturating_add(source.content.size))
        };
        Contents {
            slot_bytes: sum(&[&self.rootfs, &self.kernel, &self.initrd]),
            efi_bytes: sum(&self.efi.iter().collect::<Vec<_>>()),
        }
    }
}

fn image(appliance: Appliance, architecture: Architecture, firmware: &[Firmware]) -> Result<Image> {
    let boot = architecture.boot;
    let listed = |path: &str| -> Result<Source> {
        let content = *boot.get(path).ok_or_else(|| unlisted(path))?;
        Ok(Source {
            path: path.to_owned(),
            content,
        })
    };
    let squashfs = architecture.squashfs.ok_or_else(|| unlisted(ROOTFS))?;
    let bios = if firmware.contains(&Firmware::Bios) {
        Some((listed(BIOS_CORE)?, listed(BIOS_MBR)?))
    } else {
        None
    };
    let efi = if firmware.contains(&Firmware::Uefi) {
        efi_programs(&boot)?
    } else {
        Vec::new()
    };
    Ok(Image {
        name: appliance.name,
        version: appliance.version,
        kubernetes: architecture
            .components
            .into_iter()
            // The distribution; what else came with it has versions of its own.
            .find(|component| {
                component.kind == ComponentKind::Kubernetes && component.source == "profile"
            })
            .map(|component| component.version),
        epoch: Some(squashfs.epoch),
        rootfs: Source {
            path: ROOTFS.to_owned(),
            content: Content {
                digest: squashfs.digest,
                size: squashfs.size,
            },
        },
        kernel: listed(KERNEL)?,
        initrd: listed(INITRD)?,
        efi,
        bios,
    })
}

/// The programs of `/EFI/BOOT`. The firmware looks for `boot<machine>.efi`
/// (UEFI 2.10, 3.5.1.1), which goes last: without it the disk does not start.
fn efi_programs(boot: &BTreeMap<String, Content>) -> Result<Vec<Source>> {
    let mut programs = Vec::new();
    let mut first = None;
    for (path, content) in boot {
        let Some((folder, name)) = path.rsplit_once('/') else {
            continue;
        };
        let name = name.to_ascii_lowercase();
        if !folder.eq_ignore_ascii_case(EFI_FOLDER) || !name.ends_with(".efi") {
            continue;
        }
        let source = Source {
            path: path.clone(),
            content: *content,
        };
        if name.starts_with("boot") && first.is_none() {
            first = Some(source);
        } else {
            programs.push(source);
        }
    }
    programs.push(first.ok_or_else(|| unlisted(&format!("{EFI_FOLDER}/boot*.efi")))?);
    Ok(programs)
}

/// What is wrong with a file of the medium.
fn bad(path: &str, problem: &str) -> anyhow::Error {
    BadSource(format!("the install medium's '{path}' {problem}")).into()
}

fn unlisted(path: &str) -> anyhow::Error {
    bad(MANIFEST, &format!("has no digest of '{path}'"))
}

/// What is said of a file that can't be read.
pub(super) fn unreadable(path: &str) -> BadSource {
    BadSource(format!("the install medium's '{path}' can't be read"))
}
