//! The installer's pages, on all consoles of the machine at once.
//!
//! One [`model::Model`] holds what is known and chosen. [`update`] turns it by
//! what happens and says what has to be done ([`model::Effect`]); [`view`]
//! draws it; neither of them touches anything else. [`driver`] has the
//! consoles: it reads keys, carries out effects in threads and draws the same
//! picture everywhere. What the machine does stands behind [`machine::Machine`].
//!
//! Invariants:
//! - Nothing is written to a disk before the last confirmation, or before an
//!   unattended installation has been planned without a refusal.
//! - A console that is slow, or that nobody reads, holds up nothing.
//! - Only ASCII is drawn: it is right on the screen, on serial consoles and in
//!   whatever terminal shows those.

mod check;
mod console;
mod driver;
mod form;
mod key;
mod log;
mod machine;
mod model;
mod quiet;
mod screen;
mod shell;
mod update;
mod view;

#[cfg(test)]
mod tests;
