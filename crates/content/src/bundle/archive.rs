//! The archive of a bundle.
//!
//! It is the layout as POSIX ustar with every field fixed, in Zstandard's seekable
//! format. A member's header is a frame of its own, so that who opens the archive
//! unpacks headers alone; its content is cut in frames of [`FRAME_BYTES`], the padding
//! with the last of them. What is compressed already, as its first bytes tell, is
//! stored.

use std::io::{self, Write as _};
use std::path::Path;

use crossbeam_channel::{Receiver, Sender};

use super::blobs::{Blobs, CHUNK_BYTES, each_chunk};
use super::open::COMPRESSED;
use super::parts::{ArchivePart, MAX_PARTS, PartsList, part_name};
use crate::error::{Error, writing};
use isoforge_base::digest::{Digest, Sha256};
use isoforge_base::parallel::{self, joined};
use isoforge_base::progress::Task;
use isoforge_formats::zstd_seekable::{Effort, Encoder};
use isoforge_oci::layout::OciLayout;
use isoforge_oci::store::tar_header;

/// Bytes of a member's content in one frame.
const FRAME_BYTES: usize = CHUNK_BYTES;
const BLOCK_BYTES: usize = 512;
/// 1980-01-01, the first time that every file system and archiver can hold. Equal
/// content gives equal bytes whenever it was put together.
const TIME: u64 = 315_532_800;
/// Pieces of the archive that wait for being written.
const QUEUE: usize = 4;
/// Bytes after which what was written is brought to the disk, so that neither memory
/// nor the end of the work holds all of it.
const SYNC_BYTES: u64 = 64 * 1024 * 1024;
/// Writes the archive into `folder`. Compressing and writing are two threads: each has
/// a hash of its own to compute. A third one brings to the disk what was written.
pub(super) fn archive(
    layout: &OciLayout,
    blobs: &dyn Blobs,
    folder: &Path,
    name: &str,
    part_bytes: Option<u64>,
    task: &Task,
) -> Result<PartsList, Error> {
    let (send, receive) = crossbeam_channel::bounded::<Vec<u8>>(QUEUE);
    let (give_back, used) = crossbeam_channel::bounded::<Vec<u8>>(QUEUE);
    // While one is being synced, another may wait: then writing waits too.
    let (sync, to_sync) = crossbeam_channel::bounded::<std::fs::File>(1);
    std::thread::scope(|scope| {
        // A failure is told once, so this one must not be lost.
        let work = move || to_sync.iter().try_for_each(|file| file.sync_data());
        let syncer = parallel::scoped(scope, work).map_err(writing)?;
        let work = move || -> Result<PartsList, Error> {
            let mut out = PartsWriter {
                folder,
                name,
                part_bytes,
                current: None,
                sync,
                unsynced: 0,
                done: Vec::new(),
                whole: Sha256::new(),
                size: 0,
            };
            for piece in receive {
                out.write(&piece)?;
                // Where nobody waits for it, it is not needed.
                let _ = give_back.try_send(piece);
            }
            out.finish()
        };
        let writer = parallel::scoped(scope, work).map_err(writing)?;
        let queue = Queue {
            piece: Vec::new(),
            send,
            used,
        };
        let compressed = compress(layout, blobs, queue, task);
        // Where writing failed, that is why compressing did.
        let written = joined(writer)?;
        joined(syncer).map_err(writing)?;
        compressed.map(|()| written)
    })
}

/// The archive's bytes on their way to the thread that writes.
struct Queue {
    piece: Vec<u8>,
    send: Sender<Vec<u8>>,
    /// Buffers that were written, to be filled again.
    used: Receiver<Vec<u8>>,
}

