//! The program itself, run in a folder of its own.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use isoforge_base::digest::Digest;

use super::{bootable, elf};

/// Those that there are programs for.
const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

/// A temporary folder with a project in it, and a home and a store beside it.
/// As long as it lives, snapshots of this thread are without paths, digests,
/// ports and sizes.
pub(crate) struct Project {
    folder: tempfile::TempDir,
    _filters: insta::internals::SettingsBindDropGuard,
}

impl Project {
    /// With nothing in it.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["project", "home"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        for arch in ARCHITECTURES {
            let path = folder.path().join(format!("home/appliance-{arch}"));
            std::fs::write(path, elf::appliance(arch)).unwrap();
        }
        let mut settings = insta::Settings::clone_current();
        let escaped = folder.path().to_str().unwrap().replace('.', r"\.");
        settings.add_filter(&escaped, "[DIR]");
        settings.add_filter(r"127\.0\.0\.1:\d+", "127.0.0.1:[PORT]");
        settings.add_filter(r"sha256:[0-9a-f]{64}", "sha256:[DIGEST]");
        settings.add_filter(r"\b[0-9a-f]{64}\b", "[HEX]");
        settings.add_filter(r"\b[0-9a-f]{12}\b", "[SHORT]");
        let version = env!("CARGO_PKG_VERSION").replace('.', r"\.");
        settings.add_filter(
            &format!(r#"(isoforge(\.version)?("?: "| = |",\s+"version": "| )){version}"#),
            "${1}[VERSION]",
        );
        // What clocks decide.
        settings.add_filter(r" *\b(\d+\.\d s|[\d:]+ (min|h))\b", " [TIME]");
        settings.add_filter(r#"("milliseconds": )\d+"#, "${1}[N]");
        settings.add_filter(r"v1/tmp/\d+-\d+/\d+", "v1/tmp/[TEMP]");
        settings.add_filter(r"\d+ uncompressed bytes", "[N] uncompressed bytes");
        // What compressors decide.
        settings.add_filter(
            r#"("(size|bytes|content_bytes|offset|sectors)": )\d+"#,
            "${1}[N]",
        );
        settings.add_filter(r"( *)\b\d+(\.\d)? (B|KiB|MiB)\b", " [SIZE]");
        settings.add_filter(r"\b\d+ bytes\b", "[N] bytes");
        settings.add_filter(r"at byte \d+", "at byte [N]");
        settings.add_filter(r"at 'byte \d+", "at 'byte [N]");
        settings.add_filter(r#"squashfs\.size(": "| = )\d+"#, "squashfs.size${1}[N]");
        Self {
            folder,
            _filters: settings.bind_to_scope(),
        }
    }

    /// With `profile.toml` and its images for amd64.
    pub(crate) fn bootable() -> Self {
        Self::bootable_for(&["amd64"])
    }

    /// With `profile.toml` and its images.
    pub(crate) fn bootable_for(architectures: &[&str]) -> Self {
        let this = Self::empty();
        bootable::write_sources(&this.path(""), architectures);
        this.write("profile.toml", &bootable::profile(architectures));
        this
    }

    /// A path in the project's folder.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join("project").join(relative)
    }

    /// The programs for machines, as `--appliance` takes them.
    fn appliances(&self) -> String {
        let programs = ARCHITECTURES.map(|arch| {
            let path = self.folder.path().join(format!("home/appliance-{arch}"));
            format!("{arch}={}", path.display())
        });
        programs.join(",")
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.folder.path().join("cache/isoforge")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Appends to `profile.toml`.
    pub(crate) fn add_to_profile(&self, text: &str) {
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(self.path("profile.toml"))
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// Replaces the one place of `old` in `profile.toml`.
    pub(crate) fn change_profile(&self, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.path("profile.toml")).unwrap();
        assert_eq!(text.matches(old).count(), 1, "'{old}' is there once");
        self.write("profile.toml", &text.replace(old, new));
    }

    /// The program in an environment that says nothing but where home and store
    /// are.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isoforge"));
        self.prepare(command.args(arguments));
        command
    }

    /// Any other program, in the same folder and environment.
    pub(crate) fn prepare(&self, command: &mut Command) {
        command
            .current_dir(self.path(""))
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.home())
            .env("ISOFORGE_APPLIANCE", self.appliances())
            .env("XDG_CACHE_HOME", self.folder.path().join("cache"))
            .stdin(Stdio::null());
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.command(arguments).output().unwrap())
    }

    /// Builds `profile.toml`, which must succeed.
    pub(crate) fn build(&self) -> Outcome {
        let outcome = self.run(&["build", "profile.toml"]);
        outcome.assert_exit(0);
        outcome
    }

    /// All files below `dist`, sorted.
    pub(crate) fn outputs(&self) -> Vec<String> {
        files_below(&self.path("dist"))
    }

    /// Every blob of the store is what its name says, and no temporary file is
    /// left. A store that doesn't exist is sound.
    pub(crate) fn assert_store_sound(&self) {
        for file in files_below(&self.cache()) {
            assert!(!file.contains("v1/tmp/"), "left over: {file}");
            if file.starts_with("v1/blobs/") {
                let bytes = std::fs::read(self.cache().join(&file)).unwrap();
                let hex = Digest::of(&bytes).hex();
                assert!(file.ends_with(&format!("/{hex}")), "{file} is {hex}");
            }
        }
    }
}

/// Relative paths of all files below `folder`, sorted; none where it is missing.
pub(crate) fn files_below(folder: &Path) -> Vec<String> {
    if !folder.exists() {
        return Vec::new();
    }
    let mut files: Vec<String> = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| !entry.file_type().is_dir())
        .map(|entry| {
            let path = entry.path().strip_prefix(folder).unwrap();
            path.to_str().unwrap().to_owned()
        })
        .collect();
    files.sort();
    files
}

/// How a run ended and what it said.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// None where a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn assert_exit(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
    }

    /// Exit code, standard output and standard error, for a snapshot.
    pub(crate) fn all(&self) -> String {
        let code = self
            .code
            .map_or("signal".to_owned(), |code| code.to_string());
        format!(
            "exit {code}\n--- stdout\n{}--- stderr\n{}",
            self.stdout, self.stderr
        )
    }

    /// Exit code and the error's lines, for a snapshot.
    pub(crate) fn error(&self) -> String {
        let code = self
            .code
            .map_or("signal".to_owned(), |code| code.to_string());
        let at = self.stderr.find("error: ").unwrap_or(0);
        format!("exit {code}\n{}", &self.stderr[at..])
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}
