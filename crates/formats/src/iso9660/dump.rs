//! A readable dump of an image's structure: one line per fact, for people, for
//! snapshots, and for finding out where two images differ.

use std::fmt::Write as _;
use std::io::{Read, Seek};

use super::BLOCK_BYTES;
use super::read::{Entry, EntryKind, Image, Namespace};
use crate::Error;
use isoforge_base::tree::display;

/// Describes volume, boot catalog and both trees. Positions are blocks; a
/// record's place is its offset in bytes, in hexadecimal.
///
/// # Errors
/// What reading the image gave.
pub fn dump<R: Read + Seek>(image: &mut Image<R>) -> Result<String, Error> {
    let mut out = String::new();
    let volume = image.volume().clone();
    // Writing into a String never fails.
    let _ = writeln!(
        out,
        "volume '{}' by '{}': {} blocks, created {}, rock ridge {}, joliet {}",
        volume.id,
        volume.application,
        volume.blocks,
        volume.created,
        volume.rock_ridge,
        volume.joliet
    );
    for entry in image.boot_entries()? {
        let _ = writeln!(
            out,
            "boot platform {:#04x}: block {}, {} sectors, emulation {}, bootable {}",
            entry.platform, entry.block, entry.sectors, entry.emulation, entry.bootable
        );
    }
    for (name, namespace) in [
        ("primary", Namespace::Primary),
        ("joliet", Namespace::Joliet),
    ] {
        let entries = image.entries(namespace)?;
        let _ = writeln!(out, "{name} tree, {} entries:", entries.len());
        for entry in &entries {
            line(&mut out, entry);
        }
    }
    Ok(out)
}

fn line(out: &mut String, entry: &Entry) {
    let (kind, target) = match &entry.kind {
        EntryKind::Directory => ('d', String::new()),
        EntryKind::File => ('-', String::new()),
        EntryKind::Symlink(target) => ('l', format!(" -> {}", display(target))),
        EntryKind::Special => ('?', String::new()),
    };
    let mode = entry.mode.map_or_else(
        || "----".to_owned(),
        |mode| format!("{:04o}", mode & 0o7777),
    );
    let [year, month, day, hour, minute, second, _] = entry.time;
    let year = 1900 + u16::from(year);
    let _ = write!(
        out,
        "{kind} {mode} {year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    );
    for (section, record) in entry.sections.iter().zip(&entry.records) {
        let block = section.offset / BLOCK_BYTES;
        let _ = write!(out, " {block}+{}@{record:x}", section.bytes);
    }
    let _ = writeln!(out, " /{}{target}", display(&entry.path));
}
