//! The same archives and layers given to foreign tools, and what they leave on
//! a disk compared with our tree.
#![allow(clippy::disallowed_methods)]

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use super::*;
use isoforge_base::digest::Digest;

/// Runs a tool and gives its output; `package` is what has it in Debian.
fn run(package: &str, command: &mut Command) -> String {
    let output = command
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}; install the Debian package '{package}'"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Beside the test program: unlike `/tmp`, surely a file system with extended
/// attributes.
fn scratch_dir() -> tempfile::TempDir {
    let program = std::env::current_exe().unwrap();
    tempfile::tempdir_in(program.parent().unwrap()).unwrap()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A directory on disk in the form of [`listing`]; times of directories are
/// left out, since writing into them changes them.
fn disk_listing(root: &Path) -> String {
    let mut out = String::new();
    let mut first = std::collections::BTreeMap::new();
    let mut walk: Vec<_> = walkdir::WalkDir::new(root)
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .map(|path| {
            (
                path.strip_prefix(root)
                    .unwrap()
                    .as_os_str()
                    .as_bytes()
                    .to_vec(),
                path,
            )
        })
        .collect();
    walk.sort_by(|(a, _), (b, _)| a.split(|&c| c == b'/').cmp(b.split(|&c| c == b'/')));
    for (name, path) in walk {
        let meta = fs_err::symlink_metadata(&path).unwrap();
        let kind = meta.file_type();
        let (letter, what) = if kind.is_dir() {
            ('d', String::new())
        } else if kind.is_symlink() {
            let target = fs_err::read_link(&path).unwrap();
            (
                'l',
                format!("-> {}", target.as_os_str().as_bytes().escape_ascii()),
            )
        } else if kind.is_fifo() {
            ('p', String::new())
        } else if kind.is_char_device() {
            let device = meta.rdev();
            (
                'c',
                format!(
                    "{},{}",
                    rustix::fs::major(device),
                    rustix::fs::minor(device)
                ),
            )
        } else {
            let bytes = fs_err::read(&path).unwrap();
            (
                '-',
                format!(
                    "{} bytes {}",
                    bytes.len(),
                    bytes[..bytes.len().min(64)].escape_ascii()
                ),
            )
        };
        let mtime = if kind.is_dir() { 0 } else { meta.mtime() };
        let mode = if kind.is_symlink() {
            0o777
        } else {
            meta.mode() & 0o7777
        };
        let same = first.entry(meta.ino()).or_insert_with(|| name.clone());
        let link = if *same == name {
            String::new()
        } else {
            format!(" = {}", display(same))
        };
        let _ = write!(
            out,
            "{letter}{mode:04o} {}:{} {mtime} /{} {what}{link}",
            meta.uid(),
            meta.gid(),
            name.escape_ascii(),
        );
        let mut value = [0; 256];
        if !kind.is_symlink()
            && let Ok(length) = rustix::fs::lgetxattr(&path, "user.test", &mut value)
        {
            let _ = write!(out, " user.test={}", value[..length].escape_ascii());
        }
        out.push('\n');
    }
    out
}

/// [`listing`] with what a disk can't keep taken out.
fn comparable(mut tree: Tree, files: &Files) -> String {
    let walk: Vec<_> = tree.walk().collect();
    for (_, id) in walk {
        let kind = tree.inode(id).kind.clone();
        let meta = tree.meta_mut(id);
        match kind {
            Kind::Directory(_) => meta.mtime = 0,
            Kind::Symlink(_) => meta.mode = 0o777,
            _ => {}
        }
    }
    listing(&tree, files)
}

fn set_mode(path: &Path, mode: u32) {
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Files, links and names of every kind that the host lets us make.
fn make_tree(root: &Path) {
    let long = "n".repeat(200);
    let write = |name: &str, data: &[u8]| fs_err::write(root.join(name), data).unwrap();
    fs_err::create_dir_all(root.join("d/e")).unwrap();
    fs_err::create_dir(root.join(&long)).unwrap();
    write(&format!("{long}/{long}"), b"long name");
    write("d/plain", &[b'x'; 1500]);
    write("empty", b"");
    fs_err::hard_link(root.join("d/plain"), root.join("d/e/linked")).unwrap();
    symlink("../d/plain", root.join("d/e/symlink")).unwrap();
    symlink(format!("/{long}/{long}"), root.join("long-target")).unwrap();
    write("setuid", b"#!");
    set_mode(&root.join("setuid"), 0o4711);
    fs_err::write(root.join(std::ffi::OsStr::from_bytes(b"\xff\xfe")), b"odd").unwrap();
    let sparse = fs_err::File::create(root.join("sparse")).unwrap();
    sparse.set_len(40 << 20).unwrap();
    for at in [3_u64 << 20, 17 << 20, (40 << 20) - 5] {
        std::os::unix::fs::FileExt::write_all_at(sparse.file(), b"data", at).unwrap();
    }
    rustix::fs::lsetxattr(
        root.join("d/plain"),
        "user.test",
        b"a\nb\0=",
        rustix::fs::XattrFlags::empty(),
    )
    .unwrap();
    run("coreutils", Command::new("mkfifo").arg(root.join("fifo")));
    if is_root() {
        run(
            "coreutils",
            Command::new("mknod")
                .arg(root.join("null"))
                .args(["c", "1", "3"]),
        );
        run(
            "coreutils",
            Command::new("chown")
                .arg("-h")
                .arg("1234:3000000000")
                .arg(root.join("empty")),
        );
    }
    run(
        "coreutils",
        Command::new("touch")
            .args(["-h", "-d", "1965-03-01T00:00:00.5Z"])
            .arg(root.join("empty")),
    );
}

#[test]
fn archives_of_gnu_tar_read_as_what_was_archived() {
    let dir = scratch_dir();
    let root = dir.path().join("root");
    fs_err::create_dir(&root).unwrap();
    make_tree(&root);
    let expected = disk_listing(&root);
    for options in [
        &["--format=posix", "--sparse", "--sparse-version=1.0"][..],
        &["--format=posix", "--sparse", "--sparse-version=0.1"],
        &["--format=posix", "--sparse", "--sparse-version=0.0"],
        &["--format=posix"],
        &["--format=gnu", "--sparse"],
        &["--format=gnu"],
    ] {
        let archive = dir.path().join("a.tar");
        let mut command = Command::new("tar");
        command
            .args(options)
            .args(["--numeric-owner", "-C"])
            .arg(&root)
            .arg("-cf")
            .arg(&archive);
        if options[0] == "--format=posix" {
            command.args(["--xattrs", "--xattrs-include=*"]);
        }
        run("tar", command.arg("."));
        let tar = fs_err::read(&archive).unwrap();
        let (tree, files) = merged(&[tar]).unwrap();
        let mut found = comparable(tree, &files);
        let mut wanted = expected.clone();
        if options[0] == "--format=gnu" {
            // The format has neither xattrs nor fractions of seconds, and GNU
            // tar does not round times down there.
            wanted = wanted.replace(r" user.test=a\nb\x00=", "");
            let round = |text: String| text.replace("-152668800", "T").replace("-152668799", "T");
            (found, wanted) = (round(found), round(wanted));
        }
        assert_eq!(found, wanted, "{options:?}");
    }
}

/// An OCI layout with one image of these layers.
fn write_layout(dir: &Path, layers: &[Vec<u8>]) {
    let blobs = dir.join("blobs/sha256");
    fs_err::create_dir_all(&blobs).unwrap();
    let put = |media: &str, bytes: &[u8]| {
        let digest = Digest::of(bytes);
        fs_err::write(blobs.join(digest.hex()), bytes).unwrap();
        serde_json::json!({"mediaType": media, "digest": digest.to_string(), "size": bytes.len()})
    };
    let descriptors: Vec<_> = layers
        .iter()
        .map(|tar| put("application/vnd.oci.image.layer.v1.tar", tar))
        .collect();
    let diff_ids: Vec<_> = layers
        .iter()
        .map(|tar| Digest::of(tar).to_string())
        .collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config = put(
        "application/vnd.oci.image.config.v1+json",
        config.to_string().as_bytes(),
    );
    let manifest = serde_json::json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": descriptors});
    let mut manifest = put(
        "application/vnd.oci.image.manifest.v1+json",
        manifest.to_string().as_bytes(),
    );
    manifest["annotations"] = serde_json::json!({"org.opencontainers.image.ref.name": "t"});
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [manifest]});
    fs_err::write(dir.join("index.json"), index.to_string()).unwrap();
    fs_err::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

#[test]
fn layers_merge_as_umoci_unpacks_them() {
    let base = || Archive::default().dir("./");
    let images: [&[Archive]; 6] = [
        &[
            base()
                .dir("usr")
                .dir("usr/lib")
                .file("usr/lib/a", "1")
                .symlink("lib", "usr/lib")
                .symlink("abs", "/usr/lib"),
            Archive::default()
                .file("lib/b", "2")
                .file("abs/c", "3")
                .hardlink("usr/d", "lib/a"),
        ],
        &[
            base()
                .dir("d")
                .file("d/a", "1")
                .file("d/b", "2")
                .dir("d/s")
                .file("d/s/x", "3")
                .file("e", "4"),
            Archive::default()
                .file("d/.wh.a", "")
                .file("d/s/.wh..wh..opq", "")
                .file("d/s/new", "5"),
            Archive::default().file(".wh.e", "").file("d/s/.wh.new", ""),
        ],
        &[
            base()
                .dir("d")
                .file("d/x", "1")
                .file("f", "2")
                .symlink("s", "d"),
            Archive::default()
                .file("d", "now a file")
                .dir("f")
                .file("f/y", "now a directory")
                .dir("s")
                .file("s/z", "no link any more"),
        ],
        &[
            base().file("a", "1").hardlink("b", "a").hardlink("c", "b"),
            Archive::default().file("a", "new").file(".wh.b", ""),
        ],
        &[
            base()
                .pax(&[("SCHILY.xattr.user.test", b"v\n1"), ("mtime", b"99.9")])
                .file("x", "1")
                .dir("t"),
            Archive::default()
                .pax(&[("path", b"t/renamed")])
                .file("y", "2")
                .dir("t"),
        ],
        &[base()
            .pax(&[("LIBARCHIVE.xattr.user.test", b"not base64!")])
            .file("x", "1")],
    ];
    let scratch = scratch_dir();
    for (at, archives) in images.iter().enumerate() {
        let layers: Vec<_> = archives.iter().map(|a| a.clone().end()).collect();
        let dir = scratch.path().join(at.to_string());
        write_layout(&dir.join("image"), &layers);
        let mut command = Command::new("umoci");
        command.arg("raw").arg("unpack");
        if !is_root() {
            command.arg("--rootless");
        }
        let image = format!("{}:t", dir.join("image").display());
        run(
            "umoci",
            command.args(["--image", &image]).arg(dir.join("root")),
        );
        let (tree, files) = merged(&layers).unwrap();
        let mut found = comparable(tree, &files);
        let mut wanted = disk_listing(&dir.join("root"));
        if !is_root() {
            let me = format!(
                " {}:{} ",
                rustix::process::geteuid().as_raw(),
                rustix::process::getegid().as_raw()
            );
            (found, wanted) = (found.replace(" 0:0 ", " "), wanted.replace(&me, " "));
        }
        assert_eq!(found, wanted, "image {at}");
    }
}

#[test]
fn a_hard_link_before_its_target_is_none_for_umoci_either() {
    let layer = Archive::default()
        .hardlink("link", "file")
        .file("file", "1");
    let layer = layer.end();
    let scratch = scratch_dir();
    write_layout(&scratch.path().join("image"), std::slice::from_ref(&layer));
    let mut command = Command::new("umoci");
    command.args(["raw", "unpack"]);
    if !is_root() {
        command.arg("--rootless");
    }
    let image = format!("{}:t", scratch.path().join("image").display());
    command
        .args(["--image", &image])
        .arg(scratch.path().join("root"));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("unpack entry: link"),
        "{said}"
    );
    let error = merged(&[layer]).map(|_| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "hard link 'link' leads to 'file', which does not exist"
    );
}
