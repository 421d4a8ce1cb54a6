//! One 512-byte tar header: field positions and number formats.
//!
//! POSIX.1-2017 `pax`, "ustar Interchange Format"; the GNU tar manual, "Basic
//! Tar Format", for base-256 numbers and the sparse fields; the star manual for
//! its shorter prefix.

use std::ops::Range;

use crate::Error;
use isoforge_base::tree::display;

/// Unit of the format, in bytes.
pub const BLOCK_BYTES: usize = 512;

/// Largest size that the header's octal field can hold, in bytes.
pub const MAX_OCTAL_SIZE: u64 = 0o777_7777_7777;

/// Path, NUL where it is shorter.
pub const NAME: Range<usize> = 0..100;
/// Permission bits, octal as all numbers here.
pub const MODE: Range<usize> = 100..108;
/// Owner.
pub const UID: Range<usize> = 108..116;
/// Group.
pub const GID: Range<usize> = 116..124;
/// Bytes of data that follow.
pub const SIZE: Range<usize> = 124..136;
/// Seconds since 1970.
pub const MTIME: Range<usize> = 136..148;
/// Sum of all bytes of the header, this field taken as spaces.
pub const CHECKSUM: Range<usize> = 148..156;
/// What the member is: `0` file, `1` hard link, `2` symbolic link, and so on.
pub const TYPEFLAG: usize = 156;
/// Target of a link.
pub const LINKNAME: Range<usize> = 157..257;
/// Magic number and version.
pub const MAGIC: Range<usize> = 257..265;
/// Major number of a device.
pub const DEVMAJOR: Range<usize> = 329..337;
/// Minor number of a device.
pub const DEVMINOR: Range<usize> = 337..345;
const PREFIX: Range<usize> = 345..500;
const STAR_PREFIX: Range<usize> = 345..476;
const STAR_TRAILER: Range<usize> = 508..512;
/// Old GNU sparse format: four pairs of offset and length.
const GNU_SPARSE: Range<usize> = 386..482;
const GNU_IS_EXTENDED: usize = 482;
const GNU_REAL_SIZE: Range<usize> = 483..495;

/// [`MAGIC`] of POSIX.
pub const USTAR_MAGIC: &[u8] = b"ustar\x0000";
const GNU_MAGIC: &[u8] = b"ustar  \0";
const STAR_MAGIC: &[u8] = b"tar\0";

/// A header whose checksum was right, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Header {
    block: [u8; BLOCK_BYTES],
    pub(super) offset: u64,
}

impl Header {
    /// Takes a block as a header.
    pub(super) fn new(block: [u8; BLOCK_BYTES], offset: u64) -> Result<Self, Error> {
        let header = Self { block, offset };
        let stated = header.number(CHECKSUM, "checksum");
        if stated.is_ok_and(|sum| header.checksums().contains(&sum)) {
            Ok(header)
        } else {
            Err(Error::Checksum { offset })
        }
    }

    /// The sum over the block with spaces for the checksum field; and the sum
    /// of signed bytes, which some old writers used.
    fn checksums(&self) -> [i64; 2] {
        let mut sums = [0, 0];
        for (at, &byte) in self.block.iter().enumerate() {
            let byte = if CHECKSUM.contains(&at) { b' ' } else { byte };
            sums[0] += i64::from(byte);
            sums[1] += i64::from(byte.cast_signed());
        }
        sums
    }

    fn bytes(&self, field: Range<usize>) -> &[u8] {
        self.block.get(field).unwrap_or_default()
    }

    /// The bytes before the first NUL.
    fn text(&self, field: Range<usize>) -> &[u8] {
        until_nul(self.bytes(field))
    }

    pub(super) fn typeflag(&self) -> u8 {
        self.block[TYPEFLAG]
    }

    /// The name, with the prefix where the variant of the format has one.
    pub(super) fn path(&self) -> Vec<u8> {
        let name = self.text(NAME);
        let prefix = if self.bytes(MAGIC) != USTAR_MAGIC {
            &[]
        } else if self.bytes(STAR_TRAILER) == STAR_MAGIC {
            self.text(STAR_PREFIX)
        } else {
            self.text(PREFIX)
        };
        if prefix.is_empty() {
            return name.to_vec();
        }
        [prefix, b"/", name].concat()
    }

    pub(super) fn link(&self) -> &[u8] {
        self.text(LINKNAME)
    }

    pub(super) fn number(&self, field: Range<usize>, name: &str) -> Result<i64, Error> {
        parse_number(self.bytes(field)).map_err(|problem| self.error(name, problem))
    }

    /// A number field that can't be negative.
    pub(super) fn unsigned<T: TryFrom<i64>>(
        &self,
        field: Range<usize>,
        name: &str,
    ) -> Result<T, Error> {
        T::try_from(self.number(field, name)?).map_err(|_| self.error(name, "out of range"))
    }

