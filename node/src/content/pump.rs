//! Copying bytes and hashing them on the way; on another processor where they are
//! many, since hashing takes as long as writing does.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use isoforge_base::digest::{Digest, Sha256};
use isoforge_base::parallel;

/// Bytes that are read and written at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// From this size on hashing has a thread of its own.
const PARALLEL_BYTES: u64 = 4 << 20;

/// Pieces that may wait to be hashed.
const WAITING: usize = 4;

/// Why copying broke off.
#[derive(Debug)]
pub(super) enum Broken {
    /// Reading failed after so many bytes.
    Read(u64, io::Error),
    /// Writing failed.
    Write(io::Error),
    /// There are more bytes than there should be: so many at least.
    Longer(u64),
}

/// Copies all of `from`, which should have `size` bytes; gives their number and
/// digest. `told` is told each piece's bytes.
pub(super) fn pump(
    from: &mut dyn Read,
    to: &mut dyn Write,
    size: u64,
    told: &mut dyn FnMut(u64),
) -> Result<(u64, Digest), Broken> {
    if size < PARALLEL_BYTES {
        return copy_hashed(from, to, size, told);
    }
    let (sender, receiver) = sync_channel::<Arc<Vec<u8>>>(WAITING);
    std::thread::scope(|scope| {
        let hasher = parallel::scoped(scope, move || {
            let mut hash = Sha256::new();
            for piece in receiver {
                hash.update(&piece);
            }
            hash.finish()
        });
        let Ok(hasher) = hasher else {
            // Where there are no more threads it takes longer.
            return copy_hashed(from, to, size, told);
        };
        let total = copy_shared(from, to, size, told, &sender);
        drop(sender);
        let digest = parallel::joined(hasher);
        Ok((total?, digest))
    })
}

/// Copies and hashes in turn.
fn copy_hashed(
    from: &mut dyn Read,
    to: &mut dyn Write,
    size: u64,
    told: &mut dyn FnMut(u64),
) -> Result<(u64, Digest), Broken> {
    let mut hash = Sha256::new();
    let total = copy(from, to, size, told, &mut |piece| hash.update(piece))?;
    Ok((total, hash.finish()))
}

/// Copies through one buffer.
fn copy(
    from: &mut dyn Read,
    to: &mut dyn Write,
    size: u64,
    told: &mut dyn FnMut(u64),
    hash: &mut dyn FnMut(&[u8]),
) -> Result<u64, Broken> {
    let mut buffer = vec![
        0_u8;
        CHUNK_BYTES.min(
            usize::try_from(size)
                .unwrap_or(CHUNK_BYTES)
                .saturating_add(1)
        )
    ];
    let mut total = 0_u64;
    loop {
        let read = read(from, &mut buffer, total)?;
        let piece = buffer.get(..read).unwrap_or_default();
        if piece.is_empty() {
            return Ok(total);
        }
        total = counted(total, read, size)?;
        hash(piece);
        to.write_all(piece).map_err(Broken::Write)?;
        told(read as u64);
    }
}

/// Copies through several buffers, which are hashed meanwhile.
fn copy_shared(
    from: &mut dyn Read,
    to: &mut dyn Write,
    size: u64,
    told: &mut dyn FnMut(u64),
    hasher: &SyncSender<Arc<Vec<u8>>>,
) -> Result<u64, Broken> {
    // One is written, one is hashed, the others wait.
    let mut pool: Vec<Arc<Vec<u8>>> = std::iter::repeat_with(Arc::default)
        .take(WAITING + 2)
        .collect();
    let mut total = 0_u64;
    loop {
        let free = pool.iter_mut().position(|it| Arc::get_mut(it).is_some());
        let mut made = Arc::new(Vec::new());
        let shared = match free.and_then(|at| pool.get_mut(at)) {
            Some(free) => free,
            None => &mut made,
        };
        let Some(buffer) = Arc::get_mut(shared) else {
            continue;
        };
        buffer.resize(CHUNK_BYTES, 0);
        let read = read(from, buffer, total)?;
        if read == 0 {
            return Ok(total);
        }
        buffer.truncate(read);
        total = counted(total, read, size)?;
        let piece = Arc::clone(shared);
        // It ends with this alone.
        let _ = hasher.send(Arc::clone(&piece));
        to.write_all(&piece).map_err(Broken::Write)?;
        told(read as u64);
    }
}

fn read(from: &mut dyn Read, buffer: &mut [u8], total: u64) -> Result<usize, Broken> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Broken::Read(total, error)),
            Ok(read) => return Ok(read),
        }
    }
}

fn counted(total: u64, read: usize, size: u64) -> Result<u64, Broken> {
    let total = total.saturating_add(read as u64);
    if total > size {
        return Err(Broken::Longer(total));
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(size: u64) -> Vec<u8> {
        (0..size).map(|n| (n % 251) as u8).collect()
    }

    #[test]
    fn what_is_copied_has_its_digest_whatever_its_size() {
        let chunk = CHUNK_BYTES as u64;
        for size in [0, 1, chunk, chunk + 1, PARALLEL_BYTES, 9 * chunk + 17] {
            let source = bytes(size);
            let (mut out, mut told) = (Vec::new(), 0);
            let mut from = source.as_slice();
            let mut tell = |bytes| told += bytes;
            let (total, digest) = pump(&mut from, &mut out, size, &mut tell).unwrap();
            assert_eq!((total, digest), (size, Digest::of(&source)));
            assert_eq!(told, size);
            assert!(out == source, "{size}");
        }
    }

    #[test]
    fn too_many_bytes_and_a_full_disk_end_it() {
        for size in [10, PARALLEL_BYTES] {
            let source = bytes(size + 1);
            let mut from = source.as_slice();
            let broken = pump(&mut from, &mut io::sink(), size, &mut |_| ()).unwrap_err();
            assert!(matches!(broken, Broken::Longer(_)), "{broken:?}");
            let mut full = fs_err::OpenOptions::new()
                .write(true)
                .open("/dev/full")
                .unwrap();
            let mut from = source.as_slice();
            let broken = pump(&mut from, &mut full, size + 1, &mut |_| ()).unwrap_err();
            assert!(matches!(broken, Broken::Write(_)), "{broken:?}");
        }
    }
}
