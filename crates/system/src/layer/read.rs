//! From a tar stream to entries.

use std::io::Read;

use crate::Error;
use isoforge_base::error::{Class, Failure};
use isoforge_base::tree::{self, Meta};
use isoforge_formats::tar::{self, Kind, Limit, Limits, Member, Reader};

use super::{Entry, EntryKind, FileSink, WHITEOUT_PREFIX};

const OPAQUE_NAME: &[u8] = b".wh..wh..opq";
/// Names of AUFS's own files, which no image means to carry.
const AUFS_PREFIX: &[u8] = b".wh..wh.";

/// Parses a layer's tar stream to its end. Files' data goes to `sink` in the
/// archive's order, hard links' and whiteouts' not.
///
/// # Errors
/// Where the archive is damaged, unsafe or too large, or `sink` fails; what was handed to `sink` before is of no use then.
pub fn read_tar(
    tar: impl Read,
    limits: &Limits,
    sink: &mut dyn FileSink,
) -> Result<Vec<Entry>, Error> {
    let mut reader = Reader::new(tar, limits);
    let mut entries = Entries {
        found: Vec::new(),
        metadata_bytes: 0,
        max_metadata_bytes: limits.metadata_bytes,
    };
    let mut files = 0_u32;
    while let Some(member) = reader.next_member()? {
        match marker(&member)? {
            None => {}
            Some(Marker::Aufs) => continue,
            Some(Marker::Removes(path, kind)) => {
                entries.push(path, Meta::default(), kind, member.name)?;
                continue;
            }
        }
        let kind = match reader.kind(&member)? {
            Kind::Directory => EntryKind::Directory,
            Kind::File(size) => {
                let file = files;
                files = file
                    .checked_add(1)
                    .ok_or_else(|| isoforge_formats::Error::Limit {
                        limit: Limit::Entries,
                        max: u64::from(u32::MAX),
                        entry: member.name.clone(),
                    })?;
                let kept = sink.file(size, &mut reader.data());
                kept.map_err(|error| Error::of_sink(error, &member.name))?;
                EntryKind::File { file, size }
            }
            Kind::Symlink(target) => EntryKind::Symlink(target),
            Kind::Hardlink(target) => EntryKind::Hardlink(target),
            Kind::CharDevice(device) => EntryKind::CharDevice(device),
            Kind::BlockDevice(device) => EntryKind::BlockDevice(device),
            Kind::Fifo => EntryKind::Fifo,
        };
        if member.path.is_empty() && kind != EntryKind::Directory {
            let entry = member.name;
            let problem =
                format!("entry '{entry}' makes the root something other than a directory");
            return Err(Failure::new(Class::Verification, problem).into());
        }
        let meta = reader.meta(&member)?;
        entries.push(member.path, meta, kind, member.name)?;
    }
    Ok(entries.found)
}

/// A member that is no entry of the tree.
enum Marker {
    /// A file of AUFS's own.
    Aufs,
    /// A whiteout or an opaque mark, and the path that it is about.
    Removes(Vec<u8>, EntryKind),
}

fn marker(member: &Member) -> Result<Option<Marker>, Error> {
    let Some((parent, base)) = tree::split(&member.path) else {
        return Ok(None);
    };
    let is_opaque = base == OPAQUE_NAME;
    let mut names = member.path.split(|&byte| byte == b'/');
    let is_aufs = !is_opaque && names.any(|name| name.starts_with(AUFS_PREFIX));
    Ok(match base.strip_prefix(WHITEOUT_PREFIX) {
        _ if is_aufs => Some(Marker::Aufs),
        None => None,
        _ if is_opaque => Some(Marker::Removes(parent.to_vec(), EntryKind::Opaque)),
        Some(b"" | b".") => {
            return Err(member.error("path", "a whiteout that names nothing").into());
        }
        Some(removed) => {
            // `.wh...` would remove the parent.
            let path = tree::normalize(&tree::join(parent, removed))
                .map_err(|source| tar::unsafe_path(&member.name, source))?;
            Some(Marker::Removes(path, EntryKind::Whiteout))
        }
    })
}

/// What was found, and how much memory it takes.
struct Entries {
    found: Vec<Entry>,
    metadata_bytes: u64,
    max_metadata_bytes: u64,
}

impl Entries {
    fn push(
        &mut self,
        path: Vec<u8>,
        meta: Meta,
        kind: EntryKind,
        name: String,
    ) -> Result<(), Error> {
        let link = match &kind {
            EntryKind::Symlink(target) | EntryKind::Hardlink(target) => target.len(),
            _ => 0,
        };
        let xattrs: usize = meta.xattrs.iter().map(|(k, v)| k.len() + v.len()).sum();
        self.metadata_bytes += (path.len() + link + xattrs) as u64;
        let max = self.max_metadata_bytes;
        if self.metadata_bytes > max {
            return Err(Error::Format(isoforge_formats::Error::Limit {
                limit: Limit::MetadataBytes,
                max,
                entry: name,
            }));
        }
        self.found.push(Entry { path, meta, kind });
        Ok(())
    }
}
