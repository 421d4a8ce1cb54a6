//! What a machine keeps, and how it comes over a root that keeps nothing.
//!
//! `appliance early-state` runs in the initrd, from the slot's own root file
//! system, once dracut has mounted that; `slots/appliance-state.service` starts
//! it. It needs nothing of the initrd but `/proc`, `/dev` and udev's links. When
//! it is done, `/sysroot` is
//!
//! ```text
//! /                       the SquashFS itself, read-only
//! /etc /var               the slot's, under overlays that last until power-off
//! /tmp                    a tmpfs
//! /oem                    OEM, read-only
//! /var/log /home /root …  PERSISTENT's kept/…, filled from the slot at first use
//! /etc/machine-id, /etc/ssh/ssh_host_*, accounts: from PERSISTENT
//! ```
//!
//! The recovery slot takes nothing from PERSISTENT, which may be what is broken:
//! it is mounted where it can be, for `appliance reset`, and `/home` and `/root`
//! are overlays like `/etc`. A PERSISTENT or OEM that can't be mounted stops any
//! other slot, and is told by the recovery slot.
//!
//! Invariants:
//! - Nothing that is on PERSISTENT is overwritten, but for a machine-id that is
//!   none. What is added is whole on the disk before it has its name, so a power
//!   cut at any point leaves what was there, and the next boot goes on.
//! - Everything else is mounts and files in memory: a boot that fails loses
//!   nothing, and the way back is a reset.
//! - PERSISTENT's journal is replayed by mounting it; e2fsck does not run. That the
//!   kernel found errors on it earlier is said, here and by `appliance status`.

pub(crate) mod arguments;
mod early;
pub(crate) mod identity;
mod kept;
pub(crate) mod message;
mod mounts;
mod partitions;
pub(crate) mod record;
#[cfg(test)]
mod testing;
mod tree;
mod watchdog;

pub(crate) use early::{EarlyPaths, run};
pub(crate) use partitions::Mounts;
pub(crate) use record::BootRecord;
