//! Random bytes for secrets.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

/// Fills `bytes` with what the kernel gives.
///
/// # Errors
/// Where it gives none.
pub(crate) fn fill(mut bytes: &mut [u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let filled = getrandom(&mut *bytes, GetRandomFlags::empty())?;
        bytes = bytes.get_mut(filled..).unwrap_or_default();
    }
    Ok(())
}
