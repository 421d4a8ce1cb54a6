//! From a tar stream to members.

use std::io::Read;

use crate::Error;
use isoforge_base::tree::{self, Device, MODE_MASK, Meta, display};

use super::header::{self, BLOCK_BYTES, Header, MAX_OCTAL_SIZE, sparse_pairs, until_nul};
use super::limits::{Limit, Limits};
use super::pax::{self, Pax};
use super::source::{Data, Source, padding};
use super::sparse::{SparseMap, SparseReader};

/// Linux's `NAME_MAX`; SquashFS has room for one byte more.
const MAX_NAME_BYTES: usize = 255;
const BLOCK: u64 = BLOCK_BYTES as u64;

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file of so many bytes, holes of sparse files included.
    File(u64),
    /// A symbolic link with its target, byte for byte; never empty.
    Symlink(Vec<u8>),
    /// A hard link to another path of the archive (normalized).
    Hardlink(Vec<u8>),
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
}

/// Reads an archive's members in their order. For each, [`kind`](Self::kind) comes
/// before [`data`](Self::data); what is not read of its data is passed over.
#[derive(Debug)]
pub struct Reader<R> {
    source: Source<R>,
    limits: Limits,
    members: u64,
    /// Sizes of all files, holes counted.
    file_bytes: u64,
    current: Current,
}

/// The member whose data come next.
#[derive(Debug, Default)]
struct Current {
    name: String,
    /// Bytes in the archive, padding not counted.
    size: u64,
    /// Bytes of them not read yet.
    unread: u64,
    map: Option<SparseMap>,
}

/// What extended headers say about the header after them.
#[derive(Default)]
struct Extended {
    pax: Option<Pax>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

/// A member's header with its extended headers applied.
#[derive(Debug)]
pub struct Member {
    header: Header,
    /// The path as the archive writes it, for messages.
    pub name: String,
    /// The path, normalized ([`tree::normalize`]); empty for the root.
    pub path: Vec<u8>,
    /// Whether it was written with a slash at its end.
    trailing_slash: bool,
    link: Vec<u8>,
    /// Bytes in the archive.
    size: u64,
    pax: Pax,
}

impl<R: Read> Reader<R> {
    /// A reader of the archive `tar`, from its beginning.
    pub fn new(tar: R, limits: &Limits) -> Self {
        Self::at(tar, 0, limits)
    }

    /// A reader of the rest of an archive from byte `offset` on.
    pub(super) fn at(tar: R, offset: u64, limits: &Limits) -> Self {
        Self {
            source: Source::new(tar, offset, limits.layer_bytes),
            limits: *limits,
            members: 0,
            file_bytes: 0,
            current: Current::default(),
        }
    }

    /// The next member; `None` at the end, up to which all has been read then.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn next_member(&mut self) -> Result<Option<Member>, Error> {
        let Current {
            name, size, unread, ..
        } = std::mem::take(&mut self.current);
        self.source.skip(unread, &name)?;
        self.source.skip_padding(size, &name)?;
        let Some((header, extended)) = self.next_header()? else {
            self.source.drain()?;
            return Ok(None);
        };
        let member = self.resolve_member(header, extended)?;
        self.members += 1;
        self.check(Limit::Entries, self.members, self.limits.entries, &member)?;
        self.current = Current {
            name: member.name.clone(),
            size: member.size,
            unread: member.size,
            map: None,
        };
        Ok(Some(member))
    }