    /// Whether the header has the fields of the old GNU format.
    pub(super) fn is_gnu(&self) -> bool {
        self.bytes(MAGIC) == GNU_MAGIC
    }

    /// Pairs of offset and length of the old GNU sparse format, and whether
    /// more follow in an extension block.
    pub(super) fn gnu_sparse(&self) -> Result<(Vec<(u64, u64)>, bool), Error> {
        let mut segments = Vec::new();
        sparse_pairs(self.bytes(GNU_SPARSE), &mut segments)
            .map_err(|problem| self.error("sparse map", problem))?;
        Ok((segments, self.block[GNU_IS_EXTENDED] != 0))
    }

    pub(super) fn gnu_real_size(&self) -> Result<u64, Error> {
        self.unsigned(GNU_REAL_SIZE, "real size")
    }

    /// An error in a field of this header.
    pub(super) fn error(&self, field: &str, problem: &'static str) -> Error {
        wrong_field(self.offset, &display(&self.path()), field, problem)
    }
}

/// A field of the header at byte `offset`, or of its extended header, is malformed.
pub(super) fn wrong_field(offset: u64, entry: &str, field: &str, problem: &str) -> Error {
    Error::damaged(format!(
        "entry '{entry}' at byte {offset}: {field} is {problem}"
    ))
}

/// Appends the pairs of offset and length of an old GNU sparse header or
/// extension; they end at the first empty one.
pub(super) fn sparse_pairs(
    fields: &[u8],
    segments: &mut Vec<(u64, u64)>,
) -> Result<(), &'static str> {
    for pair in fields.chunks_exact(24) {
        let (offset, length) = pair.split_at(12);
        if length.first() == Some(&0) {
            return Ok(());
        }
        let parse = |field| {
            parse_number(field).and_then(|n| u64::try_from(n).map_err(|_| "a negative number"))
        };
        segments.push((parse(offset)?, parse(length)?));
    }
    Ok(())
}

pub(super) fn until_nul(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|&byte| byte == 0);
    field.get(..end.unwrap_or(field.len())).unwrap_or_default()
}

/// Octal digits between optional spaces and NULs, or, where the top bit is
/// set, a big-endian two's complement number ("base-256"). An empty field is 0.
fn parse_number(field: &[u8]) -> Result<i64, &'static str> {
    if field.first().is_some_and(|&byte| byte & 0x80 != 0) {
        return parse_base256(field);
    }
    let start = field.iter().position(|byte| !b" \0".contains(byte));
    let digits = field
        .get(start.unwrap_or(field.len())..)
        .unwrap_or_default();
    let end = digits.iter().position(|byte| b" \0".contains(byte));
    let (digits, rest) = digits.split_at(end.unwrap_or(digits.len()));
    if rest.iter().any(|byte| !b" \0".contains(byte)) {
        return Err("not an octal number");
    }
    digits.iter().try_fold(0_i64, |value, &byte| match byte {
        b'0'..=b'7' => value
            .checked_mul(8)
            .and_then(|v| v.checked_add(i64::from(byte - b'0')))
            .ok_or("out of range"),
        _ => Err("not an octal number"),
    })
}

fn parse_base256(field: &[u8]) -> Result<i64, &'static str> {
    let negative = field.first().is_some_and(|&byte| byte & 0x40 != 0);
    let mut value: i64 = if negative { -1 } else { 0 };
    for (at, &byte) in field.iter().enumerate() {
        // The marker bit is no part of the number.
        let byte = match (at, negative) {
            (0, false) => byte & 0x7f,
            _ => byte,
        };
        value = value
            .checked_mul(256)
            .and_then(|v| v.checked_add(i64::from(byte)))
            .ok_or("out of range")?;
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_every_spelling() {
        for (field, value) in [
            (&b"0000644\0"[..], 0o644),
            (b"  644 \0\0", 0o644),
            (b"644     ", 0o644),
            (b"00000644", 0o644),
            (b"\0\0\0\0\0\0\0\0", 0),
            (b"        ", 0),
            (b"\x80\0\0\0\0\0\0\0\0\0\x01\0", 256),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", -1),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", -2),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", i64::MAX),
        ] {
            assert_eq!(parse_number(field), Ok(value), "{}", field.escape_ascii());
        }
        for field in [
            &b"0000648\0"[..],
            b"-1\0\0\0\0\0\0",
            b"12 34\0\0\0",
            b"\x80\0\0\0\x80\0\0\0\0\0\0\0",
            b"\x80\x01\0\0\0\0\0\0\0\0\0\0",
        ] {
            assert!(parse_number(field).is_err(), "{}", field.escape_ascii());
        }
    }
}
