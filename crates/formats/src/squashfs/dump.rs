//! Shows every field of an image, one a line: `offset: field: value`.
//!
//! Offsets of the superblock and the tables' headers count from the image's
//! start; inodes and directory listings are named by their reference, the
//! metadata block from the table's start and the offset in it, joined by `+`.

use std::io::{self, Read, Seek, Write};

use super::layout::{
    BLOCK_HOLE, BLOCK_LENGTH_MASK, BLOCK_STORED, FLAG_ALWAYS_FRAGMENTS, FLAG_COMPRESSOR_OPTIONS,
    FLAG_DUPLICATES, FLAG_EXPORTABLE, FLAG_NO_FRAGMENTS, FLAG_NO_XATTRS, METADATA_HEADER_BYTES,
    Superblock, split_ref,
};
use super::read::{Image, Inode, InodeKind};

/// Block size words that are shown of one file.
const WORDS_SHOWN: u64 = 1024;
/// Bytes that are shown of one extended attribute's value.
const VALUE_BYTES_SHOWN: usize = 64;

const FLAGS: [(u16, &str); 6] = [
    (FLAG_NO_FRAGMENTS, "no-fragments"),
    (FLAG_ALWAYS_FRAGMENTS, "always-fragments"),
    (FLAG_DUPLICATES, "duplicates"),
    (FLAG_EXPORTABLE, "exportable"),
    (FLAG_NO_XATTRS, "no-xattrs"),
    (FLAG_COMPRESSOR_OPTIONS, "compressor-options"),
];

/// Writes all fields of `image` to `out`.
///
/// # Errors
/// Where the image is damaged ([`io::ErrorKind::InvalidData`]), can't be read,
/// or `out` can't be written.
pub fn dump<R: Read + Seek>(image: &mut Image<R>, out: &mut dyn Write) -> io::Result<()> {
    superblock(image, out)?;
    for (path, inode) in image.walk()? {
        writeln!(out, "\ninode '{}'", path.escape_ascii())?;
        dump_inode(image, &inode, out)?;
        listing(image, &inode, out)?;
    }
    tables(image, out)
}

fn superblock<R: Read + Seek>(image: &mut Image<R>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "superblock")?;
    let superblock = *image.superblock();
    for (offset, name, value) in superblock.fields() {
        let hex = matches!(name, "magic" | "flags" | "root_inode") || name.ends_with("_table");
        if hex {
            writeln!(out, "{offset:#06x}: {name}: {value:#x}")?;
        } else {
            writeln!(out, "{offset:#06x}: {name}: {value}")?;
        }
        if name == "flags" {
            let names: Vec<&str> = FLAGS
                .iter()
                .filter(|(bit, _)| superblock.flags & bit != 0)
                .map(|&(_, name)| name)
                .collect();
            writeln!(out, "        flag names: {}", names.join(" "))?;
        }
    }
    if let Some(options) = image.compressor_options()? {
        let offset = Superblock::SIZE + METADATA_HEADER_BYTES;
        writeln!(out, "{offset:#06x}: compressor options: {}", hex(&options))?;
    }
    Ok(())
}

