//! The lock of the menu that Kairos's agent writes to a disk.
//!
//! The agent copies `/etc/cos/grub.cfg` of the image to the disk when it installs and
//! when it resets, not when it upgrades; entries of `/etc/kairos/branding/grubmenu.cfg`
//! come to it. So the image's own files are changed, above everything else that is laid
//! over it. What they load from other places they load as before.

use std::sync::Arc;

use isoforge_base::tree::{ReadFile, Tree};

use crate::Error;
use crate::boot::files;
use crate::boot::lock::Lock;
use crate::overlay::OverlayLayer;

/// What progress, errors and the image's history call the layer.
pub const PURPOSE: &str = "lock of the boot menu";

/// The menu that the agent copies.
const MENU: &str = "etc/cos/grub.cfg";

/// Further entries of it.
const MORE: &str = "etc/kairos/branding/grubmenu.cfg";

/// Largest of them that is read, in bytes; real ones have less than 8 KiB.
const MENU_MAX_BYTES: u64 = 1 << 20;

/// The entry that opens the machine to whoever reads its screen.
const REMOTE_RECOVERY: &str = "remoterecovery";

/// The layer over `tree`, or why the disk's menu can't be locked. `epoch` (seconds since
/// 1970) becomes the time of everything in it.
///
/// # Errors
/// Where a file of `tree` can't be read.
pub fn layer(
    tree: &Tree,
    data: &dyn ReadFile,
    lock: &Lock,
    epoch: u32,
) -> Result<Result<OverlayLayer, String>, Error> {
    let text = |path: &str| match files::at(tree, path) {
        Some(file) => files::text(data, &file, MENU_MAX_BYTES).map(|text| Some((file, text))),
        None => Ok(None),
    };
    let Some((menu, script)) = text(MENU)? else {
        return Ok(Err(format!("the image has no /{MENU}")));
    };
    let script = match locked(&script, Some(lock)) {
        Ok(script) => script,
        Err(why) => return Ok(Err(format!("{} {why}", menu.path))),
    };
    let mut layer = OverlayLayer::default();
    layer.is_private = true;
    let mut add = |path: &str, text: String, mode| {
        let path = path.trim_start_matches('/');
        layer.add_file(path, mode, Arc::from(text.into_bytes()))
    };
    add(&menu.path, script, 0o600)?;
    if let Some((more, script)) = text(MORE)? {
        match locked(&script, None) {
            Ok(script) => add(&more.path, script, 0o644)?,
            // Without the option its entries ask for the password.
            Err(why) => return Ok(Err(format!("{} {why}", more.path))),
        }
    }
    layer.set_mtime(i64::from(epoch));
    Ok(Ok(layer))
}

/// The script with the lock before its first entry, behind all variables that it loads,
/// and with its entries free; or why that can't be.
fn locked(script: &str, lock: Option<&Lock>) -> Result<String, String> {
    if script.contains("superusers") {
        return Err("sets superusers itself, and stays as it is".to_owned());
    }
    let mut lock = lock.map(Lock::of_menu);
    let mut out = String::with_capacity(script.len() * 2);
    for line in script.split_inclusive('\n') {
        let words = line.trim();
        let is_entry = |name| words.split_whitespace().next() == Some(name);
        if !is_entry("menuentry") && !is_entry("submenu") {
            out.push_str(line);
            continue;
        }
        let Some(head) = line.trim_end().strip_suffix('{') else {
            return Err(format!("has an entry that is not understood: {words}"));
        };
        if let Some(lock) = lock.take() {
            if line.starts_with(char::is_whitespace) {
                return Err(format!(
                    "has its first entry within something else: {words}"
                ));
            }
            out.push_str(&lock);
        }
        out.push_str(head);
        if id(words) != Some(REMOTE_RECOVERY) && !words.contains("--unrestricted") {
            out.push_str("--unrestricted ");
        }
        out.push_str("{\n");
    }
    match lock {
        Some(_) => Err("has no entries".to_owned()),
        None => Ok(out),
    }
}

