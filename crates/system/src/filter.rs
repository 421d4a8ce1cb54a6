//! Parts of a tree, chosen by path.

use std::collections::BTreeMap;

use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::Error;
use crate::error::unfit;
use isoforge_base::tree::{self, InodeId, Kind, Tree};

/// Path patterns, matched against paths relative to the root. A slash at the
/// start of a pattern is allowed and means nothing; `*` and `?` don't match a
/// slash, `**` does.
#[derive(Debug, Clone, Default)]
pub struct Patterns(GlobSet);

fn malformed(pattern: &str, problem: &str) -> Error {
    unfit(format!("'{pattern}' is not a path pattern: {problem}"))
        .with_hint("'*' and '?' match within one name, '**' across directories, {a,b} either")
        .into()
}

impl Patterns {
    /// Compiles patterns.
    ///
    /// # Errors
    /// For the first that is malformed.
    pub fn new<S: AsRef<str>>(patterns: &[S]) -> Result<Self, Error> {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let pattern = pattern.as_ref();
            let error = |problem: &str| malformed(pattern, problem);
            let relative = pattern.trim_matches('/');
            if relative.is_empty() {
                return Err(error("it is empty"));
            }
            if relative.split('/').any(|name| name == ".." || name == ".") {
                return Err(error("it has a '.' or '..' component"));
            }
            let glob = GlobBuilder::new(relative)
                .literal_separator(true)
                .build()
                .map_err(|e| error(&e.kind().to_string()))?;
            set.add(glob);
        }
        let set = set
            .build()
            .map_err(|e| malformed(e.glob().unwrap_or_default(), &e.kind().to_string()))?;
        Ok(Self(set))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a pattern matches the path itself.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        self.0.is_match_candidate(&Candidate::from_bytes(path))
    }
}

/// The part of `tree` that a path-filtered layer has: what `include` matches
/// (everything, where it is empty) and what is below, without what `exclude`
/// matches and what is below. Parents come along with their metadata, and files
/// keep their hard links among what is kept.
///
/// # Errors
/// [`tree::Error::TooManyInodes`], which a part of a tree cannot cause.
pub fn filter(tree: &Tree, include: &Patterns, exclude: &Patterns) -> Result<Tree, tree::Error> {
    let mut part = Tree::new();
    *part.meta_mut(part.root()) = tree.inode(tree.root()).meta.clone();
    let mut first_links: BTreeMap<InodeId, Vec<u8>> = BTreeMap::new();
    let mut included: Vec<u8> = Vec::new();
    let mut excluded: Option<Vec<u8>> = None;
    let mut below_included = false;
    // The walk is depth first: what is below a directory follows it.
    for (path, id) in tree.walk().skip(1) {
        if excluded.as_ref().is_some_and(|dir| is_below(&path, dir)) {
            continue;
        }
        if exclude.matches(&path) {
            excluded = Some(path);
            continue;
        }
        below_included = below_included && is_below(&path, &included);
        if !below_included && !include.is_empty() {
            if !include.matches(&path) {
                continue;
            }
            below_included = true;
            included.clone_from(&path);
        }
        add_parents(tree, &mut part, &path)?;
        if let Some(first) = first_links.get(&id) {
            part.link(&path, first)?;
            continue;
        }
        insert(tree, &mut part, &path, id)?;
        if tree.children(id).is_none() {
            first_links.insert(id, path);
        }
    }
    Ok(part)
}

fn is_below(path: &[u8], dir: &[u8]) -> bool {
    path.strip_prefix(dir)
        .is_some_and(|rest| rest.starts_with(b"/"))
}

fn insert(tree: &Tree, part: &mut Tree, path: &[u8], id: InodeId) -> Result<(), tree::Error> {
    let mut inode = tree.inode(id).clone();
    if let Kind::Directory(entries) = &mut inode.kind {
        entries.clear();
    }
    part.insert(path, inode)?;
    Ok(())
}

fn add_parents(tree: &Tree, part: &mut Tree, path: &[u8]) -> Result<(), tree::Error> {
    for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
        let parent = path.get(..at).unwrap_or_default();
        if part.get(parent).is_none()
            && let Some(id) = tree.get(parent)
        {
            insert(tree, part, parent, id)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use isoforge_base::error::{Class, Diagnose as _};
    use isoforge_base::tree::{FileData, Inode, Meta};

    fn tree() -> Tree {
        let mut tree = Tree::new();
        for path in [
            "usr/bin/kubectl",
            "usr/bin/kubelet",
            "usr/share/doc/x",
            "etc/passwd",
            "usr/b",
        ] {
            let inode = Inode {
                meta: Meta::with_mode(0o644),
                kind: Kind::File(FileData::empty()),
            };
            tree.insert(path.as_bytes(), inode).unwrap();
        }
        tree.link(b"usr/libexec/kubelet", b"usr/bin/kubelet")
            .unwrap();
        let usr = tree.get(b"usr").unwrap();
        tree.meta_mut(usr).mode = 0o711;
        tree
    }

    fn paths(tree: &Tree) -> String {
        let paths: Vec<_> = tree.walk().map(|(path, _)| tree::display(&path)).collect();
        paths.join(" ")
    }

    fn filtered(include: &[&str], exclude: &[&str]) -> Tree {
        let include = Patterns::new(include).unwrap();
        filter(&tree(), &include, &Patterns::new(exclude).unwrap()).unwrap()
    }

    #[test]
    fn what_is_matched_comes_with_what_is_below_and_its_parents() {
        insta::assert_snapshot!(paths(&filtered(&["/usr/bin"], &[])),
            @" usr usr/bin usr/bin/kubectl usr/bin/kubelet");
        insta::assert_snapshot!(paths(&filtered(&["usr/*/kubelet"], &[])),
            @" usr usr/bin usr/bin/kubelet usr/libexec usr/libexec/kubelet");
        insta::assert_snapshot!(paths(&filtered(&["**/kube{ctl,let}"], &["usr/libexec"])),
            @" usr usr/bin usr/bin/kubectl usr/bin/kubelet");
        insta::assert_snapshot!(paths(&filtered(&[], &["usr/b*", "**/doc"])),
            @" etc etc/passwd usr usr/libexec usr/libexec/kubelet usr/share");
    }

    #[test]
    fn parents_keep_their_metadata_and_files_their_links() {
        let part = filtered(&["**/kubelet"], &[]);
        assert_eq!(part.inode(part.get(b"usr").unwrap()).meta.mode, 0o711);
        assert_eq!(
            part.get(b"usr/bin/kubelet"),
            part.get(b"usr/libexec/kubelet")
        );
    }

    #[test]
    fn malformed_patterns_are_named() {
        for pattern in ["a[", "", "/", "a/../b", "{a"] {
            let error = Patterns::new(&["ok", pattern]).unwrap_err();
            assert!(
                error.to_string().contains(&format!("'{pattern}'")),
                "{error}"
            );
            assert_eq!(error.class(), Class::Profile);
        }
    }
}
