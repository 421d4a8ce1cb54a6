//! Inodes.

use std::io::{Read, Seek};

use super::metadata::Cursor;
use super::{Image, truncated};
use crate::Error;
use crate::squashfs::layout::{
    BasicDirectory, BasicFile, DIRECTORY_SIZE_BIAS, DeviceNode, ExtendedDirectory, ExtendedFile,
    InodeHeader, Ipc, NO_FRAGMENT, NO_XATTRS, SYMLINK_BYTES_MAX, Symlink, TYPE_BLOCK_DEVICE,
    TYPE_CHAR_DEVICE, TYPE_DIRECTORY, TYPE_EXTENDED, TYPE_FIFO, TYPE_FILE, TYPE_SOCKET,
    TYPE_SYMLINK, decode_device, split_ref,
};
use isoforge_base::tree::Device;

/// An inode of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inode {
    /// Reference by which it was read.
    pub reference: u64,
    /// Inode number.
    pub number: u32,
    /// Permission, set-id and sticky bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time, seconds since 1970-01-01 UTC.
    pub mtime: u32,
    /// Link count.
    pub nlink: u32,
    /// Number of the set of extended attributes.
    pub xattrs: Option<u32>,
    /// What it is.
    pub kind: InodeKind,
}

/// What an inode is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InodeKind {
    /// A directory.
    Directory {
        /// Reference of the listing in the directory table.
        listing: u64,
        /// Bytes of the listing.
        bytes: u32,
        /// Inode number of the parent.
        parent: u32,
        /// Number of index entries.
        index_count: u16,
    },
    /// A regular file.
    File {
        /// Size in bytes.
        size: u64,
        /// Start of the first data block in the image.
        start: u64,
        /// Bytes in holes, as the image says.
        sparse: u64,
        /// Fragment block and offset of the tail in it.
        fragment: Option<(u32, u32)>,
        /// Reference of the list of block size words in the inode table.
        words: u64,
    },
    /// A symbolic link and its target.
    Symlink(Vec<u8>),
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// What the parts after an inode's header say.
struct Body {
    nlink: u32,
    xattr: u32,
    kind: InodeKind,
}

/// Reads one inode's parts, each error naming the inode.
struct InodeReader<'i, R> {
    image: &'i mut Image<R>,
    cursor: Cursor,
    reference: u64,
}

impl<R: Read + Seek> Image<R> {
    /// The inode that `reference` names.
    ///
    /// # Errors
    /// Where it is damaged.
    pub fn inode(&mut self, reference: u64) -> Result<Inode, Error> {
        let mut parts = InodeReader {
            cursor: self.cursor(self.superblock.inode_table, reference)?,
            image: self,
            reference,
        };
        let header = parts.next(InodeHeader::SIZE, InodeHeader::parse)?;
        let body = parts.body(header.inode_type)?;
        Ok(Inode {
            reference,
            number: header.number,
            mode: header.mode & isoforge_base::tree::MODE_MASK,
            uid: self.id(header.uid)?,
            gid: self.id(header.gid)?,
            mtime: header.mtime,
            nlink: body.nlink,
            xattrs: Some(body.xattr).filter(|&number| number != NO_XATTRS),
            kind: body.kind,
        })
    }

    /// The place in a table that starts at `table` which `reference` names.
    pub(in crate::squashfs) fn cursor(&self, table: u64, reference: u64) -> Result<Cursor, Error> {
        let (block, offset) = split_ref(reference);
        let block = table.checked_add(block).ok_or_else(|| truncated(table))?;
        Ok(Cursor {
            block,
            offset: usize::from(offset),
        })
    }
}

