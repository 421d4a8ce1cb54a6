//! Whether a disk is as a power cut may leave it: what looks bootable is
//! complete, and everything else is passed over by the firmware.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::digests::{Digests, Files};
use super::replay::copy_range;
use crate::image::{Ext4, Image, Partition};
use crate::qemu::scratch;
use crate::sh;

/// Bytes of the first sector that are boot code; its last two bytes say that
/// there is some.
const CODE: usize = 440;
const SIGNATURE: [u8; 2] = [0x55, 0xaa];

/// `int 18h`, by which boot code hands back to the BIOS, which goes on to the
/// next device.
const NOT_ME: [u8; 2] = [0xcd, 0x18];

/// What UEFI starts.
const LOADER: &str = "/EFI/BOOT/bootx64.efi";

/// Where the partition tables are, which decide what the rest is.
const TABLES: Range<u64> = 0..1 << 20;

/// Size of GRUB's environment block.
const GRUBENV: usize = 1024;

/// What the ESP holds, by path.
const ESP_FILES: [&str; 7] = [
    LOADER,
    "/EFI/BOOT/grubx64.efi",
    "/EFI/BOOT/mmx64.efi",
    "/EFI/BOOT/grub.cfg",
    "/EFI/debian/grub.cfg",
    "/EFI/ubuntu/grub.cfg",
    "/boot/grub/grub.cfg",
];

/// What a disk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// No firmware would boot it.
    NotBootable,
    /// It boots, and all that it may boot is whole.
    Bootable { good: String, trial: String },
}

/// What the firmware would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Looks {
    bios: bool,
    uefi: bool,
}

/// Whether any firmware would boot this disk.
pub(crate) fn looks_bootable(image: &Image) -> Result<bool> {
    let looks = looks(image, None)?;
    Ok(looks.bios || looks.uefi)
}

/// `code` is the boot code that may be there.
fn looks(image: &Image, code: Option<&[u8]>) -> Result<Looks> {
    let sector = image.read(0..512)?;
    let found = sector.get(..CODE).unwrap_or_default();
    let bios = if sector.get(510..) != Some(&SIGNATURE) || found.starts_with(&NOT_ME) {
        false
    } else if found.iter().all(|byte| *byte == 0) {
        bail!("a BIOS jumps into boot code that is all zeros, and hangs");
    } else {
        ensure!(
            code.is_none_or(|code| code == found),
            "the MBR holds boot code that the finished disk does not have"
        );
        true
    };
    Ok(Looks {
        bios,
        uefi: esp(image)?.is_some(),
    })
}

/// The partition that UEFI would boot.
fn esp(image: &Image) -> Result<Option<Partition>> {
    for part in image.partitions() {
        if image.fat_file(&part, LOADER)?.is_some() {
            return Ok(Some(part));
        }
    }
    Ok(None)
}

/// What finished disks hold.
#[derive(Debug)]
pub(crate) struct Reference {
    code: Vec<u8>,
    core: Option<Vec<u8>>,
    esp: Vec<Files>,
    /// Complete slots, each with its name.
    slots: Vec<(String, Files)>,
    menus: Vec<String>,
}

impl Reference {
    /// From disks that are finished, one before and one after an upgrade.
    pub(crate) fn of(disks: &[&Path]) -> Result<Self> {
        let first = Image::new(disks.first().context("no disk")?);
        let mut this = Self {
            code: first.read(0..CODE as u64)?,
            core: core(&first)?,
            esp: Vec::new(),
            slots: Vec::new(),
            menus: Vec::new(),
        };
        for disk in disks {
            this.add(&Image::new(disk))
                .with_context(|| disk.display().to_string())?;
        }
        Ok(this)
    }

    fn add(&mut self, image: &Image) -> Result<()> {
        let esp = esp(image)?.context("no ESP with a boot loader")?;
        self.esp.push(esp_files(image, &esp)?);
        let state = ext4(image, "STATE")?;
        let menu = state.digest("/grub/grub.cfg")?;
        self.menus.push(menu.context("no menu on STATE")?);
        for slot in ["a", "b", "recovery"] {
            let files = slot_files(&state, slot, &mut Digests::default())?;
            if files.contains_key("slot.cfg") {
                self.slots.push((slot.to_owned(), files));
            }
        }
        Ok(())
    }

