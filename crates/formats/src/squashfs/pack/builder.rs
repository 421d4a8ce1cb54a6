//! Cuts files in blocks, finds what was there before, and hands the rest to the
//! compressing threads.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, Write};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::pipeline::{self, Buffers, Job, Task};
use super::{Content, Hash, Hole, Packed, Tail};
use crate::Error;
use crate::squashfs::settings::Settings;
use isoforge_base::parallel;

/// Uncompressed bytes of blocks in work or waiting: enough that the threads
/// have work while the reader, the writer or a slow block keeps them waiting.
/// The compressed results take as much again.
const IN_FLIGHT_BYTES: usize = 16 << 20;
/// Blocks in work or waiting for each thread, at least.
const BLOCKS_PER_THREAD: usize = 4;
/// Buffers that the packer itself holds: the block being read and the fragment
/// block being filled.
const PACKER_BUFFERS: usize = 2;
/// Stands for the hash of a block of zeros.
const ZEROS: Hash = [0; blake3::OUT_LEN];
/// How much is looked at together when zeros are searched.
const ZERO_SCAN_BYTES: usize = 512;

/// Packs all files that `feed` hands to the [`Packer`] and writes the stored
/// bytes to `out`, from where it stands. `threads` threads compress (at least
/// one); the bytes do not depend on their number.
///
/// # Errors
/// What `feed` gave, or why packing failed; where packing failed, what `feed`
/// made of that is not told.
pub fn pack<W, T, E>(
    out: W,
    settings: &Settings,
    threads: usize,
    feed: impl FnOnce(&mut Packer) -> Result<T, E>,
) -> Result<(Packed, T), E>
where
    W: Read + Write + Seek + Send,
    E: From<Error>,
{
    settings.validate()?;
    let threads = threads.max(1);
    let in_flight = threads
        .saturating_mul(BLOCKS_PER_THREAD)
        .max(IN_FLIGHT_BYTES / settings.block_size as usize);
    let (job_sender, jobs) = bounded::<Job>(in_flight);
    let (finished_sender, finished) = unbounded();
    let (free_sender, free) = unbounded();
    for _ in 0..in_flight + PACKER_BUFFERS {
        // The receiver lives, so sending can't fail.
        let _ = free_sender.send(Buffers::default());
    }
    thread::scope(|scope| {
        let refused = Error::io(super::WRITING);
        let write = move || pipeline::write_in_order(out, &finished, &free_sender);
        let writer = parallel::scoped(scope, write).map_err(&refused)?;
        for number in 0..threads {
            let (jobs, finished) = (jobs.clone(), finished_sender.clone());
            let work = move || pipeline::work(settings.compressor, &jobs, &finished);
            match parallel::scoped(scope, work) {
                Err(error) if number == 0 => return Err(refused(error).into()),
                // Fewer take longer.
                Err(_) => break,
                Ok(_) => {}
            }
        }
        drop((jobs, finished_sender));
        let fed = feed_packer(settings, job_sender, free, feed);
        let written = parallel::joined(writer);
        // A writer that failed also stops the packer: its reason comes first.
        let (mut packed, starts) = written?;
        let (packer, fed) = fed?;
        packer.complete(&mut packed, &starts);
        Ok((packed, fed))
    })
}

/// Runs `feed` and hands in the last fragment block. Dropping the packer's
/// sender on return ends the threads.
fn feed_packer<T, E: From<Error>>(
    settings: &Settings,
    jobs: Sender<Job>,
    free: Receiver<Buffers>,
    feed: impl FnOnce(&mut Packer) -> Result<T, E>,
) -> Result<(Contents, T), E> {
    let mut packer = Packer::new(settings.block_size as usize, jobs, free)?;
    let fed = feed(&mut packer)?;
    packer.flush_fragment().map_err(Error::io(super::WRITING))?;
    Ok((packer.contents, fed))
}

/// What the packer knows of the contents; their positions come from the writer.
#[derive(Debug, Default)]
struct Contents {
    files: Vec<u32>,
    list: Vec<Content>,
}

impl Contents {
    fn complete(mut self, packed: &mut Packed, starts: &[u64]) {
        for content in &mut self.list {
            content.start = starts
                .get(content.first_block as usize)
                .copied()
                .unwrap_or(packed.stored_bytes);
        }
        packed.files = self.files;
        packed.contents = self.list;
    }
}

