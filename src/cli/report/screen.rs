//! The lines at the bottom of a terminal that change in place. `indicatif` draws
//! them; here is decided when, and that nothing of them is left.
//!
//! Invariants: a line that stays is written while none that moves is shown; after
//! [`Screen::close`] they never come back. The cursor is not hidden and no mode of
//! the terminal changed, so a process that is killed leaves it as it was. What
//! can't be drawn, as on a terminal that went away, is left out: a poorer display
//! is no reason to fail.

use std::fmt;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::layout::{BAR_CELLS, Row};

/// What is drawn at the moment.
#[derive(Debug)]
pub(super) struct Screen {
    progress: MultiProgress,
    /// One for each of the rows shown last.
    bars: Vec<ProgressBar>,
    /// What they show, on a terminal of how many columns; `None` while they are
    /// away.
    shown: Option<(Vec<Row>, usize)>,
    closed: bool,
}

impl Screen {
    pub(super) fn new(target: ProgressDrawTarget) -> Self {
        Self {
            progress: MultiProgress::with_draw_target(target),
            bars: Vec::new(),
            shown: None,
            closed: false,
        }
    }

    /// Shows `rows`, laid out for `columns`, in place of what is shown.
    pub(super) fn draw(&mut self, rows: Vec<Row>, columns: usize) {
        let frame = (rows, columns);
        if self.closed || self.shown.as_ref() == Some(&frame) {
            return;
        }
        let (rows, _) = self.shown.insert(frame);
        for bar in self.bars.drain(rows.len().min(self.bars.len())..) {
            self.progress.remove(&bar);
        }
        self.bars
            .resize_with(rows.len(), || self.progress.add(ProgressBar::hidden()));
        for (bar, row) in self.bars.iter().zip(rows) {
            set(bar, row);
        }
        // What was set above is drawn as often as the target's rate allows. The
        // last one is drawn in any case, and with it all that stand above it.
        match self.bars.last() {
            Some(last) => last.force_draw(),
            None => self.clear(),
        }
    }

    /// Calls `write`, which writes lines that stay, above what is shown; that
    /// comes back with the next [`Screen::draw`].
    pub(super) fn say(&mut self, write: impl FnOnce()) {
        // `suspend` would do the same, and panic where the terminal is gone;
        // `println` would fill the line up with spaces, for people to copy.
        self.clear();
        write();
    }

    /// From now on nothing is shown any more.
    pub(super) fn close(&mut self) {
        self.draw(Vec::new(), 0);
        self.progress.set_draw_target(ProgressDrawTarget::hidden());
        self.closed = true;
    }

    fn clear(&mut self) {
        let _ = self.progress.clear();
        self.shown = None;
    }
}