    /// What the member that was read last is.
    ///
    /// # Errors
    /// [`Error`] where its type, link, sparse map or size can't be accepted.
    pub fn kind(&mut self, member: &Member) -> Result<Kind, Error> {
        let header = &member.header;
        match header.typeflag() {
            b'0' | b'\0' | b'7' if !member.trailing_slash => self.file(member),
            // How the oldest archives mark directories.
            b'0' | b'\0' | b'7' if member.size > 0 => Err(member.unexpected_data("directory")),
            b'0' | b'\0' | b'7' | b'5' => Ok(Kind::Directory),
            b'S' => self.file(member),
            b'1' if member.size > 0 => Err(member.unexpected_data("hard link")),
            b'1' => {
                let target = safe_path(&member.link, &member.name)?;
                if target.is_empty() {
                    return Err(member.error("link target", "empty"));
                }
                Ok(Kind::Hardlink(target))
            }
            b'2' if member.link.is_empty() => Err(member.error("link target", "empty")),
            b'2' if member.link.contains(&0) => {
                Err(member.error("link target", "a text with a NUL byte"))
            }
            b'2' => Ok(Kind::Symlink(member.link.clone())),
            b'3' => Ok(Kind::CharDevice(device(header)?)),
            b'4' => Ok(Kind::BlockDevice(device(header)?)),
            b'6' => Ok(Kind::Fifo),
            typeflag => Err(Error::damaged(format!(
                "entry '{}' at byte {} has type '{}', which a layer can't have",
                member.name,
                header.offset,
                typeflag.escape_ascii()
            ))),
        }
    }

    /// The data of the file that was read last, holes as zeros. Errors carry an
    /// [`Error`] ([`Error::from_io`]).
    pub fn data(&mut self) -> impl Read {
        let Current {
            name, unread, map, ..
        } = &mut self.current;
        SparseReader::new(
            Data {
                source: &mut self.source,
                remaining: unread,
                entry: name,
            },
            map.as_ref(),
        )
    }

    /// Owner, mode, time and extended attributes of a member.
    ///
    /// # Errors
    /// [`Error`] where a field can't be accepted.
    pub fn meta(&self, member: &Member) -> Result<Meta, Error> {
        let (header, pax) = (&member.header, &member.pax);
        let xattr_bytes: usize = pax.xattrs.iter().map(|(k, v)| k.len() + v.len()).sum();
        self.check(
            Limit::XattrBytes,
            xattr_bytes as u64,
            self.limits.xattr_bytes,
            member,
        )?;
        let id = |given: Option<u32>, field, name| match given {
            Some(id) => Ok(id),
            None => header.unsigned(field, name),
        };
        // Some writers put the file type above the permission bits.
        let mode: u64 = header.unsigned(header::MODE, "mode")?;
        Ok(Meta {
            mode: u16::try_from(mode & u64::from(MODE_MASK)).unwrap_or_default(),
            uid: id(pax.uid, header::UID, "uid")?,
            gid: id(pax.gid, header::GID, "gid")?,
            mtime: match pax.mtime {
                Some(mtime) => mtime,
                None => header.number(header::MTIME, "mtime")?,
            },
            xattrs: pax.xattrs.clone(),
        })
    }

    /// Bytes read so far: after [`next_member`](Self::next_member), where the
    /// member's data start.
    pub(super) fn offset(&self) -> u64 {
        self.source.offset
    }

    /// The next header that is no extended header; `None` at the end.
    fn next_header(&mut self) -> Result<Option<(Header, Extended)>, Error> {
        let mut extended = Extended::default();
        loop {
            let offset = self.source.offset;
            let Some(block) = self.source.block("a header")? else {
                return self.end(&extended);
            };
            if block.iter().all(|&byte| byte == 0) {
                return match self.source.block("the end mark")? {
                    Some(next) if next.iter().any(|&byte| byte != 0) => {
                        // Some readers stop here, some don't.
                        Err(untrustworthy(format!(
                            "the archive goes on after a single zero block at byte {offset}"
                        )))
                    }
                    _ => self.end(&extended),
                };
            }
            let header = Header::new(block, offset)?;
            let malformed = |problem: String| malformed(offset, &problem);
            match header.typeflag() {
                b'x' if extended.pax.is_some() => {
                    return Err(malformed("the entry has two of them".to_owned()));
                }
                b'x' => {
                    let data = self.extended_data(&header)?;
                    extended.pax = Some(pax::parse(&data).map_err(malformed)?);
                }
                b'g' => {
                    let data = self.extended_data(&header)?;
                    pax::check_global(&data).map_err(malformed)?;
                }
                b'L' => {
                    let data = self.extended_data(&header)?;
                    extended.long_name = Some(until_nul(&data).to_vec());
                }
                b'K' => {
                    let data = self.extended_data(&header)?;
                    extended.long_link = Some(until_nul(&data).to_vec());
                }
                // GNU's volume label.
                b'V' => {
                    let size = header.unsigned(header::SIZE, "size")?;
                    self.source.skip(size, "a volume label")?;
                }
                _ => return Ok(Some((header, extended))),
            }
        }
    }

