//! A machine made of text: trees as `/sys`, `/proc` and `/dev` have them.

use std::path::Path;

use fs_err as fs;
use isoforge_base::process::Program;
use tempfile::TempDir;

use super::Sysfs;

/// A machine in a folder that goes away with it.
pub(crate) struct Machine {
    pub(crate) dir: TempDir,
    pub(crate) sys: Sysfs,
}

impl Machine {
    /// Lines are `PATH`, `PATH = CONTENT` or `PATH -> TARGET`; a path that ends
    /// with a slash is a folder. `\n` in content is a line feed.
    pub(crate) fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for name in ["sys/block", "dev", "proc/self", "modules"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        let sys = Sysfs {
            sys: root.join("sys"),
            dev: root.join("dev"),
            proc: root.join("proc"),
            modules: root.join("modules"),
            medium: "/run/initramfs/live".into(),
            work: root.join("work"),
        };
        let machine = Self { dir, sys };
        machine.add(text);
        machine
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn add(&self, text: &str) {
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (path, content) = line.split_once(" = ").unwrap_or((line, ""));
            if let Some((path, target)) = line.split_once(" -> ") {
                let path = self.root().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::os::unix::fs::symlink(target, path).unwrap();
            } else if path.ends_with('/') {
                fs::create_dir_all(self.root().join(path)).unwrap();
            } else {
                let path = self.root().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, content.replace("\\n", "\n")).unwrap();
            }
        }
    }

    /// A disk: its folder among the devices, its size, and an empty device.
    pub(crate) fn disk(&self, name: &str, device: &str, gib: u64, sector: u32) {
        let real = format!("sys/devices/{device}/block/{name}");
        let sectors = gib << 21;
        self.add(&format!(
            "{real}/size = {sectors}
             {real}/ro = 0
             {real}/queue/logical_block_size = {sector}
             {real}/device -> ../..
             sys/block/{name} -> ../devices/{device}/block/{name}"
        ));
        let file = fs::File::create(self.sys.dev.join(name)).unwrap();
        file.set_len(64 << 20).unwrap();
    }
}

/// Runs a program that the test needs; its input is `input`.
pub(crate) fn shell(script: &str, args: &[&Path]) -> String {
    let bytes = Program::new("sh", "dash")
        .args(["-euc", script, "sh"])
        .args(args)
        .output(4 << 20)
        .unwrap();
    String::from_utf8(bytes).unwrap()
}
