//! What makes a machine this one: its machine-id and SSH host keys. They are
//! made on it, once, and kept on PERSISTENT.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::files;

/// Within identity: the machine-id.
const MACHINE_ID: &str = "machine-id";

/// Within identity: the host keys.
const SSH: &str = "ssh";

/// Mode of `/etc/machine-id`.
const MACHINE_ID_MODE: u32 = 0o444;

/// Modes of a host key and of its public half.
const PRIVATE_MODE: u32 = 0o600;
const PUBLIC_MODE: u32 = 0o644;

/// The machine-id that `identity` keeps, made now if it is the first boot.
pub(crate) fn machine_id(identity: &Path) -> Result<String> {
    let path = identity.join(MACHINE_ID);
    let kept = files::read(&path)?.and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some(id) = kept
        .as_deref()
        .map(str::trim)
        .filter(|id| is_machine_id(id))
    {
        return Ok(id.to_owned());
    }
    // machine-id(5) wants a version 4 UUID without dashes.
    let id = uuid::Uuid::new_v4().simple().to_string();
    files::write(&path, format!("{id}\n").as_bytes(), MACHINE_ID_MODE)?;
    Ok(id)
}

/// Writes `/etc/machine-id`.
pub(crate) fn write_machine_id(etc: &Path, id: &str) -> Result<()> {
    Ok(files::write(
        &etc.join(MACHINE_ID),
        format!("{id}\n").as_bytes(),
        MACHINE_ID_MODE,
    )?)
}

/// Copies the host keys that `identity` keeps to `etc`/ssh.
pub(crate) fn restore_host_keys(identity: &Path, etc: &Path) -> Result<()> {
    let keys = host_keys(&identity.join(SSH))?;
    let ssh = etc.join("ssh");
    if !keys.is_empty() {
        fs_err::create_dir_all(&ssh)?;
    }
    for key in &keys {
        transfer(key, &ssh)?;
    }
    Ok(())
}

/// Keeps the host keys of `etc`/ssh in `identity`.
pub(crate) fn save_host_keys(etc: &Path, identity: &Path) -> Result<()> {
    let kept = identity.join(SSH);
    files::directory(identity, 0o700)?;
    files::directory(&kept, 0o700)?;
    for key in host_keys(&etc.join("ssh"))? {
        transfer(&key, &kept)?;
    }
    Ok(files::sync_directory(identity)?)
}

/// Copies a key pair where it differs. The private key comes last: it is what
/// makes `ssh-keygen -A` and [`host_keys`] take the pair for whole.
fn transfer(key: &Path, folder: &Path) -> Result<()> {
    let Some(name) = key.file_name() else {
        return Ok(());
    };
    let public = public_half(key);
    if let (Some(bytes), Some(name)) = (files::read(&public)?, public.file_name()) {
        update(&folder.join(name), &bytes, PUBLIC_MODE)?;
    }
    update(&folder.join(name), &fs_err::read(key)?, PRIVATE_MODE)
}

fn update(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    if files::read(path)?.as_deref() == Some(bytes) {
        return Ok(());
    }
    Ok(files::write(path, bytes, mode)?)
}

/// The private host keys in a folder, sorted; empty files are none.
fn host_keys(folder: &Path) -> Result<Vec<PathBuf>> {
    let Some(entries) = files::if_there(fs_err::read_dir(folder))? else {
        return Ok(Vec::new());
    };
    let mut keys = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let metadata = fs_err::symlink_metadata(entry.path())?;
        if name.starts_with("ssh_host_")
            && name.ends_with("_key")
            && metadata.is_file()
            && metadata.len() > 0
        {
            keys.push(entry.path());
        }
    }
    keys.sort();
    Ok(keys)
}

fn public_half(key: &Path) -> PathBuf {
    let mut name = key.file_name().map(OsStr::to_owned).unwrap_or_default();
    name.push(".pub");
    key.with_file_name(name)
}

fn is_machine_id(text: &str) -> bool {
    text.len() == 32
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && text.bytes().any(|byte| byte != b'0')
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs_err::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_machine_id_is_made_once() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let id = machine_id(dir.path()).unwrap();
        assert!(is_machine_id(&id), "{id}");
        assert_eq!(id.as_bytes()[12], b'4');
        assert_eq!(machine_id(dir.path()).unwrap(), id);
        assert_ne!(machine_id(other.path()).unwrap(), id);
        write_machine_id(other.path(), &id).unwrap();
        let path = other.path().join("machine-id");
        assert_eq!(fs_err::read_to_string(&path).unwrap(), format!("{id}\n"));
        assert_eq!(mode(&path), 0o444);
    }

    #[test]
    fn what_is_no_machine_id_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "uninitialized\n", "00000000000000000000000000000000\n"] {
            fs_err::write(dir.path().join("new"), text).unwrap();
            fs_err::rename(dir.path().join("new"), dir.path().join("machine-id")).unwrap();
            assert!(is_machine_id(&machine_id(dir.path()).unwrap()));
        }
    }

    #[test]
    fn host_keys_come_back_with_their_modes() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        fs_err::create_dir_all(at("one/ssh")).unwrap();
        fs_err::create_dir_all(at("two")).unwrap();
        for (name, text) in [
            ("ssh_host_ed25519_key", "private"),
            ("ssh_host_ed25519_key.pub", "public"),
            ("ssh_host_rsa_key", ""),
            ("ssh_host_ecdsa_key.pub", "half of a pair"),
            ("sshd_config", "not ours"),
        ] {
            let path = at("one/ssh").join(name);
            fs_err::write(&path, text).unwrap();
            fs_err::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        }
        save_host_keys(&at("one"), &at("identity")).unwrap();
        restore_host_keys(&at("identity"), &at("two")).unwrap();
        let mut names: Vec<_> = fs_err::read_dir(at("two/ssh"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"]);
        assert_eq!(mode(&at("two/ssh/ssh_host_ed25519_key")), 0o600);
        assert_eq!(mode(&at("two/ssh/ssh_host_ed25519_key.pub")), 0o644);
        assert_eq!(mode(&at("identity")), 0o700);
        assert_eq!(mode(&at("identity/ssh")), 0o700);
    }

    /// A new key of the machine is kept; without any, nothing is made in /etc.
    #[test]
    fn changed_keys_are_kept_and_none_are_no_folder() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        fs_err::create_dir_all(at("etc/ssh")).unwrap();
        restore_host_keys(&at("identity"), &at("other")).unwrap();
        assert!(!at("other").exists());
        for text in ["one", "two"] {
            fs_err::write(at("etc/ssh/ssh_host_rsa_key"), text).unwrap();
            save_host_keys(&at("etc"), &at("identity")).unwrap();
            let kept = fs_err::read_to_string(at("identity/ssh/ssh_host_rsa_key")).unwrap();
            assert_eq!(kept, text);
        }
    }
}
