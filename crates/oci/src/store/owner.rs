//! Whether a store is its user's alone.
//!
//! What a build made of layers, and what it found out about them, is believed the next
//! time because nobody else can write here. So a store that others can write is refused:
//! who can plant a slab decides what is on the next ISO.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::{getegid, geteuid};

use super::{FOLDERS, Result};
use crate::Error;
use isoforge_base::error::Class;

const ROOT: u32 = 0;
const GROUP_WRITE: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;

/// Who runs this.
#[derive(Debug, Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

/// Checks the store at `root`, whose version folder is `base`; all its folders are there.
pub(super) fn check(root: &Path, base: &Path) -> Result<()> {
    let user = User {
        uid: geteuid().as_raw(),
        gid: getegid().as_raw(),
    };
    let below = FOLDERS.iter().map(|folder| base.join(folder));
    for folder in std::iter::once(root.to_owned()).chain(below) {
        if let Some(who) = others(&fs_err::metadata(&folder)?, user) {
            let folder = folder.display();
            let problem = format!("{folder} {who}: nothing that is in the store could be believed");
            let root = root.display();
            let hint = format!(
                "name a folder of your own with --cache-dir, such as a new one below it; or make \
                 it yours alone with chown and chmod -R go-w, and prove what it holds with \
                 `isoforge cache verify --deep --repair --cache-dir {root}`"
            );
            return Err(Error::new(Class::Environment, problem).with_hint(hint));
        }
    }
    Ok(())
}

/// Who else can write a folder, in words.
fn others(folder: &Metadata, user: User) -> Option<String> {
    who(folder.uid(), folder.gid(), folder.mode(), user)
}

fn who(owner: u32, group: u32, mode: u32, user: User) -> Option<String> {
    if owner != user.uid && owner != ROOT {
        return Some(format!("belongs to another account (uid {owner})"));
    }
    if mode & OTHERS_WRITE != 0 {
        return Some("can be written by every account".to_owned());
    }
    // A group of the user's number is theirs alone: where each user has one, the umask
    // lets it write.
    let is_private = group == user.gid && user.gid == user.uid;
    (mode & GROUP_WRITE != 0 && !is_private)
        .then(|| format!("can be written by a group (gid {group})"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::store::Store;
    use isoforge_base::error::Diagnose as _;

    #[test]
    fn a_folder_is_its_users_its_private_groups_or_roots() {
        let user = User {
            uid: 1000,
            gid: 1000,
        };
        for (owner, group, mode) in [
            (1000, 1000, 0o755),
            (1000, 1000, 0o775),
            (1000, 50, 0o755),
            (0, 0, 0o755),
            (0, 1000, 0o2775),
        ] {
            assert_eq!(who(owner, group, mode, user), None, "{owner} {mode:o}");
        }
        for (owner, group, mode) in [
            (1001, 1000, 0o755),
            (1000, 1000, 0o777),
            (1000, 50, 0o775),
            (0, 0, 0o1777),
        ] {
            assert!(who(owner, group, mode, user).is_some(), "{owner} {mode:o}");
        }
        // Root in a container, on a folder of the host's user.
        let root = User { uid: 0, gid: 0 };
        assert!(who(1000, 1000, 0o755, root).is_some());
        assert_eq!(who(0, 0, 0o755, root), None);
    }

    #[test]
    fn a_store_that_others_can_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("new/store");
        drop(Store::open(&root).unwrap());
        assert_eq!(fs_err::metadata(&root).unwrap().mode() & 0o022, 0);
        for shared in [root.clone(), root.join("v1/slabs"), root.join("v1/tmp")] {
            let mode = |mode| {
                let mode = std::fs::Permissions::from_mode(mode);
                fs_err::set_permissions(&shared, mode).unwrap();
            };
            mode(0o777);
            let error = Store::open(&root).unwrap_err();
            assert_eq!(error.class(), Class::Environment);
            let text = error.to_string();
            assert!(text.starts_with(&shared.display().to_string()), "{text}");
            assert!(error.hint().unwrap().contains("--cache-dir"));
            mode(0o755);
            drop(Store::open(&root).unwrap());
        }
    }
}