    /// The archive is over; no extended header may be left without its entry.
    fn end(&self, extended: &Extended) -> Result<Option<(Header, Extended)>, Error> {
        match extended {
            Extended {
                pax: None,
                long_name: None,
                long_link: None,
            } => Ok(None),
            _ => Err(Error::Truncated {
                offset: self.source.offset,
                entry: "an extended header".to_owned(),
            }),
        }
    }

    fn extended_data(&mut self, header: &Header) -> Result<Vec<u8>, Error> {
        let size: u64 = header.unsigned(header::SIZE, "size")?;
        let max = self.limits.extended_header_bytes;
        let length = usize::try_from(size).ok().filter(|_| size <= max);
        let Some(length) = length else {
            return Err(Error::Limit {
                limit: Limit::ExtendedHeaderBytes,
                max,
                entry: display(&header.path()),
            });
        };
        let mut data = vec![0; length];
        self.source.fill(&mut data, "an extended header")?;
        self.source.skip(padding(size), "an extended header")?;
        Ok(data)
    }

    fn resolve_member(&self, header: Header, extended: Extended) -> Result<Member, Error> {
        let mut pax = extended.pax.unwrap_or_default();
        if let (Some(gnu), Some(posix)) = (&extended.long_name, &pax.path)
            && gnu != posix
        {
            let (gnu, posix) = (display(gnu), display(posix));
            let problem = format!("it names the entry both '{gnu}' and '{posix}'");
            return Err(malformed(header.offset, &problem));
        }
        let raw = pax
            .sparse
            .name
            .take()
            .or(pax.path.take())
            .or(extended.long_name)
            .unwrap_or_else(|| header.path());
        let link = pax
            .link
            .take()
            .or(extended.long_link)
            .unwrap_or_else(|| header.link().to_vec());
        let name = display(&raw);
        let size = member_size(&header, &pax, &name)?;
        let path = safe_path(&raw, &name)?;
        let member = Member {
            header,
            trailing_slash: raw.ends_with(b"/"),
            path,
            link,
            size,
            pax,
            name,
        };
        self.check_lengths(&member)?;
        Ok(member)
    }

    fn check_lengths(&self, member: &Member) -> Result<(), Error> {
        let longest = member.path.len().max(member.link.len()) as u64;
        self.check(Limit::PathLength, longest, self.limits.path_length, member)?;
        let mut names = member.path.split(|&byte| byte == b'/');
        if names.any(|name| name.len() > MAX_NAME_BYTES) {
            return Err(member.error("path", "longer than 255 bytes in one of its names"));
        }
        Ok(())
    }

    fn file(&mut self, member: &Member) -> Result<Kind, Error> {
        let (map, stored) = self.sparse_map(member)?;
        let size = map.as_ref().map_or(stored, |map| map.real_size);
        self.file_bytes = self.file_bytes.saturating_add(size);
        let max = self.limits.layer_bytes;
        self.check(Limit::LayerBytes, self.file_bytes, max, member)?;
        self.current.unread = stored;
        self.current.map = map;
        Ok(Kind::File(size))
    }

