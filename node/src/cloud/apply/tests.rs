mod files;
mod stages;
mod template;
mod users;

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use super::*;

/// A system that notes what it is asked; what it is told to fails.
#[derive(Debug, Default)]
struct Noting {
    acts: Vec<String>,
    told: Vec<String>,
    fails: &'static str,
}

impl Noting {
    fn act(&mut self, act: String) -> Result<(), String> {
        let fails = !self.fails.is_empty() && act.contains(self.fails);
        self.acts.push(act);
        if fails {
            Err("it failed".to_owned())
        } else {
            Ok(())
        }
    }
}

impl Host for Noting {
    fn run(&mut self, program: &str, args: &[&str]) -> Result<(), String> {
        self.act(format!("{program} {}", args.join(" ")))
    }
    fn command(&mut self, line: &str) -> Result<(), String> {
        self.act(format!("sh: {line}"))
    }
    fn holds(&mut self, line: &str) -> bool {
        self.act(format!("if: {line}")).is_ok()
    }
    fn set_hostname(&mut self, name: &str) -> Result<(), String> {
        self.act(format!("sethostname {name}"))
    }
    fn tell(&mut self, line: &str) {
        self.told.push(line.to_owned());
    }
}

struct System {
    dir: tempfile::TempDir,
    host: Noting,
}

impl System {
    /// A root file system as an image has it.
    fn new() -> Self {
        let system = Self {
            dir: tempfile::tempdir().unwrap(),
            host: Noting::default(),
        };
        for (path, text) in [
            (
                "etc/passwd",
                "root:x:0:0:root:/root:/bin/bash\nubuntu:x:1000:1000::/home/ubuntu:/bin/sh\n",
            ),
            (
                "etc/shadow",
                "root:*:19000:0:99999:7:::\nubuntu:$6$image:19000:0:99999:7:::\n",
            ),
            (
                "etc/group",
                "root:x:0:\nsudo:x:27:\nshadow:x:42:\nubuntu:x:1000:\n",
            ),
            (
                "etc/gshadow",
                "root:*::\nsudo:*::\nshadow:*::\nubuntu:!::\n",
            ),
            ("etc/sudoers", ""),
            (
                "etc/hosts",
                "127.0.0.1 localhost\n127.0.1.1 image\n::1 localhost\n",
            ),
            ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
            (
                "etc/os-release",
                "ID=debian\nVERSION_ID=\"13\"\nPRETTY_NAME=\"Debian 13\"\n",
            ),
            ("etc/environment", "PATH=\"/usr/bin\"\nNO_PROXY=old\n"),
            ("usr/lib/systemd/systemd-resolved", ""),
            ("usr/lib/systemd/systemd-timesyncd", ""),
            ("bin/bash", ""),
            ("proc/cmdline", "quiet\n"),
            ("root/.profile", ""),
        ] {
            system.write(path, text);
        }
        fs_err::create_dir(system.dir.path().join("slot")).unwrap();
        for name in ["passwd", "shadow"] {
            let from = system.dir.path().join("etc").join(name);
            fs_err::copy(from, system.dir.path().join("slot").join(name)).unwrap();
        }
        system
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs_err::read_to_string(self.dir.path().join(path)).unwrap_or_else(|_| "-".to_owned())
    }

    fn line(&self, path: &str, name: &str) -> String {
        let text = self.read(path);
        let mut lines = text.lines().filter(|l| l.split(':').next() == Some(name));
        lines.next().unwrap_or("-").to_owned()
    }

    fn mode(&self, path: &str) -> u32 {
        let meta = fs_err::metadata(self.dir.path().join(path)).unwrap();
        meta.permissions().mode() & 0o7777
    }

    /// Applies documents and gives what failed.
    fn apply(&mut self, stage: Stage, texts: &[&str]) -> String {
        let documents: Vec<Document> = texts
            .iter()
            .enumerate()
            .map(|(at, text)| Document::parse(&format!("{at}.yaml"), text).unwrap())
            .collect();
        let root = Root::open(self.dir.path()).unwrap();
        let slot = self.dir.path().join("slot");
        let failures = apply(stage, &documents, &root, Some(&slot), &mut self.host);
        let lines: Vec<String> = failures.iter().map(ToString::to_string).collect();
        lines
            .join("\n")
            .replace(&*self.dir.path().to_string_lossy(), "")
    }

    /// All files with their modes, as text.
    fn all(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut left = vec![self.dir.path().to_owned()];
        while let Some(dir) = left.pop() {
            for entry in fs_err::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let meta = fs_err::symlink_metadata(&path).unwrap();
                if meta.is_dir() {
                    left.push(path.clone());
                }
                let text = fs_err::read_to_string(&path).unwrap_or_default();
                all.push(format!(
                    "{} {:o} {} {text}",
                    path.display(),
                    meta.mode(),
                    meta.ino()
                ));
            }
        }
        all.sort();
        all
    }
}
