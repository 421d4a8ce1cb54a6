//! Where the members of a tar archive are.
//!
//! POSIX.1-2017 pax and ustar, and GNU's long names and base-256 sizes, as far
//! as image archives have them. Reads headers only and in constant memory: what
//! an archive states is checked against its length and the limits here before
//! it is believed. Non-goals: sparse members, multi-volume archives.

use std::collections::BTreeMap;
use std::io;

use isoforge_base::read_at::ReadAt;

/// Most members of an archive.
pub const MAX_ARCHIVE_MEMBERS: usize = 100_000;
/// Most bytes of one extended header or long name.
pub const MAX_EXTENSION_BYTES: u64 = 1024 * 1024;

const BLOCK_BYTES: u64 = 512;
/// Where a header's checksum is (ustar, `chksum`).
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// A member of an archive.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Member {
    /// A regular file: where its bytes are.
    File { start: u64, size: u64 },
    /// A link to another member.
    Link(String),
}

/// Why an archive can't be used. `at` is the offset of a header.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("can't be read: {0}")]
    Io(#[from] io::Error),
    #[error("is no tar archive")]
    NoTar,
    #[error("is damaged: the header at byte {at} is wrong")]
    Header { at: u64 },
    #[error("ends within the member at byte {at}")]
    Truncated { at: u64 },
    #[error("has a {what} of {size} bytes at byte {at}; {MAX_EXTENSION_BYTES} are accepted")]
    Extension {
        at: u64,
        what: &'static str,
        size: u64,
    },
    #[error("has the sparse member {name}")]
    Sparse { name: String },
    #[error("has the link {name}, which leads out of it")]
    Outside { name: String },
    #[error("has more than {MAX_ARCHIVE_MEMBERS} members")]
    TooMany,
}

/// What extended headers say about the next member.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

/// Finds all regular files and links of an archive; of several with one name
/// the last counts.
pub(super) fn scan(file: &dyn ReadAt) -> Result<BTreeMap<String, Member>, Problem> {
    let length = file.size();
    let (mut at, mut members, mut extended) = (0, BTreeMap::new(), Extended::default());
    while let Some(header) = read_header(file, at, length)? {
        let stated = header.entry_size().map_err(|_| Problem::Header { at })?;
        let kind = header.entry_type();
        let is_extension = matches!(
            kind,
            tar::EntryType::XHeader
                | tar::EntryType::XGlobalHeader
                | tar::EntryType::GNULongName
                | tar::EntryType::GNULongLink
        );
        let size = if is_extension {
            stated
        } else {
            extended.size.unwrap_or(stated)
        };
        let start = at + BLOCK_BYTES;
        let end = start.checked_add(size).filter(|&end| end <= length);
        let end = end.ok_or(Problem::Truncated { at })?;
        if is_extension {
            read_extension(file, &header, at, size, &mut extended)?;
        } else {
            let extended = std::mem::take(&mut extended);
            if let Some((name, member)) = describe(&header, extended, start, size)? {
                members.insert(name, member);
            }
            if members.len() > MAX_ARCHIVE_MEMBERS {
                return Err(Problem::TooMany);
            }
        }
        at = end.next_multiple_of(BLOCK_BYTES);
    }
    if members.is_empty() {
        return Err(Problem::NoTar);
    }
    Ok(members)
}

/// The header at `at`; `None` at the archive's end.
fn read_header(file: &dyn ReadAt, at: u64, length: u64) -> Result<Option<tar::Header>, Problem> {
    if at >= length {
        return Ok(None);
    }
    let mut header = tar::Header::new_old();
    let block = header.as_mut_bytes();
    match file.read_exact_at(block, at) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && at > 0 => {
            return Err(Problem::Truncated { at });
        }
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(Problem::NoTar),
        Err(error) => return Err(error.into()),
    }
    if block.iter().all(|&byte| byte == 0) {
        return Ok(None);
    }
    // The checksum is the sum of all bytes, its own field taken as blanks.
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(n, &byte)| u32::from(if CHECKSUM.contains(&n) { b' ' } else { byte }))
        .sum();
    match header.cksum() {
        Ok(stated) if stated == sum => Ok(Some(header)),
        _ if at == 0 => Err(Problem::NoTar),
        _ => Err(Problem::Header { at }),
    }
}

fn read_extension(
    file: &dyn ReadAt,
    header: &tar::Header,
    at: u64,
    size: u64,
    extended: &mut Extended,
) -> Result<(), Problem> {
    let what = match header.entry_type() {
        tar::EntryType::XHeader => "extended header",
        tar::EntryType::GNULongName | tar::EntryType::GNULongLink => "long name",
        _ => return Ok(()),
    };
    let limited = usize::try_from(size)
        .ok()
        .filter(|_| size <= MAX_EXTENSION_BYTES);
    let mut bytes = vec![0; limited.ok_or(Problem::Extension { at, what, size })?];
    file.read_exact_at(&mut bytes, at + BLOCK_BYTES)?;
    match header.entry_type() {
        tar::EntryType::XHeader => {
            for record in tar::PaxExtensions::new(&bytes) {
                let record = record.map_err(|_| Problem::Header { at })?;
                let value = record.value_bytes();
                match record.key_bytes() {
                    b"path" => extended.path = Some(value.to_vec()),
                    b"linkpath" => extended.link = Some(value.to_vec()),
                    b"size" => {
                        let text = std::str::from_utf8(value).ok();
                        let size = text.and_then(|text| text.parse().ok());
                        extended.size = Some(size.ok_or(Problem::Header { at })?);
                    }
                    _ => {}
                }
            }
        }
        kind => {
            let name = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
            let field = if kind == tar::EntryType::GNULongName {
                &mut extended.path
            } else {
                &mut extended.link
            };
            *field = Some(name.to_vec());
        }
    }
    Ok(())
}

