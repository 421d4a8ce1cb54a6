//! From a tree to a tar stream: the layers that isoforge makes itself.
//!
//! Specification: POSIX.1-2017 `pax`, "ustar Interchange Format" and "pax
//! Interchange Format". Extended headers are written only where the plain ones
//! can't say it; extended attributes are `SCHILY.xattr.*` records, as GNU tar,
//! libarchive and the container runtimes read them.
//!
//! Invariants: the same tree gives the same bytes. Entries stand in byte order
//! of their paths, parents first; whiteouts before all else, because some
//! extractors let them act on what stands before them; the first of several
//! hard links has the data.
//!
//! Non-goals: sparse files (holes are written out; compression takes them).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::ops::Range;

use super::layer::WHITEOUT_PREFIX;
use crate::Error;
use crate::error::unfit;
use isoforge_base::error::{Class, Failure};
use isoforge_base::tree::{self, FileData, InodeId, Kind, Meta, ReadFile, Tree, display};
use isoforge_formats::tar;
use isoforge_formats::tar::header::{
    BLOCK_BYTES, CHECKSUM, DEVMAJOR, DEVMINOR, GID, LINKNAME, MAGIC, MAX_OCTAL_SIZE, MODE, MTIME,
    NAME, SIZE, TYPEFLAG, UID, USTAR_MAGIC,
};

/// What is said where the archive can't be written.
const WRITE: &str = "can't write the archive";

const PAX_HEADER_MODE: u16 = 0o644;
const PAX_HEADER_PREFIX: &[u8] = b"PaxHeaders/";

/// Writes all of `tree`, the root first.
///
/// # Errors
/// See [`Error`].
pub fn write_tar(tree: &Tree, data: &dyn ReadFile, out: impl Write) -> Result<(), Error> {
    let mut writer = Writer::new(data, out);
    writer.tree(tree, &|_, _| true)?;
    writer.finish()
}

/// What decides which paths of a tree become a layer over others.
#[derive(Debug, Default)]
pub struct Over<'a> {
    /// What is removed from below.
    pub whiteouts: BTreeSet<Vec<u8>>,
    /// Directories to be written even where they say nothing.
    pub keep: Cow<'a, BTreeSet<Vec<u8>>>,
    /// Not to be written: below there is the same.
    pub same: BTreeSet<Vec<u8>>,
}

/// Writes `tree` as a layer over others: first the whiteouts, then the tree, without
/// those directories that say nothing.
///
/// A directory that has entries, mode 0755, owner root and no extended
/// attributes is left out unless it is to be kept. Written, it would replace a
/// symbolic link below it (`lib` on systems with a merged `/usr`) and a lower
/// directory's mode (`/tmp`, `/root`).
///
/// # Errors
/// See [`Error`].
pub fn write_over(
    tree: &Tree,
    over: &Over<'_>,
    data: &dyn ReadFile,
    out: impl Write,
) -> Result<(), Error> {
    let mut writer = Writer::new(data, out);
    for path in &over.whiteouts {
        if let Some((parent, name)) = tree::split(path) {
            let whiteout = tree::join(parent, &[WHITEOUT_PREFIX, name].concat());
            writer.header(&Member::file(&whiteout, &Meta::default(), 0))?;
        }
    }
    writer.tree(tree, &|path, id| {
        !over.same.contains(path) && (over.keep.contains(path) || !is_mere_parent(tree, id))
    })?;
    writer.finish()
}

fn is_mere_parent(tree: &Tree, id: InodeId) -> bool {
    let Meta {
        mode,
        uid,
        gid,
        xattrs,
        mtime: _,
    } = &tree.inode(id).meta;
    let plain = *mode == 0o755 && *uid == 0 && *gid == 0 && xattrs.is_empty();
    plain && (id == tree.root() || tree.children(id).is_some_and(|c| !c.is_empty()))
}

/// What a header says.
struct Member<'a> {
    path: &'a [u8],
    link: &'a [u8],
    meta: &'a Meta,
    typeflag: u8,
    size: u64,
    device: tree::Device,
}

