use super::*;
use isoforge_system::layer::EntryKind;
use isoforge_system::layer::read_tar;
use tempfile::TempDir;

struct Fixture {
    _dir: TempDir,
    store: Store,
    layer: Layer,
}

/// Directories end with a slash; `a -> b` is a symbolic, `a => b` a hard link.
fn fixture(members: &[(&str, &str)]) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let mut tar = tar::Builder::new(Vec::new());
    for (number, (path, text)) in (0_u64..).zip(members) {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(1000 + number);
        header.set_mode(0o755);
        header.set_size(0);
        if let Some((path, target)) = path.split_once(" -> ") {
            header.set_entry_type(tar::EntryType::Symlink);
            tar.append_link(&mut header, path, target).unwrap();
        } else if let Some((path, target)) = path.split_once(" => ") {
            header.set_entry_type(tar::EntryType::Link);
            tar.append_link(&mut header, path, target).unwrap();
        } else {
            if path.ends_with('/') {
                header.set_entry_type(tar::EntryType::Directory);
            }
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, path, text.as_bytes()).unwrap();
        }
    }
    let tar = tar.into_inner().unwrap();
    let digest = store.put_blob(&tar).unwrap();
    let layer = Layer::plain(digest, tar.len() as u64);
    Fixture {
        _dir: dir,
        store,
        layer,
    }
}

fn system() -> Fixture {
    fixture(&[
        ("./", ""),
        ("lib -> usr/lib", ""),
        ("etc/", ""),
        ("etc/containerd/", ""),
        ("etc/containerd/config.toml", "made by a script"),
        ("etc/cni/", ""),
        ("etc/cni/net.d/", ""),
        ("usr/", ""),
        ("usr/bin/", ""),
        ("usr/bin/containerd", "containerd"),
        ("usr/bin/ctr => usr/bin/containerd", ""),
        ("usr/bin/sh", "sh"),
        ("usr/bin/tool", "tool"),
        ("usr/bin/tool-link => usr/bin/tool", ""),
        ("usr/lib/", ""),
        ("usr/lib/systemd/", ""),
        ("usr/lib/systemd/system/", ""),
        ("usr/lib/systemd/system/containerd.service", "unit"),
        (
            "var/lib/dpkg/info/bash.list",
            "/.\n/usr\n/usr/bin\n/usr/bin/sh\n/usr/lib\n/lib\n/usr/bin/tool-link\n",
        ),
        (
            "var/lib/dpkg/info/systemd.list",
            "/.\n/usr\n/usr/lib\n/lib/systemd\n/lib/systemd/system\n/etc\n",
        ),
        (
            "var/lib/dpkg/info/containerd:amd64.list",
            "/.\n/etc\n/etc/containerd\n/usr\n/usr/bin\n/usr/bin/containerd\n/usr/bin/ctr\n/lib/systemd/system/containerd.service\n/usr/share/doc/left-out\n/usr/bin/tool\n",
        ),
        (
            "var/lib/dpkg/info/cni.list",
            "/.\n/etc\n/etc/cni\n/etc/cni/net.d\n",
        ),
        ("var/lib/dpkg/status", "status"),
    ])
}

impl Fixture {
    fn part(&self, names: &[&str]) -> Parted {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let silent = Progress::silent();
        part(&self.store, &self.layer, &names, &Limits::DEFAULT, &silent).unwrap()
    }

    /// Paths of a layer's entries, directories with a slash.
    fn paths(&self, layer: &Layer) -> String {
        let blob = self.store.open_blob(&layer.digest).unwrap();
        let entries = read_tar(blob, &Limits::DEFAULT, &mut NoData).unwrap();
        let paths: Vec<String> = entries
            .iter()
            .map(|entry| {
                let slash = if entry.kind == EntryKind::Directory {
                    "/"
                } else {
                    ""
                };
                format!("{}{slash}", tree::display(&entry.path))
            })
            .collect();
        paths.join(" ")
    }

    /// Everything that the layers make together, with metadata and content.
    fn merged(&self, layers: &[&Layer]) -> Vec<String> {
        let mut tree = Tree::new();
        let mut spool = SpoolWriter::new(tempfile::tempfile().unwrap());
        for (number, layer) in (0..).zip(layers) {
            let id = LayerId(number);
            let all: BTreeSet<FileId> = (0..100).map(|file| (id, file)).collect();
            let blob = self.store.open_blob(&layer.digest).unwrap();
            let entries = read_tar(blob, &Limits::DEFAULT, &mut spool.layer(id, &all)).unwrap();
            apply(&mut tree, id, &entries).unwrap();
        }
        let spool = spool.finish().unwrap();
        let names = names_by_inode(&tree);
        tree.walk()
            .map(|(path, id)| {
                let inode = tree.inode(id);
                let content = match &inode.kind {
                    Kind::File(data) => {
                        let mut text = String::new();
                        spool.open(data).unwrap().read_to_string(&mut text).unwrap();
                        text
                    }
                    Kind::Symlink(target) => tree::display(target),
                    _ => String::new(),
                };
                let links = names.get(&id).map_or(1, Vec::len);
                format!(
                    "{} {} {:?} {links} {content}",
                    inode.kind.type_char(),
                    tree::display(&path),
                    inode.meta
                )
            })
            .collect()
    }
}

#[test]
fn only_what_the_named_packages_alone_have_is_parted() {
    let system = system();
    let parted = system.part(&["containerd"]);
    let packages = parted.packages.unwrap();
    // Not etc/containerd, where a script made a file, and not the tool, one of
    // whose names another package has.
    insta::assert_snapshot!(system.paths(&packages), @"usr/bin/containerd usr/bin/ctr usr/lib/systemd/system/containerd.service");
    let lower = system.paths(&parted.system);
    for left in [
        "etc/containerd/config.toml",
        "usr/bin/tool",
        "usr/bin/tool-link",
        "var/lib/dpkg/info/containerd:amd64.list",
        "etc/cni/net.d/",
    ] {
        assert!(lower.split(' ').any(|path| path == left), "{left}: {lower}");
    }
    assert!(!lower.contains("usr/bin/ctr"), "{lower}");
}

#[test]
fn directories_of_the_packages_alone_go_with_them() {
    let system = system();
    let packages = system.part(&["cni"]).packages.unwrap();
    assert_eq!(system.paths(&packages), "etc/cni/ etc/cni/net.d/");
}

#[test]
fn both_layers_together_are_the_tree_that_was_parted() {
    let system = system();
    let whole = system.merged(&[&system.layer]);
    for names in [
        &["containerd"][..],
        &["cni"],
        &["containerd", "cni", "bash"],
    ] {
        let parted = system.part(names);
        let again = system.merged(&[&parted.system, parted.packages.as_ref().unwrap()]);
        assert_eq!(again, whole, "{names:?}");
    }
}

#[test]
fn without_such_packages_the_layer_stays_as_it_is() {
    let system = system();
    for names in [&[][..], &["kubelet"]] {
        let parted = system.part(names);
        assert_eq!(parted.system, system.layer);
        assert_eq!(parted.packages, None);
    }
}

#[test]
fn the_result_is_remembered() {
    let system = system();
    let first = system.part(&["containerd", "cni"]);
    fs_err::remove_file(system.store.blob_path(&system.layer.digest)).unwrap();
    assert_eq!(system.part(&["cni", "containerd"]), first);
}
