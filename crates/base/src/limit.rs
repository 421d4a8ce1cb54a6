//! Reading no more than one is ready to hold.

use std::io::{self, Read};

/// All bytes of `reader`; `None` where there are more than `limit`.
///
/// # Errors
/// What reading gave.
pub fn read_within(reader: impl Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_more_is_too_many() {
        assert_eq!(read_within(&b"abc"[..], 3).unwrap().unwrap(), b"abc");
        assert_eq!(read_within(&b"abcd"[..], 3).unwrap(), None);
        assert_eq!(read_within(io::repeat(0), 9).unwrap(), None);
    }
}
