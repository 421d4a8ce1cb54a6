//! Hashes a file while another thread writes it.
//!
//! The hash reads behind the writer, out of the page cache, so it needs no
//! copies of the data and costs no time of its own where a core is free. What
//! it hashes is what the file holds.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use isoforge_base::digest::{Digest, Sha256};
use isoforge_base::parallel;

/// Bytes hashed at a time.
const CHUNK_BYTES: u64 = 1 << 20;

/// Tells the hashing thread how far the file is final.
#[derive(Debug)]
pub(super) struct Watermark(Sender<u64>);

impl Watermark {
    /// All bytes before `offset` are final.
    pub(super) fn reached(&self, offset: u64) {
        // The hashing thread ends early only when it failed, which it reports.
        let _ = self.0.send(offset);
    }
}

/// Runs `work`, which makes the bytes `start..end` of `file` final in order,
/// and hashes them meanwhile.
///
/// # Errors
/// The error of `work`, or what `io` makes of the error of reading back.
pub(super) fn hash_behind<T, E>(
    file: &File,
    start: u64,
    end: u64,
    io: impl Fn(io::Error) -> E,
    work: impl FnOnce(&Watermark) -> Result<T, E>,
) -> Result<(T, Digest), E> {
    thread::scope(|scope| {
        let (sender, receiver) = channel();
        let follow = move || follow(file, start, end, &receiver);
        let hashing = match parallel::scoped(scope, follow) {
            Ok(hashing) => hashing,
            Err(error) => return Err(io(error)),
        };
        let watermark = Watermark(sender);
        let value = work(&watermark);
        if value.is_ok() {
            watermark.reached(end);
        }
        drop(watermark);
        let digest = parallel::joined(hashing);
        Ok((value?, digest.map_err(io)?))
    })
}

fn follow(file: &File, start: u64, end: u64, receiver: &Receiver<u64>) -> io::Result<Digest> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0_u8; CHUNK_BYTES as usize];
    let mut at = start;
    while let Ok(watermark) = receiver.recv() {
        // Take the latest of what waits, to read in large chunks.
        let reached = receiver.try_iter().fold(watermark, u64::max).min(end);
        while at < reached {
            let wanted = (reached - at).min(CHUNK_BYTES) as usize;
            let part = buffer.get_mut(..wanted).unwrap_or_default();
            file.read_exact_at(part, at)?;
            hash.update(part);
            at += wanted as u64;
        }
    }
    Ok(hash.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_bytes_in_the_range() {
        let file = tempfile::tempfile().unwrap();
        let data: Vec<u8> = (0..5_000_001_u32).map(|n| n as u8).collect();
        let ((), digest) = hash_behind(
            &file,
            10,
            10 + data.len() as u64,
            |error| error,
            |watermark| {
                let mut at = 10;
                for part in data.chunks(700_000) {
                    file.write_all_at(part, at)?;
                    at += part.len() as u64;
                    watermark.reached(at);
                }
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(digest, Digest::of(&data));
    }

    #[test]
    fn errors_of_both_sides_come_out() {
        let file = tempfile::tempfile().unwrap();
        let failed = hash_behind(&file, 0, 9, |_| "hash", |_| Err::<(), _>("work"));
        assert_eq!(failed.unwrap_err(), "work");
        let short = hash_behind(&file, 0, 9, |_| "hash", |_| Ok(()));
        assert_eq!(short.unwrap_err(), "hash");
    }
}