impl<R: Read + Seek> InodeReader<'_, R> {
    fn invalid(&self, reason: &'static str) -> Error {
        let reference = self.reference;
        Error::damaged(format!(
            "the inode at {reference:#x} of the SquashFS image is invalid: {reason}"
        ))
    }

    fn next<T>(&mut self, size: usize, parse: fn(&[u8]) -> Option<T>) -> Result<T, Error> {
        let bytes = self.image.blocks.read(&mut self.cursor, size)?;
        parse(&bytes).ok_or_else(|| self.invalid("it is too short"))
    }

    fn body(&mut self, inode_type: u16) -> Result<Body, Error> {
        let extended = inode_type > TYPE_EXTENDED;
        let basic_type = if extended {
            inode_type - TYPE_EXTENDED
        } else {
            inode_type
        };
        match (basic_type, extended) {
            (TYPE_DIRECTORY, false) => self.basic_directory(),
            (TYPE_DIRECTORY, true) => self.extended_directory(),
            (TYPE_FILE, false) => self.basic_file(),
            (TYPE_FILE, true) => self.extended_file(),
            (TYPE_SYMLINK, _) => {
                let symlink = self.next(Symlink::SIZE, Symlink::parse)?;
                let length = symlink.target_length as usize;
                if length > SYMLINK_BYTES_MAX {
                    return Err(self.invalid("its target is too long"));
                }
                let target = self.image.blocks.read(&mut self.cursor, length)?;
                self.other(symlink.nlink, extended, InodeKind::Symlink(target))
            }
            (TYPE_BLOCK_DEVICE | TYPE_CHAR_DEVICE, _) => {
                let node = self.next(DeviceNode::SIZE, DeviceNode::parse)?;
                let (major, minor) = decode_device(node.device);
                let device = Device { major, minor };
                let kind = if basic_type == TYPE_BLOCK_DEVICE {
                    InodeKind::BlockDevice(device)
                } else {
                    InodeKind::CharDevice(device)
                };
                self.other(node.nlink, extended, kind)
            }
            (TYPE_FIFO | TYPE_SOCKET, _) => {
                let ipc = self.next(Ipc::SIZE, Ipc::parse)?;
                let kind = if basic_type == TYPE_FIFO {
                    InodeKind::Fifo
                } else {
                    InodeKind::Socket
                };
                self.other(ipc.nlink, extended, kind)
            }
            _ => Err(self.invalid("its type is unknown")),
        }
    }

    /// What is neither directory nor file: the extended form has the number of
    /// the extended attribute set at its end.
    fn other(&mut self, nlink: u32, extended: bool, kind: InodeKind) -> Result<Body, Error> {
        let xattr = if extended {
            let word: fn(&[u8]) -> Option<u32> =
                |bytes| Some(u32::from_le_bytes(*bytes.first_chunk()?));
            self.next(size_of::<u32>(), word)?
        } else {
            NO_XATTRS
        };
        Ok(Body { nlink, xattr, kind })
    }

    fn basic_directory(&mut self) -> Result<Body, Error> {
        let part = self.next(BasicDirectory::SIZE, BasicDirectory::parse)?;
        Ok(Body {
            nlink: part.nlink,
            xattr: NO_XATTRS,
            kind: InodeKind::Directory {
                listing: u64::from(part.block) << 16 | u64::from(part.offset),
                bytes: self.listing_bytes(u32::from(part.size))?,
                parent: part.parent,
                index_count: 0,
            },
        })
    }

    fn extended_directory(&mut self) -> Result<Body, Error> {
        let part = self.next(ExtendedDirectory::SIZE, ExtendedDirectory::parse)?;
        Ok(Body {
            nlink: part.nlink,
            xattr: part.xattr,
            kind: InodeKind::Directory {
                listing: u64::from(part.block) << 16 | u64::from(part.offset),
                bytes: self.listing_bytes(part.size)?,
                parent: part.parent,
                index_count: part.index_count,
            },
        })
    }

    fn listing_bytes(&self, size: u32) -> Result<u32, Error> {
        size.checked_sub(DIRECTORY_SIZE_BIAS)
            .ok_or_else(|| self.invalid("its size is too small"))
    }

    fn basic_file(&mut self) -> Result<Body, Error> {
        let part = self.next(BasicFile::SIZE, BasicFile::parse)?;
        Ok(Body {
            nlink: 1,
            xattr: NO_XATTRS,
            kind: InodeKind::File {
                size: u64::from(part.size),
                start: u64::from(part.start),
                sparse: 0,
                fragment: fragment(part.fragment, part.offset),
                words: self.here(),
            },
        })
    }

    fn extended_file(&mut self) -> Result<Body, Error> {
        let part = self.next(ExtendedFile::SIZE, ExtendedFile::parse)?;
        Ok(Body {
            nlink: part.nlink,
            xattr: part.xattr,
            kind: InodeKind::File {
                size: part.size,
                start: part.start,
                sparse: part.sparse,
                fragment: fragment(part.fragment, part.offset),
                words: self.here(),
            },
        })
    }

    /// The cursor as a reference; it never lies before the table's start.
    fn here(&self) -> u64 {
        let table = self.image.superblock.inode_table;
        let block = self.cursor.block.saturating_sub(table);
        block << 16 | self.cursor.offset as u64
    }
}

fn fragment(number: u32, offset: u32) -> Option<(u32, u32)> {
    (number != NO_FRAGMENT).then_some((number, offset))
}