impl Queue {
    /// Hands the piece on once it is large.
    fn pass(&mut self, least: usize) -> io::Result<()> {
        if self.piece.len() < least {
            return Ok(());
        }
        let mut next = self.used.try_recv().unwrap_or_default();
        next.clear();
        let piece = std::mem::replace(&mut self.piece, next);
        let sent = self.send.send(piece);
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

fn compress(
    layout: &OciLayout,
    blobs: &dyn Blobs,
    mut out: Queue,
    task: &Task,
) -> Result<(), Error> {
    let mut encoder = Encoder::new().map_err(writing)?;
    pieces(layout, blobs, task, |piece, effort| {
        // So that a large frame has a piece of its own, and is copied no more.
        if piece.len() > FRAME_BYTES / 2 {
            out.pass(1)?;
        }
        encoder.frame(piece, effort, &mut out.piece)?;
        out.pass(FRAME_BYTES / 2)
    })?;
    out.piece.extend(encoder.table().map_err(writing)?);
    out.pass(1).map_err(writing)
}

/// Writes the layout as an archive that is not compressed, and gives its digest.
///
/// # Errors
/// What the blobs give, [`Error::DamagedBlob`], and what writing gives.
pub fn write_tar(
    layout: &OciLayout,
    blobs: &dyn Blobs,
    out: impl io::Write,
    task: &Task,
) -> Result<Digest, Error> {
    let mut out = io::BufWriter::with_capacity(FRAME_BYTES, out);
    let mut hasher = Sha256::new();
    pieces(layout, blobs, task, |piece, _| {
        hasher.update(piece);
        out.write_all(piece)
    })?;
    out.flush().map_err(writing)?;
    Ok(hasher.finish())
}

/// Gives the plain archive's bytes in the pieces that become frames, each with the
/// effort that it is worth.
fn pieces(
    layout: &OciLayout,
    blobs: &dyn Blobs,
    task: &Task,
    mut take: impl FnMut(&[u8], Effort) -> io::Result<()>,
) -> Result<(), Error> {
    let mut chunk = Vec::new();
    for (path, file) in &layout.files {
        let mut left = file.size();
        let header = tar_header(path, left, TIME).map_err(writing)?;
        take(header.as_bytes(), Effort::Normal).map_err(writing)?;
        let mut effort = None;
        each_chunk(blobs, file, &mut chunk, |chunk| {
            let effort = *effort.get_or_insert_with(|| effort_for(chunk));
            left = left.saturating_sub(chunk.len() as u64);
            task.advance(chunk.len() as u64);
            if left == 0 {
                chunk.resize(chunk.len().next_multiple_of(BLOCK_BYTES), 0);
            }
            take(chunk, effort)
        })?;
    }
    // Two empty blocks end an archive.
    take(&[0; 2 * BLOCK_BYTES], Effort::Normal).map_err(writing)
}

fn effort_for(first: &[u8]) -> Effort {
    match COMPRESSED.iter().any(|(magic, _)| first.starts_with(magic)) {
        true => Effort::Stored,
        false => Effort::Normal,
    }
}

/// Writes one file, or several where there is a limit.
struct PartsWriter<'a> {
    folder: &'a Path,
    name: &'a str,
    part_bytes: Option<u64>,
    current: Option<(fs_err::File, Sha256, u64)>,
    sync: Sender<std::fs::File>,
    /// Bytes that were written since then.
    unsynced: u64,
    done: Vec<ArchivePart>,
    /// Of all of it, where there may be several.
    whole: Sha256,
    size: u64,
}

impl PartsWriter<'_> {
    fn write(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        self.size = self.size.saturating_add(bytes.len() as u64);
        if self.part_bytes.is_some() {
            self.whole.update(bytes);
        }
        while !bytes.is_empty() {
            let limit = self.part_bytes.unwrap_or(u64::MAX).max(1);
            if self.current.as_ref().is_some_and(|(_, _, n)| *n >= limit) {
                self.end_part()?;
            }
            let (file, hasher, written) = match &mut self.current {
                Some(current) => current,
                None => {
                    let path = self.folder.join(part_name(self.name, self.done.len() + 1));
                    let file = fs_err::File::create(path).map_err(writing)?;
                    self.current.insert((file, Sha256::new(), 0))
                }
            };
            let room = usize::try_from(limit - *written).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            file.write_all(now).map_err(writing)?;
            hasher.update(now);
            *written += now.len() as u64;
            self.unsynced += now.len() as u64;
            if self.unsynced >= SYNC_BYTES
                && let Ok(file) = file.file().try_clone()
            {
                // After a failure there is nobody to take it, which is found in the end.
                let _ = self.sync.send(file);
                self.unsynced = 0;
            }
            bytes = later;
        }
        Ok(())
    }

    fn end_part(&mut self) -> Result<(), Error> {
        if let Some((_, hasher, size)) = self.current.take() {
            if self.done.len() >= MAX_PARTS {
                let text = format!("the bundle would have more than {MAX_PARTS} parts");
                let failure = Error::asked(text).with_hint("split it in larger parts");
                return Err(failure.into());
            }
            self.done.push(ArchivePart {
                name: part_name(self.name, self.done.len() + 1),
                size,
                digest: hasher.finish(),
            });
        }
        Ok(())
    }

    fn finish(mut self) -> Result<PartsList, Error> {
        self.end_part()?;
        let whole = self.whole.finish();
        Ok(PartsList {
            schema: 1,
            name: self.name.to_owned(),
            size: self.size,
            digest: match self.done.as_slice() {
                [one] => one.digest,
                _ => whole,
            },
            parts: self.done,
        })
    }
}
