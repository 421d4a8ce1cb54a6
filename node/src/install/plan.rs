//! What lies where on the disk.
//!
//! Partitions begin and end at multiples of 1 MiB, which suits every size of
//! sectors and erase blocks.

use isoforge_base::human;
use isoforge_contract::machine::{Config, ExtraFilesystem, Firmware};
use isoforge_formats::fat;

use super::medium::Image;
use crate::paths::label;

/// Alignment of partitions, and unit of the profile's sizes.
pub(crate) const MIB: u64 = 1 << 20;

/// Sectors with fewer bytes can't hold a table of 128 entries as it is written.
const TABLE_BYTES: u64 = 128 * 128;

/// Slots on STATE.
const SLOTS: u64 = 3;

/// What STATE needs beside the slots: journal, tables, the menu.
const STATE_OVERHEAD_BYTES: u64 = 64 * MIB;

/// STATE is a multiple of this.
const STATE_GRANULE_BYTES: u64 = 16 * MIB;

/// What an ESP needs beside its programs.
const ESP_OVERHEAD_BYTES: u64 = 2 * MIB;

/// Longest name of an ext4 file system, in bytes.
const LABEL_MAX_BYTES: usize = 16;

/// Most partitions of the profile's own.
const EXTRA_MAX: usize = 64;

/// What a partition is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// GRUB's core image for BIOS.
    BiosBoot,
    /// The EFI system partition.
    Esp,
    /// Site configuration.
    Oem,
    /// The slots.
    State,
    /// One of the profile's.
    Extra(ExtraFilesystem),
    /// What is kept.
    Persistent,
}

/// A partition to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Partition {
    /// From 1.
    pub number: u32,
    /// What it is for.
    pub role: Role,
    /// Its name, and its file system's.
    pub label: String,
    /// Offset of its first byte.
    pub offset: u64,
    /// Its size in bytes.
    pub bytes: u64,
}

/// The partitions of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Size of the disk.
    pub disk_bytes: u64,
    /// Bytes of its sectors.
    pub sector_bytes: u32,
    /// In their order on the disk.
    pub partitions: Vec<Partition>,
}

/// Why nothing can be laid out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("{}: {needed} are needed, which are {parts}", too_small(.disk))]
    DiskTooSmall {
        disk: String,
        needed: String,
        parts: String,
    },
    #[error(
        "[install.partitions] state: {asked} can't hold three systems of {image} each; at least \
         {needed} are needed"
    )]
    StateTooSmall {
        asked: String,
        image: String,
        needed: String,
    },
    #[error("[install.partitions] esp: {asked} can't hold boot loaders of {programs}")]
    EspTooSmall { asked: String, programs: String },
    #[error("[install.partitions] esp: {asked} is not between {least} and {most}")]
    EspSize {
        asked: String,
        least: String,
        most: String,
    },
    #[error("[install.partitions] {what}: {mib} MiB is no size of a partition")]
    Size { what: String, mib: u64 },
    #[error(
        "[[install.partitions.extra]] label '{label}': a name has 1 to {LABEL_MAX_BYTES} bytes \
         and differs from those of the others"
    )]
    Label { label: String },
    #[error("[[install.partitions.extra]]: {count} partitions are more than {EXTRA_MAX}")]
    TooMany { count: usize },
    #[error("sectors of {0} bytes can't be used, only of 512 or 4,096")]
    Sectors(u32),
}

fn too_small(disk: &str) -> String {
    format!("too small with {disk}")
}

/// A partition whose size is settled.
struct Part {
    role: Role,
    label: String,
    bytes: u64,
}

/// Lays out a disk for `image`.
pub(crate) fn plan(
    config: &Config,
    image: &Image,
    disk_bytes: u64,
    sector_bytes: u32,
) -> Result<Plan, Error> {
    if !matches!(sector_bytes, 512 | 4096) {
        return Err(Error::Sectors(sector_bytes));
    }
    let sizes = &config.install.partitions;
    let mut parts = parts(config, image, sector_bytes)?;
    let before: u64 = sum(&parts)?;
    let least = match sizes.persistent_mib {
        Some(mib) => mebibytes("persistent", mib)?,
        None => mebibytes("persistent_min", sizes.persistent_min_mib.max(1))?,
    };
    // 1 MiB before the first partition, and at most one behind the last.
    let tail = TABLE_BYTES + u64::from(sector_bytes);
    let end = disk_bytes.saturating_sub(tail) / MIB * MIB;
    let room = end.saturating_sub(MIB).checked_sub(before);
    let persistent = match (room.filter(|room| *room >= least), sizes.persistent_mib) {
        (Some(_), Some(_)) => least,
        (Some(room), None) => room,
        (None, _) => return Err(disk_too_small(&parts, before, least, disk_bytes)),
    };
    parts.push(Part {
        role: Role::Persistent,
        label: label::PERSISTENT.to_owned(),
        bytes: persistent,
    });
    let mut offset = MIB;
    let mut partitions = Vec::new();
    for (number, part) in (1..).zip(parts) {
        partitions.push(Partition {
            number,
            role: part.role,
            label: part.label,
            offset,
            bytes: part.bytes,
        });
        offset = offset.saturating_add(part.bytes);
    }
    Ok(Plan {
        disk_bytes,
        sector_bytes,
        partitions,
    })
}

