//! What an ELF header says of where a program runs: its machine, and whether it
//! needs a loader of its system; and single sections, for kernel modules.
//!
//! Specification: System V ABI, chapter 4 ("Object Files"), 64-bit little-endian
//! files alone. Nothing but the headers and the section asked for is read.

use crate::Error;

/// Size of the file header of a 64-bit file, in bytes.
const HEADER_BYTES: usize = 64;

/// Least size of an entry of the program header table, in bytes.
const PROGRAM_HEADER_BYTES: u64 = 56;

/// Least size of an entry of the section header table, in bytes.
const SECTION_HEADER_BYTES: u64 = 64;

/// `e_type` of a program at a fixed place, and of one that can lie anywhere.
const TYPES: [u16; 2] = [2, 3];

/// `p_type` of the entry that names the loader of a dynamically linked program.
const PT_INTERP: u32 = 3;

/// A machine that a program is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// x86-64.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
    /// Another, by its number.
    Other(u16),
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::X86_64 => f.write_str("amd64"),
            Self::Aarch64 => f.write_str("arm64"),
            Self::Other(number) => write!(f, "machine number {number}"),
        }
    }
}

/// A program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Executable {
    /// What it runs on.
    pub machine: Machine,
    /// Whether it runs without a loader and libraries of its system.
    pub is_static: bool,
}

/// Reads the headers of a program.
///
/// # Errors
/// Where `bytes` are no 64-bit little-endian program.
pub fn read(bytes: &[u8]) -> Result<Executable, Error> {
    if !bytes.starts_with(b"\x7fELF") {
        return Err(Error::damaged("it is no ELF file"));
    }
    if bytes.len() < HEADER_BYTES {
        return Err(short(bytes.len() as u64));
    }
    let [class, order] = field(bytes, 4)?;
    if (class, order) != (2, 1) {
        return Err(Error::damaged(format!(
            "it is no 64-bit little-endian ELF file (bytes 4 and 5 are {class} and {order})"
        )));
    }
    let kind = u16::from_le_bytes(field(bytes, 16)?);
    if !TYPES.contains(&kind) {
        return Err(Error::damaged(format!(
            "it is an ELF file, but no program (type {kind} at offset 16)"
        )));
    }
    let machine = match u16::from_le_bytes(field(bytes, 18)?) {
        62 => Machine::X86_64,
        183 => Machine::Aarch64,
        other => Machine::Other(other),
    };
    let table = u64::from_le_bytes(field(bytes, 32)?);
    let entry_bytes = u64::from(u16::from_le_bytes(field(bytes, 54)?));
    let entries = u64::from(u16::from_le_bytes(field(bytes, 56)?));
    if entries > 0 && entry_bytes < PROGRAM_HEADER_BYTES {
        return Err(Error::damaged(format!(
            "its table of program headers has entries of {entry_bytes} bytes (offset 54)"
        )));
    }
    let mut is_static = true;
    for entry in 0..entries {
        let at = table.saturating_add(entry * entry_bytes);
        is_static &= u32::from_le_bytes(field(bytes, at)?) != PT_INTERP;
    }
    Ok(Executable { machine, is_static })
}

/// The bytes of the section `name` of a 64-bit little-endian file of any type,
/// an object file too; nothing where it has none, or is damaged.
#[must_use]
pub fn section<'a>(bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
    if !bytes.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let table = u64::from_le_bytes(field(bytes, 40).ok()?);
    let entry_bytes = u64::from(u16::from_le_bytes(field(bytes, 58).ok()?));
    let entries = u64::from(u16::from_le_bytes(field(bytes, 60).ok()?));
    let names = u64::from(u16::from_le_bytes(field(bytes, 62).ok()?));
    if entry_bytes < SECTION_HEADER_BYTES {
        return None;
    }
    let content = |entry: u64| {
        let at = table.checked_add(entry.checked_mul(entry_bytes)?)?;
        let start = u64::from_le_bytes(field(bytes, at.checked_add(24)?).ok()?);
        let size = u64::from_le_bytes(field(bytes, at.checked_add(32)?).ok()?);
        let start = usize::try_from(start).ok()?;
        bytes.get(start..start.checked_add(usize::try_from(size).ok()?)?)
    };
    let names = content(names)?;
    (0..entries).find_map(|entry| {
        let at = table.checked_add(entry * entry_bytes)?;
        let offset = u32::from_le_bytes(field(bytes, at).ok()?);
        let rest = names.get(usize::try_from(offset).ok()?..)?;
        let found = rest.split(|&byte| byte == 0).next()?;
        (found == name.as_bytes()).then(|| content(entry)).flatten()
    })
}

