mod databases;
mod homes;
mod keeping;

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use super::database::Databases;
use super::edit::{Account, NewAccount};
use super::table::{Kind, Table};
use super::*;
use crate::rooted::Root;
use isoforge_base::process::Program;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
sys:x:998:998::/:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
";
const SHADOW: &str = "root:*:19000:0:99999:7:::
daemon:*:19000:0:99999:7:::
sys:!*:19000::::::
nobody:*:19000:0:99999:7:::
";
const GROUP: &str = "root:x:0:
daemon:x:1:
sudo:x:27:
shadow:x:42:
sys:x:998:
nogroup:x:65534:
";
const GSHADOW: &str = "root:*::
daemon:*::
sudo:*::
shadow:*::
sys:!*::
nogroup:*::
";

/// An `/etc` as an image has it.
fn etc() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("passwd", PASSWD),
        ("shadow", SHADOW),
        ("group", GROUP),
        ("gshadow", GSHADOW),
        ("subuid", ""),
        ("subgid", ""),
    ] {
        fs_err::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn text(dir: &Path, name: &str) -> String {
    String::from_utf8_lossy(&fs_err::read(dir.join(name)).unwrap()).into_owned()
}

fn line(dir: &Path, name: &str, account: &str) -> String {
    let text = text(dir, name);
    let mut lines = text
        .lines()
        .filter(|l| l.split(':').next() == Some(account));
    let line = lines.next().unwrap_or("-").to_owned();
    assert_eq!(lines.next(), None, "{account} twice in {name}");
    line
}

fn append(dir: &Path, name: &str, lines: &str) {
    fs_err::write(dir.join(name), text(dir, name) + lines).unwrap();
}

fn edited(dir: &Path, edit: impl FnOnce(&mut Databases)) {
    let mut databases = Databases::change(dir).unwrap();
    edit(&mut databases);
    databases.write().unwrap();
}

fn person(name: &str) -> NewAccount {
    NewAccount {
        name: name.to_owned(),
        ..NewAccount::default()
    }
}

/// What shadow's own tools object to in a root with this `/etc`, but for
/// directories and programs, which it does not have.
fn objections(etc: &Path) -> Vec<String> {
    let root = tempfile::tempdir().unwrap();
    let copy = root.path().join("etc");
    fs_err::create_dir(&copy).unwrap();
    for kind in Kind::ALL {
        fs_err::copy(etc.join(kind.file()), copy.join(kind.file())).unwrap();
    }
    let mut all = Vec::new();
    for program in ["pwck", "grpck"] {
        // Changing the root needs the rights of the superuser, or their like.
        let script =
            "id=$(id -u); test $id = 0 || set -- unshare --map-root-user \"$@\"; \"$@\" 2>&1; true";
        let out = Program::new("sh", "dash")
            .args(["-c", script, "sh", program, "-r", "-R"])
            .arg(root.path())
            .output(100_000)
            .unwrap();
        let out = String::from_utf8(out).unwrap();
        let real = |line: &&str| {
            !line.ends_with("does not exist") && !line.ends_with("no changes") && !line.is_empty()
        };
        all.extend(out.lines().filter(real).map(str::to_owned));
    }
    all
}