/// The id of an entry.
fn id(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    words.find(|word| *word == "--id")?;
    words.next()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use isoforge_base::process::Program;
    use isoforge_base::tree::{Inode, Meta};
    use isoforge_judges::trees::{InMemory, file, tree};

    use super::*;

    /// The form of Kairos's own, written anew: variables, entries, further files.
    const LIKE_KAIROS: &str = "set timeout=10\nload_env -f (hd0,gpt4)/grubenv\n\
        menuentry \"${display_name}\" --id cos {\n  linux (loop0)$kernel\n}\n\n\
        menuentry \"${display_name} recovery\" --id recovery {\n  linux (loop0)$kernel\n}\n\n\
        if [ \"${menu_blk}\" ]; then\n  source \"(${menu_blk})${custom_menu}\"\nfi\n";
    const MORE_TEXT: &str =
        "menuentry \"${display_name} remote recovery\" --id remoterecovery {\n  true\n}\n";

    fn image(files: &[(&str, &str)]) -> Tree {
        let mut tree = tree("etc/");
        for (path, text) in files {
            let inode = Inode {
                meta: Meta::with_mode(0o644),
                kind: file(text.as_bytes()),
            };
            tree.insert(path.as_bytes(), inode).unwrap();
        }
        tree
    }

    fn made(tree: &Tree) -> Result<OverlayLayer, String> {
        let lock = Lock::new("correct horse", "demo");
        layer(tree, &InMemory, &lock, 7).unwrap()
    }

    fn text(layer: &OverlayLayer, path: &str) -> String {
        let data = layer.tree.file(path.as_bytes()).unwrap();
        std::io::read_to_string(layer.open(data).unwrap()).unwrap()
    }

    #[test]
    fn the_lock_stands_behind_what_is_loaded_and_entries_stay_free() {
        let layer = made(&image(&[(MENU, LIKE_KAIROS), (MORE, MORE_TEXT)])).unwrap();
        let menu = text(&layer, MENU);
        let lock = Lock::new("correct horse", "demo").of_menu();
        assert_snapshot!(menu.replace(&lock, "LOCK\n"), @r#"
        set timeout=10
        load_env -f (hd0,gpt4)/grubenv
        LOCK
        menuentry "${display_name}" --id cos --unrestricted {
          linux (loop0)$kernel
        }

        menuentry "${display_name} recovery" --id recovery --unrestricted {
          linux (loop0)$kernel
        }

        if [ "${menu_blk}" ]; then
          source "(${menu_blk})${custom_menu}"
        fi
        "#);
        assert_eq!(text(&layer, MORE), MORE_TEXT);
        assert!(layer.is_private);
        let id = layer.tree.get(MENU.as_bytes()).unwrap();
        assert_eq!(layer.tree.inode(id).meta.mode, 0o600);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("grub.cfg");
        fs_err::write(&path, menu).unwrap();
        let judge = Program::new("grub-script-check", "grub-common");
        judge.arg(&path).output(4096).unwrap();
    }

    #[test]
    fn what_can_not_be_locked_is_told() {
        let why = |script: &str| made(&image(&[(MENU, script)])).unwrap_err();
        assert_snapshot!(made(&image(&[])).unwrap_err(), @"the image has no /etc/cos/grub.cfg");
        assert_snapshot!(why("set superusers=me\nmenuentry a {\n}\n"), @"/etc/cos/grub.cfg sets superusers itself, and stays as it is");
        assert_snapshot!(why("set a=b\n"), @"/etc/cos/grub.cfg has no entries");
        assert_snapshot!(why("if true; then\n  menuentry a {\n  }\nfi\n"), @"/etc/cos/grub.cfg has its first entry within something else: menuentry a {");
        assert_snapshot!(why("menuentry a \\\n  --id b {\n}\n"), @r"/etc/cos/grub.cfg has an entry that is not understood: menuentry a \");
    }
}