impl<'a> Member<'a> {
    fn file(path: &'a [u8], meta: &'a Meta, size: u64) -> Self {
        Self {
            path,
            link: &[],
            meta,
            typeflag: b'0',
            size,
            device: tree::Device { major: 0, minor: 0 },
        }
    }
}

struct Writer<'d, W> {
    data: &'d dyn ReadFile,
    out: W,
    /// Where each file with several links was written first.
    first_links: BTreeMap<InodeId, Vec<u8>>,
}

impl<'d, W: Write> Writer<'d, W> {
    fn new(data: &'d dyn ReadFile, out: W) -> Self {
        Self {
            data,
            out,
            first_links: BTreeMap::new(),
        }
    }

    fn tree(&mut self, tree: &Tree, wanted: &dyn Fn(&[u8], InodeId) -> bool) -> Result<(), Error> {
        let links = tree.link_counts();
        for (path, id) in tree.walk() {
            if !wanted(&path, id) {
                continue;
            }
            if let Some(first) = self.first_links.get(&id).cloned() {
                let member = Member {
                    link: &first,
                    typeflag: b'1',
                    ..Member::file(&path, &tree.inode(id).meta, 0)
                };
                self.header(&member)?;
                continue;
            }
            self.inode(tree, &path, id)?;
            if links.get(&id).is_some_and(|&count| count > 1) {
                self.first_links.insert(id, path);
            }
        }
        Ok(())
    }

    fn inode(&mut self, tree: &Tree, path: &[u8], id: InodeId) -> Result<(), Error> {
        let inode = tree.inode(id);
        let mut member = Member::file(path, &inode.meta, 0);
        match &inode.kind {
            Kind::File(data) => {
                member.size = data.size();
                self.header(&member)?;
                return self.file(path, data);
            }
            Kind::Directory(_) => {
                let path = match path {
                    b"" => b"./".to_vec(),
                    path => [path, b"/"].concat(),
                };
                member.path = &path;
                member.typeflag = b'5';
                return self.header(&member);
            }
            Kind::Symlink(target) => {
                member.link = target;
                member.typeflag = b'2';
            }
            Kind::CharDevice(device) => {
                member.device = *device;
                member.typeflag = b'3';
            }
            Kind::BlockDevice(device) => {
                member.device = *device;
                member.typeflag = b'4';
            }
            Kind::Fifo => member.typeflag = b'6',
            Kind::Socket => {
                let path = display(path);
                let socket = unfit(format!("'{path}' is a socket, which a layer can't hold"));
                let hint = "remove the socket; programs make theirs anew";
                return Err(socket.with_hint(hint).into());
            }
        }
        self.header(&member)
    }

    fn file(&mut self, path: &[u8], data: &FileData) -> Result<(), Error> {
        let read_error =
            |source| Error::io(format!("can't read the data of '{}'", display(path)))(source);
        let expected = data.size();
        let mut reader = self
            .data
            .open(data)
            .map_err(read_error)?
            .take(expected.saturating_add(1));
        let mut actual = 0;
        let mut buf = vec![0; 64 * 1024];
        loop {
            let n = match reader.read(&mut buf) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(read_error(e)),
            };
            actual += n as u64;
            if actual > expected {
                break;
            }
            self.write(buf.get(..n).unwrap_or_default())?;
        }
        if actual != expected {
            let path = display(path);
            let found = match actual {
                _ if actual > expected => "more".to_owned(),
                _ => actual.to_string(),
            };
            let problem = format!("'{path}' was to have {expected} bytes and has {found}");
            let hint = "the file was changed while it was read; build again";
            return Err(Failure::new(Class::Io, problem).with_hint(hint).into());
        }
        self.pad(expected)
    }

    /// The header, with an extended header before it where one is needed.
    fn header(&mut self, member: &Member<'_>) -> Result<(), Error> {
        let records = extended_records(member);
        if !records.is_empty() {
            let base = tree::split(member.path).map_or(&b""[..], |(_, name)| name);
            let mut name = [PAX_HEADER_PREFIX, base].concat();
            name.truncate(NAME.len());
            let meta = Meta::with_mode(PAX_HEADER_MODE);
            let size = records.len() as u64;
            let mut extended = Member::file(&name, &meta, size);
            extended.typeflag = b'x';
            self.write(&block(&extended))?;
            self.write(&records)?;
            self.pad(size)?;
        }
        self.write(&block(member))
    }

    fn pad(&mut self, size: u64) -> Result<(), Error> {
        let used = usize::try_from(size % BLOCK_BYTES as u64).unwrap_or_default();
        let zeros = [0; BLOCK_BYTES];
        self.write(zeros.get(used..).filter(|_| used > 0).unwrap_or_default())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes).map_err(Error::io(WRITE))
    }

    fn finish(mut self) -> Result<(), Error> {
        self.write(&[0; 2 * BLOCK_BYTES])?;
        self.out.flush().map_err(Error::io(WRITE))
    }
}

