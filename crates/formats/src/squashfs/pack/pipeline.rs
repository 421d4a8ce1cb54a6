//! Threads that compress blocks, and one that puts the results in order.
//!
//! Every block travels in a [`Buffers`] of which there is a fixed number, so
//! the memory of blocks waiting, under work, and finished out of order is
//! bounded: who has no buffer waits for one that was written.

use std::collections::BTreeMap;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};

use crossbeam_channel::{Receiver, Sender};

use super::{Block, Fragment, Packed};
use crate::Error;
use crate::squashfs::compress::Encoder;
use crate::squashfs::compressing;
use crate::squashfs::layout::BLOCK_STORED;
use crate::squashfs::settings::Compressor;

const WRITE_BUFFER_BYTES: usize = 64 << 10;

/// Room for one block, before and after compression.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) raw: Vec<u8>,
    pub(super) compressed: Vec<u8>,
}

/// What is to be done with a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// Store it as the next block.
    Block,
    /// Store it as the next fragment block.
    Fragment,
    /// Store block number `of` once more.
    Repeat {
        /// A block that was handed in before.
        of: u32,
    },
}

/// A block to be compressed.
#[derive(Debug)]
pub(super) struct Job {
    /// Place in the output, counted from 0 without gaps.
    pub(super) sequence: u64,
    pub(super) task: Task,
    pub(super) buffers: Buffers,
}

/// A block ready to be written.
#[derive(Debug)]
pub(super) struct Done {
    task: Task,
    buffers: Buffers,
    block: Block,
}

/// A finished block with its place, or why there is none.
pub(super) type Finished = (u64, Result<Done, Error>);

/// Compresses jobs until there are no more.
pub(super) fn work(compressor: Compressor, jobs: &Receiver<Job>, finished: &Sender<Finished>) {
    let mut encoder = Encoder::new(compressor);
    for job in jobs {
        let result = match &mut encoder {
            Ok(encoder) => compress(encoder, job.task, job.buffers),
            Err(error) => Err(std::io::Error::new(error.kind(), error.to_string())),
        };
        let result = result.map_err(compressing);
        if finished.send((job.sequence, result)).is_err() {
            // The writer failed and says why itself.
            return;
        }
    }
}

fn compress(encoder: &mut Encoder, task: Task, mut buffers: Buffers) -> std::io::Result<Done> {
    let mut block = Block {
        word: 0,
        hash: [0; blake3::OUT_LEN],
    };
    if !matches!(task, Task::Repeat { .. }) {
        let smaller = encoder.compress(&buffers.raw, &mut buffers.compressed)?;
        if !smaller {
            std::mem::swap(&mut buffers.raw, &mut buffers.compressed);
        }
        block = stored_block(&buffers.compressed, smaller)?;
    }
    Ok(Done {
        task,
        buffers,
        block,
    })
}

fn stored_block(stored: &[u8], compressed: bool) -> std::io::Result<Block> {
    let length = u32::try_from(stored.len()).map_err(std::io::Error::other)?;
    Ok(Block {
        word: if compressed {
            length
        } else {
            length | BLOCK_STORED
        },
        hash: *blake3::hash(stored).as_bytes(),
    })
}

/// Writes finished blocks in order and gives their buffers back; ends when all
/// workers have. The result has blocks and fragments, and the start of each
/// block beside it.
pub(super) fn write_in_order<W: Read + Write + Seek>(
    out: W,
    finished: &Receiver<Finished>,
    free: &Sender<Buffers>,
) -> Result<(Packed, Vec<u64>), Error> {
    let mut writer = OrderedWriter::new(out).map_err(Error::io(super::WRITING))?;
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    for (sequence, result) in finished {
        waiting.insert(sequence, result?);
        while let Some(mut done) = waiting.remove(&next) {
            writer.write(&mut done).map_err(Error::io(super::WRITING))?;
            next += 1;
            // Whoever feeds may have gone already; then no one needs it.
            let _ = free.send(done.buffers);
        }
    }
    writer.finish().map_err(Error::io(super::WRITING))
}

struct OrderedWriter<W: Write> {
    out: BufWriter<W>,
    base: u64,
    packed: Packed,
    starts: Vec<u64>,
}

impl<W: Read + Write + Seek> OrderedWriter<W> {
    fn new(mut out: W) -> std::io::Result<Self> {
        let base = out.stream_position()?;
        Ok(Self {
            out: BufWriter::with_capacity(WRITE_BUFFER_BYTES, out),
            base,
            packed: Packed::default(),
            starts: Vec::new(),
        })
    }

    fn write(&mut self, done: &mut Done) -> std::io::Result<()> {
        let start = self.packed.stored_bytes;
        let block = match done.task {
            Task::Repeat { of } => self.read_back(of, &mut done.buffers.compressed)?,
            Task::Block | Task::Fragment => done.block,
        };
        self.out.write_all(&done.buffers.compressed)?;
        self.packed.stored_bytes += u64::from(block.stored_bytes());
        if done.task == Task::Fragment {
            self.packed.fragments.push(Fragment { start, block });
        } else {
            self.packed.blocks.push(block);
            self.starts.push(start);
        }
        Ok(())
    }

    fn read_back(&mut self, number: u32, stored: &mut Vec<u8>) -> std::io::Result<Block> {
        let index = number as usize;
        let (Some(&block), Some(&start)) = (self.packed.blocks.get(index), self.starts.get(index))
        else {
            return Err(std::io::Error::other(format!(
                "block {number} is repeated before it is stored"
            )));
        };
        stored.resize(block.stored_bytes() as usize, 0);
        // Seeking a BufWriter writes out what it holds.
        self.out.seek(SeekFrom::Start(self.base + start))?;
        self.out.get_mut().read_exact(stored)?;
        self.out
            .seek(SeekFrom::Start(self.base + self.packed.stored_bytes))?;
        Ok(block)
    }

    fn finish(mut self) -> std::io::Result<(Packed, Vec<u64>)> {
        self.out.flush()?;
        Ok((self.packed, self.starts))
    }
}