    /// Whether a slot holds exactly what a finished disk has there.
    fn check_slot(&self, state: &Ext4, slot: &str, digests: &mut Digests) -> Result<()> {
        let found = slot_files(state, slot, digests)?;
        let mut wanted = self.slots.iter().filter(|(name, _)| name == slot);
        ensure!(
            wanted.any(|(_, files)| *files == found),
            "slot {slot} is not whole: {:?}",
            found.keys()
        );
        Ok(())
    }
}

fn ext4(image: &Image, name: &str) -> Result<Ext4> {
    let part = image.named(name)?;
    image
        .ext4(&part)?
        .with_context(|| format!("{name} is no ext4"))
}

/// What lies in the BIOS boot partition, if there is one.
fn core(image: &Image) -> Result<Option<Vec<u8>>> {
    match image.named("BIOS") {
        Ok(part) => Ok(Some(image.read(part.bytes)?)),
        Err(_) => Ok(None),
    }
}

fn esp_files(image: &Image, esp: &Partition) -> Result<Files> {
    let mut files = Files::new();
    for path in ESP_FILES {
        if let Some(bytes) = image.fat_file(esp, path)? {
            let copy = scratch("esp-file")?;
            std::fs::write(&copy, bytes)?;
            files.insert(path.to_owned(), sh::sha256(&copy)?);
        }
    }
    Ok(files)
}

/// A slot's files, without what is being written beside them.
fn slot_files(state: &Ext4, slot: &str, digests: &mut Digests) -> Result<Files> {
    let folder = format!("/slots/{slot}");
    let mut files = Files::new();
    for name in state.names(&folder)? {
        if let Some(digest) = digests.of(state, &format!("{folder}/{name}"))? {
            files.insert(name, digest);
        }
    }
    Ok(files)
}

/// Checks the states of one disk, one after the other.
pub(crate) struct Checker<'a> {
    reference: &'a Reference,
    /// What was found out about partitions that have not changed since.
    known: BTreeMap<u64, Option<State>>,
    /// Those of the files of STATE.
    digests: Digests,
}

impl<'a> Checker<'a> {
    pub(crate) fn new(reference: &'a Reference) -> Self {
        Self {
            reference,
            known: BTreeMap::new(),
            digests: Digests::default(),
        }
    }

    fn forget(&mut self) {
        self.known.clear();
        self.digests = Digests::default();
    }

    /// What the disk is, of which this was changed since the last time; an error
    /// where it is what no power cut may leave.
    pub(crate) fn check(&mut self, disk: &Path, changes: &[Range<u64>]) -> Result<State> {
        let image = Image::new(disk);
        let looks = looks(&image, Some(&self.reference.code))?;
        if !looks.bios && !looks.uefi {
            self.forget();
            return Ok(State::NotBootable);
        }
        image.verify_table()?;
        if changes.iter().any(|change| overlap(change, &TABLES)) {
            self.forget();
        }
        if looks.bios {
            ensure!(
                core(&image)? == self.reference.core,
                "the BIOS starts a core image that is not whole"
            );
        }
        let mut state = None;
        for part in image.partitions() {
            let changed = changes.iter().any(|change| overlap(change, &part.bytes));
            if changed {
                self.known.remove(&part.bytes.start);
            }
            if part.name == "STATE" {
                self.digests.forget(changes, &part.bytes);
            }
            let found = match self.known.get(&part.bytes.start) {
                Some(known) => known.clone(),
                None => {
                    let found = self.partition(&image, &part);
                    found.with_context(|| format!("partition {}", part.name))?
                }
            };
            self.known.insert(part.bytes.start, found.clone());
            state = state.or(found);
        }
        state.context("it looks bootable, and has no STATE")
    }

