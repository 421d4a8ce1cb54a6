use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::*;
use crate::layer::apply;
use crate::layer::tests::{Archive, Files, listing, merged, read};
use isoforge_base::error::{Class, Diagnose as _, Failure};
use isoforge_formats::tar::Limits;

struct Fixture {
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(dir.path().join("overlays/mine")).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join("overlays/mine").join(name)
    }

    fn file(self, name: &str, text: &str, mode: u32) -> Self {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, text).unwrap();
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    fn manifest(self, text: &str) -> Self {
        fs_err::write(self.dir.path().join("overlays/mine.toml"), text).unwrap();
        self
    }

    fn load(&self, dir: &str) -> Result<OverlayLayer, Error> {
        load_from(self.dir.path(), dir)
    }

    fn error(&self) -> Error {
        let error = self.load("overlays/mine").unwrap_err();
        assert_eq!(error.class(), Class::Profile, "{error}");
        error
    }
}

fn load_from(project: &Path, dir: &str) -> Result<OverlayLayer, Error> {
    let source = Source::Disk(project.join(dir.trim_end_matches('/')));
    load(&source, dir, &fill, 1_700_000_000)
}

/// Knows one variable.
fn fill(name: &str, text: &str) -> Result<String, Failure> {
    match text.contains("nope") {
        true => {
            let message = format!("{name}: what is 'nope'?");
            Err(Failure::new(Class::Profile, message))
        }
        false => Ok(text.replace("{{ appliance.name }}", "edge")),
    }
}

fn names(tar: &[u8]) -> Vec<String> {
    tar::Archive::new(tar)
        .entries()
        .unwrap()
        .map(|e| String::from_utf8_lossy(&e.unwrap().path_bytes()).into_owned())
        .collect()
}

