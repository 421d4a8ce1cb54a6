//! Home directories, and the keys that open accounts.

use rustix::fs::{AtFlags, FileType, Gid, Uid};

use super::edit::Account;
use crate::rooted::{Attributes, Error, Folder, Root};

/// What a new home directory starts with.
const SKELETON: &str = "/etc/skel";
/// How deep that may be.
const SKELETON_DEPTH: usize = 16;

/// Makes an account's home directory where it lacks, with what `/etc/skel` has;
/// tells whether it did.
pub(crate) fn make(root: &Root, account: &Account) -> Result<bool, Error> {
    if root.exists(&account.home) {
        return Ok(false);
    }
    let home = root.make_dir(&account.home, owned(account, 0o700))?;
    if let Some(skeleton) = root.dir(SKELETON)? {
        copy(&skeleton, &home, account, SKELETON_DEPTH)?;
    }
    Ok(true)
}

/// Makes sure that keys are among an account's; tells whether one was added.
/// What is there stays. A `.ssh` that is a symlink is refused: the account
/// could let root write elsewhere.
///
/// # Errors
/// [`Error`], also where there is no home directory.
pub(crate) fn authorize(root: &Root, account: &Account, keys: &[String]) -> Result<bool, Error> {
    let missing = || {
        let path = root.outside(&account.home);
        Error::new(
            "opening the home directory",
            &path,
            std::io::ErrorKind::NotFound,
        )
    };
    let home = root.dir(&account.home)?.ok_or_else(missing)?;
    let ssh = home.sub(".ssh", owned(account, 0o700).or_kept())?;
    let there = ssh.read("authorized_keys")?.unwrap_or_default();
    let mut text = there.clone();
    for key in keys {
        let is_there = text
            .split(|byte| *byte == b'\n')
            .any(|line| line.trim_ascii() == key.as_bytes());
        if is_there {
            continue;
        }
        if !text.is_empty() && !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        text.extend_from_slice(key.as_bytes());
        text.push(b'\n');
    }
    if text == there {
        return Ok(false);
    }
    ssh.write("authorized_keys", &text, owned(account, 0o600).or_kept())
}

fn owned(account: &Account, mode: u32) -> Attributes {
    Attributes {
        mode,
        uid: account.uid,
        gid: account.gid,
        keep: false,
    }
}

/// Copies files, directories and symlinks (as such); there is nothing else in a
/// skeleton.
fn copy(from: &Folder, to: &Folder, account: &Account, depth: usize) -> Result<(), Error> {
    for name in from.names()? {
        let Some(stat) = from.stat(&name)? else {
            continue;
        };
        let mode = stat.st_mode & 0o777;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let bytes = from.read(&name)?.unwrap_or_default();
                to.write(&name, &bytes, owned(account, mode))?;
            }
            FileType::Directory if depth > 0 => {
                // Without giving the source another owner or mode.
                let below = from.sub(&name, Attributes::root(mode).or_kept())?;
                let copy_of = to.sub(&name, owned(account, mode))?;
                copy(&below, &copy_of, account, depth - 1)?;
            }
            FileType::Symlink => link(from, to, &name, account)?,
            _ => {}
        }
    }
    Ok(())
}

fn link(from: &Folder, to: &Folder, name: &str, account: &Account) -> Result<(), Error> {
    let copied = rustix::fs::readlinkat(from.fd(), name, Vec::new()).and_then(|target| {
        rustix::fs::symlinkat(target, to.fd(), name)?;
        if !to.gives_owners() {
            return Ok(());
        }
        let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
        rustix::fs::chownat(
            to.fd(),
            name,
            Some(uid),
            Some(gid),
            AtFlags::SYMLINK_NOFOLLOW,
        )
    });
    copied.map_err(|errno| Error::new("copying", &from.path().join(name), errno))
}
