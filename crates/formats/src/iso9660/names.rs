//! Identifiers for the two trees: ECMA-119 7.5 and 7.6 at level 2 and 3 (up to
//! 30 d-characters and the separators), and Joliet's 64 UCS-2 characters.
//!
//! Names that would collide within a directory get a number; names are given
//! out in byte order of the originals, so the result never depends on anything
//! else.

use std::collections::{BTreeMap, BTreeSet};

/// d-characters of a file's name and extension together (ECMA-119 7.5.1).
const ISO_FILE_CHARS: usize = 30;

/// d-characters of an extension; what is longer is cut.
const ISO_EXTENSION_CHARS: usize = 12;

/// d-characters of a directory's name (ECMA-119 7.6.3).
const ISO_DIRECTORY_CHARS: usize = 31;

/// Characters of a Joliet name.
const JOLIET_CHARS: usize = 64;

/// Gives out the identifiers of one directory.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: BTreeSet<Vec<u8>>,
    /// The next number to try for a name that was given out before.
    next: BTreeMap<Vec<u8>, u32>,
}

impl Names {
    /// The primary tree's identifier, version number included.
    pub(super) fn iso(&mut self, name: &[u8], directory: bool) -> Vec<u8> {
        let text = String::from_utf8_lossy(name);
        if directory {
            let chars = d_characters(&text, ISO_DIRECTORY_CHARS);
            return self.unique(&chars, |suffix| {
                [keep(&chars, ISO_DIRECTORY_CHARS, suffix.len()), suffix].concat()
            });
        }
        let (base, extension) = match text.rsplit_once('.') {
            Some((base, extension)) if !base.is_empty() => (base, extension),
            _ => (text.as_ref(), ""),
        };
        let extension = d_characters(extension, ISO_EXTENSION_CHARS);
        let base_chars = ISO_FILE_CHARS - extension.len();
        let base = d_characters(base, base_chars);
        let whole = |suffix: &[u8]| {
            let base = keep(&base, base_chars, suffix.len());
            [base, suffix, b".", &extension, b";1"].concat()
        };
        self.unique(&whole(b""), whole)
    }

    /// The Joliet identifier in big-endian UCS-2, without a version number, as
    /// `xorriso` writes it.
    pub(super) fn joliet(&mut self, name: &[u8]) -> Vec<u8> {
        let units: Vec<u16> = String::from_utf8_lossy(name)
            .chars()
            .map(joliet_unit)
            .collect();
        let whole = |suffix: &[u8]| {
            let kept = units.len().min(JOLIET_CHARS.saturating_sub(suffix.len()));
            let suffix = suffix.iter().map(|&digit| u16::from(digit));
            units
                .iter()
                .copied()
                .take(kept)
                .chain(suffix)
                .flat_map(u16::to_be_bytes)
                .collect::<Vec<u8>>()
        };
        self.unique(&whole(b""), whole)
    }

    /// `first`, or what `numbered` makes of the first free number.
    fn unique(&mut self, first: &[u8], numbered: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
        if self.taken.insert(first.to_vec()) {
            return first.to_vec();
        }
        let mut number = self.next.get(first).copied().unwrap_or(0);
        loop {
            let candidate = numbered(format!("{number:03}").as_bytes());
            number += 1;
            if self.taken.insert(candidate.clone()) {
                self.next.insert(first.to_vec(), number);
                return candidate;
            }
        }
    }
}

/// The first `limit` characters as d-characters: upper case, `_` for the rest.
fn d_characters(text: &str, limit: usize) -> Vec<u8> {
    text.chars()
        .take(limit)
        .map(|c| match c {
            'A'..='Z' | '0'..='9' => c as u8,
            'a'..='z' => c.to_ascii_uppercase() as u8,
            _ => b'_',
        })
        .collect()
}

/// As much of `chars` as fits into `limit` beside a suffix.
fn keep(chars: &[u8], limit: usize, suffix: usize) -> &[u8] {
    let kept = chars.len().min(limit.saturating_sub(suffix));
    chars.get(..kept).unwrap_or_default()
}

/// Joliet section "Allowed character set": no control characters and none of
/// `* / : ; ? \`; characters beyond the basic plane have no UCS-2 form.
fn joliet_unit(c: char) -> u16 {
    match c {
        '\0'..='\x1f' | '*' | '/' | ':' | ';' | '?' | '\\' => u16::from(b'_'),
        _ => u16::try_from(u32::from(c)).unwrap_or(u16::from(b'_')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iso(names: &[&str]) -> Vec<String> {
        let mut given = Names::default();
        names
            .iter()
            .map(|name| String::from_utf8(given.iso(name.as_bytes(), false)).unwrap())
            .collect()
    }

    #[test]
    fn names_are_mangled_to_level_three() {
        assert_eq!(
            iso(&[
                "kernel",
                "rootfs.squashfs",
                ".disk",
                "a.tar.gz",
                "größe.txt",
                &"x".repeat(40),
                &format!("{}.{}", "y".repeat(40), "z".repeat(40)),
            ]),
            [
                "KERNEL.;1",
                "ROOTFS.SQUASHFS;1",
                "_DISK.;1",
                "A_TAR.GZ;1",
                "GR__E.TXT;1",
                &format!("{}.;1", "X".repeat(30)),
                &format!("{}.{};1", "Y".repeat(18), "Z".repeat(12)),
            ]
        );
    }

    #[test]
    fn collisions_are_numbered_and_never_meet_a_real_name() {
        assert_eq!(
            iso(&["A000.txt", "A.txt", "a.TXT", "a.txt"]),
            ["A000.TXT;1", "A.TXT;1", "A001.TXT;1", "A002.TXT;1"]
        );
        let long = "n".repeat(29);
        let names = iso(&[
            &format!("{long}1"),
            &format!("{long}1x"),
            &format!("{long}1y"),
        ]);
        assert_eq!(names[1], format!("{}000.;1", "N".repeat(27)));
        assert!(names.iter().all(|name| name.len() <= 33), "{names:?}");
    }

    #[test]
    fn thousands_of_collisions_stay_unique_and_within_bounds() {
        let mut given = Names::default();
        let mut seen = BTreeSet::new();
        for n in 0..5000 {
            let id = given.iso(format!("{}{n:04}", "q".repeat(40)).as_bytes(), true);
            assert!(id.len() <= 31);
            assert!(seen.insert(id));
        }
    }

    #[test]
    fn joliet_names_are_ucs2_cut_at_64() {
        let mut given = Names::default();
        let wide = given.joliet("é:\u{1F600}".as_bytes());
        assert_eq!(wide, [0, 0xE9, 0, b'_', 0, b'_']);
        let first = given.joliet("j".repeat(70).as_bytes());
        let second = given.joliet("j".repeat(80).as_bytes());
        assert_eq!((first.len(), second.len()), (128, 128));
        assert_eq!(&second[122..], [0, b'0', 0, b'0', 0, b'0']);
    }
}
