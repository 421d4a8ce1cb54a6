//! Structures and constants of SquashFS 4.0 as they lie on the disk: all
//! integers little-endian, no padding.
//!
//! Every structure has its size asserted at compile time and can be written,
//! parsed, and listed field by field (for the [dump](super::dump)).

/// "hsqs", the first four bytes of an image.
pub const MAGIC: u32 = 0x7371_7368;
/// Major version of the format.
pub const VERSION_MAJOR: u16 = 4;
/// Minor version of the format.
pub const VERSION_MINOR: u16 = 0;

/// Uncompressed bytes in a metadata block.
pub const METADATA_BYTES: usize = 8192;
/// Length of the header before each metadata block.
pub const METADATA_HEADER_BYTES: usize = 2;
/// Set in a metadata block's header where the block is stored uncompressed.
pub const METADATA_STORED: u16 = 1 << 15;

/// Set in a data block's size word where the block is stored uncompressed.
pub const BLOCK_STORED: u32 = 1 << 24;
/// The stored length within a data block's size word.
pub const BLOCK_LENGTH_MASK: u32 = BLOCK_STORED - 1;
/// Size word of a block of zeros, for which nothing is stored.
pub const BLOCK_HOLE: u32 = 0;
/// Smallest data block.
pub const BLOCK_BYTES_MIN: u32 = 4096;
/// Largest data block.
pub const BLOCK_BYTES_MAX: u32 = 1 << 20;

/// Fragment number of a file that has no fragment.
pub const NO_FRAGMENT: u32 = u32::MAX;
/// Extended attribute number of an inode that has none.
pub const NO_XATTRS: u32 = u32::MAX;
/// Start of a table that the image does not have.
pub const NO_TABLE: u64 = u64::MAX;

/// Superblock flag: no file uses fragments.
pub const FLAG_NO_FRAGMENTS: u16 = 0x0010;
/// Superblock flag: tail ends of larger files are in fragments too.
pub const FLAG_ALWAYS_FRAGMENTS: u16 = 0x0020;
/// Superblock flag: duplicate files are stored once.
pub const FLAG_DUPLICATES: u16 = 0x0040;
/// Superblock flag: the image has an export table.
pub const FLAG_EXPORTABLE: u16 = 0x0080;
/// Superblock flag: the image has no extended attributes.
pub const FLAG_NO_XATTRS: u16 = 0x0200;
/// Superblock flag: compressor options follow the superblock.
pub const FLAG_COMPRESSOR_OPTIONS: u16 = 0x0400;

/// Compressor number of zlib.
pub const COMPRESSOR_GZIP: u16 = 1;
/// Compressor number of xz.
pub const COMPRESSOR_XZ: u16 = 4;
/// Compressor number of Zstandard.
pub const COMPRESSOR_ZSTD: u16 = 6;

/// Inode type of a directory; also the type in directory entries.
pub const TYPE_DIRECTORY: u16 = 1;
/// Inode type of a regular file.
pub const TYPE_FILE: u16 = 2;
/// Inode type of a symbolic link.
pub const TYPE_SYMLINK: u16 = 3;
/// Inode type of a block device.
pub const TYPE_BLOCK_DEVICE: u16 = 4;
/// Inode type of a character device.
pub const TYPE_CHAR_DEVICE: u16 = 5;
/// Inode type of a named pipe.
pub const TYPE_FIFO: u16 = 6;
/// Inode type of a socket.
pub const TYPE_SOCKET: u16 = 7;
/// Added to a basic inode type to give the extended one.
pub const TYPE_EXTENDED: u16 = 7;

/// Longest name in a directory, in bytes.
pub const NAME_BYTES_MAX: usize = 256;
/// Longest target of a symbolic link that Linux reads (one page).
pub const SYMLINK_BYTES_MAX: usize = 4096;
/// Most entries below one directory header.
pub const DIRECTORY_RUN_MAX: usize = 256;
/// A directory's size counts this much more than its listing has bytes, for
/// the entries `.` and `..`.
pub const DIRECTORY_SIZE_BIAS: u32 = 3;
/// Most owners and groups: the superblock counts them in 16 bits.
pub const IDS_MAX: usize = u16::MAX as usize;