/// Takes files and packs them; made by [`pack`].
#[derive(Debug)]
pub struct Packer {
    block_size: usize,
    jobs: Sender<Job>,
    free: Receiver<Buffers>,
    next_sequence: u64,
    next_block: u32,
    next_fragment: u32,
    current: Buffers,
    fragment: Buffers,
    contents: Contents,
    content_by_id: BTreeMap<(Hash, u64), u32>,
    block_by_hash: BTreeMap<Hash, u32>,
    tail_by_hash: BTreeMap<Hash, Tail>,
}

/// One file under way.
#[derive(Debug)]
struct FileState {
    id: blake3::Hasher,
    blocks: u32,
    first_block: u32,
    stored_blocks: u32,
    holes: Vec<Hole>,
    /// Stored blocks that begin the file and were all there before. They are
    /// stored again only once the file turns out to be a new one.
    known: Vec<u32>,
}

impl Packer {
    fn new(block_size: usize, jobs: Sender<Job>, free: Receiver<Buffers>) -> Result<Self, Error> {
        let mut packer = Self {
            block_size,
            jobs,
            free,
            next_sequence: 0,
            next_block: 0,
            next_fragment: 0,
            current: Buffers::default(),
            fragment: Buffers::default(),
            contents: Contents::default(),
            content_by_id: BTreeMap::new(),
            block_by_hash: BTreeMap::new(),
            tail_by_hash: BTreeMap::new(),
        };
        let stopped = Error::io(super::WRITING);
        packer.current = packer.free_buffers().map_err(&stopped)?;
        packer.fragment = packer.free_buffers().map_err(&stopped)?;
        Ok(packer)
    }

    /// Takes the next file: exactly `size` bytes of `data`.
    ///
    /// # Errors
    /// What reading `data` gave, its early end among it; a broken pipe where
    /// storing failed, for which [`pack`] gives the reason.
    pub fn file(&mut self, size: u64, data: &mut dyn Read) -> io::Result<()> {
        let block_size = self.block_size as u64;
        let mut state = FileState {
            id: blake3::Hasher::new(),
            blocks: 0,
            first_block: self.next_block,
            stored_blocks: 0,
            holes: Vec::new(),
            known: Vec::new(),
        };
        for _ in 0..size / block_size {
            self.read_current(data, self.block_size)?;
            self.block(&mut state)?;
        }
        let tail_bytes = usize::try_from(size % block_size).map_err(io::Error::other)?;
        let tail = self.read_tail(data, tail_bytes, &mut state)?;
        let id = (*state.id.finalize().as_bytes(), size);
        let number = match self.content_by_id.get(&id) {
            Some(&number) => number,
            None => self.new_content(id, state, tail)?,
        };
        self.contents.files.push(number);
        Ok(())
    }

    fn read_current(&mut self, data: &mut dyn Read, bytes: usize) -> io::Result<()> {
        // Every byte is overwritten, so only growing costs anything.
        self.current.raw.resize(bytes, 0);
        data.read_exact(&mut self.current.raw)
    }

    /// Takes the full block in `current`.
    fn block(&mut self, state: &mut FileState) -> io::Result<()> {
        let number = state.blocks;
        state.blocks = number.checked_add(1).ok_or_else(too_many_blocks)?;
        if is_zero(&self.current.raw) {
            state.id.update(&ZEROS);
            state.add_hole(number);
            return Ok(());
        }
        let hash = *blake3::hash(&self.current.raw).as_bytes();
        state.id.update(&hash);
        match self.block_by_hash.get(&hash) {
            Some(&of) if state.stored_blocks == 0 => {
                state.known.push(of);
                Ok(())
            }
            Some(&of) => self.store_block(Task::Repeat { of }, state).map(|_| ()),
            None => {
                self.store_known(state)?;
                let stored = self.store_block(Task::Block, state)?;
                self.block_by_hash.insert(hash, stored);
                Ok(())
            }
        }
    }