/// Name and content of a member; `None` for what image archives need not.
fn describe(
    header: &tar::Header,
    extended: Extended,
    start: u64,
    size: u64,
) -> Result<Option<(String, Member)>, Problem> {
    let path = extended
        .path
        .unwrap_or_else(|| header.path_bytes().into_owned());
    let name = String::from_utf8_lossy(&path);
    let name = name.trim_start_matches("./").to_owned();
    let member = match header.entry_type() {
        tar::EntryType::Regular | tar::EntryType::Continuous => Member::File { start, size },
        tar::EntryType::GNUSparse => return Err(Problem::Sparse { name }),
        kind @ (tar::EntryType::Symlink | tar::EntryType::Link) => {
            let stated = || header.link_name_bytes().map(std::borrow::Cow::into_owned);
            let target = extended.link.or_else(stated).unwrap_or_default();
            match link_target(&name, &target, kind.is_symlink()) {
                Some(target) => Member::Link(target),
                None => return Err(Problem::Outside { name }),
            }
        }
        _ => return Ok(None),
    };
    Ok(Some((name, member)))
}

/// What a link names; the older `docker save` shares layers by symbolic links
/// such as `../<id>/layer.tar`.
fn link_target(name: &str, target: &[u8], is_symlink: bool) -> Option<String> {
    let target = String::from_utf8_lossy(target);
    let mut parts: Vec<&str> = Vec::new();
    if is_symlink && !target.starts_with('/') {
        parts.extend(name.split('/'));
        parts.pop();
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn scanned(bytes: &[u8]) -> Result<BTreeMap<String, Member>, Problem> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        scan(&isoforge_base::read_at::FileAt::new(file).unwrap())
    }

    /// An archive with plain and long names and a link.
    fn archive() -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        let long = format!("{}/layer.tar", "d".repeat(150));
        for (name, content) in [("./a", "one"), (&long, "two")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            archive
                .append_data(&mut header, name, content.as_bytes())
                .unwrap();
        }
        let records = [("path", b"p/c".as_slice()), ("comment", b"x")];
        archive.append_pax_extensions(records).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        archive.append_link(&mut header, "b/c", "../a").unwrap();
        archive.into_inner().unwrap()
    }

    #[test]
    fn members_are_found_where_they_are() {
        let bytes = archive();
        let members = scanned(&bytes).unwrap();
        let read = |name: &str| match members.get(name) {
            Some(&Member::File { start, size }) => {
                let (start, size) = (start as usize, size as usize);
                String::from_utf8(bytes[start..start + size].to_vec()).unwrap()
            }
            other => format!("{other:?}"),
        };
        assert_eq!(read("a"), "one");
        assert_eq!(read(&format!("{}/layer.tar", "d".repeat(150))), "two");
        assert_eq!(members.get("p/c"), Some(&Member::Link("a".to_owned())));
        assert_eq!(members.len(), 3);
    }

    #[test]
    fn cut_off_and_changed_archives_are_errors_or_shorter_but_never_panic() {
        let whole = archive();
        for length in 0..whole.len() {
            if let Ok(members) = scanned(&whole[..length]) {
                assert!(members.len() <= 3, "{length}");
            }
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0xff;
            let _ = scanned(&changed);
        }
        assert!(matches!(scanned(b""), Err(Problem::NoTar)));
        assert!(matches!(scanned(&[0; 4096]), Err(Problem::NoTar)));
        assert!(matches!(scanned(&[b'x'; 4096]), Err(Problem::NoTar)));
        assert!(matches!(
            scanned(&whole[..514]),
            Err(Problem::Truncated { .. })
        ));
    }

    #[test]
    fn stated_sizes_are_not_believed() {
        let mut header = tar::Header::new_gnu();
        header.set_path("name").unwrap();
        for (kind, size) in [
            (tar::EntryType::GNULongName, MAX_EXTENSION_BYTES + 1),
            (tar::EntryType::Regular, u64::MAX),
            (tar::EntryType::XHeader, 1 << 40),
        ] {
            header.set_entry_type(kind);
            header.set_size(size);
            header.set_cksum();
            let mut bytes = header.as_bytes().to_vec();
            assert!(matches!(scanned(&bytes), Err(Problem::Truncated { at: 0 })));
            bytes.resize(2 << 20, 0);
            assert!(scanned(&bytes).is_err(), "{kind:?}");
        }
    }

    #[test]
    fn links_stay_inside_the_archive() {
        let target = |name: &str, target: &str| link_target(name, target.as_bytes(), true);
        assert_eq!(
            target("b/layer.tar", "../a/layer.tar").unwrap(),
            "a/layer.tar"
        );
        assert_eq!(target("b/c", "/a").unwrap(), "a");
        assert_eq!(target("b", "../a"), None);
        assert_eq!(link_target("b/c", b"a/d", false).unwrap(), "a/d");
    }
}
