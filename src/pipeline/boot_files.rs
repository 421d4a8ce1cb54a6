//! What of the merged tree the ISO boots from.

use std::io::Read as _;

use anyhow::{Context as _, Result, bail};

use super::Settings;
use super::core_image::{self, KeptCoreImage};
use crate::boot::core_image::Recipe;
use crate::boot::files::BootFile;
use crate::boot::kernel::Kernel;
use crate::boot::loader::{self, Core};
use crate::boot::{self, Finding, Severity, initrd, kernel};
use crate::error::{Class, Diagnose};
use crate::installer_iso::{Bios, EfiProgram, Payload};
use crate::output::manifest::GrubMkimage;
use crate::profile::{self, Firmware, Profile};
use crate::progress::Progress;
use crate::rootfs::slab::SlabSet;
use crate::store::Store;
use crate::tree::{ReadFile, Tree};

/// Largest GRUB core image or MBR boot code that is taken from an image, in
/// bytes; BIOS loads them below the 640 KiB mark.
const MAX_BIOS_FILE_BYTES: u64 = 640 * 1024;

/// The files, and what was noticed about them.
#[derive(Debug)]
pub(super) struct BootFiles {
    pub(super) kernel: Kernel,
    pub(super) uefi: Option<loader::Uefi>,
    pub(super) bios: Option<Bios>,
    /// The core image that was made of the image's modules.
    pub(super) core_image: Option<KeptCoreImage>,
}

impl BootFiles {
    /// What the manifest says of who made the core image.
    pub(super) fn grub_mkimage(&self) -> Option<GrubMkimage> {
        self.core_image.as_ref().map(|kept| GrubMkimage {
            version: kept.made_by.clone(),
            core_image: kept.digest,
        })
    }
}

/// The image can't boot.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Unbootable {
    message: String,
    hint: String,
}

impl Diagnose for Unbootable {
    fn class(&self) -> Class {
        Class::Profile
    }

    fn hint(&self) -> Option<String> {
        Some(format!(
            "{}; --force builds the ISO all the same",
            self.hint
        ))
    }
}

/// Finds and checks all files that the ISO for `arch` boots from. `pinned` are
/// the core images that a lock has.
pub(super) fn find(
    tree: &Tree,
    slabs: &SlabSet,
    profile: &Profile,
    arch: profile::Arch,
    (store, pinned): (&Store, &[KeptCoreImage]),
    settings: &Settings,
    progress: &Progress,
) -> Result<BootFiles> {
    let boot_arch = super::convert::arch(arch);
    let kernel = kernel::find(tree, boot_arch)?;
    report(&kernel.findings, settings, progress)?;
    let checked = initrd::inspect(
        tree,
        slabs,
        &kernel,
        profile.os.fips,
        &initrd::Limits::default(),
    )?;
    report(&checked.findings, settings, progress)?;
    let firmware = profile.firmware(arch);
    let uefi = firmware
        .contains(&Firmware::Uefi)
        .then(|| loader::find_uefi(tree, slabs, boot_arch))
        .transpose()?;
    let mut files = BootFiles {
        kernel,
        uefi,
        bios: None,
        core_image: None,
    };
    if firmware.contains(&Firmware::Bios) {
        find_bios(&mut files, tree, slabs, boot_arch, store, pinned)?;
    }
    Ok(files)
}

fn find_bios(
    files: &mut BootFiles,
    tree: &Tree,
    slabs: &SlabSet,
    arch: boot::Arch,
    store: &Store,
    pinned: &[KeptCoreImage],
) -> Result<()> {
    let found = loader::find_bios(tree, arch)?;
    let core_image = match &found.core {
        Core::Image(file) => read(file, slabs)?,
        Core::Modules(dir) => {
            let recipe = Recipe::read(tree, slabs, dir)
                .with_context(|| format!("reading GRUB's modules in {dir}"))?;
            let (bytes, kept) = core_image::get(store, &recipe, pinned)?;
            files.core_image = Some(kept);
            bytes
        }
    };
    files.bios = Some(Bios {
        core_image,
        boot_hybrid: read(&found.mbr, slabs)?,
    });
    Ok(())
}

/// Tells warnings; an error ends the build unless the user insists.
fn report(findings: &[Finding], settings: &Settings, progress: &Progress) -> Result<()> {
    for finding in findings {
        if finding.severity == Severity::Error && !settings.force {
            return Err(Unbootable {
                message: finding.message.clone(),
                hint: finding.hint.clone(),
            }
            .into());
        }
        progress.warn(format!("{}; {}", finding.message, finding.hint));
    }
    Ok(())
}

fn read(file: &BootFile, slabs: &SlabSet) -> Result<Vec<u8>> {
    if file.data.size() > MAX_BIOS_FILE_BYTES {
        return Err(Unbootable {
            message: format!(
                "'{}' has {} bytes, more than a BIOS can load",
                file.path,
                file.data.size()
            ),
            hint: "use GRUB's own core image".to_owned(),
        }
        .into());
    }
    let mut bytes = Vec::new();
    slabs
        .open(&file.data)
        .and_then(|mut data| data.read_to_end(&mut bytes))
        .with_context(|| format!("reading '{}' from the image", file.path))?;
    if bytes.len() as u64 != file.data.size() {
        bail!("'{}' ended early", file.path);
    }
    Ok(bytes)
}

impl BootFiles {
    /// The programs for `/EFI/BOOT`.
    pub(super) fn efi_programs<'a>(&self, slabs: &'a SlabSet) -> Vec<EfiProgram<'a>> {
        let Some(uefi) = &self.uefi else {
            return Vec::new();
        };
        let program = |name: &str, file: &BootFile| EfiProgram {
            name: name.to_owned(),
            data: Payload::Tree {
                data: file.data.clone(),
                files: slabs,
            },
        };
        let mut programs = vec![
            program(uefi.shim_name, &uefi.shim),
            program(uefi.grub_name, &uefi.grub),
        ];
        if let Some(manager) = &uefi.mok_manager {
            programs.push(program(uefi.mok_manager_name, manager));
        }
        programs
    }
}
