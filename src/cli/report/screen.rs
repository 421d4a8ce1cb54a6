//! The lines at the bottom of a terminal that change in place.
//!
//! Invariants: the cursor stands at the beginning of the line below them; all
//! that is written goes out in one piece; after [`Screen::close`] they never come
//! back. Nothing here hides the cursor or changes a mode of the terminal, so a
//! process that is killed leaves it as it was.

use std::io::{self, Write};

/// Erases from the cursor to the end of the screen (ECMA-48, ED).
const ERASE_BELOW: &str = "\x1b[J";

/// What is drawn at the moment.
#[derive(Debug)]
pub(super) struct Screen {
    lines: Vec<(String, usize)>,
    columns: usize,
    closed: bool,
}

impl Screen {
    pub(super) const fn new() -> Self {
        Self {
            lines: Vec::new(),
            columns: 0,
            closed: false,
        }
    }

    /// Shows `lines`, each with its width, in place of what is shown; on a
    /// terminal that has `columns` now.
    pub(super) fn draw(
        &mut self,
        out: &mut impl Write,
        lines: Vec<(String, usize)>,
        columns: usize,
    ) -> io::Result<()> {
        if self.closed || (lines == self.lines && columns == self.columns) {
            return Ok(());
        }
        let mut text = self.erase(columns);
        for (line, _) in &lines {
            text.push_str(line);
            text.push('\n');
        }
        self.lines = lines;
        self.columns = columns;
        write(out, &text)
    }

    /// Writes a line that stays, above what is shown; that comes back with the
    /// next [`Screen::draw`].
    pub(super) fn say(
        &mut self,
        out: &mut impl Write,
        line: &str,
        columns: usize,
    ) -> io::Result<()> {
        let mut text = self.erase(columns);
        text.push_str(line);
        text.push('\n');
        write(out, &text)
    }

    /// From now on nothing is shown any more.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// What takes the shown lines away. A terminal that became narrower has
    /// folded them, so that they take more rows than were written.
    fn erase(&mut self, columns: usize) -> String {
        let rows: usize = self
            .lines
            .drain(..)
            .map(|(_, width)| width.div_ceil(columns.max(1)).max(1))
            .sum();
        if rows == 0 {
            return String::new();
        }
        format!("\r\x1b[{rows}A{ERASE_BELOW}")
    }
}

fn write(out: &mut impl Write, text: &str) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<(String, usize)> {
        texts
            .iter()
            .map(|text| ((*text).to_owned(), text.len()))
            .collect()
    }

    /// Written bytes and what a terminal of 20 columns shows of them.
    fn shown(run: impl FnOnce(&mut Screen, &mut Vec<u8>)) -> String {
        let (mut screen, mut out) = (Screen::new(), Vec::new());
        run(&mut screen, &mut out);
        let (rows, columns) = (10.try_into().unwrap(), 20.try_into().unwrap());
        let mut terminal = vt100::Parser::new(rows, columns, 0);
        // The line discipline of a terminal makes "\r\n" of "\n".
        let text = String::from_utf8(out).unwrap().replace('\n', "\r\n");
        terminal.process(text.as_bytes());
        let (row, column) = terminal.screen().cursor_position();
        format!("{}<{row},{column}>", terminal.screen().contents())
    }

    #[test]
    fn lines_take_each_others_place_and_what_is_said_stays_above() {
        let text = shown(|screen, out| {
            screen.say(out, "begin", 20).unwrap();
            screen.draw(out, lines(&["one 1", "two 1"]), 20).unwrap();
            screen
                .draw(out, lines(&["one 2", "two 2", "three"]), 20)
                .unwrap();
            screen.say(out, "a note", 20).unwrap();
            screen.draw(out, lines(&["two 3"]), 20).unwrap();
        });
        assert_eq!(text, "begin\na note\ntwo 3<3,0>");
    }

    #[test]
    fn nothing_is_left_in_the_end() {
        let text = shown(|screen, out| {
            screen.draw(out, lines(&["one", "two"]), 20).unwrap();
            screen.draw(out, Vec::new(), 20).unwrap();
            screen.say(out, "done", 20).unwrap();
        });
        assert_eq!(text, "done<1,0>");
    }

    #[test]
    fn what_is_closed_does_not_come_back() {
        let text = shown(|screen, out| {
            screen.draw(out, lines(&["one"]), 20).unwrap();
            screen.close();
            screen.say(out, "interrupted", 20).unwrap();
            screen.draw(out, lines(&["one"]), 20).unwrap();
        });
        assert_eq!(text, "interrupted<1,0>");
    }

    #[test]
    fn the_same_lines_are_not_written_again() {
        let (mut screen, mut out) = (Screen::new(), Vec::new());
        screen.draw(&mut out, lines(&["one"]), 20).unwrap();
        let once = out.len();
        screen.draw(&mut out, lines(&["one"]), 20).unwrap();
        assert_eq!(out.len(), once);
    }

    #[test]
    fn folded_lines_are_counted() {
        let (mut screen, mut out) = (Screen::new(), Vec::new());
        let wide = lines(&["a line of 21 columns.", "short"]);
        screen.draw(&mut out, wide, 40).unwrap();
        out.clear();
        screen.draw(&mut out, Vec::new(), 10).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "\r\x1b[4A\x1b[J");
    }
}
