//! GRUB's environment block: which slot is good, and which is booted once on
//! trial.
//!
//! The format is that of `grub-editenv` (GRUB manual, "The GRUB environment
//! block"): 1,024 bytes, a first line that names it, `NAME=VALUE` lines in which
//! a backslash guards the next byte, and `#` up to the end. GRUB overwrites the
//! block where it lies, so it never changes its size.
//!
//! Ours because `grub-editenv` is no part of every system that is installed, and
//! writes the block as a new file, which no power cut may meet halfway.

use super::Slot;
use crate::Error;
use isoforge_base::error::{Class, Failure};

/// Size of the block.
pub const BYTES: usize = 1024;

/// What the block begins with.
const HEADER: &[u8] = b"# GRUB Environment Block\n";

/// What fills the block up.
const PADDING: u8 = b'#';

/// The variable with the slot that boots.
const GOOD: &[u8] = b"good";

/// The variable with the slot that boots once; the menu takes it back first.
const TRIAL: &[u8] = b"trial";

/// The block's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// The slot that boots.
    pub good: Slot,
    /// The slot that boots next, once.
    pub trial: Option<Slot>,
    /// Lines that are not ours, as they stand; those that do not fit into the
    /// block behind ours are dropped.
    pub others: Vec<Vec<u8>>,
}

impl Environment {
    /// What an installation writes: `good` boots, nothing is on trial.
    #[must_use]
    pub fn new(good: Slot) -> Self {
        Self {
            good,
            trial: None,
            others: Vec::new(),
        }
    }

    /// The block's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; BYTES] {
        let trial = self.trial.map_or("", Slot::name);
        let ours = format!("good={}\ntrial={trial}\n", self.good);
        let mut text = [HEADER, ours.as_bytes()].concat();
        for line in &self.others {
            if text.len() + line.len() < BYTES {
                text.extend_from_slice(line);
                text.push(b'\n');
            }
        }
        let mut block = [PADDING; BYTES];
        for (to, from) in block.iter_mut().zip(text) {
            *to = from;
        }
        block
    }

    /// Reads a block, as the menu does: what names no slot that may stand there
    /// counts as not there, and without a good slot `a` is it.
    ///
    /// # Errors
    /// Where GRUB would not take it for a block, or could not keep it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let body = bytes.strip_prefix(HEADER).ok_or_else(|| {
            let problem = "it does not begin with '# GRUB Environment Block'";
            Failure::new(Class::Verification, problem)
        })?;
        if bytes.len() != BYTES {
            let problem = format!("it has {} bytes, not {BYTES}", bytes.len());
            return Err(Failure::new(Class::Verification, problem).into());
        }
        let mut environment = Self::new(Slot::A);
        for line in lines(body) {
            match split(line) {
                Some((GOOD, value)) => {
                    let slot = slot(value).filter(|&slot| slot != Slot::Recovery);
                    environment.good = slot.unwrap_or(Slot::A);
                }
                Some((TRIAL, value)) => environment.trial = slot(value),
                Some(_) => environment.others.push(line.to_vec()),
                None => {}
            }
        }
        Ok(environment)
    }
}

/// The lines of a block; a line feed after a backslash is part of its line, and
/// a `#` at a line's beginning starts the padding or a comment.
fn lines(body: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let mut guarded = false;
        let end = rest.iter().position(|&byte| {
            let ends = byte == b'\n' && !guarded;
            guarded = byte == b'\\' && !guarded;
            ends
        });
        // What no line feed ends is padding, or was cut off.
        let Some(end) = end else { break };
        let (line, after) = rest.split_at(end);
        if line.first().is_some_and(|&byte| byte != PADDING) {
            found.push(line);
        }
        rest = after.get(1..).unwrap_or_default();
    }
    found
}

fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = line.iter().position(|&byte| byte == b'=')?;
    Some((line.get(..at)?, line.get(at + 1..)?))
}

