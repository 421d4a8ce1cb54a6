//! Components of a root file system that another program made: read from the
//! SquashFS itself, since no build manifest tells of them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Seek};

use crate::sources::components;
use isoforge_base::tree::{FileData, Inode, Kind, LayerId, Meta, ReadFile, Tree};
use isoforge_contract::manifest::{Component, ComponentKind};
use isoforge_formats::Error;
use isoforge_formats::squashfs::read::{Image, Inode as SquashfsInode, InodeKind};

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

/// The operating system, kernels and Kubernetes packages in the SquashFS that
/// starts `offset` bytes into `source`.
pub(super) fn components<R: Read + Seek>(source: R, offset: u64) -> io::Result<Vec<Component>> {
    let mut image = Image::open(source, offset).map_err(io::Error::other)?;
    let (tree, inodes) = tree(&mut image).map_err(io::Error::other)?;
    let files = Files {
        image: RefCell::new(image),
        inodes,
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

/// Names and kinds of everything in the image; files are numbered in the order
/// of the walk. Metadata is left out.
fn tree<R: Read + Seek>(image: &mut Image<R>) -> Result<(Tree, Vec<SquashfsInode>), Error> {
    let mut tree = Tree::new();
    let mut inodes = Vec::new();
    for (path, inode) in image.walk()? {
        let kind = match &inode.kind {
            InodeKind::Directory { .. } => Kind::Directory(BTreeMap::new()),
            InodeKind::Symlink(target) => Kind::Symlink(target.clone()),
            InodeKind::File { size, .. } => {
                let file = u32::try_from(inodes.len()).unwrap_or(u32::MAX);
                let size = *size;
                inodes.push(inode);
                Kind::File(FileData::Layer {
                    layer: LayerId(0),
                    file,
                    size,
                })
            }
            _ => continue,
        };
        let meta = Meta::default();
        // The walk gives parents before children, so each has its directory.
        let _ = tree.insert(&path, Inode { meta, kind });
    }
    Ok((tree, inodes))
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
