//! What lies where on the installer ISO: the contract's paths, in the order of
//! their data.

use super::payload::Payload;
use super::{ExtraKind, IsoInputs};
use crate::Error;
use isoforge_base::digest::{Digest, SHA256_BYTES};
use isoforge_base::error::Context as _;
use isoforge_contract::iso::{
    CONFIG, CORE_IMAGE, EFI_FOLDER, INITRD, KERNEL, MANIFEST, MARKERS, MENU, ROOTFS, STUBS,
};
use isoforge_formats::fat;
use isoforge_formats::gpt;
use isoforge_formats::iso9660::layout::{Boot, Layout, Options};
use isoforge_formats::iso9660::tree::{FileId, IsoTree};

/// Bytes kept for `config.yaml`, so that it can be replaced in place.
pub(crate) const CONFIG_ROOM_BYTES: u64 = 1 << 20;

/// The EFI system partition starts at a multiple of 1 MiB, in blocks.
const ESP_ALIGN_BLOCKS: u32 = 512;

const FILE_MODE: u16 = 0o644;

/// The tree and the ids of what gets its content late.
pub(super) struct Plan<'a> {
    pub(super) tree: IsoTree,
    pub(super) boot: Boot,
    pub(super) squashfs: FileId,
    pub(super) manifest: FileId,
    pub(super) marker: FileId,
    marker_path: String,
    pub(super) stubs: Vec<FileId>,
    pub(super) stub_paths: Vec<String>,
    /// Content that is known from the start, in the order of its places.
    pub(super) payloads: Vec<(FileId, Payload<'a>)>,
    /// Every file with a path, for the report.
    pub(super) paths: Vec<(FileId, String)>,
}

impl<'a> Plan<'a> {
    /// Puts up the tree. `manifest_bytes` is the size of a manifest for some
    /// SquashFS digest.
    pub(super) fn new(inputs: &IsoInputs<'a>, manifest_bytes: u64) -> Result<Self, Error> {
        let mut tree = IsoTree::new();
        let mut stub_paths: Vec<String> = STUBS.map(str::to_owned).to_vec();
        for path in &inputs.stub_paths {
            if !stub_paths.contains(path) {
                stub_paths.push(path.clone());
            }
        }
        let stub_bytes = (inputs.stub)(&placeholder()).len() as u64;
        let esp = esp_bytes(inputs, stub_paths.len(), stub_bytes)?
            .map(|bytes| tree.hidden("EFI system partition", bytes, ESP_ALIGN_BLOCKS))
            .transpose()?;
        let mut paths = Vec::new();
        let mut file = |path: &str, size: u64, room: u64| -> Result<FileId, Error> {
            let id = tree.file_with_room(path.as_bytes(), FILE_MODE, size, room)?;
            paths.push((id, path.to_owned()));
            Ok(id)
        };
        let core = match &inputs.bios {
            Some(bios) => {
                let bytes = bios.core_image.len() as u64;
                Some(file(CORE_IMAGE, bytes, bytes)?)
            }
            None => None,
        };
        let manifest = file(MANIFEST, manifest_bytes, manifest_bytes)?;
        let marker_path = format!("{MARKERS}/{}", placeholder());
        let marker_bytes = marker_content(&placeholder()).len() as u64;
        let marker = file(&marker_path, marker_bytes, marker_bytes)?;
        let stubs = stub_paths
            .iter()
            .map(|path| file(path, stub_bytes, stub_bytes))
            .collect::<Result<_, _>>()?;
        let mut payloads = Vec::new();
        let mut add = |path: &str, payload: Payload<'a>| -> Result<(), Error> {
            let id = file(path, payload.size(), payload.size())?;
            payloads.push((id, payload));
            Ok(())
        };
        add(MENU, Payload::bytes(inputs.menu.as_slice()))?;
        for program in &inputs.efi_programs {
            let path = format!("{EFI_FOLDER}/{}", program.name);
            add(&path, program.data.clone())?;
        }
        add(KERNEL, inputs.kernel.clone())?;
        add(INITRD, inputs.initrd.clone())?;
        let squashfs = file(ROOTFS, inputs.squashfs.size, inputs.squashfs.size)?;
        for extra in &inputs.extra {
            let path = extra.path.as_bytes();
            match &extra.kind {
                ExtraKind::File { mode, data } => {
                    let id = tree.file(path, *mode, data.size())?;
                    paths.push((id, extra.path.clone()));
                    payloads.push((id, data.clone()));
                }
                ExtraKind::Directory { mode } => tree.directory(path, *mode)?,
                ExtraKind::Symlink { target } => tree.symlink(path, target)?,
            }
        }
        let config_bytes = inputs.config.len() as u64;
        let room = CONFIG_ROOM_BYTES.max(config_bytes);
        let config = tree.file_with_room(CONFIG.as_bytes(), FILE_MODE, config_bytes, room)?;
        paths.push((config, CONFIG.to_owned()));
        payloads.push((config, Payload::bytes(inputs.config.as_slice())));
        Ok(Self {
            tree,
            boot: Boot {
                bios: core,
                uefi: esp,
            },
            squashfs,
            manifest,
            marker,
            marker_path,
            stubs,
            stub_paths,
            payloads,
            paths,
        })
    }

    /// Positions of everything, now or after [`Self::set_manifest`].
    pub(super) fn layout(&self, inputs: &IsoInputs<'_>) -> Result<Layout, Error> {
        let tail_bytes = gpt::TAIL_SECTORS * gpt::SECTOR_BYTES;
        let block = isoforge_formats::iso9660::BLOCK_BYTES;
        Ok(Layout::new(
            &self.tree,
            &Options {
                volume_id: &inputs.volume_id,
                epoch: inputs.epoch,
                boot: self.boot,
                tail_blocks: tail_bytes.div_ceil(block) as u32,
            },
        )?)
    }

    /// Gives the manifest its size and the marker its name.
    pub(super) fn set_manifest(&mut self, manifest: &[u8], marker: &str) -> Result<(), Error> {
        self.tree.set_size(self.manifest, manifest.len() as u64)?;
        self.tree
            .rename(self.marker_path.as_bytes(), marker.as_bytes())?;
        for (id, path) in &mut self.paths {
            if *id == self.marker {
                *path = format!("{MARKERS}/{marker}");
            }
        }
        Ok(())
    }
}

/// The marker's content: its own name, for whoever looks at it.
pub(super) fn marker_content(marker: &str) -> String {
    format!("{marker}\n")
}

/// A marker's name before the real one is known.
fn placeholder() -> String {
    Digest::from_bytes([0; SHA256_BYTES]).hex()
}

/// Size of the EFI system partition; none without programs for it.
fn esp_bytes(inputs: &IsoInputs<'_>, stubs: usize, stub_bytes: u64) -> Result<Option<u64>, Error> {
    if inputs.efi_programs.is_empty() {
        return Ok(None);
    }
    let programs = inputs
        .efi_programs
        .iter()
        .map(|program| program.data.size());
    let sizes = programs.chain(std::iter::repeat_n(stub_bytes, stubs));
    Ok(Some(fat::size_for(sizes).context(super::NO_ESP)?))
}
