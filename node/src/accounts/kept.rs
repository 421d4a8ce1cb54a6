//! What is kept of a machine's accounts, and how it is written: a directory of
//! the same databases, holding only the lines that the slot does not have. It
//! is replaced as a whole, so that no power cut leaves an account without its
//! password.

use std::path::Path;

use anyhow::{Result, bail};
use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

use super::database::Databases;
use super::merge::{self, Merged};
use super::table::{Kind, Table};
use crate::rooted::{Attributes, Error, Folder, Root};

/// What counts.
const CURRENT: &str = "current";
/// What is being written.
const NEXT: &str = "next";
/// In an `/etc` that starts from the slot at every boot: what was kept is in it.
const RESTORED: &str = ".appliance-accounts";

/// Merges kept accounts into the databases of `etc`, by name. `merge` has the
/// rules. Nothing kept is no error. Only then [`save`] works: where this failed,
/// accounts are missing that nobody removed.
///
/// # Errors
/// Where a database can't be read or written.
pub(crate) fn restore(etc: &Path, kept: &Path) -> Result<Merged> {
    let current = kept.join(CURRENT);
    let mut merged = Merged::default();
    if fs_err::exists(&current)? {
        let kept = Databases::read(&current)?;
        let mut slot = Databases::change(etc)?;
        merged = merge::merge(&mut slot, &kept)?;
        merged.changed = slot.write()?;
    }
    let folder = Root::open(etc)?.into_folder();
    folder.write(RESTORED, b"", Attributes::root(0o600))?;
    Ok(merged)
}

/// Keeps what the databases of `etc` have beyond those of the slot; tells
/// whether that changed.
///
/// # Errors
/// Where `etc` can't be what it should: what is kept stays.
pub(crate) fn save(etc: &Path, slot_etc: &Path, kept: &Path) -> Result<bool> {
    if Root::open(etc)?.folder().stat(RESTORED)?.is_none() {
        bail!("what was kept of the accounts is not in /etc; it stays as it is");
    }
    let machine = Databases::change(etc)?;
    if machine.table(Kind::Passwd).get(b"root").is_none() {
        bail!(
            "'{}' has no account 'root'; it is taken for damaged and not kept",
            etc.join("passwd").display()
        );
    }
    let slot = Databases::read(slot_etc)?;
    fs_err::create_dir_all(kept)
        .map_err(|error| Error::new("making the directory", kept, error))?;
    let folder = Root::open(kept)?.into_folder();
    let files: Vec<(Kind, Vec<u8>)> = Kind::ALL
        .into_iter()
        .map(|kind| (kind, beyond(machine.table(kind), slot.table(kind), kind)))
        .collect();
    if is_current(&folder, &files)? {
        return Ok(false);
    }
    clear(&folder, NEXT)?;
    let next = folder.sub(NEXT, Attributes::root(0o700))?;
    for (kind, bytes) in &files {
        next.write(kind.file(), bytes, Attributes::root(0o600))?;
    }
    exchange(&folder)?;
    clear(&folder, NEXT)?;
    Ok(true)
}

/// The machine's lines that the slot does not have.
fn beyond(machine: &Table, slot: &Table, kind: Kind) -> Vec<u8> {
    let known: std::collections::BTreeSet<Vec<u8>> =
        slot.rows().map(|row| row.fields().join(&b':')).collect();
    let mut kept = Table::parse(kind, b"");
    for row in machine.rows() {
        if !known.contains(&row.fields().join(&b':')) {
            kept.push(row.fields());
        }
    }
    kept.bytes()
}

fn is_current(folder: &Folder, files: &[(Kind, Vec<u8>)]) -> Result<bool, Error> {
    if folder.stat(CURRENT)?.is_none() {
        return Ok(false);
    }
    let current = folder.sub(CURRENT, Attributes::root(0o700).or_kept())?;
    for (kind, bytes) in files {
        if current.read(kind.file())?.as_ref() != Some(bytes) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Puts what was written in the place of what counted, in one step.
fn exchange(folder: &Folder) -> Result<(), Error> {
    let rename = |flags| rustix::fs::renameat_with(folder.fd(), NEXT, folder.fd(), CURRENT, flags);
    let renamed = match rename(RenameFlags::EXCHANGE) {
        Err(Errno::NOENT) => rename(RenameFlags::NOREPLACE),
        other => other,
    };
    renamed
        .and_then(|()| rustix::fs::fsync(folder.fd()))
        .map_err(|errno| Error::new("replacing", &folder.path().join(CURRENT), errno))
}

/// Removes a directory of databases; none is no error.
fn clear(folder: &Folder, name: &str) -> Result<(), Error> {
    if folder.stat(name)?.is_none() {
        return Ok(());
    }
    let old = folder.sub(name, Attributes::root(0o700).or_kept())?;
    for file in old.names()? {
        old.remove(&file)?;
    }
    rustix::fs::unlinkat(folder.fd(), name, AtFlags::REMOVEDIR)
        .map_err(|errno| Error::new("removing", old.path(), errno))
}
