//! Text as a terminal may have it. What is shown comes from bundles, registries, archives
//! and other programs too, and a terminal does what control characters say: it moves,
//! overwrites, colours, and shows a line in another order than it is written.
//!
//! Invariants:
//! - Nothing that comes out of here has control characters, marks that change the order
//!   of writing, or line separators, but line feeds and tabs where they are meant.
//! - Of [`line()`] nothing is a second line; of [`continued`] no line but the first begins
//!   where lines of our own begin, so that no text can look like another message.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// What a line that goes on with another one begins with.
const INDENT: &str = "    ";

/// Whether a terminal would do something else with it than show it.
fn is_active(c: char) -> bool {
    // Marks, embeddings, overrides and isolates of the bidirectional algorithm (UAX #9),
    // and the separators of lines and paragraphs.
    let moves = matches!(
        c,
        '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    );
    c.is_control() || moves
}

fn escaped(text: &str, keeps: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_escaped = |c: char| is_active(c) && !keeps(c);
    if !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_escaped(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// What is one line: `\u{1b}`, `\u{202e}`, `\n`.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// What has several lines, each of which we wrote.
#[must_use]
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}

/// A message that may have more lines than the one that it begins with: these are
/// indented, unless they are as we write them below a message.
#[must_use]
pub fn continued(text: &str) -> Cow<'_, str> {
    let text = lines(text);
    let is_ours = |line: &str| {
        let begins = |c: char| matches!(c, ' ' | '|' | '-' | '=') || c.is_ascii_digit();
        line.is_empty() || line.starts_with(begins)
    };
    if text.split('\n').skip(1).all(is_ours) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
            out.push_str(if is_ours(line) { "" } else { INDENT });
        }
        out.push_str(line);
    }
    Cow::Owned(out)
}

/// Shows a value as one [`line()`]: for what others say within a text of ours.
#[derive(Debug, Clone, Copy)]
pub struct Line<T>(pub T);

impl<T: fmt::Display> fmt::Display for Line<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        write!(text, "{}", self.0)?;
        f.pad(&line(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLY: &str = "a\x1b[2K\rb\u{202e}c\u{2066}d\u{9b}e\u{200f}f\u{2028}g\x7f\0";

    #[test]
    fn what_a_terminal_acts_on_is_escaped() {
        assert_eq!(
            line(SLY),
            r"a\u{1b}[2K\rb\u{202e}c\u{2066}d\u{9b}e\u{200f}f\u{2028}g\u{7f}\u{0}"
        );
        assert_eq!(line("one\ntwo\tthree"), r"one\ntwo\tthree");
        assert_eq!(lines("one\n\ttwo\x07"), "one\n\ttwo\\u{7}");
        assert_eq!(format!("<{:>6}>", Line("a\nb")), r"<  a\nb>");
        for plain in ["", "größe – 文字, 'x' \\ \"", "🙂"] {
            assert!(matches!(line(plain), Cow::Borrowed(_)), "{plain}");
        }
    }

    #[test]
    fn no_text_looks_like_another_message() {
        let sly = "name 'x'\nerror: none\nhint: trust\n\nall digests hold\r";
        assert_eq!(
            continued(sly),
            "name 'x'\n    error: none\n    hint: trust\n\n    all digests hold\\r"
        );
        let ours = "no such key\n --> profile.toml:1:2\n  |\n1 | a = 2\n  | ^\n    /boot/a";
        assert!(matches!(continued(ours), Cow::Borrowed(_)));
    }
}