/// What does not fit the plain header, as PAX records.
fn extended_records(member: &Member<'_>) -> Vec<u8> {
    let meta = member.meta;
    let mut records: Vec<Vec<u8>> = Vec::new();
    let long = |text: &[u8], field: &Range<usize>| text.len() > field.len();
    // Names that are no UTF-8 go as they are: `hdrcharset`, which would say so,
    // is unknown to GNU tar and ignored by the container runtimes.
    if long(member.path, &NAME) {
        records.push(tar::record(b"path", member.path));
    }
    if long(member.link, &LINKNAME) {
        records.push(tar::record(b"linkpath", member.link));
    }
    let mut number = |key: &[u8], value: i128, field: Range<usize>| {
        if octal(value, field.len()).is_none() {
            records.push(tar::record(key, value.to_string().as_bytes()));
        }
    };
    number(b"size", member.size.into(), SIZE);
    number(b"uid", meta.uid.into(), UID);
    number(b"gid", meta.gid.into(), GID);
    number(b"mtime", meta.mtime.into(), MTIME);
    if member.typeflag != b'1' {
        for (name, value) in &meta.xattrs {
            let key = [b"SCHILY.xattr.", tar::escape_keyword(name).as_slice()].concat();
            records.push(tar::record(&key, value));
        }
    }
    records.concat()
}

/// `value` as octal digits that leave room for a NUL in a field of `length`
/// bytes.
fn octal(value: i128, length: usize) -> Option<Vec<u8>> {
    if value < 0 {
        return None;
    }
    let width = length - 1;
    let digits = format!("{value:0width$o}");
    (digits.len() <= width).then(|| digits.into_bytes())
}

fn block(member: &Member<'_>) -> [u8; BLOCK_BYTES] {
    let mut block = [0; BLOCK_BYTES];
    let mut put = |field: Range<usize>, bytes: &[u8]| {
        for (to, from) in block
            .iter_mut()
            .skip(field.start)
            .take(field.len())
            .zip(bytes)
        {
            *to = *from;
        }
    };
    put(NAME, member.path);
    put(LINKNAME, member.link);
    put(MAGIC, USTAR_MAGIC);
    put(TYPEFLAG..TYPEFLAG + 1, &[member.typeflag]);
    // What does not fit stands in the extended header; readers expect 0 here.
    let mut number = |field: Range<usize>, value: i128| {
        let digits = octal(value, field.len()).or_else(|| octal(0, field.len()));
        put(field, &digits.unwrap_or_default());
    };
    number(MODE, member.meta.mode.into());
    number(UID, member.meta.uid.into());
    number(GID, member.meta.gid.into());
    number(SIZE, member.size.into());
    number(MTIME, member.meta.mtime.into());
    number(DEVMAJOR, member.device.major.into());
    number(DEVMINOR, member.device.minor.into());
    put(CHECKSUM, b"        ");
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    let digits = format!("{sum:06o}\0 ");
    for (to, from) in block.iter_mut().skip(CHECKSUM.start).zip(digits.bytes()) {
        *to = from;
    }
    block
}

const _: () = assert!(MAX_OCTAL_SIZE == (1 << (3 * (SIZE.end - SIZE.start - 1))) - 1);

#[cfg(test)]
mod tests;