    /// What STATE says, nothing for other partitions.
    fn partition(&mut self, image: &Image, part: &Partition) -> Result<Option<State>> {
        if part.name == "ESP" {
            let files = esp_files(image, part)?;
            ensure!(
                self.reference.esp.contains(&files),
                "it is not whole: {:?}",
                files.keys()
            );
            return Ok(None);
        }
        let Some(fs) = image.ext4(part)? else {
            ensure!(
                !matches!(part.name.as_str(), "OEM" | "STATE" | "PERSISTENT"),
                "it is no ext4"
            );
            return Ok(None);
        };
        let is_state = part.name == "STATE";
        // As GRUB reads it.
        let state = is_state.then(|| self.state(&fs)).transpose()?;
        if !fs.recovery {
            fs.check()?;
            return Ok(state);
        }
        // As Linux does.
        let copy = scratch("replayed-partition")?;
        copy_range(&image.path, part.bytes.clone(), &copy)?;
        let alone = Partition {
            bytes: 0..part.bytes.end - part.bytes.start,
            ..part.clone()
        };
        let mut fs = Image::new(&copy).ext4(&alone)?.context("it is no ext4")?;
        fs.replay()?;
        fs.check()?;
        if is_state {
            let replayed = self.state(&fs).context("with its journal replayed")?;
            ensure!(
                Some(&replayed) == state.as_ref(),
                "GRUB reads {state:?}, Linux {replayed:?}"
            );
        }
        Ok(state)
    }

    fn state(&mut self, fs: &Ext4) -> Result<State> {
        let block = fs.file("/grubenv")?.context("no grubenv")?;
        let (good, trial) = environment(&block)?;
        let menu = fs.digest("/grub/grub.cfg")?.context("no menu")?;
        ensure!(self.reference.menus.contains(&menu), "another menu");
        let digests = &mut self.digests;
        self.reference.check_slot(fs, "recovery", digests)?;
        self.reference.check_slot(fs, &good, digests)?;
        if !trial.is_empty() {
            self.reference
                .check_slot(fs, &trial, digests)
                .context("it is to be tried")?;
        }
        Ok(State::Bootable { good, trial })
    }
}

/// Whether GRUB would try a system, by what it reads of STATE; false where it reads
/// nothing.
pub(super) fn trial(image: &Image, state: &Partition) -> Result<bool> {
    let Some(fs) = image.ext4(state)? else {
        return Ok(false);
    };
    let block = fs.file("/grubenv")?;
    let block = block.map(|block| environment(&block)).transpose()?;
    Ok(block.is_some_and(|(_, trial)| !trial.is_empty()))
}

pub(super) fn overlap(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start < other.end && other.start < one.end
}

/// The variables `good` and `trial` of a GRUB environment block.
fn environment(block: &[u8]) -> Result<(String, String)> {
    ensure!(block.len() == GRUBENV, "grubenv has {} bytes", block.len());
    let text = std::str::from_utf8(block).context("grubenv")?;
    ensure!(
        text.starts_with("# GRUB Environment Block\n"),
        "grubenv is none"
    );
    let value = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        let found = lines.rfind(|(key, _)| *key == name);
        found.map(|(_, value)| value.to_owned()).unwrap_or_default()
    };
    let good = value("good");
    ensure!(matches!(good.as_str(), "a" | "b"), "grubenv: good={good}");
    Ok((good, value("trial")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> Vec<u8> {
        let mut block = format!("# GRUB Environment Block\n{text}").into_bytes();
        block.resize(GRUBENV, b'#');
        block
    }

    #[test]
    fn an_environment_block_is_read() {
        let read = |text: &str| environment(&block(text)).unwrap();
        assert_eq!(read("good=a\ntrial=b\n"), ("a".into(), "b".into()));
        assert_eq!(read("good=b\ntrial=\n"), ("b".into(), String::new()));
        assert!(environment(&block("trial=b\n")).is_err());
        assert!(environment(&block("good=a\n")[1..]).is_err());
        assert!(environment(&[0; GRUBENV]).is_err());
    }

    #[test]
    fn a_disk_without_boot_code_is_passed_over_or_it_is_an_error() {
        sh::to_workspace_root().unwrap();
        let path = scratch("test-looks.raw").unwrap();
        let looks = |code: &[u8], signed: bool| {
            let mut disk = vec![0; 1 << 20];
            disk[..code.len()].copy_from_slice(code);
            if signed {
                disk[510..512].copy_from_slice(&SIGNATURE);
            }
            std::fs::write(&path, disk).unwrap();
            looks_bootable(&Image::new(&path))
        };
        assert!(!looks(b"\xeb\x63", false).unwrap());
        assert!(!looks(&NOT_ME, true).unwrap());
        assert!(looks(b"\xeb\x63", true).unwrap());
        let error = looks(b"", true).unwrap_err().to_string();
        assert!(error.contains("hangs"), "{error}");
    }
}
