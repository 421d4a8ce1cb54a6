//! Tree, boot files, configuration and content become one ISO.

use std::fs::File;

use isoforge_base::error::{Class, Context as _, Failure, Result};

use super::boot_files::BootFiles;
use super::convert;
use crate::profile::Profile;
use crate::render::boot_menu;
use isoforge_base::digest::Digest;
use isoforge_base::progress::Progress;
use isoforge_base::tree::Tree;
use isoforge_contract::iso;
use isoforge_contract::manifest::{self, Manifest};
use isoforge_formats::squashfs::write::ImagePlan;
use isoforge_oci::layout::{LayoutFile, OciLayout};
use isoforge_oci::store::Store;
use isoforge_system::boot::lock::Lock;
use isoforge_system::installer_iso::{self, Extra, IsoInputs, IsoReport, Payload, Squashfs};
use isoforge_system::slab::SlabSet;

/// Digest that stands in the manifest until the SquashFS is written.
const UNKNOWN: Digest = Digest::from_bytes([0; 32]);

/// What an ISO is made from.
pub(super) struct IsoParts<'a> {
    pub(super) profile: &'a Profile,
    pub(super) epoch: u32,
    pub(super) tree: &'a Tree,
    pub(super) slabs: &'a SlabSet,
    pub(super) plan: &'a ImagePlan<'a>,
    pub(super) boot: &'a BootFiles,
    pub(super) menu_template: &'a str,
    pub(super) lock: Option<&'a Lock>,
    pub(super) config: Vec<u8>,
    pub(super) extra: Vec<Extra<'a>>,
    /// The build's manifest so far, for the one architecture.
    pub(super) manifest: &'a Manifest,
    pub(super) arch: &'a str,
}

impl IsoParts<'_> {
    fn squashfs(&self, digest: Digest) -> manifest::Squashfs {
        squashfs_record(self.profile, self.plan.size(), self.epoch, digest)
    }
}

/// What the manifest says of a SquashFS.
pub(super) fn squashfs_record(
    profile: &Profile,
    size: u64,
    epoch: u32,
    digest: Digest,
) -> manifest::Squashfs {
    manifest::Squashfs {
        digest,
        size,
        compression: profile.output.compression,
        block_size: profile.output.block_size,
        epoch,
    }
}

/// The files of an OCI layout, below [`iso::CONTENT`] on the ISO.
pub(super) fn content(layout: &OciLayout, store: &Store) -> Vec<Extra<'static>> {
    let mut extra = Vec::new();
    for (path, file) in &layout.files {
        let data = match file {
            LayoutFile::Bytes(bytes) => Payload::bytes(bytes.clone()),
            LayoutFile::Blob(digest, size) => Payload::File {
                path: store.blob_path(digest),
                size: *size,
                digest: *digest,
            },
            LayoutFile::File(path, digest, size) => Payload::File {
                path: path.clone(),
                size: *size,
                digest: *digest,
            },
        };
        extra.push(Extra {
            path: format!("{}/{path}", iso::CONTENT),
            kind: installer_iso::ExtraKind::File { mode: 0o644, data },
        });
    }
    extra
}

/// Writes the ISO to `out`; its manifest is the build's with the SquashFS's
/// digest in it.
pub(super) fn write(out: &File, parts: IsoParts<'_>, progress: &Progress) -> Result<IsoReport> {
    let settings = convert::menu(parts.profile);
    let menu = boot_menu::menu(parts.tree, &settings, parts.menu_template, parts.lock)?;
    // The template is rendered once here, so that its errors come as errors;
    // what the layout needs is a function that can't fail.
    let example = boot_menu::marker_path(&UNKNOWN.hex());
    let template = boot_menu::stub(&example, parts.lock)?;
    let stub = |marker: &str| template.replace(&UNKNOWN.hex(), marker);
    let unknown = embedded(&parts, UNKNOWN)?;
    let unknown_text = String::from_utf8(unknown)
        .map_err(|error| Failure::new(Class::Bug, error.to_string()))
        .context("the build manifest is UTF-8")?;
    let placeholder = UNKNOWN.to_string();
    let manifest = |digest: &Digest| {
        unknown_text
            .replace(&placeholder, &digest.to_string())
            .into_bytes()
    };
    let inputs = IsoInputs {
        volume_id: iso::VOLUME_ID.to_owned(),
        epoch: parts.epoch,
        kernel: payload(&parts, &parts.boot.kernel.kernel.data),
        initrd: payload(&parts, &parts.boot.kernel.initrd.data),
        efi_programs: parts.boot.efi_programs(parts.slabs),
        bios: parts.boot.bios.clone(),
        menu: menu.into_bytes(),
        stub: &stub,
        stub_paths: parts
            .boot
            .uefi
            .as_ref()
            .map(|uefi| uefi.stubs.clone())
            .unwrap_or_default(),
        config: parts.config.clone(),
        squashfs: Squashfs {
            size: parts.plan.size(),
            write: Box::new(|out| parts.plan.write(out).map_err(Into::into)),
        },
        manifest: &manifest,
        extra: parts.extra.clone(),
    };
    Ok(installer_iso::write(out, inputs, progress)?)
}

/// Size of the ISO in bytes where its SquashFS has `squashfs_bytes`.
pub(super) fn estimate(squashfs_bytes: u64, boot: &BootFiles, extra: &[Extra<'_>]) -> u64 {
    /// Descriptors, tables, ESP, reserved room and rounding, generously.
    const OVERHEAD_BYTES: u64 = 64 << 20;
    let extra: u64 = extra
        .iter()
        .map(|extra| match &extra.kind {
            installer_iso::ExtraKind::File { data, .. } => data.size().next_multiple_of(2048),
            _ => 2048,
        })
        .sum();
    squashfs_bytes
        .saturating_add(boot.kernel.kernel.data.size())
        .saturating_add(boot.kernel.initrd.data.size())
        .saturating_add(extra)
        .saturating_add(OVERHEAD_BYTES)
}

fn payload<'a>(parts: &IsoParts<'a>, data: &isoforge_base::tree::FileData) -> Payload<'a> {
    Payload::Tree {
        data: data.clone(),
        files: parts.slabs,
    }
}

fn embedded(parts: &IsoParts<'_>, digest: Digest) -> Result<Vec<u8>> {
    let mut manifest = parts.manifest.embedded(parts.arch);
    if let Some(architecture) = manifest.architectures.get_mut(parts.arch) {
        architecture.squashfs = Some(parts.squashfs(digest));
    }
    Ok(manifest.to_json()?)
}
