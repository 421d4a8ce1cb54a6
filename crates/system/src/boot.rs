//! What makes a file tree boot: kernel, initrd and boot loaders found in the
//! tree, and the kernel's command line.
//!
//! Everything here but [`core_image`] is a function over values: a
//! [`Tree`](isoforge_base::tree::Tree), the bytes of its files, and what the profile
//! says. [`core_image`] may run the host's grub-mkimage, for images that bring
//! GRUB's BIOS modules but no core image made of them.
//!
//! How the pieces start each other:
//!
//! - *UEFI*: firmware → shim → signed GRUB → a stub `grub.cfg` → the menu.
//! - *BIOS*: firmware (El Torito from a CD, the MBR from a disk) → GRUB's core
//!   image → a stub `grub.cfg` → the menu.
//!
//! A **stub** finds the medium by a file that only this build has
//! ([`MARKERS`](isoforge_contract::iso::MARKERS)), because signed GRUB starts from the ESP and other
//! media with the same volume id may be attached. The **core image** can't know
//! that file, since `bootstrap` makes it long before an ISO exists. It needs
//! not: BIOS tells it the device that it was started from, where its prefix
//! ([`core_image::Target`]) leads to the stub.

pub mod cmdline;
pub mod core_image;
pub mod files;
pub mod grub;
pub mod initrd;
pub mod kernel;
pub mod kernel_image;
pub mod loader;
pub mod lock;
pub mod version;

/// How much a [`Finding`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Works, with a limit that the user should know.
    Warning,
    /// Can't work; only `--force` goes on.
    Error,
}

/// Something that a check of the image found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong, naming the file.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Finding {
    fn error(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            hint: hint.into(),
        }
    }

    fn warning(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            message: message.into(),
            hint: hint.into(),
        }
    }
}
