//! What lies where on an installed disk.
//!
//! Partitions begin and end at multiples of 1 MiB, which suits every size of
//! sectors and erase blocks.

use crate::Error;
use crate::error::unfit;
use isoforge_base::error::{Failure, Result};
use isoforge_base::human;
use isoforge_contract::disk::label;
use isoforge_contract::machine::{Config, ExtraFilesystem, Firmware};
use isoforge_formats::fat;

/// Alignment of partitions, and unit of the profile's sizes.
pub const MIB: u64 = 1 << 20;

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

/// What a disk is laid out for.
#[derive(Debug, Clone, Copy)]
pub struct Contents {
    /// Bytes of the files of one slot.
    pub slot_bytes: u64,
    /// Bytes of the programs on the ESP.
    pub efi_bytes: u64,
}

/// What a partition is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
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
pub struct Partition {
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
pub struct Plan {
    /// Size of the disk.
    pub disk_bytes: u64,
    /// Bytes of its sectors.
    pub sector_bytes: u32,
    /// In their order on the disk.
    pub partitions: Vec<Partition>,
}

/// Lays out a disk for `contents`; sizes are in bytes.
///
/// # Errors
/// Where the disk is too small or has other sectors, and where a partition of the
/// configuration can't be.
pub fn plan(
    config: &Config,
    contents: Contents,
    disk_bytes: u64,
    sector_bytes: u32,
) -> Result<Plan, Error> {
    if !matches!(sector_bytes, 512 | 4096) {
        return Err(unfit(format!(
            "sectors of {sector_bytes} bytes can't be used, only of 512 or 4,096"
        ))
        .into());
    }
    let sizes = &config.install.partitions;
    let mut partitions = before_persistent(config, contents, sector_bytes)?;
    let before = sum(&partitions)?;
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
        (None, _) => {
            return Err(unfit(too_small(&partitions, before, least, disk_bytes)).into());
        }
    };
    partitions.push(Partition::new(
        Role::Persistent,
        label::PERSISTENT,
        persistent,
    ));
    let mut offset = MIB;
    for (number, partition) in (1..).zip(&mut partitions) {
        (partition.number, partition.offset) = (number, offset);
        offset = offset.saturating_add(partition.bytes);
    }
    Ok(Plan {
        disk_bytes,
        sector_bytes,
        partitions,
    })
}

/// All but PERSISTENT; where they lie is not settled yet.
fn before_persistent(
    config: &Config,
    contents: Contents,
    sector_bytes: u32,
) -> Result<Vec<Partition>> {
    let sizes = &config.install.partitions;
    let mut partitions = Vec::new();
    let mut add = |role, label: &str, bytes| partitions.push(Partition::new(role, label, bytes));
    // No BIOS starts a disk with larger sectors.
    if config.firmware.contains(&Firmware::Bios) && sector_bytes == 512 {
        add(Role::BiosBoot, label::BIOS_BOOT, MIB);
    }
    add(
        Role::Esp,
        label::ESP,
        esp_bytes(config, contents, sector_bytes)?,
    );
    add(Role::Oem, label::OEM, mebibytes("oem", sizes.oem_mib)?);
    add(Role::State, label::STATE, state_bytes(config, contents)?);
    if sizes.extra.len() > EXTRA_MAX {
        return Err(unfit(format!(
            "[[install.partitions.extra]]: {} partitions are more than {EXTRA_MAX}",
            sizes.extra.len()
        )));
    }
    for extra in &sizes.extra {
        let bytes = mebibytes(&format!("extra '{}'", extra.label), extra.size_mib)?;
        add(Role::Extra(extra.filesystem), &extra.label, bytes);
    }
    let mut seen = vec![label::BIOS_BOOT, label::PERSISTENT];
    for partition in partitions.iter().filter(|it| it.role != Role::BiosBoot) {
        let name = partition.label.as_str();
        if name.is_empty() || name.len() > LABEL_MAX_BYTES || seen.contains(&name) {
            return Err(unfit(format!(
                "[[install.partitions.extra]] label '{name}': a name has 1 to {LABEL_MAX_BYTES} \
                 bytes and differs from those of the others"
            )));
        }
        seen.push(name);
    }
    Ok(partitions)
}

