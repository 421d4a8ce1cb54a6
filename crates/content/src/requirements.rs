//! Whether a system has what a pack asks of it: kernel modules, commands, and
//! kernel settings.
//!
//! Modules are looked for as `modprobe` does it: files below
//! `/lib/modules/RELEASE`, plain or with gzip, xz or Zstandard, and what
//! `modules.builtin` lists. A module's version is `version` of its `.modinfo`
//! section, or of `modules.builtin.modinfo`.
//!
//! A setting lacks where the system's own files make it otherwise.
//! What they leave open is the kernel's to say, as processors, memory and disk are
//! the machine's: none of that is looked at here.

mod sysctl;

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::pack::{Need, Requirements, setting};
use isoforge_base::limit::read_within;
use isoforge_base::tree::{FileData, InodeId, Kind, ReadFile, Tree, join};
use isoforge_formats::elf;
use isoforge_oci::compression::{decompress, sniff};

/// Where kernels' folders are; one leads to the other on merged systems.
const MODULES: [&[u8]; 2] = [b"lib/modules", b"usr/lib/modules"];
/// Where commands are looked for.
const COMMAND_FOLDERS: [&str; 6] = [
    "usr/local/sbin",
    "usr/local/bin",
    "usr/sbin",
    "usr/bin",
    "sbin",
    "bin",
];
/// Largest module and list of modules, unpacked, in bytes.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;
/// Memory that unpacking xz may take; `xz -9` needs 65 MiB.
const XZ_MEMORY_BYTES: u64 = 128 * 1024 * 1024;
const XZ_MAGIC: &[u8] = b"\xfd7zXZ\0";

/// Something that a system does not have: modules are told first, then commands and
/// settings, each kind by its names.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Lack {
    kind: LackKind,
    need: String,
    kernel: String,
    text: String,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum LackKind {
    Kernel,
    Module,
    Version,
    Command,
    Setting,
}

impl Lack {
    fn module(kind: LackKind, need: &Need, kernel: &str, text: &str) -> Self {
        Self {
            kind,
            need: need.to_string(),
            kernel: kernel.to_owned(),
            text: format!("the kernel module {need}: {text}"),
        }
    }

    fn new(kind: LackKind, need: &impl ToString, text: String) -> Self {
        Self {
            kind,
            need: need.to_string(),
            kernel: String::new(),
            text,
        }
    }
}

/// What `tree` does not have of `wanted`, in every kernel that is in it: a line each.
///
/// # Errors
/// Where a file of the tree can't be read.
pub fn missing(tree: &Tree, data: &dyn ReadFile, wanted: &Requirements) -> io::Result<Vec<String>> {
    let mut lacks = Vec::new();
    if !wanted.kernel_modules.is_empty() {
        let kernels = kernels(tree);
        if kernels.is_empty() {
            let needs = wanted.kernel_modules.iter();
            lacks.extend(
                needs.map(|need| {
                    Lack::module(LackKind::Kernel, need, "", "the system has no kernel")
                }),
            );
        }
        for (release, folder) in kernels {
            let modules = Modules::of(tree, data, folder)?;
            for need in &wanted.kernel_modules {
                lacks.extend(modules.lack(data, need, &release)?);
            }
        }
    }
    for command in &wanted.commands {
        if !has_command(tree, command) {
            let text = format!("the command {command}");
            lacks.push(Lack::new(LackKind::Command, command, text));
        }
    }
    if !wanted.sysctls.is_empty() {
        let settings = sysctl::Settings::of(tree, data)?;
        lacks.extend(wanted.sysctls.iter().filter_map(|need| {
            let set = settings.get(&setting::path(&need.name)?)?;
            let sysctl::Setting { file, value } = set;
            (!need.range.admits(value)).then(|| {
                let text = format!("the kernel setting {need}, and {file} sets {value}");
                Lack::new(LackKind::Setting, need, text)
            })
        }));
    }
    lacks.sort();
    Ok(lacks.into_iter().map(|lack| lack.text).collect())
}

/// Whether a file of this name that can be executed is where commands are looked for, links
/// followed.
#[must_use]
pub fn has_command(tree: &Tree, name: &str) -> bool {
    COMMAND_FOLDERS.iter().any(|folder| {
        let id = tree.lookup(format!("{folder}/{name}").as_bytes());
        id.is_some_and(|id| {
            let inode = tree.inode(id);
            matches!(inode.kind, Kind::File(_)) && inode.meta.mode & 0o111 != 0
        })
    })
}

/// The kernels by release, with their folders of modules.
fn kernels(tree: &Tree) -> Vec<(String, InodeId)> {
    let place = MODULES.iter().find_map(|path| tree.lookup(path));
    let folders = place.and_then(|id| tree.children(id));
    let folders = folders.into_iter().flatten();
    folders
        .filter(|&(_, &id)| {
            tree.children(id).is_some_and(|children| {
                ["kernel", "modules.dep", "modules.builtin"]
                    .iter()
                    .any(|name| children.contains_key(name.as_bytes()))
            })
        })
        .map(|(name, &id)| (String::from_utf8_lossy(name).into_owned(), id))
        .collect()
}

