//! What a serial line says, as text and as a terminal shows it.

use std::io::Write;
use std::num::NonZero;

/// The largest screen that UEFI's console takes a serial terminal for. What
/// draws for 80 by 24, as all others do, fits in.
const ROWS: NonZero<u16> = NonZero::<u16>::MIN.saturating_add(30);
const COLUMNS: NonZero<u16> = NonZero::<u16>::MIN.saturating_add(99);

/// "Where is the cursor?" (ECMA-48, device status report), by which programs
/// measure a terminal that has no other way to tell its size.
const WHERE: &[u8] = b"\x1b[6n";

/// A terminal.
pub(super) struct Screen {
    parser: vt100::Parser,
    /// The end of what came, as far as it may begin a question.
    pending: Vec<u8>,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self {
            parser: vt100::Parser::new(ROWS, COLUMNS, 0),
            pending: Vec::new(),
        }
    }

    /// Shows what came, and answers questions as a terminal does.
    pub(super) fn take(&mut self, bytes: &[u8], answers: &mut dyn Write) -> std::io::Result<()> {
        for byte in bytes {
            self.parser.process(std::slice::from_ref(byte));
            self.pending.push(*byte);
            if self.pending == WHERE {
                let (row, column) = self.parser.screen().cursor_position();
                write!(answers, "\x1b[{};{}R", row + 1, column + 1)?;
                answers.flush()?;
            }
            if !WHERE.starts_with(&self.pending) || self.pending.len() == WHERE.len() {
                self.pending.clear();
                if *byte == 0x1b {
                    self.pending.push(*byte);
                }
            }
        }
        Ok(())
    }

    /// What it shows now, a line for each row, without blanks at the ends.
    pub(super) fn text(&self) -> String {
        let rows: Vec<String> = self
            .parser
            .screen()
            .rows(0, COLUMNS.get())
            .map(|row| row.trim_end().to_owned())
            .collect();
        rows.join("\n").trim_end().to_owned()
    }
}

/// Takes control sequences and carriage returns out of a stream.
#[derive(Default)]
pub(super) struct Plain(vte::Parser);

impl Plain {
    /// Adds to `out` what of `bytes` is text.
    pub(super) fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.0.advance(&mut Text(out), bytes);
    }
}

/// What is text of what a terminal gets.
struct Text<'a>(&'a mut Vec<u8>);

impl vte::Perform for Text<'_> {
    fn print(&mut self, c: char) {
        self.0.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn execute(&mut self, byte: u8) {
        if byte != b'\r' {
            self.0.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(chunks: &[&[u8]]) -> String {
        let mut plain = Plain::default();
        let mut out = Vec::new();
        for chunk in chunks {
            plain.take(chunk, &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn control_sequences_go_and_text_stays() {
        assert_eq!(
            plain(&[b"\x1b[0;32m  OK  \x1b[0m Reached\r\nx\x1b[!py\x1bcz"]),
            "  OK   Reached\nxyz"
        );
        assert_eq!(
            plain(&[b"a\x1b]0;title\x07b\x1bP+q54\x1b\\c\x1b(0d"]),
            "abcd"
        );
        assert_eq!(plain(&[b"\xc3", b"\xa4\x1b", b"[3", b"1mx"]), "äx");
    }

    #[test]
    fn a_screen_shows_what_was_drawn_in_any_order() {
        let mut screen = Screen::new();
        let mut answers = Vec::new();
        screen
            .take(b"\x1b[2J\x1b[3;8Hdisk\x1b[3;3HThe \x1b[1;1H", &mut answers)
            .unwrap();
        assert_eq!(screen.text(), "\n\n  The  disk");
        assert!(answers.is_empty());
    }

    #[test]
    fn a_program_that_measures_the_terminal_gets_its_answer() {
        let mut screen = Screen::new();
        let mut answers = Vec::new();
        for chunk in [&b"\x1b[999;999H\x1b\x1b["[..], b"6", b"n\x1b[6m"] {
            screen.take(chunk, &mut answers).unwrap();
        }
        assert_eq!(answers, b"\x1b[31;100R");
    }
}
