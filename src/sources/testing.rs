//! Trees for the tests of what is found in them.

use std::io::{self, Read};
use std::sync::Arc;

use isoforge_base::tree::{FileData, Inode, Kind, Meta, ReadFile, Tree};

/// Reads files whose bytes are in the tree.
pub(crate) struct InlineOnly;

impl ReadFile for InlineOnly {
    fn open<'a>(&'a self, data: &FileData) -> io::Result<Box<dyn Read + 'a>> {
        match data {
            FileData::Inline(bytes) => Ok(Box::new(io::Cursor::new(Arc::clone(bytes)))),
            FileData::Layer { .. } => Err(io::Error::other("not inline")),
        }
    }
}

/// A tree of files with their bytes, and of symbolic links.
pub(crate) fn tree(files: &[(&str, &[u8])], links: &[(&str, &str)]) -> Tree {
    let files = files.iter().map(|(path, bytes)| {
        let data = FileData::Inline(Arc::from(*bytes));
        (*path, Kind::File(data))
    });
    let links = links.iter().map(|(path, target)| {
        let target = target.as_bytes().to_vec();
        (*path, Kind::Symlink(target))
    });
    let mut tree = Tree::new();
    for (path, kind) in files.chain(links) {
        let meta = Meta::with_mode(0o644);
        tree.insert(path.as_bytes(), Inode { meta, kind }).unwrap();
    }
    tree
}
