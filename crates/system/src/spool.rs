//! Files' data put aside: those files of several layers that a new layer is
//! made of, copied into one temporary file.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Read};

use crate::layer::FileSink;
use isoforge_base::read_at::Window;
use isoforge_base::tree::{FileData, LayerId, ReadFile};

const BUFFER_BYTES: usize = 1 << 18;

/// A file within the layers.
pub type FileId = (LayerId, u32);

/// Data of files by their place in the layers.
#[derive(Debug)]
pub struct Spool {
    file: std::fs::File,
    /// Where each file starts, and its size, in bytes.
    places: BTreeMap<FileId, (u64, u64)>,
}

impl ReadFile for Spool {
    fn open<'a>(&'a self, data: &FileData) -> io::Result<Box<dyn Read + 'a>> {
        match data {
            FileData::Inline(bytes) => Ok(Box::new(io::Cursor::new(std::sync::Arc::clone(bytes)))),
            FileData::Layer { layer, file, .. } => {
                let &(start, size) = self.places.get(&(*layer, *file)).ok_or_else(|| {
                    io::Error::other(format!("file {file} of layer {} was not kept", layer.0))
                })?;
                Ok(Box::new(Window::new(&self.file, start, size)))
            }
        }
    }
}

/// Fills a [`Spool`].
#[derive(Debug)]
pub struct SpoolWriter {
    out: BufWriter<std::fs::File>,
    at: u64,
    places: BTreeMap<FileId, (u64, u64)>,
}

impl SpoolWriter {
    /// Keeps data in `file`, which is empty.
    pub fn new(file: std::fs::File) -> Self {
        Self {
            out: BufWriter::with_capacity(BUFFER_BYTES, file),
            at: 0,
            places: BTreeMap::new(),
        }
    }

    /// A sink that keeps the `wanted` files of `layer`.
    pub fn layer<'a>(
        &'a mut self,
        layer: LayerId,
        wanted: &'a BTreeSet<FileId>,
    ) -> impl FileSink + 'a {
        LayerSink {
            writer: self,
            layer,
            next: 0,
            wanted,
        }
    }

    /// The spool.
    pub fn finish(self) -> io::Result<Spool> {
        Ok(Spool {
            file: self
                .out
                .into_inner()
                .map_err(io::IntoInnerError::into_error)?,
            places: self.places,
        })
    }
}

struct LayerSink<'a> {
    writer: &'a mut SpoolWriter,
    layer: LayerId,
    next: u32,
    wanted: &'a BTreeSet<FileId>,
}

impl FileSink for LayerSink<'_> {
    fn file(&mut self, _: u64, data: &mut dyn Read) -> io::Result<()> {
        let id = (self.layer, self.next);
        self.next = self.next.saturating_add(1);
        if !self.wanted.contains(&id) {
            return io::copy(data, &mut io::sink()).map(drop);
        }
        let size = io::copy(data, &mut self.writer.out)?;
        self.writer.places.insert(id, (self.writer.at, size));
        self.writer.at += size;
        Ok(())
    }
}

/// Lets files' data go by.
#[derive(Debug)]
pub struct NoData;

impl FileSink for NoData {
    fn file(&mut self, _: u64, data: &mut dyn Read) -> io::Result<()> {
        io::copy(data, &mut io::sink()).map(drop)
    }
}
