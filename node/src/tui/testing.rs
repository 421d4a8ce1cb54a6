//! A person at a pseudo-terminal, whose screen is a terminal emulation.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A person at a terminal.
pub(crate) struct Person {
    pub(crate) path: PathBuf,
    pub(crate) keyboard: Option<File>,
    pub(crate) emulation: Arc<Mutex<vt100::Parser>>,
    pub(crate) bytes: Arc<Mutex<Vec<u8>>>,
}

impl Person {
    pub(crate) fn new(columns: u16, rows: u16) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let path = ptsname(&keyboard, Vec::new()).unwrap();
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&keyboard, size).unwrap();
        let keyboard = File::from(keyboard);
        Self {
            path: PathBuf::from(path.into_string().unwrap()),
            keyboard: Some(keyboard),
            emulation: Arc::new(Mutex::new(vt100::Parser::new(
                24.try_into().unwrap(),
                80.try_into().unwrap(),
                0,
            ))),
            bytes: Arc::default(),
        }
    }

    /// Looks at the screen from now on.
    pub(crate) fn look(&self) {
        let mut screen = self.keyboard.as_ref().unwrap().try_clone().unwrap();
        let (emulation, bytes) = (Arc::clone(&self.emulation), Arc::clone(&self.bytes));
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(n @ 1..) = screen.read(&mut chunk) {
                emulation.lock().unwrap().process(&chunk[..n]);
                bytes.lock().unwrap().extend(&chunk[..n]);
            }
        });
    }

    pub(crate) fn screen(&self) -> String {
        self.emulation.lock().unwrap().screen().contents()
    }

    pub(crate) fn press(&self, keys: &str) {
        let mut keyboard = self.keyboard.as_ref().unwrap();
        keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the last bytes.
    pub(crate) fn got(&self, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.bytes.lock().unwrap().ends_with(text.as_bytes()) {
            assert!(Instant::now() < end, "no {text:?} at the end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn sees(&self, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.screen().contains(text) {
            assert!(Instant::now() < end, "no '{text}' in\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
