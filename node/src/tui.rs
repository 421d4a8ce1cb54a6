//! Full-screen pages on consoles, whatever they show: the installer's and the
//! machine's own have these in common.
//!
//! A program of pages ([`driver::Pages`]) is a model, a function that turns it by what
//! happens and says what has to be done, and one that draws it; none of them touches
//! anything else. [`driver`] has the [`console`]s: it reads keys ([`key`]), carries out
//! what has to be done in threads and draws the same picture everywhere. [`draw`] and
//! [`form`] are what pages are made of.
//!
//! Invariants:
//! - A console that is slow, or that nobody reads, holds up nothing.
//! - Only ASCII is drawn: it is right on the screen, on serial consoles and in
//!   whatever terminal shows those.

pub(crate) mod account;
pub(crate) mod console;
pub(crate) mod draw;
pub(crate) mod driver;
pub(crate) mod form;
pub(crate) mod key;
pub(crate) mod quiet;
mod screen;
pub(crate) mod shell;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod typed;

/// A password; it is not printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}
