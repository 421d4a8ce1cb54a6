//! GRUB's menu, on a serial console.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::console::{Console, Wait};
use super::key;

/// Entries that a menu may have.
const ENTRIES: usize = 10;

/// How long GRUB takes to draw anew.
const DRAWING: Duration = Duration::from_millis(1500);

/// Goes to the entry whose title contains `title`, starts it, and gives its whole
/// title: GRUB says what it boots only where nobody chose. Other entries may be
/// shown, and be what the menu would start by itself.
pub(crate) fn choose(console: &mut Console, title: &str, deadline: Instant) -> Result<String> {
    console.wait_for_screen(Wait::new(&[title], deadline))?;
    // Any key stops the clock.
    let down = std::iter::repeat_n(key::NEXT, ENTRIES);
    let up = std::iter::repeat_n(key::PREVIOUS, ENTRIES);
    for next in std::iter::once(key::PREVIOUS).chain(down).chain(up) {
        console.send(next)?;
        console.listen(DRAWING)?;
        let screen = console.screen();
        let chosen = selected(&screen).with_context(|| format!("no menu:\n{screen}"))?;
        if chosen.contains(title) {
            console.send(key::ENTER)?;
            return Ok(chosen.trim_end_matches(['|', ' ']).to_owned());
        }
    }
    bail!(
        "the entry '{title}' can't be reached:\n{}",
        console.screen()
    )
}

/// The entry with the cursor: behind the frame, a star.
fn selected(screen: &str) -> Option<&str> {
    screen
        .lines()
        .map(|line| line.trim_start_matches(|c: char| c == ' ' || c == '|' || !c.is_ascii()))
        .find_map(|line| line.strip_prefix('*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_with_the_cursor_is_the_one_with_the_star() {
        let screen = "  GNU GRUB\n /---\\\n | Install demo      |\n |*demo: live system |\n";
        assert_eq!(selected(screen), Some("demo: live system |"));
        assert_eq!(
            selected(" \u{2502}*Install\u{2502}"),
            Some("Install\u{2502}")
        );
        assert_eq!(selected("GNU GRUB"), None);
    }
}