/// Extended attribute type bit: the value lies elsewhere.
pub const XATTR_OUT_OF_LINE: u16 = 0x0100;
/// Longest name of an extended attribute in Linux (`XATTR_NAME_MAX`).
pub const XATTR_NAME_BYTES_MAX: usize = 255;
/// Longest value of an extended attribute in Linux (`XATTR_SIZE_MAX`).
pub const XATTR_VALUE_BYTES_MAX: usize = 65_536;
/// Name prefixes of extended attributes, in the order of their type numbers.
pub const XATTR_PREFIXES: [&[u8]; 3] = [b"user.", b"trusted.", b"security."];

macro_rules! on_disk {
    (
        $(#[$about:meta])*
        $name:ident, $size:literal {
            $($(#[$field_about:meta])* $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_about])* pub $field: $type,)*
        }

        impl $name {
            /// Bytes on the disk.
            pub const SIZE: usize = 0 $(+ size_of::<$type>())*;

            /// Appends the structure's bytes.
            pub fn write(&self, out: &mut Vec<u8>) {
                $(out.extend_from_slice(&self.$field.to_le_bytes());)*
            }

            /// Reads the structure from the start of `bytes`; `None` where
            /// there are too few.
            #[must_use]
            pub fn parse(bytes: &[u8]) -> Option<Self> {
                let mut rest = bytes;
                $(
                    let (head, tail) = rest.split_at_checked(size_of::<$type>())?;
                    let $field = <$type>::from_le_bytes(head.try_into().ok()?);
                    rest = tail;
                )*
                let _ = rest;
                Some(Self { $($field),* })
            }

            /// Offset within the structure, name and value of each field.
            #[must_use]
            pub fn fields(&self) -> Vec<(usize, &'static str, i128)> {
                let fields = [
                    $((size_of::<$type>(), stringify!($field), i128::from(self.$field)),)*
                ];
                let place = |at: &mut usize, (size, name, value)| {
                    let start = *at;
                    *at += size;
                    Some((start, name, value))
                };
                fields.into_iter().scan(0, place).collect()
            }
        }

        const _: () = assert!($name::SIZE == $size);
    };
}

on_disk! {
    /// The first bytes of an image.
    Superblock, 96 {
        /// [`MAGIC`].
        magic: u32,
        /// Number of inodes.
        inode_count: u32,
        /// Time of making, seconds since 1970-01-01 UTC.
        mkfs_time: u32,
        /// Data block size in bytes.
        block_size: u32,
        /// Number of fragment blocks.
        fragment_count: u32,
        /// Compressor number.
        compressor: u16,
        /// Base-2 logarithm of `block_size`.
        block_log: u16,
        /// `FLAG_*`.
        flags: u16,
        /// Number of entries in the id table.
        id_count: u16,
        /// [`VERSION_MAJOR`].
        version_major: u16,
        /// [`VERSION_MINOR`].
        version_minor: u16,
        /// [Reference](inode_ref) to the root directory's inode.
        root_inode: u64,
        /// Bytes of the image without the padding after it.
        bytes_used: u64,
        /// Start of the id table's index.
        id_table: u64,
        /// Start of the extended attribute table's header.
        xattr_table: u64,
        /// Start of the inode table.
        inode_table: u64,
        /// Start of the directory table.
        directory_table: u64,
        /// Start of the fragment table's index.
        fragment_table: u64,
        /// Start of the export table's index.
        export_table: u64,
    }
}

on_disk! {
    /// Compressor options of zlib.
    GzipOptions, 8 {
        /// Compression level, 1 to 9.
        level: u32,
        /// Base-2 logarithm of the window, 8 to 15.
        window_log: u16,
        /// Strategies that were tried, as bits; 0 is the default one.
        strategies: u16,
    }
}

on_disk! {
    /// Compressor options of Zstandard.
    ZstdOptions, 4 {
        /// Compression level, 1 to 22.
        level: u32,
    }
}

on_disk! {
    /// What every inode starts with.
    InodeHeader, 16 {
        /// `TYPE_*`, with [`TYPE_EXTENDED`] added in extended inodes.
        inode_type: u16,
        /// Permission, set-id and sticky bits.
        mode: u16,
        /// Owner: index in the id table.
        uid: u16,
        /// Group: index in the id table.
        gid: u16,
        /// Modification time, seconds since 1970-01-01 UTC.
        mtime: u32,
        /// Inode number, from 1.
        number: u32,
    }
}

on_disk! {
    /// A directory below 64 KiB without index and extended attributes.
    BasicDirectory, 16 {
        /// Metadata block of the listing, from the directory table's start.
        block: u32,
        /// Link count.
        nlink: u32,
        /// Bytes of the listing plus [`DIRECTORY_SIZE_BIAS`].
        size: u16,
        /// Offset of the listing in its metadata block.
        offset: u16,
        /// Inode number of the parent.
        parent: u32,
    }
}

on_disk! {
    /// Any directory; its [`DirectoryIndex`] entries follow.
    ExtendedDirectory, 24 {
        /// Link count.
        nlink: u32,
        /// Bytes of the listing plus [`DIRECTORY_SIZE_BIAS`].
        size: u32,
        /// Metadata block of the listing, from the directory table's start.
        block: u32,
        /// Inode number of the parent.
        parent: u32,
        /// Number of index entries.
        index_count: u16,
        /// Offset of the listing in its metadata block.
        offset: u16,
        /// Number of the extended attribute set.
        xattr: u32,
    }
}

on_disk! {
    /// Lets a look-up skip into a large directory; a name follows.
    DirectoryIndex, 12 {
        /// Offset of a directory header in the listing.
        position: u32,
        /// Metadata block of that header, from the directory table's start.
        block: u32,
        /// Length of the first name below that header, minus 1.
        name_length: u32,
    }
}

on_disk! {
    /// A file below 4 GiB in all respects; its block size words follow.
    BasicFile, 16 {
        /// Start of the first data block.
        start: u32,
        /// Fragment block, or [`NO_FRAGMENT`].
        fragment: u32,
        /// Offset of the tail in the uncompressed fragment block.
        offset: u32,
        /// Size in bytes.
        size: u32,
    }
}

on_disk! {
    /// Any file; its block size words follow.
    ExtendedFile, 40 {
        /// Start of the first data block.
        start: u64,
        /// Size in bytes.
        size: u64,
        /// Bytes in holes.
        sparse: u64,
        /// Link count.
        nlink: u32,
        /// Fragment block, or [`NO_FRAGMENT`].
        fragment: u32,
        /// Offset of the tail in the uncompressed fragment block.
        offset: u32,
        /// Number of the extended attribute set.
        xattr: u32,
    }
}

on_disk! {
    /// A symbolic link; the target follows, and in the extended form the
    /// number of the extended attribute set after it.
    Symlink, 8 {
        /// Link count.
        nlink: u32,
        /// Length of the target in bytes.
        target_length: u32,
    }
}

on_disk! {
    /// A character or block device; in the extended form the number of the
    /// extended attribute set follows.
    DeviceNode, 8 {
        /// Link count.
        nlink: u32,
        /// Device number as [`encode_device`] gives it.
        device: u32,
    }
}

on_disk! {
    /// A named pipe or socket; in the extended form the number of the extended
    /// attribute set follows.
    Ipc, 4 {
        /// Link count.
        nlink: u32,
    }
}

on_disk! {
    /// Stands before up to [`DIRECTORY_RUN_MAX`] directory entries whose
    /// inodes begin in the same metadata block.
    DirectoryHeader, 12 {
        /// Number of entries that follow, minus 1.
        count: u32,
        /// Metadata block of the inodes, from the inode table's start.
        block: u32,
        /// Inode number to which those of the entries are relative.
        number: u32,
    }
}

on_disk! {
    /// One directory entry; the name follows.
    DirectoryEntry, 8 {
        /// Offset of the inode in its metadata block.
        offset: u16,
        /// Inode number minus the header's.
        number_delta: i16,
        /// Basic type of the inode.
        inode_type: u16,
        /// Length of the name in bytes, minus 1.
        name_length: u16,
    }
}

on_disk! {
    /// Where a fragment block is.
    FragmentEntry, 16 {
        /// Start of the block.
        start: u64,
        /// Its size word.
        size: u32,
        /// Zero.
        unused: u32,
    }
}

on_disk! {
    /// Before the name of an extended attribute.
    XattrKey, 4 {
        /// Index into [`XATTR_PREFIXES`], [`XATTR_OUT_OF_LINE`] possibly added.
        name_type: u16,
        /// Length of the name without its prefix.
        name_length: u16,
    }
}

on_disk! {
    /// One set of extended attributes.
    XattrId, 16 {
        /// Where it lies: metadata block from the key table's start, and
        /// offset, as in [`inode_ref`].
        position: u64,
        /// Number of attributes.
        count: u32,
        /// Bytes that the set takes, uncompressed.
        size: u32,
    }
}

on_disk! {
    /// Header of the table of extended attribute sets; the index follows.
    XattrTableHeader, 16 {
        /// Start of the keys and values.
        keys: u64,
        /// Number of sets.
        count: u32,
        /// Zero.
        unused: u32,
    }
}

/// A reference into a metadata table: the block's start from the table's
/// start, and the offset in the uncompressed block.
#[must_use]
pub fn inode_ref(block: u64, offset: u16) -> u64 {
    (block << 16) | u64::from(offset)
}

/// Undoes [`inode_ref`].
#[must_use]
pub fn split_ref(reference: u64) -> (u64, u16) {
    (reference >> 16, (reference & 0xffff) as u16)
}

/// The kernel's 32-bit form of a device number: 12 bits major, 20 bits minor.
/// `None` where a number needs more.
#[must_use]
pub fn encode_device(major: u32, minor: u32) -> Option<u32> {
    (major < 1 << 12 && minor < 1 << 20)
        .then_some((minor & 0xff) | (major << 8) | ((minor & !0xff) << 12))
}

/// Undoes [`encode_device`]: major and minor number.
#[must_use]
pub fn decode_device(device: u32) -> (u32, u32) {
    (
        (device >> 8) & 0xfff,
        (device & 0xff) | ((device >> 12) & 0xf_ff00),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_round_trip_and_stop_at_their_bits() {
        for (major, minor) in [(0, 0), (8, 1), (259, 0x12345), (0xfff, 0xf_ffff)] {
            let encoded = encode_device(major, minor).unwrap();
            assert_eq!(decode_device(encoded), (major, minor));
        }
        assert_eq!(encode_device(0x1000, 0), None);
        assert_eq!(encode_device(0, 0x10_0000), None);
    }

    #[test]
    fn structures_round_trip_in_little_endian_order() {
        let entry = DirectoryEntry {
            offset: 0x0102,
            number_delta: -2,
            inode_type: TYPE_FILE,
            name_length: 4,
        };
        let mut bytes = Vec::new();
        entry.write(&mut bytes);
        assert_eq!(bytes, [2, 1, 0xfe, 0xff, 2, 0, 4, 0]);
        assert_eq!(DirectoryEntry::parse(&bytes), Some(entry));
        assert_eq!(DirectoryEntry::parse(&bytes[..7]), None);
        assert_eq!(entry.fields()[1], (2, "number_delta", -2));
    }
}
