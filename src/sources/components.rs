//! Which versions of what are in a file tree.
//!
//! The operating system from os-release(5), kernels from their module
//! directories, packages from dpkg's status file. An RPM or apk database is not
//! read: what such packages bring is known by the profile's words only.

use std::collections::BTreeMap;
use std::io::{self, Read};

use isoforge_base::tree::{FileData, ReadFile, Tree};
use isoforge_contract::manifest::{Component, ComponentKind};

/// Largest file of a tree that is read for versions; dpkg's status of a full
/// desktop is a tenth of it.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// Largest os-release that is read.
const OS_RELEASE_MAX_BYTES: u64 = 1 << 20;

const OS_RELEASE: &str = "etc/os-release";
const DPKG_STATUS: &str = "var/lib/dpkg/status";
const MODULES: &[u8] = b"lib/modules";

/// The operating system and the kernel in `tree`: the one that is `booted` from it,
/// where that is known, else all that have modules there. None is named where none
/// has.
///
/// # Errors
/// What reading a file gave.
pub(crate) fn of_system(
    tree: &Tree,
    data: &dyn ReadFile,
    booted: Option<&str>,
) -> io::Result<Vec<Component>> {
    let mut found = Vec::new();
    if let Some(text) = read_text(tree, data, OS_RELEASE, OS_RELEASE_MAX_BYTES)? {
        let fields = os_release(&text);
        if let Some(name) = fields.get("ID") {
            found.push(Component {
                kind: ComponentKind::Os,
                name: name.clone(),
                // Rolling distributions have a build's name and no version.
                version: ["VERSION_ID", "BUILD_ID"]
                    .iter()
                    .find_map(|key| fields.get(*key).cloned())
                    .unwrap_or_default(),
                source: OS_RELEASE.to_owned(),
            });
        }
    }
    let mut kernels = kernel_versions(tree);
    if let Some(release) = booted.filter(|_| !kernels.is_empty()) {
        kernels = vec![release.to_owned()];
    }
    found.extend(kernels.into_iter().map(|version| Component {
        kind: ComponentKind::Kernel,
        name: "linux".to_owned(),
        version,
        source: String::from_utf8_lossy(MODULES).into_owned(),
    }));
    found.sort();
    Ok(found)
}

/// Those of `names` that dpkg has installed in `tree`, as components of `kind`.
///
/// # Errors
/// What reading dpkg's status gave.
pub(crate) fn of_packages<'a>(
    tree: &Tree,
    data: &dyn ReadFile,
    kind: ComponentKind,
    names: impl IntoIterator<Item = &'a str>,
) -> io::Result<Vec<Component>> {
    let installed = installed_packages(tree, data)?;
    let mut found: Vec<Component> = names
        .into_iter()
        .filter_map(|name| {
            Some(Component {
                kind,
                name: name.to_owned(),
                version: installed.get(name)?.clone(),
                source: "dpkg".to_owned(),
            })
        })
        .collect();
    found.sort();
    found.dedup();
    Ok(found)
}

/// Every package that dpkg has installed in `tree`, with its version; empty
/// where there is no dpkg.
///
/// # Errors
/// What reading dpkg's status gave.
pub(crate) fn installed_packages(
    tree: &Tree,
    data: &dyn ReadFile,
) -> io::Result<BTreeMap<String, String>> {
    Ok(read_text(tree, data, DPKG_STATUS, MAX_FILE_BYTES)?
        .map(|text| dpkg_status(&text))
        .unwrap_or_default())
}

/// The assignments in a file of the form of os-release(5); none where it is not there.
///
/// # Errors
/// What reading it gave.
pub(super) fn release_fields(
    tree: &Tree,
    data: &dyn ReadFile,
    path: &str,
) -> io::Result<BTreeMap<String, String>> {
    let text = read_text(tree, data, path, OS_RELEASE_MAX_BYTES)?;
    Ok(text.map(|text| os_release(&text)).unwrap_or_default())
}

fn read_text(
    tree: &Tree,
    data: &dyn ReadFile,
    path: &str,
    max_bytes: u64,
) -> io::Result<Option<String>> {
    let Some(file) = tree.file(path.as_bytes()) else {
        return Ok(None);
    };
    read_limited(data, file, max_bytes)
        .map(|bytes| Some(String::from_utf8_lossy(&bytes).into_owned()))
        .map_err(|error| io::Error::new(error.kind(), format!("/{path}: {error}")))
}

fn read_limited(data: &dyn ReadFile, file: &FileData, max_bytes: u64) -> io::Result<Vec<u8>> {
    if file.size() > max_bytes {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("has more than {max_bytes} bytes"),
        ));
    }
    let mut bytes = Vec::new();
    data.open(file)?.take(max_bytes).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Names of the module directories that a kernel belongs to: those that depmod
/// has been over or that hold modules.
fn kernel_versions(tree: &Tree) -> Vec<String> {
    let Some(children) = tree.lookup(MODULES).and_then(|id| tree.children(id)) else {
        return Vec::new();
    };
    children
        .iter()
        .filter(|&(_, &id)| {
            tree.children(id).is_some_and(|dir| {
                dir.contains_key(&b"kernel"[..]) || dir.contains_key(&b"modules.dep"[..])
            })
        })
        .map(|(name, _)| String::from_utf8_lossy(name).into_owned())
        .collect()
}

/// os-release(5): assignments as a shell reads them, without expansion.
fn os_release(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| {
            let (key, value) = line.trim().split_once('=')?;
            (!key.starts_with('#')).then(|| (key.to_owned(), unquote(value)))
        })
        .collect()
}

