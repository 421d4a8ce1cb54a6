//! Numbers the inodes of a tree.

use std::collections::BTreeMap;

use crate::Error;
use isoforge_base::tree::{self, Inode, InodeId, Kind, Tree};

/// The root's number; numbers count from it.
pub(super) const ROOT: u32 = 1;

/// Inodes by number. The entries of a directory that are not hard links to
/// something earlier have consecutive numbers, which keeps the differences that
/// directories store small.
#[derive(Debug)]
pub(super) struct Order<'t> {
    tree: &'t Tree,
    numbers: BTreeMap<InodeId, u32>,
    numbered: Vec<Numbered<'t>>,
}

#[derive(Debug)]
struct Numbered<'t> {
    id: InodeId,
    parent: u32,
    name: &'t [u8],
    links: u32,
}

impl<'t> Order<'t> {
    pub(super) fn new(tree: &'t Tree) -> Result<Self, Error> {
        let mut order = Self {
            tree,
            numbers: BTreeMap::new(),
            numbered: Vec::new(),
        };
        // Directories count the entry in their parent and their own '.'; each
        // directory below adds its '..'.
        order.add(tree.root(), 0, b"")?;
        let mut directories = vec![ROOT];
        while let Some(directory) = directories.pop() {
            let below = order.add_children(directory)?;
            directories.extend(below.into_iter().rev());
        }
        Ok(order)
    }

    fn add(&mut self, id: InodeId, parent: u32, name: &'t [u8]) -> Result<u32, Error> {
        let is_directory = self.tree.children(id).is_some();
        self.numbered.push(Numbered {
            id,
            parent,
            name,
            links: if is_directory { 2 } else { 1 },
        });
        // One number stays free for the root's parent.
        let number = u32::try_from(self.numbered.len())
            .ok()
            .filter(|&number| number < u32::MAX)
            .ok_or_else(|| super::too_large("inode table"))?;
        self.numbers.insert(id, number);
        Ok(number)
    }

    /// Numbers a directory's entries and gives the directories among them.
    fn add_children(&mut self, directory: u32) -> Result<Vec<u32>, Error> {
        let mut below = Vec::new();
        for (name, child) in self.children(directory) {
            if let Some(&number) = self.numbers.get(&child) {
                if let Some(entry) = self.numbered.get_mut(index(number)) {
                    entry.links += 1;
                }
                continue;
            }
            let number = self.add(child, directory, name)?;
            if self.tree.children(child).is_some() {
                below.push(number);
            }
        }
        if let Some(entry) = self.numbered.get_mut(index(directory)) {
            entry.links = entry.links.saturating_add(below.len() as u32);
        }
        Ok(below)
    }

    /// The entries of a directory in byte order of the names; none for anything
    /// else.
    pub(super) fn children(
        &self,
        number: u32,
    ) -> impl Iterator<Item = (&'t [u8], InodeId)> + use<'t> {
        let entries = match &self.inode(number).kind {
            Kind::Directory(entries) => Some(entries),
            _ => None,
        };
        entries
            .into_iter()
            .flatten()
            .map(|(name, &id)| (name.as_slice(), id))
    }

    /// How many inodes there are.
    pub(super) fn count(&self) -> u32 {
        self.numbered.len() as u32
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> + use<> {
        ROOT..ROOT + self.count()
    }

    /// The number of an inode of the tree.
    pub(super) fn number(&self, id: InodeId) -> u32 {
        self.numbers.get(&id).copied().unwrap_or(ROOT)
    }

    pub(super) fn inode(&self, number: u32) -> &'t Inode {
        let id = self.numbered.get(index(number)).map(|entry| entry.id);
        self.tree.inode(id.unwrap_or(self.tree.root()))
    }

    pub(super) fn links(&self, number: u32) -> u32 {
        self.numbered
            .get(index(number))
            .map_or(1, |entry| entry.links)
    }

    /// The number of the directory that a directory is in. For the root, the
    /// first number that no inode has.
    pub(super) fn parent(&self, number: u32) -> u32 {
        match self.numbered.get(index(number)) {
            Some(entry) if entry.parent != 0 => entry.parent,
            _ => ROOT + self.count(),
        }
    }

    /// A path of an inode, for messages.
    pub(super) fn path(&self, number: u32) -> String {
        tree::display(&self.path_bytes(number))
    }

    /// The path of a directory's entry, for messages.
    pub(super) fn entry_path(&self, directory: u32, name: &[u8]) -> String {
        tree::display(&tree::join(&self.path_bytes(directory), name))
    }

    fn path_bytes(&self, number: u32) -> Vec<u8> {
        let mut names = Vec::new();
        let mut at = number;
        while let Some(entry) = self
            .numbered
            .get(index(at))
            .filter(|entry| entry.parent != 0)
        {
            names.push(entry.name);
            at = entry.parent;
        }
        names.reverse();
        names.join(&b'/')
    }
}

/// Where a number's data is in a list of all inodes.
pub(super) fn index(number: u32) -> usize {
    number.wrapping_sub(ROOT) as usize
}