#[test]
fn owners_modes_and_times_are_not_the_hosts() {
    let fixture = Fixture::new()
        .file("etc/a", "plain", 0o600)
        .file("usr/bin/tool", "#!", 0o700)
        .file("etc/hello.tera", "{{ appliance.name }}\n", 0o666)
        .file("etc/run.sh.tera", "x", 0o755);
    fs_err::create_dir(fixture.path("empty")).unwrap();
    symlink("/etc/shadow", fixture.path("etc/outside")).unwrap();
    symlink("nowhere", fixture.path("etc/dangling")).unwrap();
    let overlay = fixture.load("overlays/mine/").unwrap();
    insta::assert_snapshot!(listing(&overlay.tree, &overlay), @r#"
    d0755 0:0 1700000000 / 
    d0755 0:0 1700000000 /empty 
    d0755 0:0 1700000000 /etc 
    -0644 0:0 1700000000 /etc/a 5 bytes plain
    l0777 0:0 1700000000 /etc/dangling -> nowhere
    -0644 0:0 1700000000 /etc/hello 5 bytes edge\n
    l0777 0:0 1700000000 /etc/outside -> /etc/shadow
    -0755 0:0 1700000000 /etc/run.sh 1 bytes x
    d0755 0:0 1700000000 /usr 
    d0755 0:0 1700000000 /usr/bin 
    -0755 0:0 1700000000 /usr/bin/tool 2 bytes #!
    "#);
}

#[test]
fn the_manifest_says_what_files_can_not() {
    let fixture = Fixture::new()
        .file("etc/sudoers.d/ops", "ops ALL=(ALL) ALL", 0o644)
        .file("usr/bin/ping", "x", 0o755)
        .file("usr/bin/other", "x", 0o755)
        .manifest(
            r#"
delete = ["/etc/ssh/ssh_host_*", "opt"]
[[attributes]]
paths = ["usr/bin/*"]
owner = "0:7"
[[attributes]]
paths = ["usr/bin/ping"]
mode = "4755"
xattrs = { "security.capability" = { base64 = "AQAAAgAgAAAAAAAAAAAAAAAAAAA=" }, "user.note" = "text" }
[[attributes]]
paths = ["etc/sudoers.d/**", "etc/sudoers.d"]
mode = "0o440"
[[directories]]
path = "/var/lib/thing"
mode = "0700"
owner = "100:101"
[[links]]
path = "etc/localtime"
target = "/usr/share/zoneinfo/UTC"
"#,
        );
    let overlay = fixture.load("overlays/mine").unwrap();
    insta::assert_snapshot!(listing(&overlay.tree, &overlay), @r#"
    d0755 0:0 1700000000 / 
    d0755 0:0 1700000000 /etc 
    l0777 0:0 1700000000 /etc/localtime -> /usr/share/zoneinfo/UTC
    d0440 0:0 1700000000 /etc/sudoers.d 
    -0440 0:0 1700000000 /etc/sudoers.d/ops 17 bytes ops ALL=(ALL) ALL
    d0755 0:0 1700000000 /usr 
    d0755 0:0 1700000000 /usr/bin 
    -0755 0:7 1700000000 /usr/bin/other 1 bytes x
    -4755 0:7 1700000000 /usr/bin/ping 1 bytes x security.capability=\x01\x00\x00\x02\x00 \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00 user.note=text
    d0755 0:0 1700000000 /var 
    d0755 0:0 1700000000 /var/lib 
    d0700 100:101 1700000000 /var/lib/thing
    "#);
}

#[test]
fn as_a_layer_it_hides_what_it_deletes_and_keeps_what_it_does_not_speak_of() {
    let base = Archive::default()
        .dir("usr/lib")
        .symlink("lib", "usr/lib")
        .file("etc/ssh/ssh_host_rsa_key", "baked")
        .file("etc/ssh/sshd_config", "kept")
        .file("opt/a/b", "gone")
        .file("etc/machine-id", "baked")
        .member(b'5', b"root", b"", b"")
        .end();
    let (mut tree, mut files) = merged(&[base]).unwrap();
    let root = tree.get(b"root").unwrap();
    tree.meta_mut(root).mode = 0o700;
    let fixture = Fixture::new()
        .file("lib/x.conf", "1", 0o644)
        .file("root/.profile", "2", 0o644)
        .file("etc/machine-id", "", 0o644)
        .manifest("delete = ['etc/ssh/ssh_host_*', 'opt', 'opt/**', 'etc/machine-id', 'none/*']");
    let overlay = fixture.load("overlays/mine").unwrap();
    let mut tar = Vec::new();
    overlay.to_tar(&tree, &mut tar).unwrap();
    assert_eq!(
        names(&tar),
        [
            "etc/ssh/.wh.ssh_host_rsa_key",
            ".wh.opt",
            "etc/machine-id",
            "lib/x.conf",
            "root/.profile"
        ]
    );
    let mut again = Vec::new();
    overlay.to_tar(&tree, &mut again).unwrap();
    assert_eq!(tar, again);
    let (entries, data) = read(&tar, &Limits::default()).unwrap();
    apply(&mut tree, LayerId(1), &entries).unwrap();
    files.0.push(data);
    insta::assert_snapshot!(listing(&tree, &files), @r#"
    d0755 0:0 0 / 
    d0755 0:0 0 /etc 
    -0644 0:0 1700000000 /etc/machine-id 0 bytes 
    d0755 0:0 0 /etc/ssh 
    -0644 0:0 1 /etc/ssh/sshd_config 4 bytes kept
    l0644 0:0 1 /lib -> usr/lib
    d0700 0:0 1 /root 
    -0644 0:0 1700000000 /root/.profile 1 bytes 2
    d0755 0:0 0 /usr 
    d0755 0:0 1 /usr/lib 
    -0644 0:0 1700000000 /usr/lib/x.conf 1 bytes 1
    "#);
}

#[test]
fn what_an_overlay_can_not_hold_is_refused() {
    let fixture = Fixture::new();
    let socket = std::os::unix::net::UnixListener::bind(fixture.path("sock")).unwrap();
    assert_eq!(
        fixture.error().to_string(),
        "overlay 'overlays/mine': 'sock' is a socket"
    );
    drop(socket);
    let twice = Fixture::new()
        .file("a", "1", 0o644)
        .file("a.tera", "2", 0o644);
    let error = twice.error().to_string();
    assert!(
        error.ends_with("comes both as it is and from 'a.tera'"),
        "{error}"
    );
    let undefined = Fixture::new().file("a.tera", "\n{{ vars.nope }}", 0o644);
    assert_eq!(
        undefined.error().to_string(),
        "overlays/mine/a.tera: what is 'nope'?"
    );
}

#[test]
fn mistakes_in_a_manifest_are_named() {
    let mut shown = String::new();
    for manifest in [
        "delete = ['a']\n[[links]]\npath = 'a'\ntaget = 'b'",
        "delete = 3",
        "delete = ['a[']",
        "[[attributes]]\npaths = ['nope']",
        "[[attributes]]\npaths = ['f']\nmode = '8'",
        "[[attributes]]\npaths = ['f']\nowner = 'root'",
        "[[attributes]]\npaths = ['f']\nxattrs = { 'user.x' = { base64 = '!' } }",
        "[[links]]\npath = 'f'\ntarget = 'x'",
        "[[links]]\npath = 'f/x'\ntarget = 'x'",
        "[[links]]\npath = 'l'\ntarget = ''",
        "[[directories]]\npath = 'f'",
        "[[directories]]\npath = '../x'",
    ] {
        let fixture = Fixture::new().file("f", "", 0o644).manifest(manifest);
        shown.push_str(&format!("{}\n", fixture.error()));
    }
    insta::assert_snapshot!(shown, @r#"
    overlays/mine.toml:4:1: unknown field `taget`, expected `path` or `target`
    overlays/mine.toml:1:10: invalid type: integer `3`, expected a sequence
    overlays/mine.toml: 'a[' is not a path pattern: unclosed character class; missing ']'
    overlays/mine.toml: 'nope' matches nothing in the overlay
    overlays/mine.toml: mode = '8' is not an octal mode such as "0644"
    overlays/mine.toml: owner = 'root' is not two numbers, uid:gid (names mean nothing before there is a system)
    overlays/mine.toml: base64 = '!' is not base64
    overlays/mine.toml: 'f' is in the overlay already
    overlay 'overlays/mine': 'f' is not a directory
    overlays/mine.toml: target = '' is not a path
    overlays/mine.toml: 'f' is in the overlay already
    overlay 'overlays/mine': path '../x' has a '..' component
    "#);
}

#[test]
fn the_default_overlays_make_an_image_of_nobody() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let base = load_from(&root, "overlays/base").unwrap();
    insta::assert_snapshot!(listing(&base.tree, &base), @r#"
    d0755 0:0 1700000000 / 
    d0755 0:0 1700000000 /dev 
    d0755 0:0 1700000000 /etc 
    -0444 0:0 1700000000 /etc/machine-id 0 bytes 
    d0755 0:0 1700000000 /etc/systemd 
    d0755 0:0 1700000000 /etc/systemd/system 
    d0755 0:0 1700000000 /etc/systemd/system/getty.target.wants 
    l0777 0:0 1700000000 /etc/systemd/system/getty.target.wants/getty@tty1.service -> /usr/lib/systemd/system/getty@.service
    d0755 0:0 1700000000 /etc/systemd/system/multi-user.target.wants 
    l0777 0:0 1700000000 /etc/systemd/system/multi-user.target.wants/appliance-ssh-host-keys.service -> /usr/lib/systemd/system/appliance-ssh-host-keys.service
    d0555 0:0 1700000000 /proc 
    d0755 0:0 1700000000 /run 
    d0555 0:0 1700000000 /sys 
    d1777 0:0 1700000000 /tmp 
    d0755 0:0 1700000000 /usr 
    d0755 0:0 1700000000 /usr/lib 
    d0755 0:0 1700000000 /usr/lib/systemd 
    d0755 0:0 1700000000 /usr/lib/systemd/system 
    -0644 0:0 1700000000 /usr/lib/systemd/system/appliance-ssh-host-keys.service 390 bytes # Host keys are left out of the image, so that no two machines s
    "#);
    let image = Archive::default()
        .file("etc/ssh/ssh_host_ed25519_key", "k")
        .file("etc/ssh/ssh_host_ed25519_key.pub", "k")
        .file("etc/machine-id", "0123")
        .end();
    let (tree, _) = merged(&[image]).unwrap();
    let mut tar = Vec::new();
    base.to_tar(&tree, &mut tar).unwrap();
    insta::assert_snapshot!(names(&tar).join("\n"), @r#"
    etc/ssh/.wh.ssh_host_ed25519_key
    etc/ssh/.wh.ssh_host_ed25519_key.pub
    dev/
    etc/machine-id
    etc/systemd/system/getty.target.wants/getty@tty1.service
    etc/systemd/system/multi-user.target.wants/appliance-ssh-host-keys.service
    proc/
    run/
    sys/
    tmp/
    usr/lib/systemd/system/appliance-ssh-host-keys.service
    "#);
}

#[test]
fn what_is_there_already_keeps_its_time() {
    let fixture = Fixture::new().file("etc/file", "", 0o644).manifest(
        r#"
delete = ["etc/gone", "etc/links/removed"]
[[directories]]
path = "opt"
[[directories]]
path = "srv"
mode = "0700"
[[directories]]
path = "etc/gone/again"
[[links]]
path = "etc/links/same"
target = "/usr/lib/same"
[[links]]
path = "etc/links/other"
target = "/usr/lib/other"
[[links]]
path = "etc/links/removed"
target = "/usr/lib/same"
[[links]]
path = "etc/gone/link"
target = "/usr/lib/same"
[[links]]
path = "etc/links/foreign"
target = "/usr/lib/same"
"#,
    );
    let overlay = fixture.load("overlays/mine").unwrap();
    let image = Archive::default()
        .dir("opt")
        .dir("srv")
        .file("etc/file", "")
        .symlink("etc/links/same", "/usr/lib/same")
        .symlink("etc/links/other", "/usr/lib/another")
        .symlink("etc/links/removed", "/usr/lib/same")
        .symlink("etc/gone/link", "/usr/lib/same")
        .dir("etc/gone/again")
        .end();
    let (tree, _) = merged(&[image]).unwrap();
    let mut tar = Vec::new();
    overlay.to_tar(&tree, &mut tar).unwrap();
    insta::assert_snapshot!(names(&tar).join("\n"), @r"
    etc/.wh.gone
    etc/file
    etc/gone/again/
    etc/gone/link
    etc/links/foreign
    etc/links/other
    srv/
    ");
}

#[test]
fn data_of_another_layer_is_not_the_overlays() {
    let overlay = Fixture::new()
        .file("a", "1", 0o644)
        .load("overlays/mine")
        .unwrap();
    let foreign = FileData::Layer {
        layer: LayerId(0),
        file: 0,
        size: 1,
    };
    assert!(overlay.open(&foreign).is_err());
    assert!(Files(vec![]).open(&FileData::empty()).is_err());
}
