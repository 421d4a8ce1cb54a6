use super::super::tests::{Inline, tree};
use super::*;
use crate::testing::write;
use isoforge_base::tree::{Inode, Kind, Meta};

/// What the settings are, as `PATH = VALUE (FILE)`.
fn told(tree: &Tree, paths: &[&str]) -> String {
    let settings = Settings::of(tree, &Inline).unwrap();
    let lines = paths.iter().map(|path| match settings.get(path) {
        Some(set) => format!("{path} = {} ({})\n", set.value, set.file),
        None => format!("{path}: open\n"),
    });
    lines.collect()
}

fn of(files: &[(&str, &str)]) -> Tree {
    let files: Vec<(&str, Vec<u8>)> = files
        .iter()
        .map(|(path, text)| (*path, text.as_bytes().to_vec()))
        .collect();
    tree(&files)
}

fn link(tree: &mut Tree, path: &str, target: &str) {
    let meta = Meta::with_mode(0o777);
    let kind = Kind::Symlink(target.as_bytes().to_vec());
    tree.insert(path.as_bytes(), Inode { meta, kind }).unwrap();
}

#[test]
fn files_are_applied_by_name_and_the_last_line_counts() {
    let tree = of(&[
        ("usr/lib/sysctl.d/10-a.conf", "vm.a = 1\nvm.b = 1\nvm.c=1"),
        ("etc/sysctl.d/20-b.conf", "vm.b = 2\n  -vm/c  =  2 3  \n"),
        ("usr/local/lib/sysctl.d/15-c.conf", "vm.b = 3\nvm.b = 4\n"),
        ("etc/sysctl.d/99-d.txt", "vm.b = 5\n"),
        ("etc/sysctl.conf", "vm.b = 6\n"),
        ("etc/sysctl.d/folder.conf/x", "vm.b = 7\n"),
    ]);
    insta::assert_snapshot!(told(&tree, &["vm/a", "vm/b", "vm/c", "vm/d"]), @r"
    vm/a = 1 (usr/lib/sysctl.d/10-a.conf)
    vm/b = 2 (etc/sysctl.d/20-b.conf)
    vm/c = 2 3 (etc/sysctl.d/20-b.conf)
    vm/d: open
    ");
}

#[test]
fn an_earlier_folder_hides_files_of_the_same_name() {
    let mut tree = of(&[
        ("etc/sysctl.d/10-a.conf", "vm.a = 1\n"),
        ("usr/lib/sysctl.d/10-a.conf", "vm.a = 2\nvm.b = 2\n"),
        ("usr/local/lib/sysctl.d/20-b.conf", ""),
        ("usr/lib/sysctl.d/20-b.conf", "vm.c = 1\n"),
        ("usr/lib/sysctl.d/30-c.conf", "vm.d = 1\n"),
        ("usr/lib/sysctl.d/40-d.conf", "vm.e = 1\n"),
        ("etc/sysctl.conf", "vm.f = 1\n"),
    ]);
    // Masked, whether the image has the device or not, and so by any other link.
    link(&mut tree, "etc/sysctl.d/30-c.conf", "/dev/null");
    link(&mut tree, "etc/sysctl.d/40-d.conf", "nowhere");
    link(&mut tree, "etc/sysctl.d/99-sysctl.conf", "../sysctl.conf");
    let paths = ["vm/a", "vm/b", "vm/c", "vm/d", "vm/e", "vm/f"];
    insta::assert_snapshot!(told(&tree, &paths), @r"
    vm/a = 1 (etc/sysctl.d/10-a.conf)
    vm/b: open
    vm/c: open
    vm/d: open
    vm/e: open
    vm/f = 1 (etc/sysctl.d/99-sysctl.conf)
    ");
}

#[test]
fn globs_set_what_no_line_names() {
    let tree = of(&[
        (
            "etc/sysctl.d/a.conf",
            "net.ipv4.conf.*.rp_filter = 1\nnet.ipv4.conf.lo.rp_filter = 0\n\
             -net.ipv4.conf.all.rp_filter\nnet.ipv4.*.x = 3\n",
        ),
        (
            "etc/sysctl.d/b.conf",
            "net.ipv4.conf.e*.rp_filter = 2\nnet.ipv4.conf.eth0/7.rp_filter = 4\n",
        ),
    ]);
    let paths =
        ["lo", "all", "eth0", "eth0.7", "wlan0"].map(|n| format!("net/ipv4/conf/{n}/rp_filter"));
    let mut paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    paths.push("net/ipv4/conf/lo/x");
    insta::assert_snapshot!(told(&tree, &paths), @r"
    net/ipv4/conf/lo/rp_filter = 0 (etc/sysctl.d/a.conf)
    net/ipv4/conf/all/rp_filter: open
    net/ipv4/conf/eth0/rp_filter = 2 (etc/sysctl.d/b.conf)
    net/ipv4/conf/eth0.7/rp_filter = 4 (etc/sysctl.d/b.conf)
    net/ipv4/conf/wlan0/rp_filter = 1 (etc/sysctl.d/a.conf)
    net/ipv4/conf/lo/x: open
    ");
}

#[test]
fn comments_and_what_is_no_setting_are_passed_over() {
    let text = "# vm.a = 1\n; vm.a = 2\n\nvm.a\nvm/../../x = 1\n = 3\nkernel.b = |/x -y=1 # z\n";
    let tree = of(&[("usr/lib/sysctl.d/a.conf", text)]);
    insta::assert_snapshot!(told(&tree, &["vm/a", "x", "", "kernel/b"]), @r"
    vm/a: open
    x: open
    : open
    kernel/b = |/x -y=1 # z (usr/lib/sysctl.d/a.conf)
    ");
}

#[test]
fn a_file_that_is_too_large_is_an_error() {
    let text = "#".repeat(MAX_FILE_BYTES as usize + 1);
    let tree = of(&[("usr/lib/sysctl.d/a.conf", &text)]);
    let error = Settings::of(&tree, &Inline).unwrap_err().to_string();
    assert_eq!(error, "usr/lib/sysctl.d/a.conf has more than 1048576 bytes");
}

const PROGRAM: &str = "/usr/lib/systemd/systemd-sysctl";

/// Runs `systemd-sysctl` on `etc`, `usr` and `proc` below a folder, in a mount
/// namespace of its own where they are `/etc/sysctl.d`, `/usr/lib/sysctl.d` and
/// `/proc/sys`. Skipped where that can't be done.
fn applied(folder: &std::path::Path) -> bool {
    let script = "mount --bind etc /etc/sysctl.d && mount --bind usr /usr/lib/sysctl.d && \
                  mount --bind proc /proc/sys && touch ran && exec \"$0\"";
    #[allow(clippy::disallowed_methods)]
    let output = std::process::Command::new("unshare")
        .args(["--mount", "sh", "-c", script, PROGRAM])
        .current_dir(folder)
        .output();
    let can = output.is_ok() && folder.join("ran").exists();
    if !can {
        isoforge_judges::skip("no systemd-sysctl can be run here");
    }
    can
}

#[test]
fn systemd_sets_what_is_read() {
    let files = [
        (
            "usr/10-a.conf",
            "vm.a = 1\nvm/b = 1\n# vm.c = 1\nnet.ipv4.conf.*.rp_filter = 1\n-net.ipv4.conf.all.rp_filter\n",
        ),
        (
            "etc/20-b.conf",
            "vm.b = 2\nvm.d = 2\nnet/ipv4/conf/lo/rp_filter = 0\nvm.e\n",
        ),
        ("usr/20-b.conf", "vm.a = 3\nvm.f = 3\n"),
        (
            "usr/30-c.conf",
            "net.ipv4.conf.eth0/7.rp_filter = 3\nnet.ipv4.conf.e*.rp_filter = 4\n",
        ),
        ("usr/40-d.conf", "vm.g = 4\n"),
        ("usr/45-e.conf", "vm.h = 4\n"),
        (
            "etc/50-f.conf",
            "  -vm.a  =  5 6  \nvm.b = 2\nvm/../vm/c = 5\n",
        ),
        ("usr/60-g.txt", "vm.a = 7\n"),
    ];
    let links = [("etc/40-d.conf", "/dev/null"), ("etc/45-e.conf", "nowhere")];
    let in_tree = |path: &str| match path.split_once('/') {
        Some(("etc", name)) => format!("etc/sysctl.d/{name}"),
        Some((_, name)) => format!("usr/lib/sysctl.d/{name}"),
        None => unreachable!(),
    };
    let dir = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    paths.extend("abcdefgh".chars().map(|name| format!("vm/{name}")));
    for name in ["all", "lo", "eth0", "eth0.7", "wlan0"] {
        paths.push(format!("net/ipv4/conf/{name}/rp_filter"));
    }
    write(dir.path(), &files);
    for (path, target) in links {
        std::os::unix::fs::symlink(target, dir.path().join(path)).unwrap();
    }
    for path in &paths {
        write(&dir.path().join("proc"), &[(path.as_str(), "open")]);
    }
    if !applied(dir.path()) {
        return;
    }
    let found: Vec<_> = files.map(|(path, text)| (in_tree(path), text)).into();
    let found: Vec<_> = found
        .iter()
        .map(|(path, text)| (path.as_str(), *text))
        .collect();
    let mut tree = of(&found);
    for (path, target) in links {
        link(&mut tree, &in_tree(path), target);
    }
    let settings = Settings::of(&tree, &Inline).unwrap();
    for path in &paths {
        let set = fs_err::read_to_string(dir.path().join("proc").join(path)).unwrap();
        let read = settings.get(path).map_or("open", |set| &set.value);
        // It writes over what is there, as to a file of the kernel.
        assert_eq!(Some(read), set.lines().next(), "{path}");
    }
}