    /// The map, where the member is sparse, and the bytes of data that follow.
    fn sparse_map(&mut self, member: &Member) -> Result<(Option<SparseMap>, u64), Error> {
        let records = &member.pax.sparse;
        let (segments, real_size, stored) = if member.header.typeflag() == b'S' {
            let segments = self.old_gnu_segments(member)?;
            (segments, member.header.gnu_real_size()?, member.size)
        } else if records.is_empty() {
            return Ok((None, member.size));
        } else {
            let real_size = records
                .real_size
                .ok_or_else(|| member.sparse("its size is missing"))?;
            match (records.major, records.minor) {
                (Some(1), Some(0)) => {
                    let (segments, map_bytes) = self.leading_segments(member)?;
                    (segments, real_size, member.size - map_bytes)
                }
                (None | Some(0), _) => (pax_segments(member)?, real_size, member.size),
                _ => return Err(member.sparse("its version is not known")),
            }
        };
        self.check_segments(segments.len() as u64, member)?;
        let map = SparseMap::new(segments, real_size, stored).map_err(|p| member.sparse(p))?;
        Ok((Some(map), stored))
    }

    fn old_gnu_segments(&mut self, member: &Member) -> Result<Vec<(u64, u64)>, Error> {
        if !member.header.is_gnu() {
            return Err(member.sparse("its header is not in GNU format"));
        }
        let (mut segments, mut is_extended) = member.header.gnu_sparse()?;
        while is_extended {
            let block = self.source.block(&member.name)?.ok_or(Error::Truncated {
                offset: self.source.offset,
                entry: member.name.clone(),
            })?;
            let (fields, rest) = block.split_at(21 * 24);
            sparse_pairs(fields, &mut segments).map_err(|p| member.error("sparse map", p))?;
            self.check_segments(segments.len() as u64, member)?;
            is_extended = rest.first() != Some(&0);
        }
        Ok(segments)
    }

    /// Version 1.0: the map stands before the data, decimal numbers each on a
    /// line of its own, padded to a block. Gives its length too.
    fn leading_segments(&mut self, member: &Member) -> Result<(Vec<(u64, u64)>, u64), Error> {
        let mut numbers = Vec::new();
        let mut line = Vec::new();
        let mut map_bytes = 0;
        // The first number says how many pairs follow.
        let mut wanted = 1_u64;
        while (numbers.len() as u64) < wanted {
            if map_bytes + BLOCK > member.size {
                return Err(member.sparse("its map is longer than its data"));
            }
            let mut block = [0; BLOCK_BYTES];
            self.source.fill(&mut block, &member.name)?;
            map_bytes += BLOCK;
            for &byte in &block {
                if byte != b'\n' {
                    line.push(byte);
                    continue;
                }
                let number = pax::number(&line).map_err(|p| member.error("sparse map", p))?;
                line.clear();
                if numbers.is_empty() {
                    self.check_segments(number, member)?;
                    wanted = number.saturating_mul(2).saturating_add(1);
                }
                numbers.push(number);
                if numbers.len() as u64 == wanted {
                    break;
                }
            }
            if line.len() > BLOCK_BYTES {
                return Err(member.sparse("its map holds something other than numbers"));
            }
        }
        let segments = numbers.get(1..).unwrap_or_default();
        Ok((pairs(segments), map_bytes))
    }

    fn check_segments(&self, count: u64, member: &Member) -> Result<(), Error> {
        self.check(
            Limit::SparseSegments,
            count,
            self.limits.sparse_segments,
            member,
        )
    }

    fn check(&self, limit: Limit, value: u64, max: u64, member: &Member) -> Result<(), Error> {
        if value <= max {
            return Ok(());
        }
        Err(Error::Limit {
            limit,
            max,
            entry: member.name.clone(),
        })
    }
}

impl Member {
    /// The type flag of its header: `b'5'` says directory.
    #[must_use]
    pub fn typeflag(&self) -> u8 {
        self.header.typeflag()
    }

