//! Who works with the store: a lock that every open store holds together with
//! others, and that removing takes alone.
//!
//! It is an advisory lock on a file of its own (flock(2)), so it ends with the
//! process, however that ends. A process waits for it without a signal mask or
//! a held [`interrupt`](isoforge_base::interrupt): Ctrl-C ends it meanwhile.

use std::fs::TryLockError;
use std::path::Path;

use fs_err::File;

use super::Result;
use super::session::lock_file;
use crate::Error;

const FILE: &str = "in-use";

/// How a process works with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Reads and adds, beside others.
    Shared,
    /// Removes, alone.
    Alone,
}

/// The lock, held as long as this lives.
#[derive(Debug)]
pub(super) struct InUse(#[expect(dead_code, reason = "holds the lock")] File);

/// Takes the lock in the store's version folder; `waiting` is called once where
/// another process has to end its work first.
pub(super) fn lock(base: &Path, access: Access, waiting: impl FnOnce()) -> Result<InUse> {
    let file = lock_file(&base.join(FILE))?;
    let attempt = match access {
        Access::Shared => file.file().try_lock_shared(),
        Access::Alone => file.file().try_lock(),
    };
    match attempt {
        Ok(()) => return Ok(InUse(file)),
        Err(TryLockError::WouldBlock) => waiting(),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    match access {
        Access::Shared => file.file().lock_shared(),
        Access::Alone => file.file().lock(),
    }
    .map_err(Error::from)?;
    Ok(InUse(file))
}
