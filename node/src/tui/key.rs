//! Bytes of a terminal as keys.
//!
//! Terminals differ in what they send for one key: arrows come as `ESC [ A` or
//! `ESC O A`, ENTER as CR, LF or both. The key ESC is told from the start of a
//! sequence only by nothing following it.
//!
//! crossterm has a decoder, but hands out none: its events come from the one terminal
//! of the process, while several consoles are read here, and it takes ESC for the key
//! as soon as nothing follows at once, which a slow serial line does all the time.

/// Longest sequence that is taken together, in bytes; more is noise.
const SEQUENCE_MAX: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Arrow left.
    Left,
    /// Arrow right.
    Right,
    Tab,
    /// Shift and TAB.
    BackTab,
    Enter,
    Esc,
    /// Deletes before the cursor.
    Backspace,
    /// Deletes at the cursor.
    Delete,
    /// To the start.
    Home,
    End,
    PageUp,
    PageDown,
    /// Ctrl-L: draws the console anew.
    Redraw,
    /// A printable character.
    Char(char),
}

/// Where within a sequence the bytes so far lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Ground,
    Escape,
    /// After `ESC [`.
    Csi,
    /// After `ESC O`.
    Ss3,
    /// After `ESC [ [`, as the Linux console starts F1 to F5.
    LinuxFunction,
    /// Within a character of several bytes.
    Utf8,
}

/// Takes bytes, gives keys.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    state: State,
    /// Parameters of a sequence, or the bytes of a character.
    held: Vec<u8>,
    /// The byte before was CR, so that LF is no second ENTER.
    after_cr: bool,
}

impl Decoder {
    /// Takes bytes in and gives the keys that are complete.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Key> {
        let mut keys = Vec::new();
        for byte in bytes {
            self.byte(*byte, &mut keys);
        }
        keys
    }

    /// Whether bytes are held that time decides on.
    pub(crate) fn waits(&self) -> bool {
        self.state != State::Ground
    }

    /// No more bytes came for a while: a lone ESC is the key, all else that is
    /// unfinished is dropped.
    pub(crate) fn timeout(&mut self) -> Option<Key> {
        let lone = self.state == State::Escape;
        self.ground();
        lone.then_some(Key::Esc)
    }

    fn ground(&mut self) {
        self.state = State::Ground;
        self.held.clear();
    }

    fn byte(&mut self, byte: u8, keys: &mut Vec<Key>) {
        match self.state {
            State::Ground => self.first(byte, keys),
            State::Escape => self.after_escape(byte, keys),
            State::Csi => self.in_csi(byte, keys),
            State::Ss3 => {
                self.ground();
                keys.extend(final_byte(byte));
            }
            State::LinuxFunction => self.ground(),
            State::Utf8 => self.in_character(byte, keys),
        }
    }

    fn first(&mut self, byte: u8, keys: &mut Vec<Key>) {
        let after_cr = std::mem::take(&mut self.after_cr);
        match byte {
            b'\r' => {
                self.after_cr = true;
                keys.push(Key::Enter);
            }
            b'\n' if after_cr => {}
            b'\n' => keys.push(Key::Enter),
            b'\t' => keys.push(Key::Tab),
            0x08 | 0x7f => keys.push(Key::Backspace),
            0x0c => keys.push(Key::Redraw),
            0x1b => self.state = State::Escape,
            0x20..=0x7e => keys.push(Key::Char(char::from(byte))),
            0xc2..=0xf4 => {
                self.held.push(byte);
                self.state = State::Utf8;
            }
            _ => {}
        }
    }

    fn after_escape(&mut self, byte: u8, keys: &mut Vec<Key>) {
        match byte {
            b'[' => self.state = State::Csi,
            b'O' => self.state = State::Ss3,
            // The key twice: one is sure, the second may start a sequence.
            0x1b => keys.push(Key::Esc),
            _ => {
                self.ground();
                keys.push(Key::Esc);
                self.first(byte, keys);
            }
        }
    }

    fn in_csi(&mut self, byte: u8, keys: &mut Vec<Key>) {
        match byte {
            b'[' if self.held.is_empty() => self.state = State::LinuxFunction,
            0x20..=0x3f if self.held.len() < SEQUENCE_MAX => self.held.push(byte),
            b'~' => {
                let key = numbered(&self.held);
                self.ground();
                keys.extend(key);
            }
            0x40..=0x7e => {
                self.ground();
                keys.extend(final_byte(byte));
            }
            0x1b => {
                self.ground();
                self.state = State::Escape;
            }
            _ => self.ground(),
        }
    }

    fn in_character(&mut self, byte: u8, keys: &mut Vec<Key>) {
        if !(0x80..=0xbf).contains(&byte) {
            // Broken off; the byte itself counts.
            self.ground();
            self.first(byte, keys);
            return;
        }
        self.held.push(byte);
        match std::str::from_utf8(&self.held) {
            Ok(text) => {
                let printable = text.chars().filter(|c| !c.is_control()).map(Key::Char);
                keys.extend(printable);
                self.ground();
            }
            // More has to come.
            Err(error) if error.error_len().is_none() => {}
            Err(_) => self.ground(),
        }
    }
}