/// Makes `row` what `bar` shows, in one step: a line is never half new.
fn set(bar: &ProgressBar, row: &Row) {
    let template = if row.bar.is_some() {
        format!("{{before}}[{{bar:{BAR_CELLS}}}]{{after}}")
    } else {
        "{before}".to_owned()
    };
    let style = ProgressStyle::with_template(&template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("= ")
        .with_key("before", text(&row.before))
        .with_key("after", text(&row.after));
    let (done, total) = row.bar.unwrap_or_default();
    bar.set_style(style);
    bar.update(|state| {
        state.set_len(total);
        state.set_pos(done);
    });
}

/// A part of a line that says `text`.
fn text(text: &str) -> impl Fn(&ProgressState, &mut dyn fmt::Write) + Clone + use<> {
    let text = text.to_owned();
    move |_, out| {
        let _ = out.write_str(&text);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    use crate::cli::report::lock;

    /// A terminal that is only thought of.
    #[derive(Clone)]
    struct Emulation {
        parser: Arc<Mutex<vt100::Parser>>,
        gone: bool,
    }

    impl fmt::Debug for Emulation {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Emulation").finish_non_exhaustive()
        }
    }

    impl Emulation {
        fn new(rows: u16, columns: u16) -> Self {
            let (rows, columns) = (rows.try_into().unwrap(), columns.try_into().unwrap());
            Self {
                parser: Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 0))),
                gone: false,
            }
        }

        fn screen(&self) -> Screen {
            let terminal = Box::new(self.clone());
            Screen::new(ProgressDrawTarget::term_like_with_hz(terminal, 20))
        }

        fn send(&self, text: &str) -> io::Result<()> {
            if self.gone {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            lock(&self.parser).process(text.as_bytes());
            Ok(())
        }

        fn say(&self, line: &str) -> impl FnOnce() {
            let (terminal, line) = (self.clone(), format!("{line}\r\n"));
            move || terminal.send(&line).unwrap()
        }

        fn rows(&self) -> Vec<String> {
            let parser = lock(&self.parser);
            let (_, columns) = parser.screen().size();
            let mut rows: Vec<String> = parser
                .screen()
                .rows(0, columns.get())
                .map(|row| row.trim_end().to_owned())
                .collect();
            while rows.last().is_some_and(String::is_empty) {
                rows.pop();
            }
            rows
        }

        fn cursor(&self) -> (u16, u16) {
            lock(&self.parser).screen().cursor_position()
        }
    }

    impl indicatif::TermLike for Emulation {
        fn width(&self) -> u16 {
            lock(&self.parser).screen().size().1.get()
        }
        fn height(&self) -> u16 {
            lock(&self.parser).screen().size().0.get()
        }
        fn move_cursor_up(&self, n: usize) -> io::Result<()> {
            self.send(&(0..n).map(|_| "\x1b[A").collect::<String>())
        }
        fn move_cursor_down(&self, n: usize) -> io::Result<()> {
            self.send(&(0..n).map(|_| "\x1b[B").collect::<String>())
        }
        fn move_cursor_right(&self, n: usize) -> io::Result<()> {
            self.send(&(0..n).map(|_| "\x1b[C").collect::<String>())
        }
        fn move_cursor_left(&self, n: usize) -> io::Result<()> {
            self.send(&(0..n).map(|_| "\x1b[D").collect::<String>())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.send(&format!("{text}\r\n"))
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.send(text)
        }
        fn clear_line(&self) -> io::Result<()> {
            self.send("\r\x1b[2K")
        }
        fn flush(&self) -> io::Result<()> {
            self.send("")
        }
    }

    /// What a terminal of `columns` shows of `rows`.
    pub(in super::super) fn drawn(rows: Vec<Row>, columns: u16) -> Vec<String> {
        let terminal = Emulation::new(50, columns);
        let mut screen = terminal.screen();
        screen.draw(rows, columns.into());
        terminal.rows()
    }

    fn rows(texts: &[&str]) -> Vec<Row> {
        texts.iter().map(|text| Row::text(*text)).collect()
    }

    #[test]
    fn lines_take_each_others_place_and_what_is_said_stays_above() {
        let terminal = Emulation::new(10, 20);
        let mut screen = terminal.screen();
        screen.say(terminal.say("begin"));
        screen.draw(rows(&["one 1", "two 1"]), 20);
        screen.draw(rows(&["one 2", "two 2", "three"]), 20);
        assert_eq!(terminal.rows(), ["begin", "one 2", "two 2", "three"]);
        screen.say(terminal.say("a note"));
        assert_eq!(terminal.rows(), ["begin", "a note"]);
        screen.draw(rows(&["one 2", "two 2", "three"]), 20);
        screen.draw(rows(&["two 3"]), 20);
        assert_eq!(terminal.rows(), ["begin", "a note", "two 3"]);
    }

    #[test]
    fn every_frame_is_drawn_whole_however_fast_they_come() {
        let terminal = Emulation::new(20, 20);
        let mut screen = terminal.screen();
        for n in 0..100 {
            let texts: Vec<String> = (0..8).map(|line| format!("{line}: {n}")).collect();
            screen.draw(texts.iter().map(Row::text).collect(), 20);
            assert_eq!(terminal.rows(), texts);
        }
    }

    #[test]
    fn nothing_is_left_in_the_end() {
        let terminal = Emulation::new(10, 20);
        let mut screen = terminal.screen();
        screen.draw(rows(&["one", "two"]), 20);
        screen.draw(Vec::new(), 20);
        assert_eq!(terminal.cursor(), (0, 0));
        screen.say(terminal.say("done"));
        assert_eq!(terminal.rows(), ["done"]);
    }

    #[test]
    fn what_is_closed_does_not_come_back() {
        let terminal = Emulation::new(10, 20);
        let mut screen = terminal.screen();
        screen.draw(rows(&["one"]), 20);
        screen.close();
        assert_eq!(terminal.cursor(), (0, 0));
        screen.say(terminal.say("interrupted"));
        screen.draw(rows(&["one"]), 20);
        assert_eq!(terminal.rows(), ["interrupted"]);
    }

    #[test]
    fn a_terminal_that_is_gone_is_ignored() {
        let mut terminal = Emulation::new(10, 20);
        terminal.gone = true;
        let mut screen = terminal.screen();
        screen.draw(rows(&["one", "two"]), 20);
        let mut said = false;
        screen.say(|| said = true);
        screen.draw(rows(&["one"]), 20);
        screen.close();
        assert!(said);
    }

    #[test]
    fn bars_are_filled_as_far_as_the_work_is() {
        let bar = |done, total| Row {
            before: "{a} ".to_owned(),
            bar: Some((done, total)),
            after: " z".to_owned(),
        };
        let rows = vec![bar(0, 9), bar(1, 2), bar(7, 7), bar(9, 7), bar(0, 0)];
        assert_eq!(
            drawn(rows, 40),
            [
                "{a} [            ] z",
                "{a} [======      ] z",
                "{a} [============] z",
                "{a} [============] z",
                "{a} [============] z",
            ]
        );
    }
}