    /// Reads the last, partial block. Gives its hash where it is to be stored.
    fn read_tail(
        &mut self,
        data: &mut dyn Read,
        bytes: usize,
        state: &mut FileState,
    ) -> io::Result<Option<Hash>> {
        if bytes == 0 {
            return Ok(None);
        }
        self.read_current(data, bytes)?;
        if is_zero(&self.current.raw) {
            state.id.update(&ZEROS);
            state.add_hole(state.blocks);
            return Ok(None);
        }
        let hash = *blake3::hash(&self.current.raw).as_bytes();
        state.id.update(&hash);
        Ok(Some(hash))
    }

    fn new_content(
        &mut self,
        id: (Hash, u64),
        mut state: FileState,
        tail: Option<Hash>,
    ) -> io::Result<u32> {
        self.store_known(&mut state)?;
        let tail = tail.map(|hash| self.tail(hash)).transpose()?;
        let number = u32::try_from(self.contents.list.len()).map_err(io::Error::other)?;
        self.contents.list.push(Content {
            id: id.0,
            size: id.1,
            start: 0,
            first_block: state.first_block,
            stored_blocks: state.stored_blocks,
            holes: state.holes,
            tail,
        });
        self.content_by_id.insert(id, number);
        Ok(number)
    }

    /// Puts the partial block in `current` into a fragment block, if an equal
    /// one is not in one already.
    fn tail(&mut self, hash: Hash) -> io::Result<Tail> {
        if let Some(&tail) = self.tail_by_hash.get(&hash) {
            return Ok(tail);
        }
        if self.fragment.raw.len() + self.current.raw.len() > self.block_size {
            self.flush_fragment()?;
        }
        let tail = Tail {
            fragment: self.next_fragment,
            offset: u32::try_from(self.fragment.raw.len()).map_err(io::Error::other)?,
        };
        self.fragment.raw.extend_from_slice(&self.current.raw);
        self.tail_by_hash.insert(hash, tail);
        Ok(tail)
    }

    fn flush_fragment(&mut self) -> io::Result<()> {
        if self.fragment.raw.is_empty() {
            return Ok(());
        }
        let mut next = self.free_buffers()?;
        next.raw.clear();
        let full = std::mem::replace(&mut self.fragment, next);
        self.next_fragment = self
            .next_fragment
            .checked_add(1)
            .ok_or_else(too_many_blocks)?;
        self.submit(Task::Fragment, full)
    }

    /// Stores the blocks that were held back.
    fn store_known(&mut self, state: &mut FileState) -> io::Result<()> {
        for of in std::mem::take(&mut state.known) {
            let buffers = self.free_buffers()?;
            self.submit(Task::Repeat { of }, buffers)?;
            self.count_block(state)?;
        }
        Ok(())
    }

    /// Hands in `current` and gives the block's number.
    fn store_block(&mut self, task: Task, state: &mut FileState) -> io::Result<u32> {
        let next = self.free_buffers()?;
        let full = std::mem::replace(&mut self.current, next);
        self.submit(task, full)?;
        self.count_block(state)
    }

    fn count_block(&mut self, state: &mut FileState) -> io::Result<u32> {
        let number = self.next_block;
        self.next_block = number.checked_add(1).ok_or_else(too_many_blocks)?;
        state.stored_blocks += 1;
        Ok(number)
    }

    fn submit(&mut self, task: Task, buffers: Buffers) -> io::Result<()> {
        let job = Job {
            sequence: self.next_sequence,
            task,
            buffers,
        };
        self.next_sequence += 1;
        self.jobs.send(job).map_err(|_| stopped())
    }

    fn free_buffers(&self) -> io::Result<Buffers> {
        self.free.recv().map_err(|_| stopped())
    }
}

impl FileState {
    fn add_hole(&mut self, block: u32) {
        match self.holes.last_mut() {
            Some(hole) if hole.block + hole.count == block => hole.count += 1,
            _ => self.holes.push(Hole { block, count: 1 }),
        }
    }
}

fn stopped() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "storing packed file data stopped",
    )
}

fn too_many_blocks() -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        "there are more blocks than can be numbered; larger blocks make fewer",
    )
}

/// Chunks are folded whole, which the compiler turns into wide instructions.
fn is_zero(bytes: &[u8]) -> bool {
    bytes
        .chunks(ZERO_SCAN_BYTES)
        .all(|chunk| chunk.iter().fold(0, |all, byte| all | byte) == 0)
}