fn dump_inode<R: Read + Seek>(
    image: &mut Image<R>,
    inode: &Inode,
    out: &mut dyn Write,
) -> io::Result<()> {
    let at = reference(inode.reference);
    writeln!(out, "{at}: number: {}", inode.number)?;
    writeln!(out, "{at}: mode: {:04o}", inode.mode)?;
    writeln!(out, "{at}: uid: {}", inode.uid)?;
    writeln!(out, "{at}: gid: {}", inode.gid)?;
    writeln!(out, "{at}: mtime: {}", inode.mtime)?;
    writeln!(out, "{at}: nlink: {}", inode.nlink)?;
    if let Some(number) = inode.xattrs {
        writeln!(out, "{at}: xattrs: {number}")?;
    }
    match &inode.kind {
        InodeKind::Directory {
            listing,
            bytes,
            parent,
            index_count,
        } => {
            writeln!(out, "{at}: type: directory")?;
            writeln!(out, "{at}: listing: {}", reference(*listing))?;
            writeln!(out, "{at}: listing bytes: {bytes}")?;
            writeln!(out, "{at}: parent: {parent}")?;
            writeln!(out, "{at}: index entries: {index_count}")
        }
        InodeKind::File {
            size,
            start,
            sparse,
            fragment,
            ..
        } => {
            writeln!(out, "{at}: type: file")?;
            writeln!(out, "{at}: size: {size}")?;
            writeln!(out, "{at}: start: {start:#x}")?;
            writeln!(out, "{at}: sparse: {sparse}")?;
            if let Some((number, offset)) = fragment {
                writeln!(out, "{at}: tail: fragment {number} at {offset}")?;
            }
            for (number, word) in image.block_words(inode, WORDS_SHOWN)?.iter().enumerate() {
                writeln!(out, "{at}: block {number}: {}", size_word(*word))?;
            }
            Ok(())
        }
        InodeKind::Symlink(target) => {
            writeln!(out, "{at}: type: symlink")?;
            writeln!(out, "{at}: target: '{}'", target.escape_ascii())
        }
        InodeKind::CharDevice(device) => {
            writeln!(out, "{at}: type: character device")?;
            writeln!(out, "{at}: device: {}:{}", device.major, device.minor)
        }
        InodeKind::BlockDevice(device) => {
            writeln!(out, "{at}: type: block device")?;
            writeln!(out, "{at}: device: {}:{}", device.major, device.minor)
        }
        InodeKind::Fifo => writeln!(out, "{at}: type: fifo"),
        InodeKind::Socket => writeln!(out, "{at}: type: socket"),
    }
}

fn listing<R: Read + Seek>(
    image: &mut Image<R>,
    inode: &Inode,
    out: &mut dyn Write,
) -> io::Result<()> {
    let InodeKind::Directory { listing, .. } = inode.kind else {
        return Ok(());
    };
    let at = reference(listing);
    for (header, entries) in image.runs(inode)? {
        writeln!(
            out,
            "{at}: run: {} entries, inode block {:#x}, from number {}",
            u64::from(header.count) + 1,
            header.block,
            header.number
        )?;
        for entry in entries {
            writeln!(
                out,
                "{at}: entry '{}': number {}, type {}, inode {}",
                entry.name.escape_ascii(),
                entry.number,
                entry.inode_type,
                reference(entry.inode)
            )?;
        }
    }
    Ok(())
}

fn tables<R: Read + Seek>(image: &mut Image<R>, out: &mut dyn Write) -> io::Result<()> {
    let superblock = *image.superblock();
    writeln!(out, "\nfragments")?;
    for number in 0..superblock.fragment_count {
        let entry = image.fragment(number)?;
        let word = size_word(entry.size);
        writeln!(out, "{:#x}: fragment {number}: {word}", entry.start)?;
    }
    writeln!(out, "\nids")?;
    for number in 0..superblock.id_count {
        let id = image.id(number)?;
        writeln!(out, "{:#x}: id {number}: {id}", superblock.id_table)?;
    }
    writeln!(out, "\nexport")?;
    for number in 1..=superblock.inode_count {
        let Some(inode) = image.exported(number)? else {
            break;
        };
        let (at, inode) = (superblock.export_table, reference(inode));
        writeln!(out, "{at:#x}: inode {number}: {inode}")?;
    }
    writeln!(out, "\nextended attributes")?;
    let Some(header) = image.xattr_header()? else {
        return Ok(());
    };
    let at = superblock.xattr_table;
    writeln!(out, "{at:#x}: keys: {:#x}", header.keys)?;
    writeln!(out, "{at:#x}: sets: {}", header.count)?;
    for number in 0..header.count {
        let (_, set) = image.xattr_set(number)?;
        let at = reference(set.position);
        for (name, value) in image.xattrs(number)? {
            let shown = value.get(..VALUE_BYTES_SHOWN).unwrap_or(&value);
            let name = name.escape_ascii();
            writeln!(out, "{at}: set {number}: {name} = {}", hex(shown))?;
        }
    }
    Ok(())
}

fn reference(reference: u64) -> String {
    let (block, offset) = split_ref(reference);
    format!("{block:#x}+{offset:#x}")
}

fn size_word(word: u32) -> String {
    if word == BLOCK_HOLE {
        return "hole".to_owned();
    }
    let bytes = word & BLOCK_LENGTH_MASK;
    if word & BLOCK_STORED == 0 {
        format!("{bytes} bytes, compressed")
    } else {
        format!("{bytes} bytes")
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
