//! Keys as terminals send them.

pub(crate) const ENTER: &str = "\r";
pub(crate) const TAB: &str = "\t";
pub(crate) const BACKSPACE: &str = "\x7f";
pub(crate) const ESC: &str = "\x1b";
pub(crate) const UP: &str = "\x1b[A";
/// "Next line", by which GRUB goes to the next entry.
pub(crate) const NEXT: &str = "\x0e";
pub(crate) const PREVIOUS: &str = "\x10";
