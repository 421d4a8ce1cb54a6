//! File trees from one line per file.

use std::io::{self, Read};

use isoforge_base::tree::{FileData, Inode, Kind, LayerId, Meta, ReadFile, Tree};

/// Makes a tree: `path` is a file with its path as content, `path = text`
/// a file with that text, `path -> target` a symbolic link, `path/` a
/// directory.
///
/// # Panics
/// Where a path is none, or lies below a file.
#[must_use]
pub fn tree(text: &str) -> Tree {
    let mut tree = Tree::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (path, kind) = if let Some((path, target)) = line.split_once(" -> ") {
            (path, Kind::Symlink(target.into()))
        } else if let Some((path, text)) = line.split_once(" = ") {
            (path, file(text.as_bytes()))
        } else if let Some(path) = line.strip_suffix('/') {
            (path, Kind::Directory(Default::default()))
        } else {
            (line, file(line.as_bytes()))
        };
        let meta = Meta::with_mode(0o755);
        tree.insert(path.as_bytes(), Inode { meta, kind }).unwrap();
    }
    tree
}

/// A regular file with these bytes.
#[must_use]
pub fn file(bytes: &[u8]) -> Kind {
    Kind::File(FileData::Inline(bytes.into()))
}

/// A regular file that [`InMemory`] fails to read.
#[must_use]
pub fn unreadable() -> Kind {
    Kind::File(FileData::Layer {
        layer: LayerId(0),
        file: 0,
        size: 1,
    })
}

/// Reads files that are held in memory.
#[derive(Debug, Clone, Copy)]
pub struct InMemory;

impl ReadFile for InMemory {
    fn open<'a>(&'a self, data: &FileData) -> io::Result<Box<dyn Read + 'a>> {
        match data {
            FileData::Inline(bytes) => Ok(Box::new(io::Cursor::new(bytes.clone()))),
            FileData::Layer { .. } => Err(io::Error::other("no layers here")),
        }
    }
}
