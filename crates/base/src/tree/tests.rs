use super::*;

fn dir() -> Inode {
    Inode {
        meta: Meta::with_mode(0o755),
        kind: Kind::Directory(BTreeMap::new()),
    }
}

fn file() -> Inode {
    Inode {
        meta: Meta::with_mode(0o644),
        kind: Kind::File(FileData::empty()),
    }
}

fn symlink(target: &str) -> Inode {
    Inode {
        meta: Meta::with_mode(0o777),
        kind: Kind::Symlink(target.into()),
    }
}

#[test]
fn normalize_strips_dots_and_slashes_and_refuses_dotdot() {
    assert_eq!(normalize(b"./usr//bin/./ls/").unwrap(), b"usr/bin/ls");
    assert_eq!(normalize(b"/").unwrap(), b"");
    assert!(matches!(normalize(b"a/../b"), Err(Error::DotDot { .. })));
    assert!(matches!(normalize(b"a\0b"), Err(Error::Nul { .. })));
    assert_eq!(normalize(b"a/..b/...").unwrap(), b"a/..b/...");
}

#[test]
fn walk_is_sorted_whatever_the_order_of_insertion() {
    let mut tree = Tree::new();
    for path in ["z", "a/b", "a/a", "m"] {
        tree.insert(path.as_bytes(), file()).unwrap();
    }
    let paths: Vec<_> = tree.walk().map(|(p, _)| display(&p)).collect();
    assert_eq!(paths, ["", "a", "a/a", "a/b", "m", "z"]);
}

#[test]
fn links_resolve_inside_the_root() {
    let mut tree = Tree::new();
    tree.insert(b"usr/lib", dir()).unwrap();
    tree.insert(b"lib", symlink("usr/lib")).unwrap();
    tree.insert(b"up", symlink("../../../usr")).unwrap();
    tree.insert(b"abs", symlink("/lib/x")).unwrap();
    assert_eq!(tree.resolve(b"lib/modules").unwrap(), b"usr/lib/modules");
    assert_eq!(tree.resolve(b"up/lib").unwrap(), b"usr/lib");
    assert_eq!(tree.resolve(b"abs").unwrap(), b"usr/lib/x");
}

#[test]
fn a_circle_of_links_is_an_error() {
    let mut tree = Tree::new();
    tree.insert(b"a", symlink("b")).unwrap();
    tree.insert(b"b", symlink("a")).unwrap();
    assert!(matches!(
        tree.resolve(b"a/x"),
        Err(Error::SymlinkLoop { .. })
    ));
}

#[test]
fn links_of_links_lead_through_no_more_than_so_many_directories() {
    let mut tree = Tree::new();
    // Each link leads through its folder and back a thousand times, then to the next.
    for link in 0..20 {
        let target = format!("{}{}", "d/../".repeat(1000), link + 1);
        tree.insert(link.to_string().as_bytes(), symlink(&target))
            .unwrap();
    }
    tree.insert(b"d", dir()).unwrap();
    let (real, steps) = tree.resolve_counted(b"17/x").unwrap();
    assert_eq!((real.as_slice(), steps), (&b"20/x"[..], 6005));
    let error = tree.resolve(b"0/x").unwrap_err();
    assert!(matches!(error, Error::TooManySteps { .. }), "{error}");
}

#[test]
fn hard_links_share_an_inode_and_survive_removal() {
    let mut tree = Tree::new();
    let id = tree.insert(b"a", file()).unwrap();
    tree.link(b"d/b", b"a").unwrap();
    assert_eq!(tree.link_counts()[&id], 2);
    assert!(tree.remove(b"a"));
    assert_eq!(tree.get(b"d/b"), Some(id));
    assert_eq!(tree.link_counts()[&id], 1);
    assert!(matches!(
        tree.link(b"x", b"d"),
        Err(Error::LinkToDirectory { .. })
    ));
}

#[test]
fn a_directory_over_a_directory_keeps_its_entries() {
    let mut tree = Tree::new();
    tree.insert(b"d/x", file()).unwrap();
    let mut new = dir();
    new.meta.mode = 0o700;
    let id = tree.insert(b"d", new).unwrap();
    assert_eq!(tree.inode(id).meta.mode, 0o700);
    assert!(tree.get(b"d/x").is_some());
    tree.insert(b"d", file()).unwrap();
    assert!(tree.get(b"d/x").is_none());
}

#[test]
fn a_file_as_parent_is_an_error() {
    let mut tree = Tree::new();
    tree.insert(b"f", file()).unwrap();
    assert!(matches!(
        tree.insert(b"f/x", file()),
        Err(Error::NotADirectory { .. })
    ));
}
