//! What lies where on the ISO; paths without leading slash.

/// ISO 9660 volume id by which dracut finds the medium. Kairos's initrd and
/// installer expect this one.
pub const VOLUME_ID: &str = "COS_LIVE";

/// The root file system.
pub const ROOTFS: &str = "rootfs.squashfs";
/// The kernel.
pub const KERNEL: &str = "boot/kernel";
/// The initrd made for it.
pub const INITRD: &str = "boot/initrd";
/// GRUB's menu.
pub const MENU: &str = "boot/grub2/grub.cfg";
/// GRUB's core image for BIOS, started from a CD.
pub const CORE_IMAGE: &str = "boot/eltorito.img";
/// The programs for UEFI, here and in the EFI system partition.
pub const EFI_FOLDER: &str = "EFI/BOOT";
/// Where the different builds of GRUB look for their first configuration, both
/// on the ISO and in the EFI system partition.
pub const STUBS: [&str; 2] = ["boot/grub/grub.cfg", "EFI/BOOT/grub.cfg"];
/// The cloud-config.
pub const CONFIG: &str = "config.yaml";

/// All that is isoforge's own.
pub const FOLDER: &str = "isoforge";
/// The build manifest, [`Manifest`](crate::manifest::Manifest).
pub const MANIFEST: &str = "isoforge/manifest.json";
/// The folder of the one file that only this build has: its name is the digest of
/// the build manifest in hexadecimal digits.
pub const MARKERS: &str = "isoforge/id";
/// The content, as an OCI layout.
pub const CONTENT: &str = "isoforge/content";
/// GRUB's core image for a disk's BIOS boot partition.
pub const BIOS_CORE: &str = "isoforge/boot/bios-core.img";
/// The MBR's boot code that starts it.
pub const BIOS_MBR: &str = "isoforge/boot/bios-mbr.img";
