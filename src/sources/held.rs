//! Which Kubernetes a tree holds.
//!
//! Kairos's images say it in `/etc/kairos-release`, older ones in os-release
//! (`KAIROS_SOFTWARE_VERSION` with the distribution as `KAIROS_SOFTWARE_VERSION_PREFIX`);
//! a Debian package has a version; programs have it in them: k3s and rke2 as
//! `v1.32.3+k3s1`, those of Kubernetes where Go's linker was told it
//! (`gitVersion=v1.32.3`).

use std::collections::BTreeSet;
use std::io::{self, Read};

use isoforge_base::tree::{ReadFile, Tree};

use super::components::{installed_packages, release_fields};

/// What was found of a distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Held {
    /// This version, without `v`.
    Version(String),
    /// A program that does not tell its version, by its path.
    Program(String),
    /// Not even a program.
    Nothing,
}

/// Folders that programs lie in.
const FOLDERS: [&str; 6] = [
    "usr/bin",
    "usr/local/bin",
    "opt/bin",
    "usr/sbin",
    "bin",
    "sbin",
];

/// Files in which Kairos says what it holds.
const RELEASES: [&str; 2] = ["etc/kairos-release", "etc/os-release"];

/// Largest program that is looked into, in bytes.
const MAX_PROGRAM_BYTES: u64 = 1 << 30;

/// Bytes of a program that are looked at together.
const WINDOW_BYTES: usize = 1 << 20;

/// Longest version, with what stands before it.
const OVERLAP_BYTES: usize = 128;

/// What `tree` holds of `distribution`.
///
/// # Errors
/// What reading a file gave.
pub(crate) fn find(tree: &Tree, data: &dyn ReadFile, distribution: &str) -> io::Result<Held> {
    let (program, marker) = match distribution {
        "k3s" => ("k3s", Marker::Suffix("+k3s")),
        "rke2" => ("rke2", Marker::Suffix("+rke2r")),
        _ => ("kubelet", Marker::Prefix("gitVersion=")),
    };
    for path in RELEASES {
        let fields = release_fields(tree, data, path)?;
        let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
        let version = field("KAIROS_SOFTWARE_VERSION");
        if !version.is_empty() && field("KAIROS_SOFTWARE_VERSION_PREFIX") == distribution {
            return Ok(Held::Version(plain(version)));
        }
    }
    let paths = FOLDERS.map(|folder| format!("{folder}/{program}"));
    let found = paths.into_iter().find_map(|path| {
        let file = tree.file(path.as_bytes())?;
        Some((path, file))
    });
    let Some((path, file)) = found else {
        return Ok(Held::Nothing);
    };
    if let Some(version) = installed_packages(tree, data)?.get(program) {
        return Ok(Held::Version(upstream(version)));
    }
    let of_file = |error: io::Error| io::Error::new(error.kind(), format!("/{path}: {error}"));
    if file.size() > MAX_PROGRAM_BYTES {
        return Ok(Held::Program(path));
    }
    let versions = data.open(file).and_then(|bytes| marker.versions(bytes));
    let versions = versions.map_err(of_file)?;
    // Several would be guessing.
    let mut versions = versions.into_iter();
    Ok(match (versions.next(), versions.next()) {
        (Some(version), None) => Held::Version(plain(&version)),
        _ => Held::Program(path),
    })
}

/// Whether the version that was found is the one that a profile says: that may leave out
/// what a distribution appends.
pub(crate) fn is_of(found: &str, said: &str) -> bool {
    found == said || (!said.contains('+') && found.split('+').next() == Some(said))
}

fn plain(version: &str) -> String {
    version.trim_start_matches('v').to_owned()
}

/// Of a Debian version (deb-version(7)) what is the program's own.
fn upstream(version: &str) -> String {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    let version = version.rsplit_once('-').map_or(version, |(own, _)| own);
    let end = version.find(['~', '+']).unwrap_or(version.len());
    version.get(..end).unwrap_or(version).to_owned()
}

