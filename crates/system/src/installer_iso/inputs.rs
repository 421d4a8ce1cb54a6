//! What an installer ISO is made of, and what is told about one that was
//! written.

use std::io::Write;

use super::Payload;
use isoforge_base::digest::Digest;

/// What a callback of the caller may fail with.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// A program for `/EFI/BOOT`, on the ISO and in the EFI system partition.
#[derive(Debug, Clone)]
pub struct EfiProgram<'a> {
    /// File name as the firmware or the program before it looks for it:
    /// `bootx64.efi`, `grubx64.efi`, `mmx64.efi`.
    pub name: String,
    /// Content.
    pub data: Payload<'a>,
}

/// What BIOS needs.
#[derive(Debug, Clone)]
pub struct Bios {
    /// GRUB core image for El Torito (`grub-mkimage -O i386-pc-eltorito`).
    pub core_image: Vec<u8>,
    /// GRUB's `boot_hybrid.img`.
    pub boot_hybrid: Vec<u8>,
}

/// The root file system image.
pub struct Squashfs<'a> {
    /// Its exact size in bytes.
    pub size: u64,
    /// Writes it from its first byte to its last.
    #[expect(clippy::type_complexity, reason = "one callback, named here")]
    pub write: Box<dyn FnOnce(&mut dyn Write) -> Result<(), SourceError> + 'a>,
}

impl std::fmt::Debug for Squashfs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Squashfs")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// What else is on the ISO.
#[derive(Debug, Clone)]
pub enum ExtraKind<'a> {
    /// A file.
    File {
        /// Permission bits.
        mode: u16,
        /// Content.
        data: Payload<'a>,
    },
    /// A directory, where it shall have other permissions than 0755 or be
    /// empty.
    Directory {
        /// Permission bits.
        mode: u16,
    },
    /// A symbolic link.
    Symlink {
        /// Its target.
        target: Vec<u8>,
    },
}

/// Something else on the ISO: content, overlays.
#[derive(Debug, Clone)]
pub struct Extra<'a> {
    /// Path on the ISO, without a leading slash.
    pub path: String,
    /// What it is.
    pub kind: ExtraKind<'a>,
}

/// Everything that decides the bytes of an installer ISO.
pub struct IsoInputs<'a> {
    /// Volume id, `COS_LIVE`.
    pub volume_id: String,
    /// The time of everything, in seconds since 1970-01-01 UTC.
    pub epoch: u32,
    /// `/boot/kernel`.
    pub kernel: Payload<'a>,
    /// `/boot/initrd`.
    pub initrd: Payload<'a>,
    /// Programs for UEFI; none for an ISO that only BIOS starts.
    pub efi_programs: Vec<EfiProgram<'a>>,
    /// Boot code for BIOS; none for an ISO that only UEFI starts.
    pub bios: Option<Bios>,
    /// `/boot/grub2/grub.cfg`.
    pub menu: Vec<u8>,
    /// The stub `grub.cfg` for a marker's name (64 hex digits). Its length must
    /// not depend on the digits.
    pub stub: &'a dyn Fn(&str) -> String,
    /// More paths for the stub besides `/boot/grub/grub.cfg` and
    /// `/EFI/BOOT/grub.cfg`, such as `EFI/debian/grub.cfg`, for a GRUB whose
    /// built-in prefix is that directory.
    pub stub_paths: Vec<String>,
    /// `/config.yaml`.
    pub config: Vec<u8>,
    /// `/rootfs.squashfs`.
    pub squashfs: Squashfs<'a>,
    /// `/isoforge/manifest.json` for the SquashFS's digest. Its length must not
    /// depend on the digest.
    pub manifest: &'a dyn Fn(&Digest) -> Vec<u8>,
    /// Other files, laid out in this order.
    pub extra: Vec<Extra<'a>>,
}

impl std::fmt::Debug for IsoInputs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IsoInputs")
            .field("volume_id", &self.volume_id)
            .field("epoch", &self.epoch)
            .field("squashfs", &self.squashfs)
            .finish_non_exhaustive()
    }
}

/// A file's place on the ISO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedFile {
    /// Path without a leading slash.
    pub path: String,
    /// Offset of its first byte.
    pub offset: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// Bytes kept for it.
    pub room: u64,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsoReport {
    /// Size of the ISO in bytes.
    pub size: u64,
    /// Digest of the ISO.
    pub digest: Digest,
    /// Digest of the SquashFS.
    pub squashfs: Digest,
    /// Size of the SquashFS in bytes.
    pub squashfs_size: u64,
    /// Digest of `/isoforge/manifest.json`, the marker's name.
    pub manifest: Digest,
    /// Every file, in the order of the tree's layout.
    pub files: Vec<PlacedFile>,
}