fn unquote(value: &str) -> String {
    let single = value.len() >= 2 && value.starts_with('\'') && value.ends_with('\'');
    let double = value.len() >= 2 && value.starts_with('"') && value.ends_with('"');
    if single || double {
        let inner = value.get(1..value.len() - 1).unwrap_or_default();
        if single {
            return inner.to_owned();
        }
        return unescape(inner);
    }
    unescape(value)
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

/// deb-control(5) paragraphs of dpkg's status file: the installed packages, with
/// their versions.
pub(super) fn dpkg_status(text: &str) -> BTreeMap<String, String> {
    text.split("\n\n")
        .filter_map(|paragraph| {
            let field = |name: &str| {
                paragraph.lines().find_map(|line| {
                    Some(
                        line.strip_prefix(name)?
                            .strip_prefix(':')?
                            .trim()
                            .to_owned(),
                    )
                })
            };
            let state = field("Status")?;
            if state.split(' ').next_back() != Some("installed") {
                return None;
            }
            Some((field("Package")?, field("Version")?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::testing::{self, InlineOnly};
    use isoforge_base::tree::{Inode, Kind, Meta};

    fn tree(files: &[(&str, &str)], links: &[(&str, &str)]) -> Tree {
        let bytes = files.iter().map(|(path, text)| (*path, text.as_bytes()));
        testing::tree(&bytes.collect::<Vec<_>>(), links)
    }

    const STATUS: &str = "Package: runc\nStatus: install ok installed\nVersion: 1.1.15+ds1-2\n\
        Description: a\n b\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
        Package: containerd\nStatus: hold ok installed\nConffiles:\n /etc/x abc\nVersion: 1.7.24~ds1-6\n";

    #[test]
    fn the_system_is_read_through_links() {
        let tree = tree(
            &[
                (
                    "usr/lib/os-release",
                    "# Debian\nID=debian\nVERSION_ID=\"13\"\nPRETTY_NAME='a \"b\"'\n",
                ),
                ("usr/lib/modules/6.12.48-amd64/modules.dep", ""),
                ("usr/lib/modules/6.12.48-amd64/kernel/a.ko", ""),
                ("usr/lib/modules/leftover/extra.txt", ""),
            ],
            &[
                ("etc/os-release", "../usr/lib/os-release"),
                ("lib", "usr/lib"),
            ],
        );
        let found = of_system(&tree, &InlineOnly, None).unwrap();
        let lines: Vec<String> = found
            .iter()
            .map(|c| format!("{} {} {} ({})", c.kind, c.name, c.version, c.source))
            .collect();
        assert_eq!(
            lines,
            [
                "os debian 13 (etc/os-release)",
                "kernel linux 6.12.48-amd64 (lib/modules)"
            ]
        );
    }

    #[test]
    fn the_kernel_that_is_booted_is_the_one_that_is_named() {
        let modules =
            ["6.1-a", "6.2-b"].map(|release| format!("lib/modules/{release}/modules.dep"));
        let files = modules.each_ref().map(|path| (path.as_str(), ""));
        let tree = tree(&files, &[]);
        let named = |booted| -> Vec<String> {
            let found = of_system(&tree, &InlineOnly, booted).unwrap();
            found.into_iter().map(|found| found.version).collect()
        };
        assert_eq!(named(Some("6.1-a")), ["6.1-a"]);
        assert_eq!(named(Some("6.0")), ["6.0"]);
        assert_eq!(named(None), ["6.1-a", "6.2-b"]);
    }

    #[test]
    fn only_installed_packages_that_were_asked_for_count() {
        let tree = tree(&[(DPKG_STATUS, STATUS)], &[]);
        let found = of_packages(
            &tree,
            &InlineOnly,
            ComponentKind::Kubernetes,
            ["runc", "gone", "kubeadm", "containerd"],
        )
        .unwrap();
        let names: Vec<_> = found.iter().map(|c| (&*c.name, &*c.version)).collect();
        assert_eq!(
            names,
            [("containerd", "1.7.24~ds1-6"), ("runc", "1.1.15+ds1-2")]
        );
    }

    #[test]
    fn a_tree_that_tells_nothing_gives_nothing() {
        let tree = Tree::new();
        assert_eq!(of_system(&tree, &InlineOnly, None).unwrap(), []);
        assert!(installed_packages(&tree, &InlineOnly).unwrap().is_empty());
    }

    #[test]
    fn a_file_that_is_too_large_is_an_error_that_names_it() {
        let mut tree = Tree::new();
        let kind = Kind::File(FileData::Layer {
            layer: isoforge_base::tree::LayerId(0),
            file: 0,
            size: MAX_FILE_BYTES + 1,
        });
        let inode = Inode {
            meta: Meta::with_mode(0o644),
            kind,
        };
        tree.insert(DPKG_STATUS.as_bytes(), inode).unwrap();
        let error = installed_packages(&tree, &InlineOnly).unwrap_err();
        assert!(error.to_string().contains(DPKG_STATUS), "{error}");
    }

    #[test]
    fn os_release_values_are_read_as_a_shell_reads_them() {
        let fields = os_release("A=plain\nB=\"a \\\"b\\\" \\$c\"\nC='a\\b'\n#D=1\nE=\"\n");
        assert_eq!(fields["A"], "plain");
        assert_eq!(fields["B"], "a \"b\" $c");
        assert_eq!(fields["C"], "a\\b");
        assert!(!fields.contains_key("D") && !fields.contains_key("#D"));
        assert_eq!(fields["E"], "\"");
    }
}