/// By what a version is known among a program's bytes.
#[derive(Debug, Clone, Copy)]
enum Marker {
    /// It stands in the version, before digits.
    Suffix(&'static str),
    /// The version follows it.
    Prefix(&'static str),
}

impl Marker {
    /// All versions in a stream of bytes.
    fn versions(self, mut from: impl Read) -> io::Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        let mut window = Vec::with_capacity(WINDOW_BYTES + OVERLAP_BYTES);
        loop {
            let before = window.len();
            let read = from
                .by_ref()
                .take(WINDOW_BYTES as u64)
                .read_to_end(&mut window)?;
            self.versions_in(&window, read == 0, &mut found);
            if read == 0 {
                return Ok(found);
            }
            let keep = before.saturating_add(read).saturating_sub(OVERLAP_BYTES);
            window.drain(..keep);
        }
    }

    /// Adds the versions in `window`; one that reaches its end may go on behind it.
    fn versions_in(self, window: &[u8], is_last: bool, found: &mut BTreeSet<String>) {
        let (Self::Suffix(mark) | Self::Prefix(mark)) = self;
        for at in memchr::memmem::find_iter(window, mark) {
            let end = at + mark.len();
            let (start, end) = match self {
                Self::Suffix(_) => {
                    let own = |b: &u8| b.is_ascii_digit() || *b == b'.';
                    let before = window.get(..at).unwrap_or_default();
                    let own = before.iter().rev().take_while(|b| own(b)).count();
                    (at - own, end + run(window, end, |b| b.is_ascii_digit()))
                }
                Self::Prefix(_) => {
                    let fine = |b: u8| b.is_ascii_alphanumeric() || b".+-".contains(&b);
                    (end, end + run(window, end, fine))
                }
            };
            if end == window.len() && !is_last {
                continue;
            }
            let text = window.get(start..end).unwrap_or_default();
            let text = String::from_utf8_lossy(text);
            let numbers = plain(&text);
            let numbers = numbers.split(['+', '-']).next().unwrap_or_default();
            let three = numbers.split('.').count() == 3;
            let number = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
            if three && numbers.split('.').all(number) {
                found.insert(plain(&text));
            }
        }
    }
}

/// How many bytes from `at` are `fine`.
fn run(bytes: &[u8], at: usize, fine: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter().take_while(|&&b| fine(b)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::testing::{InlineOnly, tree};

    fn held(distribution: &str, files: &[(&str, &[u8])]) -> Held {
        find(&tree(files, &[]), &InlineOnly, distribution).unwrap()
    }

    #[test]
    fn each_way_that_a_tree_tells_its_kubernetes() {
        let version = |text: &str| Held::Version(text.to_owned());
        let kairos =
            b"KAIROS_SOFTWARE_VERSION=\"v1.32.1+k3s1\"\nKAIROS_SOFTWARE_VERSION_PREFIX=\"k3s\"\n";
        assert_eq!(
            held("k3s", &[("etc/kairos-release", kairos)]),
            version("1.32.1+k3s1")
        );
        assert_eq!(
            held("kubeadm", &[("etc/kairos-release", kairos)]),
            Held::Nothing
        );
        let status = b"Package: kubelet\nStatus: hold ok installed\nVersion: 1.32.3-1.1\n";
        let packages: &[(&str, &[u8])] =
            &[("usr/bin/kubelet", b""), ("var/lib/dpkg/status", status)];
        assert_eq!(held("kubeadm", packages), version("1.32.3"));
        let k3s: &[u8] = b"\0go1.23\0v1.31.5+k3s1\0 v1.31.5+k3s1 x+k3s9";
        assert_eq!(
            held("k3s", &[("usr/local/bin/k3s", k3s)]),
            version("1.31.5+k3s1")
        );
        let rke2: &[u8] = b"Version=v1.30.2+rke2r1";
        assert_eq!(
            held("rke2", &[("usr/bin/rke2", rke2)]),
            version("1.30.2+rke2r1")
        );
        let flags: &[u8] = b"-X 'k8s.io/component-base/version.gitVersion=v1.32.3' -X";
        assert_eq!(
            held("pxk-e", &[("usr/bin/kubelet", flags)]),
            version("1.32.3")
        );
        let two: &[u8] = b"v1.31.5+k3s1\0v1.31.6+k3s1";
        let silent = Held::Program("usr/bin/k3s".to_owned());
        assert_eq!(held("k3s", &[("usr/bin/k3s", two)]), silent);
        assert_eq!(held("k3s", &[]), Held::Nothing);
    }

    #[test]
    fn a_version_between_two_windows_is_found_whole() {
        for at in WINDOW_BYTES - 20..WINDOW_BYTES + 20 {
            let mut bytes = vec![0; at];
            bytes.extend(b"v1.31.5+k3s12\0");
            bytes.resize(2 * WINDOW_BYTES + 50, 0);
            let found = held("k3s", &[("usr/bin/k3s", &bytes)]);
            assert_eq!(found, Held::Version("1.31.5+k3s12".to_owned()), "{at}");
        }
    }

    #[test]
    fn a_profile_may_leave_out_what_a_distribution_appends() {
        assert!(is_of("1.32.3+k3s1", "1.32.3") && is_of("1.32.3", "1.32.3"));
        assert!(!is_of("1.32.3+k3s1", "1.32.3+k3s2") && !is_of("1.32.3", "1.32.30"));
    }
}
