//! The databases of one `/etc`, read together and written back where changed.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags};

use super::table::{Kind, Table, group};
use crate::rooted::{Attributes, Error, Folder, Root};

/// The file by which shadow's tools keep each other out; see lckpwdf(3).
const LOCK: &str = ".pwd.lock";

/// The databases of one `/etc`.
#[derive(Debug)]
pub(crate) struct Databases {
    folder: Folder,
    tables: BTreeMap<Kind, Held>,
    // Released with the value.
    _lock: Option<OwnedFd>,
}

#[derive(Debug)]
struct Held {
    table: Table,
    read: Option<Vec<u8>>,
}

impl Databases {
    /// Reads the databases of an `/etc`.
    ///
    /// # Errors
    /// Where one is there but can't be read.
    pub(crate) fn read(etc: &Path) -> Result<Self, Error> {
        Self::of(Root::open(etc)?, None)
    }

    /// Reads them to be changed: nobody else does so meanwhile who asks.
    pub(crate) fn change(etc: &Path) -> Result<Self, Error> {
        let root = Root::open(etc)?;
        let lock = lock(root.folder())?;
        Self::of(root, Some(lock))
    }

    /// The same, for the `/etc` of a root.
    pub(crate) fn change_in(root: &Root) -> Result<Self, Error> {
        let folder = root.make_dir("/etc", Attributes::root(0o755).or_kept())?;
        let lock = lock(&folder)?;
        Self::in_folder(folder, Some(lock))
    }

    fn of(root: Root, lock: Option<OwnedFd>) -> Result<Self, Error> {
        let folder = root.into_folder();
        Self::in_folder(folder, lock)
    }

    fn in_folder(folder: Folder, lock: Option<OwnedFd>) -> Result<Self, Error> {
        let mut tables = BTreeMap::new();
        for kind in Kind::ALL {
            let read = folder.read(kind.file())?;
            let table = Table::parse(kind, read.as_deref().unwrap_or_default());
            tables.insert(kind, Held { table, read });
        }
        Ok(Self {
            folder,
            tables,
            _lock: lock,
        })
    }

    /// Whether the database has a file.
    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.tables
            .get(&kind)
            .is_some_and(|held| held.read.is_some())
    }

    /// A database.
    pub(crate) fn table(&self, kind: Kind) -> &Table {
        // Each kind is put in when the value is made.
        static EMPTY: Table = Table::empty();
        self.tables.get(&kind).map_or(&EMPTY, |held| &held.table)
    }

    /// A database, to change it.
    pub(crate) fn table_mut(&mut self, kind: Kind) -> &mut Table {
        let held = self.tables.entry(kind).or_insert_with(|| Held {
            table: Table::parse(kind, b""),
            read: None,
        });
        &mut held.table
    }

    /// Writes what was changed; tells whether anything was.
    ///
    /// # Errors
    /// Where one can't be written; each file is written whole or not at all.
    pub(crate) fn write(&mut self) -> Result<bool, Error> {
        let shadow_gid = self
            .table(Kind::Group)
            .get(b"shadow")
            .and_then(|row| row.number(group::GID))
            .unwrap_or(0);
        let mut changed = false;
        for kind in Kind::ALL {
            let Some(held) = self.tables.get_mut(&kind) else {
                continue;
            };
            let bytes = held.table.bytes();
            if bytes == held.read.as_deref().unwrap_or_default() {
                continue;
            }
            let gid = if kind.mode() == 0o640 { shadow_gid } else { 0 };
            let attributes = Attributes {
                mode: kind.mode(),
                uid: 0,
                gid,
                keep: true,
            };
            changed |= self.folder.write(kind.file(), &bytes, attributes)?;
            held.read = Some(bytes);
        }
        Ok(changed)
    }
}

/// Takes the lock of shadow's tools, and waits for it.
fn lock(folder: &Folder) -> Result<OwnedFd, Error> {
    let failed = |errno| Error::new("locking", &folder.path().join(LOCK), errno);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd =
        rustix::fs::openat(folder.fd(), LOCK, flags, Mode::from_raw_mode(0o600)).map_err(failed)?;
    rustix::fs::fcntl_lock(&fd, FlockOperation::LockExclusive).map_err(failed)?;
    Ok(fd)
}