    /// Bytes of its data in the archive, which in a sparse file are fewer than its
    /// size.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.size
    }

    /// Where a link leads, byte for byte; empty for anything else.
    #[must_use]
    pub fn link(&self) -> &[u8] {
        &self.link
    }

    /// Whether its data has holes, which the archive leaves out.
    pub(super) fn is_sparse(&self) -> bool {
        self.typeflag() == b'S' || !self.pax.sparse.is_empty()
    }

    /// An error in one of its fields.
    #[must_use]
    pub fn error(&self, field: &str, problem: &'static str) -> Error {
        header::wrong_field(self.header.offset, &self.name, field, problem)
    }

    fn sparse(&self, problem: &'static str) -> Error {
        let (entry, offset) = (&self.name, self.header.offset);
        Error::damaged(format!("sparse file '{entry}' at byte {offset}: {problem}"))
    }

    fn unexpected_data(&self, kind: &'static str) -> Error {
        let (entry, offset, size) = (&self.name, self.header.offset, self.size);
        untrustworthy(format!(
            "entry '{entry}' at byte {offset} is a {kind} and states {size} bytes of data"
        ))
    }
}

/// What readers understand differently.
fn untrustworthy(problem: String) -> Error {
    Error::damaged(problem)
        .with_hint("no usual tool writes such an archive; do not trust the image it comes from")
}

fn malformed(offset: u64, problem: &str) -> Error {
    Error::damaged(format!(
        "the extended header at byte {offset} is malformed: {problem}"
    ))
}

/// A path has `..` or a NUL byte, as `source` says.
#[must_use]
pub fn unsafe_path(entry: &str, source: tree::Error) -> Error {
    untrustworthy(format!("unsafe entry '{entry}': {source}")).because(source)
}

/// The member's size in the archive. Writers put 0 or all sevens in the header
/// where the size doesn't fit its octal field; any other disagreement with the
/// PAX record is an attack or a damaged archive.
fn member_size(header: &Header, pax: &Pax, name: &str) -> Result<u64, Error> {
    let stated: u64 = header.unsigned(header::SIZE, "size")?;
    let size = match pax.size {
        None => stated,
        Some(size) if size == stated => size,
        Some(size) if size > MAX_OCTAL_SIZE && [0, MAX_OCTAL_SIZE].contains(&stated) => size,
        Some(size) => {
            let offset = header.offset;
            return Err(untrustworthy(format!(
                "entry '{name}' at byte {offset} has two sizes: {stated} in its header, {size} in its extended header"
            )));
        }
    };
    // These have no data, whatever size they state: every reader agrees.
    let has_none = matches!(header.typeflag(), b'2'..=b'6');
    Ok(if has_none { 0 } else { size })
}

fn safe_path(raw: &[u8], name: &str) -> Result<Vec<u8>, Error> {
    tree::normalize(raw).map_err(|source| unsafe_path(name, source))
}

fn device(header: &Header) -> Result<Device, Error> {
    Ok(Device {
        major: header.unsigned(header::DEVMAJOR, "device major number")?,
        minor: header.unsigned(header::DEVMINOR, "device minor number")?,
    })
}

/// Versions 0.0 and 0.1: the map is in the extended header.
fn pax_segments(member: &Member) -> Result<Vec<(u64, u64)>, Error> {
    let records = &member.pax.sparse;
    let count = records.map.len() as u64;
    let stated = records.segment_count.and_then(|n| n.checked_mul(2));
    if !count.is_multiple_of(2) || records.segment_count.is_some() && stated != Some(count) {
        return Err(member.sparse("its map has another length than stated"));
    }
    Ok(pairs(&records.map))
}

fn pairs(numbers: &[u64]) -> Vec<(u64, u64)> {
    numbers
        .chunks_exact(2)
        .filter_map(|pair| Some((*pair.first()?, *pair.last()?)))
        .collect()
}
