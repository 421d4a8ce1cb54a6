//! What every leaf error can say about itself: the class that decides the exit
//! code, and a hint that helps the person who reads it.
//!
//! Leaf modules define their own `thiserror` enums and implement [`Diagnose`];
//! the command line maps the outermost cause that it knows to an exit code.

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

/// Implemented by every leaf error type.
pub trait Diagnose: std::error::Error {
    /// The class that decides the exit code.
    fn class(&self) -> Class;

    /// One sentence on what to do about it, without a `hint:` prefix.
    fn hint(&self) -> Option<String> {
        None
    }
}
