//! What every error can say about itself, the class that decides the exit code
//! and a hint for the person who reads it, and the carrier of both.
//!
//! Each crate defines its own `thiserror` type and implements [`Diagnose`] for
//! it. Code that only hands errors on returns [`Result`], whose [`Failure`]
//! takes in every error that has a class, and keeps it under any context:
//!
//! ```
//! use isoforge_base::error::{Class, Context as _, Result};
//!
//! fn read() -> Result<Vec<u8>> {
//!     let file = std::fs::read("/does/not/exist");
//!     Ok(file.with_context(|| "the file of the example")?)
//! }
//! let failure = read().unwrap_err();
//! assert_eq!(failure.to_string(), "the file of the example");
//! assert_eq!(failure.class(), Class::Io);
//! ```
//!
//! An error without a class is refused by `?`:
//!
//! ```compile_fail,E0277
//! use isoforge_base::error::Result;
//!
//! fn parse() -> Result<u8> {
//!     Ok("300".parse::<u8>()?)
//! }
//! ```

#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::{fmt, io, iter};

/// Class of a failure. The discriminants are the process's exit codes and part
/// of the command line's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Class {
    /// A defect of isoforge itself.
    Bug = 1,
    /// The profile, a template, an overlay or the command line is wrong, or an
    /// image can't be used for what the profile asks.
    Profile = 2,
    /// The machine lacks something: a tool, a kernel feature, disk space.
    Environment = 3,
    /// A network or registry did not deliver.
    Network = 4,
    /// Bytes are not what their digest, size or format says.
    Verification = 5,
    /// Reading or writing a local file failed.
    Io = 6,
    /// The lock file does not match the profile.
    LockDrift = 7,
    /// The user interrupted the work.
    Interrupted = 130,
}

impl Class {
    /// The process's exit code for this class.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        self as u8
    }
}

/// Implemented by every error that reaches the user.
pub trait Diagnose: StdError {
    /// The class that decides the exit code.
    fn class(&self) -> Class;

    /// One sentence on what to do about it, without a `hint:` prefix.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// One that carries a [`Failure`], as readers and writers of others' interfaces do,
/// has that one's class and hint.
impl Diagnose for io::Error {
    fn class(&self) -> Class {
        match carried(self) {
            Some(cause) => cause.class(),
            None if is_full(self) => Class::Environment,
            None => Class::Io,
        }
    }

    fn hint(&self) -> Option<String> {
        carried(self).and_then(Diagnose::hint)
    }
}

fn carried(error: &io::Error) -> Option<&Cause> {
    error.get_ref()?.downcast_ref()
}

/// Whether the file system or the user's share of it is full.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        let kind = match failure.class() {
            Class::Verification => io::ErrorKind::InvalidData,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, Cause::from(failure))
    }
}

impl Diagnose for fmt::Error {
    /// Writing to a string does not fail.
    fn class(&self) -> Class {
        Class::Bug
    }
}

impl Diagnose for serde_json::Error {
    /// What is read from users is wrapped by who reads it, so bare ones come
    /// from what isoforge itself wrote.
    fn class(&self) -> Class {
        match self.classify() {
            serde_json::error::Category::Io => Class::Io,
            _ => Class::Bug,
        }
    }
}

/// The error type of code that hands errors on: any error that has a class, and
/// what it happened in. Shown as its outermost message; `{:#}` shows all of its
/// causes.
///
/// It is no [`std::error::Error`] itself, so that all of those that have a class
/// convert to it.
pub struct Failure(Box<dyn Diagnose + Send + Sync>);

/// What [`Failure`] fails.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure that no type describes.
    #[must_use]
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self(Box::new(Message {
            text: message.into(),
            class,
            source: None,
        }))
    }

    /// A failure that no type describes, of an error that has no class or another one.
    #[must_use]
    pub fn caused(
        class: Class,
        message: impl Into<String>,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Self(Box::new(Message {
            text: message.into(),
            class,
            source: Some(Box::new(source)),
        }))
    }

    /// Gives another hint than its error does.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self(Box::new(Cause {
            error: self.0,
            hint: Some(hint.into()),
        }))
    }

    /// Says in what it happened; class and hint stay.
    #[must_use]
    pub fn context(self, message: impl Into<String>) -> Self {
        Self(Box::new(Within {
            text: message.into(),
            source: self.0,
        }))
    }

    /// The class that decides the exit code.
    #[must_use]
    pub fn class(&self) -> Class {
        self.0.class()
    }

    /// One sentence on what to do about it, without a `hint:` prefix.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        self.0.hint()
    }

    /// The outermost error and its causes.
    pub fn chain(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        let outermost: &(dyn StdError + 'static) = &*self.0;
        iter::successors(Some(outermost), |&error| error.source())
    }
}

impl<E: Diagnose + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)?;
        if f.alternate() {
            for cause in self.chain().skip(1) {
                write!(f, ": {cause}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#} ({:?})", self.class())
    }
}

/// A failure that is nothing but a message, and what caused it.
#[derive(Debug)]
struct Message {
    text: String,
    class: Class,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Message {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}

impl Diagnose for Message {
    fn class(&self) -> Class {
        self.class
    }
}

/// An error, and what it happened in.
#[derive(Debug)]
struct Within {
    text: String,
    source: Box<dyn Diagnose + Send + Sync>,
}

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Within {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}

impl Diagnose for Within {
    fn class(&self) -> Class {
        self.source.class()
    }

    fn hint(&self) -> Option<String> {
        self.source.hint()
    }
}

/// A [`Failure`] where a [`std::error::Error`] is asked for, such as in another
/// error; it is no cause of its own.
#[derive(Debug)]
pub struct Cause {
    error: Box<dyn Diagnose + Send + Sync>,
    /// Instead of the error's own.
    hint: Option<String>,
}

impl From<Failure> for Cause {
    fn from(failure: Failure) -> Self {
        Self {
            error: failure.0,
            hint: None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}

impl Diagnose for Cause {
    fn class(&self) -> Class {
        self.error.class()
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone().or_else(|| self.error.hint())
    }
}

/// Says in what an error happened.
pub trait Context<T> {
    /// Puts `message` before the error's own.
    ///
    /// # Errors
    /// The same, with its class and hint. A missing value is [`Class::Bug`].
    fn context(self, message: impl Into<String>) -> Result<T>;

    /// As [`Context::context`], with a message that is made only if needed.
    ///
    /// # Errors
    /// As [`Context::context`].
    fn with_context<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T>;
}

impl<T, E: Into<Failure>> Context<T> for std::result::Result<T, E> {
    fn context(self, message: impl Into<String>) -> Result<T> {
        self.map_err(|error| error.into().context(message))
    }

    fn with_context<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|error| error.into().context(message()))
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, message: impl Into<String>) -> Result<T> {
        self.ok_or_else(|| Failure::new(Class::Bug, message))
    }

    fn with_context<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.ok_or_else(|| Failure::new(Class::Bug, message()))
    }
}