/// A sequence by its last byte; modifiers before it do not matter.
fn final_byte(byte: u8) -> Option<Key> {
    Some(match byte {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'F' => Key::End,
        b'H' => Key::Home,
        b'M' => Key::Enter,
        b'Z' => Key::BackTab,
        _ => return None,
    })
}

/// `ESC [ number ~`.
fn numbered(parameters: &[u8]) -> Option<Key> {
    let number = parameters.split(|byte| *byte == b';').next()?;
    Some(match number {
        b"1" | b"7" => Key::Home,
        b"3" => Key::Delete,
        b"4" | b"8" => Key::End,
        b"5" => Key::PageUp,
        b"6" => Key::PageDown,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        Decoder::default().feed(bytes)
    }

    #[test]
    fn arrows_come_in_two_ways_and_with_modifiers() {
        let arrows = [Key::Up, Key::Down, Key::Right, Key::Left];
        assert_eq!(keys(b"\x1b[A\x1b[B\x1b[C\x1b[D"), arrows);
        assert_eq!(keys(b"\x1bOA\x1bOB\x1bOC\x1bOD"), arrows);
        assert_eq!(keys(b"\x1b[1;5A"), [Key::Up]);
    }

    #[test]
    fn enter_is_cr_or_lf_or_both() {
        assert_eq!(keys(b"\r"), [Key::Enter]);
        assert_eq!(keys(b"\n"), [Key::Enter]);
        assert_eq!(keys(b"\r\n"), [Key::Enter]);
        assert_eq!(keys(b"\r\0"), [Key::Enter]);
        assert_eq!(keys(b"\r\r\n\n"), [Key::Enter; 3]);
        assert_eq!(keys(b"\x1bOM"), [Key::Enter]);
    }

    #[test]
    fn tab_both_ways_and_the_editing_keys() {
        assert_eq!(keys(b"\t\x1b[Z"), [Key::Tab, Key::BackTab]);
        assert_eq!(keys(b"\x7f\x08"), [Key::Backspace; 2]);
        assert_eq!(keys(b"\x1b[3~"), [Key::Delete]);
        assert_eq!(keys(b"\x1b[1~\x1b[H\x1bOH"), [Key::Home; 3]);
        assert_eq!(keys(b"\x1b[4~\x1b[F"), [Key::End; 2]);
        assert_eq!(keys(b"\x1b[5~\x1b[6~"), [Key::PageUp, Key::PageDown]);
        assert_eq!(keys(b"\x0c"), [Key::Redraw]);
    }

    #[test]
    fn escape_is_told_by_what_does_not_follow() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.feed(b"\x1b"), []);
        assert!(decoder.waits());
        assert_eq!(decoder.timeout(), Some(Key::Esc));
        assert!(!decoder.waits());
        assert_eq!(decoder.timeout(), None);
        // A sequence in pieces is still one.
        assert_eq!(decoder.feed(b"\x1b"), []);
        assert_eq!(decoder.feed(b"["), []);
        assert_eq!(decoder.feed(b"A"), [Key::Up]);
        // Twice, and followed by what is no sequence.
        assert_eq!(decoder.feed(b"\x1b\x1b[A"), [Key::Esc, Key::Up]);
        assert_eq!(decoder.feed(b"\x1bx"), [Key::Esc, Key::Char('x')]);
    }

    #[test]
    fn characters_of_several_bytes() {
        assert_eq!(keys("aß€𝄞".as_bytes()), ['a', 'ß', '€', '𝄞'].map(Key::Char));
        let mut decoder = Decoder::default();
        assert_eq!(decoder.feed(b"\xe2\x82"), []);
        assert_eq!(decoder.feed(b"\xac"), [Key::Char('€')]);
        // Broken off by a key, and never a character.
        assert_eq!(decoder.feed(b"\xe2\r"), [Key::Enter]);
        assert_eq!(decoder.feed(b"\xe0\x80\x80\xffx"), [Key::Char('x')]);
    }

    #[test]
    fn function_keys_and_noise_are_no_text() {
        assert_eq!(keys(b"\x1b[[Ax"), [Key::Char('x')]);
        assert_eq!(keys(b"\x1bOPx"), [Key::Char('x')]);
        assert_eq!(keys(b"\x1b[15~x"), [Key::Char('x')]);
        assert_eq!(keys(b"\x01\x02\x03\0"), []);
    }

    #[test]
    fn any_bytes_leave_it_in_order() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut decoder = Decoder::default();
        for _ in 0..200_000 {
            decoder.feed(&[random.u8(..)]);
            assert!(decoder.held.len() <= SEQUENCE_MAX);
        }
        decoder.timeout();
        assert_eq!(decoder.feed(b"x"), [Key::Char('x')]);
    }
}