fn field<const N: usize>(bytes: &[u8], at: u64) -> Result<[u8; N], Error> {
    let start = usize::try_from(at).ok();
    start
        .and_then(|start| bytes.get(start..start.checked_add(N)?)?.try_into().ok())
        .ok_or_else(|| short(at.min(bytes.len() as u64)))
}

/// It ends within a header.
fn short(at: u64) -> Error {
    Error::damaged(format!("it ends within its headers, at byte {at}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program for `machine` with program headers of these types.
    fn program(machine: u16, types: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[16..18].copy_from_slice(&2_u16.to_le_bytes());
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
        bytes[54..56].copy_from_slice(&56_u16.to_le_bytes());
        bytes[56..58].copy_from_slice(&u16::try_from(types.len()).unwrap().to_le_bytes());
        for kind in types {
            bytes.extend_from_slice(&kind.to_le_bytes());
            bytes.extend_from_slice(&[0; 52]);
        }
        bytes
    }

    #[test]
    fn machine_and_loader_are_seen() {
        let found = read(&program(62, &[1, 2])).unwrap();
        assert_eq!(found.machine, Machine::X86_64);
        assert!(found.is_static);
        let found = read(&program(183, &[1, PT_INTERP])).unwrap();
        assert_eq!(found.machine, Machine::Aarch64);
        assert!(!found.is_static);
        assert_eq!(read(&program(8, &[])).unwrap().machine, Machine::Other(8));
    }

    #[test]
    fn this_test_is_a_program_of_this_machine() {
        let bytes = fs_err::read(std::env::current_exe().unwrap()).unwrap();
        let found = read(&bytes).unwrap();
        assert_eq!(
            found.machine == Machine::X86_64,
            cfg!(target_arch = "x86_64")
        );
    }

    #[test]
    fn sections_of_this_test_are_found() {
        let bytes = fs_err::read(std::env::current_exe().unwrap()).unwrap();
        let comment = section(&bytes, ".comment").unwrap();
        assert!(String::from_utf8_lossy(comment).contains("rustc"));
        assert_eq!(section(&bytes, ".nothing"), None);
        for end in [0, 3, 63, 64, 1000] {
            assert_eq!(section(&bytes[..end], ".comment"), None);
        }
    }

    #[test]
    fn what_is_no_program_is_told_apart() {
        let with = |at: usize, byte: u8| {
            let mut bytes = program(62, &[1]);
            bytes[at] = byte;
            read(&bytes).unwrap_err().to_string()
        };
        let script = read(b"#!/bin/sh\n").unwrap_err();
        assert_eq!(script.to_string(), "it is no ELF file");
        assert!(with(4, 1).contains("(bytes 4 and 5 are 1 and 1)"));
        assert!(with(16, 1).contains("no program (type 1 at"));
        assert!(with(54, 8).contains("entries of 8 bytes"));
        assert!(with(33, 1).ends_with("at byte 120"));
        assert!(with(39, 0xff).ends_with("at byte 120"));
    }

    /// No damage of one byte, and no cut, is worse than an error.
    #[test]
    fn mutations_and_cuts_are_survived() {
        let bytes = program(62, &[1, PT_INTERP]);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut mutated = bytes.clone();
                mutated[at] ^= 1 << bit;
                let _ = read(&mutated);
            }
            if at < bytes.len() - 52 {
                assert!(read(&bytes[..at]).is_err(), "cut at {at}");
            }
        }
    }
}
