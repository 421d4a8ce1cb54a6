//! Looking for files in a tree by lists of patterns, remembering where was
//! looked, so that an error can tell all of it.

use std::collections::BTreeMap;
use std::io;

use globset::{GlobBuilder, GlobMatcher};

use crate::Error;
use isoforge_base::limit::read_within;
use isoforge_base::tree::{self, FileData, Kind, ReadFile, Tree};

/// A file of the tree that takes part in booting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootFile {
    /// Where it is, symbolic links resolved, with a leading slash.
    pub path: String,
    /// Its bytes.
    pub data: FileData,
}

/// The regular file at `path`, symbolic links followed.
#[must_use]
pub fn at(tree: &Tree, path: &str) -> Option<BootFile> {
    let real = tree.resolve(path.as_bytes()).ok()?;
    let id = tree.get(&real)?;
    match &tree.inode(id).kind {
        Kind::File(data) => Some(BootFile {
            path: format!("/{}", tree::display(&real)),
            data: data.clone(),
        }),
        _ => None,
    }
}

/// The names of `dir`'s entries, symbolic links followed, in byte order; names
/// that are not UTF-8 are left out.
pub(crate) fn names<'t>(tree: &'t Tree, dir: &str) -> impl Iterator<Item = &'t str> {
    let entries: Option<&BTreeMap<_, _>> =
        tree.lookup(dir.as_bytes()).and_then(|id| tree.children(id));
    entries
        .into_iter()
        .flat_map(BTreeMap::keys)
        .filter_map(|name| std::str::from_utf8(name).ok())
}

/// The first regular file that one of `patterns` names, in their order; where a
/// pattern has `*` (within one component), in byte order.
pub(crate) fn first(tree: &Tree, patterns: &[String]) -> Option<BootFile> {
    patterns
        .iter()
        .find_map(|pattern| expand(tree, pattern).iter().find_map(|path| at(tree, path)))
}

/// The paths that a pattern names. Only directories are looked at, links
/// followed; the last component need not be a file.
fn expand(tree: &Tree, pattern: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for component in pattern.split('/') {
        let mut next = Vec::new();
        for dir in &found {
            match matcher(component) {
                None => next.push(join(dir, component)),
                Some(matcher) => next.extend(
                    names(tree, dir)
                        .filter(|name| matcher.is_match(name))
                        .map(|name| join(dir, name)),
                ),
            }
        }
        found = next;
    }
    found
}

fn matcher(component: &str) -> Option<GlobMatcher> {
    if !component.contains('*') {
        return None;
    }
    let glob = GlobBuilder::new(component).literal_separator(true).build();
    glob.ok().map(|glob| glob.compile_matcher())
}

fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() {
        name.to_owned()
    } else {
        format!("{dir}/{name}")
    }
}

/// Reads a small file whole.
///
/// # Errors
/// What reading gave; a file of more than `limit` bytes is refused.
pub(crate) fn read(data: &dyn ReadFile, file: &BootFile, limit: u64) -> io::Result<Vec<u8>> {
    read_within(data.open(&file.data)?, limit)?.ok_or_else(|| {
        let problem = format!("{} has more than {limit} bytes", file.path);
        io::Error::new(io::ErrorKind::InvalidData, problem)
    })
}

/// Text of the file at `path`, links followed; none where there is none.
///
/// # Errors
/// Where it is there and can't be read: that is not the same.
pub(crate) fn text_at(
    tree: &Tree,
    data: &dyn ReadFile,
    path: &str,
    limit: u64,
) -> Result<Option<String>, Error> {
    at(tree, path)
        .map(|file| text(data, &file, limit))
        .transpose()
}

/// Text of a small file.
///
/// # Errors
/// Where it can't be read.
pub(crate) fn text(data: &dyn ReadFile, file: &BootFile, limit: u64) -> Result<String, Error> {
    let bytes = read(data, file, limit).map_err(unreadable(file))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What reading `file` gave.
pub(crate) fn unreadable(file: &BootFile) -> impl FnOnce(io::Error) -> Error {
    Error::io(format!("reading '{}' from the image", file.path))
}

/// For an error: one path per line.
pub(crate) fn list(paths: &[String]) -> String {
    paths.iter().map(|path| format!("\n    /{path}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use isoforge_judges::trees::tree;

    #[test]
    fn patterns_go_in_their_order_and_follow_links() {
        let tree = tree(
            "usr/lib/efi/b/x.efi
             usr/lib/efi/a/x.efi
             usr/lib/efi/c/y.efi
             lib -> usr/lib
             usr/lib/signed -> /etc/alternatives/signed
             etc/alternatives/signed -> /usr/lib/efi/c/y.efi",
        );
        let find = |patterns: &[&str]| {
            let patterns: Vec<_> = patterns.iter().map(|p| (*p).to_owned()).collect();
            first(&tree, &patterns).map(|file| file.path)
        };
        assert_eq!(find(&["lib/efi/*/x.efi"]).unwrap(), "/usr/lib/efi/a/x.efi");
        assert_eq!(
            find(&["none", "lib/signed"]).unwrap(),
            "/usr/lib/efi/c/y.efi"
        );
        assert_eq!(find(&["lib/efi/*", "usr/*/z"]), None);
    }
}
