//! Components of a root file system that another program made: read from the
//! SquashFS itself, since no build manifest tells of them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Seek};

use crate::sources::components;
use isoforge_base::limit::Budget;
use isoforge_base::tree::{self, FileData, Inode, Kind, LayerId, Meta, ReadFile, Tree};
use isoforge_contract::manifest::{Component, ComponentKind};
use isoforge_formats::squashfs::read::{Entry, Image, Inode as SquashfsInode, InodeKind};

/// Debian packages by which Kubernetes and what runs it are commonly installed.
const KUBERNETES_PACKAGES: [&str; 12] = [
    "containerd",
    "containerd.io",
    "containernetworking-plugins",
    "cri-o",
    "cri-tools",
    "etcd-client",
    "kubeadm",
    "kubectl",
    "kubelet",
    "kubernetes-client",
    "kubernetes-cni",
    "runc",
];

/// What [`components`] looks at, and how many levels of directories below it.
const LOOKED_AT: [(&str, u32); 3] = [
    ("etc/os-release", 0),
    ("var/lib/dpkg/status", 0),
    ("lib/modules", 2),
];
/// Components of paths that are looked for, those of symbolic links included.
const MAX_STEPS: usize = 1_000;
/// Bytes of all directories that are listed.
const MAX_LISTED_BYTES: u64 = 64 << 20;
/// Largest file that is read; dpkg's status of a full desktop is some 6 MiB.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The operating system, kernels and Kubernetes packages in the SquashFS that
/// starts `offset` bytes into `source`. Of the image only the directories that they
/// are in are listed, so it may be as large as it likes.
pub(super) fn components<R: Read + Seek>(source: R, offset: u64) -> io::Result<Vec<Component>> {
    let image = Image::open(source, offset).map_err(io::Error::other)?;
    let mut part = Part {
        image,
        tree: Tree::new(),
        inodes: Vec::new(),
        listed: Budget::new(MAX_LISTED_BYTES),
    };
    for (path, levels) in LOOKED_AT {
        part.take_in(path.as_bytes(), levels)?;
    }
    let tree = part.tree;
    let files = Files {
        image: RefCell::new(part.image),
        inodes: part.inodes,
    };
    let mut found = components::of_system(&tree, &files, None)?;
    found.extend(components::of_packages(
        &tree,
        &files,
        ComponentKind::Kubernetes,
        KUBERNETES_PACKAGES,
    )?);
    found.sort();
    Ok(found)
}

/// A part of an image as a tree: names and kinds of what was looked for. Files are
/// numbered as they came, metadata is left out.
struct Part<R> {
    image: Image<R>,
    tree: Tree,
    inodes: Vec<SquashfsInode>,
    listed: Budget,
}

impl<R: Read + Seek> Part<R> {
    /// Takes in what is at `path`, symbolic links followed, with all on the way to it, and
    /// so many levels below it.
    fn take_in(&mut self, path: &[u8], levels: u32) -> io::Result<()> {
        // A link that is taken in makes the path longer, so it is resolved again.
        for _ in 0..=tree::MAX_SYMLINKS {
            let real = self.tree.resolve(path).map_err(io::Error::other)?;
            if self.take_in_real(&real)? {
                let directory = self.image.lookup(&real).map_err(io::Error::other)?;
                return match directory {
                    Some(inode) => self.take_in_below(&real, &inode, levels),
                    None => Ok(()),
                };
            }
        }
        Ok(())
    }

    /// Takes in `path` up to its first symbolic link; whether there is none.
    fn take_in_real(&mut self, path: &[u8]) -> io::Result<bool> {
        let mut at = self.image.root().map_err(io::Error::other)?;
        let mut real = Vec::new();
        for (step, name) in path.split(|&byte| byte == b'/').enumerate() {
            if step >= MAX_STEPS {
                return Err(too_much(
                    "directories on the way to a file",
                    MAX_STEPS as u64,
                ));
            }
            let found = self.entries(&at)?.into_iter().find(|it| it.name == name);
            let Some(entry) = found else {
                return Ok(true);
            };
            at = self.image.inode(entry.inode).map_err(io::Error::other)?;
            real = tree::join(&real, name);
            self.put(&real, &at);
            if matches!(at.kind, InodeKind::Symlink(_)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn take_in_below(&mut self, path: &[u8], inode: &SquashfsInode, levels: u32) -> io::Result<()> {
        if levels == 0 {
            return Ok(());
        }
        for entry in self.entries(inode)? {
            let below = tree::join(path, &entry.name);
            let inode = self.image.inode(entry.inode).map_err(io::Error::other)?;
            self.put(&below, &inode);
            self.take_in_below(&below, &inode, levels - 1)?;
        }
        Ok(())
    }

    fn entries(&mut self, inode: &SquashfsInode) -> io::Result<Vec<Entry>> {
        let InodeKind::Directory { bytes, .. } = inode.kind else {
            return Ok(Vec::new());
        };
        let taken = self.listed.take(u64::from(bytes));
        taken.map_err(|limit| too_much("bytes of directories", limit))?;
        self.image.entries(inode).map_err(io::Error::other)
    }

    fn put(&mut self, path: &[u8], inode: &SquashfsInode) {
        if self.tree.get(path).is_some() {
            return;
        }
        let kind = match &inode.kind {
            InodeKind::Directory { .. } => Kind::Directory(BTreeMap::new()),
            InodeKind::Symlink(target) => Kind::Symlink(target.clone()),
            InodeKind::File { size, .. } => {
                let file = u32::try_from(self.inodes.len()).unwrap_or(u32::MAX);
                self.inodes.push(inode.clone());
                Kind::File(FileData::Layer {
                    layer: LayerId(0),
                    file,
                    size: *size,
                })
            }
            _ => return,
        };
        let meta = Meta::default();
        // Its parent was put before.
        let _ = self.tree.insert(path, Inode { meta, kind });
    }
}

fn too_much(what: &str, limit: u64) -> io::Error {
    io::Error::other(format!("it has more than {limit} {what}"))
}

struct Files<R> {
    image: RefCell<Image<R>>,
    inodes: Vec<SquashfsInode>,
}

impl<R: Read + Seek> ReadFile for Files<R> {
    /// The caller bounds the size of what it opens, so the bytes may be held.
    fn open<'a>(&'a self, data: &FileData) -> io::Result<Box<dyn Read + 'a>> {
        let FileData::Layer { file, size, .. } = data else {
            return Err(io::Error::other("all files are the image's"));
        };
        if *size > MAX_FILE_BYTES {
            return Err(too_much(
                "bytes in a file that tells its components",
                MAX_FILE_BYTES,
            ));
        }
        let inode = usize::try_from(*file)
            .ok()
            .and_then(|number| self.inodes.get(number))
            .ok_or_else(|| io::Error::other(format!("there is no file {file}")))?;
        let mut image = self.image.try_borrow_mut().map_err(io::Error::other)?;
        let mut bytes = Vec::new();
        image
            .file(inode)
            .map_err(io::Error::other)?
            .take(*size)
            .read_to_end(&mut bytes)?;
        Ok(Box::new(Cursor::new(bytes)))
    }
}