/// The modules of a kernel.
struct Modules<'a> {
    /// Files by module; nothing for what is built in.
    files: BTreeMap<String, Option<&'a FileData>>,
    /// Versions of built-in ones.
    builtin_versions: BTreeMap<String, String>,
}

impl<'a> Modules<'a> {
    fn of(tree: &'a Tree, data: &dyn ReadFile, folder: InodeId) -> io::Result<Self> {
        let mut modules = Self {
            files: BTreeMap::new(),
            builtin_versions: BTreeMap::new(),
        };
        let children = tree.children(folder).cloned().unwrap_or_default();
        let list = |name: &str| {
            let id = children.get(name.as_bytes())?;
            match &tree.inode(*id).kind {
                Kind::File(file) => Some(file),
                _ => None,
            }
        };
        if let Some(file) = list("modules.builtin") {
            let bytes = unpacked(data, file)?;
            for line in String::from_utf8_lossy(&bytes).lines() {
                let file = line.rsplit('/').next().unwrap_or(line);
                modules
                    .files
                    .extend(module_name(file).map(|name| (name, None)));
            }
        }
        if let Some(file) = list("modules.builtin.modinfo") {
            let bytes = unpacked(data, file)?;
            for entry in bytes.split(|&byte| byte == 0) {
                let entry = String::from_utf8_lossy(entry);
                if let Some((key, version)) = entry.split_once('=')
                    && let Some(name) = key.strip_suffix(".version")
                {
                    let name = name.replace('-', "_");
                    modules.builtin_versions.insert(name, version.to_owned());
                }
            }
        }
        modules.files_below(tree, folder);
        Ok(modules)
    }

    /// Takes in the files below a folder. Updates, which lie beside `kernel/`,
    /// come before it in `modprobe`'s order.
    fn files_below(&mut self, tree: &'a Tree, folder: InodeId) {
        let mut pending = vec![(folder, Vec::new())];
        let mut found: Vec<(bool, String, &FileData)> = Vec::new();
        while let Some((id, path)) = pending.pop() {
            for (name, &child) in tree.children(id).into_iter().flatten() {
                let path = join(&path, name);
                match &tree.inode(child).kind {
                    Kind::Directory(_) => pending.push((child, path)),
                    Kind::File(file) => {
                        if let Some(module) = module_name(&String::from_utf8_lossy(name)) {
                            found.push((path.starts_with(b"kernel/"), module, file));
                        }
                    }
                    _ => {}
                }
            }
        }
        found.sort_by_key(|(in_kernel, ..)| std::cmp::Reverse(*in_kernel));
        let files = found.into_iter();
        self.files
            .extend(files.map(|(_, module, file)| (module, Some(file))));
    }

    fn lack(&self, data: &dyn ReadFile, need: &Need, kernel: &str) -> io::Result<Option<Lack>> {
        let name = need.name.replace('-', "_");
        let Some(file) = self.files.get(&name) else {
            let text = format!("the kernel {kernel} has none");
            return Ok(Some(Lack::module(LackKind::Module, need, kernel, &text)));
        };
        if need.range.is_everything() {
            return Ok(None);
        }
        let found = match file {
            Some(file) => version(&unpacked(data, file)?),
            None => self.builtin_versions.get(&name).cloned(),
        };
        let text = match found {
            Some(found) if need.range.contains(&found) => return Ok(None),
            Some(found) => format!("the kernel {kernel} has version {found}"),
            None => format!("that of the kernel {kernel} says no version"),
        };
        Ok(Some(Lack::module(LackKind::Version, need, kernel, &text)))
    }
}

/// The version that a module says.
fn version(module: &[u8]) -> Option<String> {
    let info = elf::section(module, ".modinfo")?;
    let mut entries = info.split(|&byte| byte == 0);
    let version = entries.find_map(|entry| entry.strip_prefix(b"version="))?;
    Some(String::from_utf8_lossy(version).into_owned())
}

/// The module in a file's name: `usb-storage.ko.xz` is `usb_storage`.
fn module_name(file: &str) -> Option<String> {
    let (name, suffix) = file.split_once(".ko")?;
    matches!(suffix, "" | ".xz" | ".zst" | ".gz").then(|| name.replace('-', "_"))
}

/// The bytes of a file, decompressed where it is compressed.
fn unpacked(data: &dyn ReadFile, file: &FileData) -> io::Result<Vec<u8>> {
    let mut packed = Vec::new();
    data.open(file)?
        .take(MAX_FILE_BYTES)
        .read_to_end(&mut packed)?;
    let plain: Box<dyn Read> = match packed.starts_with(XZ_MAGIC) {
        true => {
            let decoder = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY_BYTES, 0)
                .map_err(io::Error::from)?;
            let packed = packed.as_slice();
            Box::new(liblzma::read::XzDecoder::new_stream(packed, decoder))
        }
        false => decompress(packed.as_slice(), sniff(&packed))?,
    };
    read_within(plain, MAX_FILE_BYTES)?.ok_or_else(|| {
        let problem = format!("a file of modules has more than {MAX_FILE_BYTES} bytes");
        io::Error::new(io::ErrorKind::FileTooLarge, problem)
    })
}

#[cfg(test)]
mod tests;