/// All but PERSISTENT.
fn parts(config: &Config, image: &Image, sector_bytes: u32) -> Result<Vec<Part>, Error> {
    let sizes = &config.install.partitions;
    let mut parts = Vec::new();
    let mut add = |role, label: &str, bytes| {
        parts.push(Part {
            role,
            label: label.to_owned(),
            bytes,
        });
    };
    // No BIOS starts a disk with larger sectors.
    if config.firmware.contains(&Firmware::Bios) && sector_bytes == 512 {
        add(Role::BiosBoot, label::BIOS_BOOT, MIB);
    }
    let esp = mebibytes("esp", sizes.esp_mib)?;
    if esp < image.efi_bytes().saturating_add(ESP_OVERHEAD_BYTES) {
        return Err(Error::EspTooSmall {
            asked: human::size(esp),
            programs: human::size(image.efi_bytes()),
        });
    }
    let least = match sector_bytes {
        4096 => fat::MIN_BYTES_OF_4096,
        _ => fat::MIN_BYTES,
    };
    if !(least..=fat::MAX_BYTES).contains(&esp) {
        return Err(Error::EspSize {
            asked: human::size(esp),
            least: human::size(least),
            most: human::size(fat::MAX_BYTES),
        });
    }
    add(Role::Esp, label::ESP, esp);
    add(Role::Oem, label::OEM, mebibytes("oem", sizes.oem_mib)?);
    add(Role::State, label::STATE, state_bytes(config, image)?);
    if sizes.extra.len() > EXTRA_MAX {
        return Err(Error::TooMany {
            count: sizes.extra.len(),
        });
    }
    for extra in &sizes.extra {
        let bytes = mebibytes(&format!("extra '{}'", extra.label), extra.size_mib)?;
        add(Role::Extra(extra.filesystem), &extra.label, bytes);
    }
    let own = [label::BIOS_BOOT, label::PERSISTENT];
    let mut seen: Vec<&str> = own.to_vec();
    for part in parts.iter().filter(|part| part.role != Role::BiosBoot) {
        let name = part.label.as_str();
        if name.is_empty() || name.len() > LABEL_MAX_BYTES || seen.contains(&name) {
            return Err(Error::Label {
                label: name.to_owned(),
            });
        }
        seen.push(name);
    }
    Ok(parts)
}

/// Three slots, each with room for a system that is half as large again; an
/// upgrade writes into the slot that it replaces.
fn state_bytes(config: &Config, image: &Image) -> Result<u64, Error> {
    let slot = image.slot_bytes();
    let at_least = slot
        .saturating_mul(SLOTS)
        .saturating_add(STATE_OVERHEAD_BYTES);
    match config.install.partitions.state_mib {
        Some(mib) => {
            let asked = mebibytes("state", mib)?;
            if asked < at_least {
                return Err(Error::StateTooSmall {
                    asked: human::size(asked),
                    image: human::size(slot),
                    needed: human::size(at_least.next_multiple_of(MIB)),
                });
            }
            Ok(asked)
        }
        None => slot
            .checked_add(slot / 2)
            .and_then(|grown| grown.checked_mul(SLOTS))
            .and_then(|slots| slots.checked_add(STATE_OVERHEAD_BYTES))
            .and_then(|bytes| bytes.checked_next_multiple_of(STATE_GRANULE_BYTES))
            .ok_or(Error::Size {
                what: "state".to_owned(),
                mib: slot / MIB,
            }),
    }
}

fn mebibytes(what: &str, mib: u64) -> Result<u64, Error> {
    mib.checked_mul(MIB)
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| Error::Size {
            what: what.to_owned(),
            mib,
        })
}

fn sum(parts: &[Part]) -> Result<u64, Error> {
    parts.iter().try_fold(0_u64, |sum, part| {
        sum.checked_add(part.bytes).ok_or_else(|| Error::Size {
            what: part.label.clone(),
            mib: part.bytes / MIB,
        })
    })
}

fn disk_too_small(parts: &[Part], before: u64, persistent: u64, disk_bytes: u64) -> Error {
    let mut list: Vec<String> = parts
        .iter()
        .map(|part| format!("{} {}", part.label, human::size(part.bytes)))
        .collect();
    list.push(format!("{} {}", label::PERSISTENT, human::size(persistent)));
    let needed = before.saturating_add(persistent).saturating_add(2 * MIB);
    Error::DiskTooSmall {
        disk: human::size(disk_bytes),
        needed: human::size(needed),
        parts: list.join(", "),
    }
}

impl Plan {
    /// The first partition with this role.
    pub(crate) fn find(&self, role: Role) -> Option<&Partition> {
        self.partitions
            .iter()
            .find(|partition| partition.role == role)
    }
}

#[cfg(test)]
pub(super) mod tests;
