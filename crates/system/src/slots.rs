//! What lies on STATE: two slots of which one is booted and the other replaced,
//! a recovery slot that stays, GRUB's environment block that says which is
//! which, and the menu that goes by it.
//!
//! ```text
//! grubenv                        which slot is good, which is on trial
//! grub/grub.cfg                  the menu
//! slots/{a,b,recovery}/
//!   rootfs.squashfs              the root file system
//!   kernel  initrd               from that root file system
//!   state.cpio                   a second initrd: starts `appliance early-state`
//!   slot.cfg                     how GRUB starts the slot
//!   slot.json                    what is in it
//! ```
//!
//! Invariants:
//! - GRUB reads STATE without replaying its journal. What it shall find is frozen
//!   to its place before anything points to it.
//! - Only the environment block says which slot boots, and it is overwritten in
//!   place.

mod early;
pub mod grubenv;
mod menu;
mod record;

use std::fmt;
use std::str::FromStr;

use crate::Error;
use crate::error::unfit;
use isoforge_contract::disk;
use serde::{Deserialize, Serialize};

pub use early::state_cpio;
pub use menu::{arguments, esp_stub, menu, slot_menu};
pub use record::{Image, Record};

/// Names of the files of a slot.
pub mod file {
    /// The root file system.
    pub const ROOTFS: &str = "rootfs.squashfs";
    /// The kernel.
    pub const KERNEL: &str = "kernel";
    /// The initrd made for it.
    pub const INITRD: &str = "initrd";
    /// The second initrd.
    pub const STATE_CPIO: &str = "state.cpio";
    /// How GRUB starts the slot.
    pub const CONFIG: &str = "slot.cfg";
    /// What is in the slot.
    pub const RECORD: &str = "slot.json";
    /// All of them, in the order in which they are written: what says that the
    /// slot is whole comes last.
    pub const ALL: [&str; 6] = [ROOTFS, KERNEL, INITRD, STATE_CPIO, RECORD, CONFIG];
}

/// A place for a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// The one that an installation fills.
    A,
    /// The other.
    B,
    /// What the medium brought; no upgrade touches it.
    Recovery,
}

impl Slot {
    /// All slots.
    pub const ALL: [Self; 3] = [Self::A, Self::B, Self::Recovery];

    /// Its name, and that of its folder.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::Recovery => "recovery",
        }
    }

    /// Its folder within STATE.
    #[must_use]
    pub fn folder(self) -> String {
        format!("{}/{}", disk::SLOTS, self.name())
    }

    /// The slot that is replaced while this one is good; for recovery the first.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B | Self::Recovery => Self::A,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Slot {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|slot| slot.name() == text)
            .ok_or_else(|| {
                let text = text.escape_debug();
                unfit(format!("'{text}' is no slot; there are a, b and recovery")).into()
            })
    }
}

/// UUIDs of an installed disk's file systems, as GRUB and the kernel write them:
/// lower case with dashes; the ESP's serial number as `XXXX-XXXX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    /// Where the slots are.
    pub state: String,
    /// What is kept.
    pub persistent: String,
    /// Site configuration.
    pub oem: String,
    /// The EFI system partition.
    pub esp: String,
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) mod testing {
    //! An appliance whose profile sets nothing.

    use isoforge_contract::machine::Config;

    use super::Ids;

    /// Where its partitions are.
    pub(crate) fn ids() -> Ids {
        Ids {
            state: "11111111-2222-4333-8444-555555555555".to_owned(),
            persistent: "22222222-2222-4333-8444-555555555555".to_owned(),
            oem: "33333333-2222-4333-8444-555555555555".to_owned(),
            esp: "ABCD-1234".to_owned(),
        }
    }

    /// What it was told.
    pub(crate) fn config() -> Config {
        Config::parse(include_bytes!("../../contract/src/machine/sample.json")).unwrap()
    }
}