fn slot(value: &[u8]) -> Option<Slot> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use isoforge_base::process::Program;

    use super::*;

    fn block(text: &str) -> Vec<u8> {
        let mut bytes = [HEADER, text.as_bytes()].concat();
        bytes.resize(BYTES, PADDING);
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        for trial in [None, Some(Slot::B), Some(Slot::Recovery)] {
            let environment = Environment {
                good: Slot::A,
                trial,
                others: vec![b"saved_entry=x".to_vec()],
            };
            let bytes = environment.to_bytes();
            assert!(bytes.starts_with(b"# GRUB Environment Block\ngood=a\ntrial="));
            assert_eq!(Environment::parse(&bytes).unwrap(), environment);
        }
    }

    #[test]
    fn grub_itself_reads_and_changes_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("grubenv");
        let mut environment = Environment::new(Slot::B);
        environment.trial = Some(Slot::A);
        fs_err::write(&path, environment.to_bytes()).unwrap();
        let editenv = |args: &[&str]| {
            let program = Program::new("grub-editenv", "grub-common");
            let out = program.arg(&path).args(args).output(4096).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(editenv(&["list"]), "good=b\ntrial=a\n");
        editenv(&["set", "trial=", "note=two\\lines"]);
        let bytes = fs_err::read(&path).unwrap();
        let read = Environment::parse(&bytes).unwrap();
        assert_eq!((read.good, read.trial), (Slot::B, None));
        assert_eq!(read.others, [b"note=two\\\\lines".to_vec()]);
        fs_err::write(&path, read.to_bytes()).unwrap();
        assert_eq!(editenv(&["list"]), "good=b\ntrial=\nnote=two\\lines\n");
    }

    #[test]
    fn what_makes_no_sense_counts_as_not_there() {
        let parse = |text: &str| {
            let read = Environment::parse(&block(text)).unwrap();
            (read.good, read.trial, read.others)
        };
        let none = (Slot::A, None, Vec::new());
        assert_eq!(parse(""), none);
        assert_eq!(parse("good=c\ntrial=x\n"), none);
        // Recovery is booted once, never for good.
        assert_eq!(parse("good=recovery\n"), none);
        assert_eq!(parse("good=b").0, Slot::A, "cut off");
        assert_eq!(parse("no sign\n# good=b\n"), none);
        let (good, _, others) = parse("x=a\\\ngood=b\ngood=b\n");
        assert_eq!(good, Slot::B);
        assert_eq!(others, [b"x=a\\\ngood=b".to_vec()]);
    }

    #[test]
    fn what_is_no_block_is_refused() {
        let refused = |bytes: &[u8]| Environment::parse(bytes).unwrap_err().to_string();
        assert!(refused(b"good=a\n").starts_with("it does not begin with"));
        assert!(refused(&[]).starts_with("it does not begin with"));
        let mut long = block("good=b\n");
        long.push(PADDING);
        assert_eq!(refused(&long), "it has 1025 bytes, not 1024");
        assert_eq!(refused(HEADER), "it has 25 bytes, not 1024");
    }

    #[test]
    fn lines_that_do_not_fit_never_push_out_ours() {
        let environment = Environment {
            good: Slot::B,
            trial: None,
            others: vec![vec![b'x'; BYTES], b"y=1".to_vec()],
        };
        let read = Environment::parse(&environment.to_bytes()).unwrap();
        assert_eq!(read.good, Slot::B);
        assert_eq!(read.others, [b"y=1".to_vec()]);
    }

    #[test]
    fn any_changed_byte_gives_a_value_or_an_error() {
        let mut environment = Environment::new(Slot::A);
        environment.others.push(b"k=v\\\\".to_vec());
        let bytes = environment.to_bytes();
        for at in 0..80 {
            for value in [0, b'\n', b'\\', b'#', b'=', 0xFF] {
                let mut changed = bytes;
                changed[at] = value;
                if let Ok(read) = Environment::parse(&changed) {
                    assert_eq!(Environment::parse(&read.to_bytes()).unwrap(), read);
                }
            }
        }
    }
}
