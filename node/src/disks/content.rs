//! What is on a disk, in words, and whether it is an installed appliance. One whose
//! installation was cut off is none.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use isoforge_base::process::Program;
use isoforge_contract::machine::Firmware;
use serde::Deserialize;

use super::table::{self, Entry};
use super::{printable, unfinished};
use isoforge_contract::disk::label;
use isoforge_formats::gpt::TYPE_ESP;

/// Most bytes that a program may print about a disk.
const OUTPUT_MAX_BYTES: u64 = 64 << 10;

/// Most partitions that are named.
const NAMED_MAX: usize = 8;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Content {
    /// In words: `empty`, `GPT: ESP, STATE`, `ext4 "data"`.
    pub words: String,
    /// The installed appliance, where there is one.
    pub appliance: Option<String>,
}

/// The part of `slot.json` that names what is installed.
#[derive(Deserialize)]
struct Installed {
    name: String,
    version: String,
}

/// Looks at the disk, without writing to it; `firmware` is the machine's.
pub(crate) fn look(disk: &Path, sector_bytes: u32, firmware: Firmware) -> Content {
    let file = match File::open(disk) {
        Ok(file) => file,
        Err(error) => {
            return Content {
                words: format!("unreadable: {error}"),
                appliance: None,
            };
        }
    };
    match table::read(&file, sector_bytes) {
        Some(entries) if unfinished::is(&file, &entries, firmware) => Content {
            words: "an installation that was cut off".to_owned(),
            appliance: None,
        },
        Some(entries) => Content {
            words: partitions(&entries),
            appliance: appliance(disk, &entries),
        },
        None => Content {
            words: signature(disk),
            appliance: None,
        },
    }
}

fn partitions(entries: &[Entry]) -> String {
    let mut names: Vec<String> = entries
        .iter()
        .map(|entry| match entry.name.as_str() {
            "" if entry.type_guid == TYPE_ESP.on_disk() => label::ESP.to_owned(),
            "" => format!("partition {}", entry.number),
            name => name.to_owned(),
        })
        .collect();
    if names.is_empty() {
        return "GPT without partitions".to_owned();
    }
    let more = names.len().saturating_sub(NAMED_MAX);
    names.truncate(NAMED_MAX);
    let list = names.join(", ");
    match more {
        0 => format!("GPT: {list}"),
        more => format!("GPT: {list} and {more} more"),
    }
}

/// The appliance by the names of its partitions, which are for people: what is
/// on a disk is asked here only to warn before it is overwritten.
fn appliance(disk: &Path, entries: &[Entry]) -> Option<String> {
    let named = |name: &str| entries.iter().find(|entry| entry.name == name);
    let state = named(label::STATE)?;
    named(label::OEM)?;
    named(label::PERSISTENT)?;
    let slot = read_ext4(disk, state, isoforge_contract::disk::GRUBENV)
        .and_then(|bytes| good_slot(&bytes))
        .unwrap_or_else(|| "a".to_owned());
    let record = format!("{}/{slot}/slot.json", isoforge_contract::disk::SLOTS);
    let installed: Option<Installed> = read_ext4(disk, state, &record)
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .filter(|installed: &Installed| !installed.name.is_empty());
    Some(match installed {
        Some(of) => printable(&format!("{} {}", of.name, of.version)),
        None => "an appliance of unknown version".to_owned(),
    })
}

fn good_slot(environment: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(environment);
    let slot = text.lines().find_map(|line| line.strip_prefix("good="))?;
    ["a", "b", "recovery"]
        .contains(&slot)
        .then(|| slot.to_owned())
}

/// A file of an ext4 file system on the disk, read by debugfs, which opens it
/// for reading only and leaves its journal alone.
fn read_ext4(disk: &Path, partition: &Entry, path: &str) -> Option<Vec<u8>> {
    let device = format!("{}?offset={}", disk.display(), partition.offset);
    let bytes = Program::new("debugfs", "e2fsprogs")
        .args(["-R", &format!("cat /{path}"), &device])
        .output(OUTPUT_MAX_BYTES)
        .ok()?;
    (!bytes.is_empty()).then_some(bytes)
}

/// What a disk without a GPT begins with.
fn signature(disk: &Path) -> String {
    let program = Program::new("blkid", "util-linux");
    // It fails where it finds nothing, and a disk with content that it can't
    // tell is as good as empty to it.
    let Ok(bytes) = program
        .args(["-p", "-o", "export"])
        .arg(disk)
        .output(OUTPUT_MAX_BYTES)
    else {
        return "empty".to_owned();
    };
    let text = String::from_utf8_lossy(&bytes);
    let values: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    let value = |key| values.get(key).map(|value| printable(value));
    match (value("TYPE"), value("LABEL"), value("PTTYPE")) {
        (Some(kind), Some(label), _) => format!("{kind} \"{label}\""),
        (Some(kind), None, _) => kind,
        (None, _, Some(table)) if table == "dos" => "MBR partitions".to_owned(),
        (None, _, Some(table)) => format!("{table} partitions"),
        (None, _, None) => "empty".to_owned(),
    }
}