fn esp_bytes(config: &Config, contents: Contents, sector_bytes: u32) -> Result<u64> {
    let esp = mebibytes("esp", config.install.partitions.esp_mib)?;
    let asked = human::size(esp);
    if esp < contents.efi_bytes.saturating_add(ESP_OVERHEAD_BYTES) {
        let programs = human::size(contents.efi_bytes);
        return Err(unfit(format!(
            "[install.partitions] esp: {asked} can't hold boot loaders of {programs}"
        )));
    }
    let least = match sector_bytes {
        4096 => fat::MIN_BYTES_OF_4096,
        _ => fat::MIN_BYTES,
    };
    if !(least..=fat::MAX_BYTES).contains(&esp) {
        let (least, most) = (human::size(least), human::size(fat::MAX_BYTES));
        return Err(unfit(format!(
            "[install.partitions] esp: {asked} is not between {least} and {most}"
        )));
    }
    Ok(esp)
}

/// Three slots, each with room for a system that is half as large again; an
/// upgrade writes into the slot that it replaces.
fn state_bytes(config: &Config, contents: Contents) -> Result<u64> {
    let slot = contents.slot_bytes;
    let at_least = slot
        .saturating_mul(SLOTS)
        .saturating_add(STATE_OVERHEAD_BYTES);
    match config.install.partitions.state_mib {
        Some(mib) => {
            let asked = mebibytes("state", mib)?;
            if asked < at_least {
                return Err(unfit(format!(
                    "[install.partitions] state: {} can't hold three systems of {} each; at least \
                     {} are needed",
                    human::size(asked),
                    human::size(slot),
                    human::size(at_least.next_multiple_of(MIB))
                )));
            }
            Ok(asked)
        }
        None => slot
            .checked_add(slot / 2)
            .and_then(|grown| grown.checked_mul(SLOTS))
            .and_then(|slots| slots.checked_add(STATE_OVERHEAD_BYTES))
            .and_then(|bytes| bytes.checked_next_multiple_of(STATE_GRANULE_BYTES))
            .ok_or_else(|| no_size("state", slot / MIB)),
    }
}

fn mebibytes(what: &str, mib: u64) -> Result<u64> {
    mib.checked_mul(MIB)
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| no_size(what, mib))
}

fn no_size(what: &str, mib: u64) -> Failure {
    unfit(format!(
        "[install.partitions] {what}: {mib} MiB is no size of a partition"
    ))
}

fn sum(partitions: &[Partition]) -> Result<u64> {
    partitions.iter().try_fold(0_u64, |sum, partition| {
        sum.checked_add(partition.bytes)
            .ok_or_else(|| no_size(&partition.label, partition.bytes / MIB))
    })
}

fn too_small(partitions: &[Partition], before: u64, persistent: u64, disk_bytes: u64) -> String {
    let mut list: Vec<String> = partitions
        .iter()
        .map(|partition| format!("{} {}", partition.label, human::size(partition.bytes)))
        .collect();
    list.push(format!("{} {}", label::PERSISTENT, human::size(persistent)));
    let needed = before.saturating_add(persistent).saturating_add(2 * MIB);
    format!(
        "too small with {}: {} are needed, which are {}",
        human::size(disk_bytes),
        human::size(needed),
        list.join(", ")
    )
}

impl Partition {
    fn new(role: Role, label: &str, bytes: u64) -> Self {
        Self {
            number: 0,
            role,
            label: label.to_owned(),
            offset: 0,
            bytes,
        }
    }
}

impl Plan {
    /// The first partition with this role.
    #[must_use]
    pub fn find(&self, role: Role) -> Option<&Partition> {
        self.partitions
            .iter()
            .find(|partition| partition.role == role)
    }
}

#[cfg(test)]
mod tests;
