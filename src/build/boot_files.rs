//! What of the merged tree the ISO boots from.

use std::collections::BTreeMap;
use std::io::Read as _;

use super::{Settings, kernel_line};
use crate::profile::Profile;
use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Context as _, Failure, Result};
use isoforge_base::progress::Progress;
use isoforge_base::tree::{ReadFile, Tree};
use isoforge_contract::iso;
use isoforge_contract::machine::{Firmware, Flavor};
use isoforge_contract::manifest::{Content, GrubMkimage};
use isoforge_oci::store::Store;
use isoforge_system::boot::core_image::{Recipe, Target};
use isoforge_system::boot::files::BootFile;
use isoforge_system::boot::kernel::Kernel;
use isoforge_system::boot::loader::{self, Core};
use isoforge_system::boot::{Finding, Severity, initrd, kernel, kernel_image, lock};
use isoforge_system::core_images::{self, KeptCoreImage};
use isoforge_system::installer_iso::{Bios, EfiProgram, Extra, ExtraKind, Payload};
use isoforge_system::slab::SlabSet;

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
    /// What an installed disk boots by under BIOS.
    pub(super) disk: Option<DiskBoot>,
}

/// Boot code for an installed disk under BIOS.
#[derive(Debug)]
pub(super) struct DiskBoot {
    /// GRUB's core image.
    core_image: Vec<u8>,
    /// The MBR's boot code that starts it.
    mbr: Vec<u8>,
    /// What it was made of, where it was made here.
    pub(super) kept: Option<KeptCoreImage>,
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

/// Finds and checks all files that the ISO for `arch` boots from. `pinned` are
/// the core images that a lock has.
pub(super) fn find(
    tree: &Tree,
    slabs: &SlabSet,
    profile: &Profile,
    arch: isoforge_contract::arch::Arch,
    (store, pinned): (&Store, &[KeptCoreImage]),
    settings: &Settings,
    progress: &Progress,
) -> Result<BootFiles> {
    let boot_arch = arch;
    let mut kernel = kernel::find(tree, boot_arch)?;
    kernel_image::check(tree, slabs, &mut kernel, boot_arch)?;
    report(&kernel.findings, settings, progress)?;
    report(
        &kernel_line::findings(tree, profile, arch),
        settings,
        progress,
    )?;
    let checked = initrd::inspect(
        tree,
        slabs,
        &kernel,
        boot_arch,
        profile.os.fips,
        &isoforge_formats::cpio::Limits::default(),
    )?;
    report(&checked.findings, settings, progress)?;
    let firmware = profile.firmware(arch);
    let uefi = firmware
        .contains(&Firmware::Uefi)
        .then(|| loader::find_uefi(tree, slabs, boot_arch))
        .transpose()?;
    let is_locked = profile.boot.password.is_some();
    if let (true, Some(uefi)) = (is_locked, &uefi) {
        let found = lock::of_uefi(slabs, &uefi.grub)?;
        report(found.as_slice(), settings, progress)?;
    }
    let mut files = BootFiles {
        kernel,
        uefi,
        bios: None,
        core_image: None,
        disk: None,
    };
    if firmware.contains(&Firmware::Bios) {
        let found = find_bios(&mut files, tree, slabs, boot_arch, store, pinned)?;
        if let (true, Some(path)) = (is_locked, found) {
            progress.warn(lock::of_found_core_image(&path));
        }
        if profile.os.flavor == Flavor::Appliance {
            files.disk = disk_boot(tree, slabs, (store, pinned), progress)?;
        }
    }
    Ok(files)
}

/// What an installed disk boots by under BIOS, where the image has what it is
/// made of.
fn disk_boot(
    tree: &Tree,
    slabs: &SlabSet,
    (store, pinned): (&Store, &[KeptCoreImage]),
    progress: &Progress,
) -> Result<Option<DiskBoot>> {
    let Some(found) = loader::find_bios_disk(tree) else {
        progress.warn(
            "the OS image has GRUB's core image for BIOS but not the modules to make one for a \
             disk: an installed system boots under UEFI alone; add grub-pc-bin (Debian, Ubuntu), \
             grub2-pc-modules (Fedora, RHEL) or grub2-i386-pc (SUSE) to the image",
        );
        return Ok(None);
    };
    let (core_image, kept) = match &found.core {
        Core::Image(file) => (read(file, slabs)?, None),
        Core::Modules(dir) => {
            let recipe = recipe(tree, slabs, dir)?.target(Target::Disk);
            let (bytes, kept) = core_images::get(store, &recipe, pinned)?;
            (bytes, Some(kept))
        }
    };
    Ok(Some(DiskBoot {
        core_image,
        mbr: read(&found.mbr, slabs)?,
        kept,
    }))
}

fn recipe(tree: &Tree, slabs: &SlabSet, dir: &str) -> Result<Recipe> {
    Recipe::read(tree, slabs, dir).with_context(|| format!("reading GRUB's modules in {dir}"))
}

/// Gives the path of a core image that the OS image brings, unless isoforge made it.
fn find_bios(
    files: &mut BootFiles,
    tree: &Tree,
    slabs: &SlabSet,
    arch: isoforge_contract::arch::Arch,
    store: &Store,
    pinned: &[KeptCoreImage],
) -> Result<Option<String>> {
    let found = loader::find_bios(tree, arch)?;
    let mut foreign = None;
    let core_image = match &found.core {
        Core::Image(file) => {
            let is_ours = file.path.trim_start_matches('/') == loader::CORE_IMAGE;
            foreign = (!is_ours).then(|| file.path.clone());
            read(file, slabs)?
        }
        Core::Modules(dir) => {
            let recipe = recipe(tree, slabs, dir)?;
            let (bytes, kept) = core_images::get(store, &recipe, pinned)?;
            files.core_image = Some(kept);
            bytes
        }
    };
    files.bios = Some(Bios {
        core_image,
        boot_hybrid: read(&found.mbr, slabs)?,
    });
    Ok(foreign)
}

fn unbootable(message: &str, hint: &str) -> Failure {
    Failure::new(Class::Profile, message)
        .with_hint(format!("{hint}; --force builds the ISO all the same"))
}

/// Tells warnings; an error ends the build unless the user insists.
fn report(findings: &[Finding], settings: &Settings, progress: &Progress) -> Result<()> {
    for finding in findings {
        if finding.severity == Severity::Error && !settings.force {
            return Err(unbootable(&finding.message, &finding.hint));
        }
        progress.warn(format!("{}; {}", finding.message, finding.hint));
    }
    Ok(())
}

fn read(file: &BootFile, slabs: &SlabSet) -> Result<Vec<u8>> {
    if file.data.size() > MAX_BIOS_FILE_BYTES {
        let size = file.data.size();
        return Err(unbootable(
            &format!(
                "'{}' has {size} bytes, more than a BIOS can load",
                file.path
            ),
            "use GRUB's own core image",
        ));
    }
    let mut bytes = Vec::new();
    slabs
        .open(&file.data)
        .and_then(|mut data| data.read_to_end(&mut bytes))
        .with_context(|| format!("reading '{}' from the image", file.path))?;
    if bytes.len() as u64 != file.data.size() {
        let message = format!("'{}' ended early", file.path);
        return Err(Failure::new(Class::Bug, message));
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

    /// The boot code for an installed disk, as files of the ISO.
    pub(super) fn disk_files(&self) -> Vec<Extra<'static>> {
        let Some(disk) = &self.disk else {
            return Vec::new();
        };
        let file = |path: &str, bytes: &[u8]| Extra {
            path: path.to_owned(),
            kind: ExtraKind::File {
                mode: 0o644,
                data: Payload::bytes(bytes),
            },
        };
        vec![
            file(iso::BIOS_CORE, &disk.core_image),
            file(iso::BIOS_MBR, &disk.mbr),
        ]
    }

    /// What the manifest says of the files that an installer copies.
    pub(super) fn records(
        &self,
        slabs: &SlabSet,
        progress: &Progress,
    ) -> Result<BTreeMap<String, Content>> {
        let of_tree = |file: &BootFile| Payload::Tree {
            data: file.data.clone(),
            files: slabs,
        };
        let mut payloads = vec![
            (iso::KERNEL.to_owned(), of_tree(&self.kernel.kernel)),
            (iso::INITRD.to_owned(), of_tree(&self.kernel.initrd)),
        ];
        for program in self.efi_programs(slabs) {
            let path = format!("{}/{}", iso::EFI_FOLDER, program.name);
            payloads.push((path, program.data));
        }
        for extra in self.disk_files() {
            if let ExtraKind::File { data, .. } = extra.kind {
                payloads.push((extra.path, data));
            }
        }
        let total = payloads.iter().map(|(_, data)| data.size()).sum();
        let task = progress.task("hash the boot files", Some(total));
        let mut records = BTreeMap::new();
        for (path, data) in payloads {
            let hashed = data.open().and_then(Digest::of_reader);
            let (digest, size) = hashed.with_context(|| format!("reading {path}"))?;
            task.advance(size);
            records.insert(path, Content { digest, size });
        }
        Ok(records)
    }
}
