//! What ratatui draws, as bytes for a console. They are gathered first, so that
//! a slow console takes them in its own time.

use std::fs::File;
use std::io;

use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use rustix::termios::tcgetwinsize;

/// What a console has that does not tell.
const DEFAULT_SIZE: Size = Size::new(80, 24);

/// Largest width and height that are believed: a screen is a buffer in memory.
const SIZE_MAX: u16 = 500;

/// A screen whose drawing is gathered.
#[derive(Debug)]
pub(crate) struct Screen {
    bytes: Vec<u8>,
    console: File,
    cursor: Position,
}

impl Screen {
    /// The screen of a console.
    pub(crate) fn new(console: File) -> Self {
        Self {
            bytes: Vec::new(),
            console,
            cursor: Position::ORIGIN,
        }
    }

    /// What was drawn since the last time.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    fn inner(&mut self) -> CrosstermBackend<&mut Vec<u8>> {
        CrosstermBackend::new(&mut self.bytes)
    }
}

pub(crate) fn size(console: &File) -> Size {
    match tcgetwinsize(console) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            Size::new(size.ws_col.min(SIZE_MAX), size.ws_row.min(SIZE_MAX))
        }
        _ => DEFAULT_SIZE,
    }
}

impl Backend for Screen {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        self.inner().draw(content)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.inner().hide_cursor()
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.inner().show_cursor()
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        // A console is not asked: its answer would come among the keys.
        Ok(self.cursor)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        let position = position.into();
        self.cursor = position;
        self.inner().set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.inner().clear()
    }

    fn clear_region(&mut self, clear_type: ClearType) -> io::Result<()> {
        self.inner().clear_region(clear_type)
    }

    fn size(&self) -> io::Result<Size> {
        Ok(size(&self.console))
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize {
            columns_rows: size(&self.console),
            pixels: Size::ZERO,
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
