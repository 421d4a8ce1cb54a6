//! The kernel settings that a tree's configuration makes at boot.
//!
//! Specification: sysctl.d(5) and `systemd-sysctl`, which applies it. Of files of
//! one name the first folder's counts, be it empty or a link to `/dev/null`; files
//! are applied in the order of their names, and of a setting the
//! last line. A name with a glob sets what no line names itself; a name with a
//! leading dash and no value is left alone by globs. `/etc/sysctl.conf` is read
//! where a file of `/etc/sysctl.d` leads to it.
//!
//! Non-goals: `/run`, which no image has; the kernel's command line, which such
//! files overrule; programs that set values later.

use std::collections::BTreeMap;
use std::io;

use globset::{GlobBuilder, GlobMatcher};

use crate::pack::setting;
use isoforge_base::limit::read_within;
use isoforge_base::tree::{FileData, ReadFile, Tree, display, join};

/// The folders, the one that counts first. The last is another one only where
/// `/lib` is no link.
const FOLDERS: [&str; 4] = [
    "etc/sysctl.d",
    "usr/local/lib/sysctl.d",
    "usr/lib/sysctl.d",
    "lib/sysctl.d",
];
/// Largest file of settings in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A value and the file that sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// The value as it stands there.
    pub(super) value: String,
    /// Path of the file in the tree.
    pub(super) file: String,
}

/// A line that holds: nothing is set by one that only keeps globs away.
#[derive(Debug)]
struct Line {
    path: String,
    glob: Option<GlobMatcher>,
    setting: Option<Setting>,
}

/// What is set at boot.
#[derive(Debug, Default)]
pub(super) struct Settings(Vec<Line>);

impl Settings {
    /// Reads the configuration of a tree.
    ///
    /// # Errors
    /// Where a file can't be read, or has more than 1 MiB.
    pub(super) fn of(tree: &Tree, data: &dyn ReadFile) -> io::Result<Self> {
        let mut settings = Self::default();
        for (path, file) in files(tree) {
            let file_name = display(&path);
            let text = text(data, file, &file_name)?;
            for line in text.lines() {
                settings.line(line, &file_name);
            }
        }
        Ok(settings)
    }

    fn line(&mut self, line: &str, file: &str) {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            return;
        }
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name.strip_prefix('-').unwrap_or(name), Some(value)),
            // What is neither a setting nor an exception is passed over.
            None => match line.strip_prefix('-') {
                Some(name) => (name, None),
                None => return,
            },
        };
        let Some(path) = setting::path(name.trim()) else {
            return;
        };
        let value = value.map(str::trim);
        if let Some(at) = self.0.iter().position(|known| known.path == path) {
            let known = self.0.get(at).and_then(|known| known.setting.as_ref());
            // The same once more leaves a line in its place among the others.
            if known.map(|known| known.value.as_str()) == value {
                return;
            }
            self.0.remove(at);
        }
        self.0.push(Line {
            glob: glob(&path),
            path,
            setting: value.map(|value| Setting {
                value: value.to_owned(),
                file: file.to_owned(),
            }),
        });
    }

    /// What the setting with this file below `/proc/sys` is set to.
    pub(super) fn get(&self, path: &str) -> Option<&Setting> {
        if let Some(line) = self.0.iter().find(|line| line.path == path) {
            return line.setting.as_ref();
        }
        let lines = self.0.iter().rev();
        let mut globs = lines.filter(|line| line.glob.as_ref().is_some_and(|g| g.is_match(path)));
        globs.find_map(|line| line.setting.as_ref())
    }
}

fn glob(path: &str) -> Option<GlobMatcher> {
    if !path.contains(['*', '?', '[']) {
        return None;
    }
    let glob = GlobBuilder::new(path).literal_separator(true).build();
    glob.ok().map(|glob| glob.compile_matcher())
}

/// The files that count, in the order in which they are applied.
fn files(tree: &Tree) -> Vec<(Vec<u8>, &FileData)> {
    let mut by_name: BTreeMap<&[u8], Option<(Vec<u8>, &FileData)>> = BTreeMap::new();
    for folder in FOLDERS {
        let children = tree
            .lookup(folder.as_bytes())
            .and_then(|id| tree.children(id));
        for name in children.into_iter().flat_map(BTreeMap::keys) {
            if !name.ends_with(b".conf") || by_name.contains_key(name.as_slice()) {
                continue;
            }
            // Whatever has the name hides the others: `/dev/null`, an empty file,
            // a link to nowhere.
            let path = join(folder.as_bytes(), name);
            let file = tree.file(&path);
            by_name.insert(name, file.map(|file| (path, file)));
        }
    }
    by_name.into_values().flatten().collect()
}

fn text(data: &dyn ReadFile, file: &FileData, name: &str) -> io::Result<String> {
    let bytes = read_within(data.open(file)?, MAX_FILE_BYTES)?.ok_or_else(|| {
        let problem = format!("{name} has more than {MAX_FILE_BYTES} bytes");
        io::Error::new(io::ErrorKind::FileTooLarge, problem)
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
