//! GRUB's core image for BIOS: what goes into it, and making it from an
//! image's own modules with the host's grub-mkimage.
//!
//! One image serves both ways of booting a medium. From a CD, El Torito loads
//! the whole of it; from a disk, the MBR's boot code (`boot_hybrid.img`) loads
//! its first sector, which loads the rest. Either way BIOS gives the drive's
//! number, with which GRUB completes the prefix and opens `grub.cfg` there.
//!
//! No configuration is built in: GRUB would run it with its rescue parser, which
//! knows no conditions, so a search in it would always run and could end at
//! another medium. The prefix alone leads to the drive that was started.
//!
//! An installed disk has the same image with another prefix ([`Target::Disk`]).
//!
//! What it is made of is a value, the [`Recipe`], whose key names the result. So
//! a result that is kept under that key serves a machine without grub-mkimage.
//! The key does not have the program's version, since another version is no
//! reason to make it again; which one made a result is told with it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use fs_err as fs;

use super::files::{self, BootFile};
use crate::Error;
use crate::error::unfit;
use isoforge_base::digest::{Digest, Sha256};
use isoforge_base::error::{Class, Failure};
use isoforge_base::process::{self, Program};
use isoforge_base::tree::{ReadFile, Tree};

/// GRUB's format for a core image with the El Torito loader in front.
pub const FORMAT: &str = "i386-pc-eltorito";

/// What a core image starts from, by its prefix: the directory of `grub.cfg` on
/// the drive that BIOS started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The medium, whose file system is that of the whole drive.
    Medium,
    /// An installed disk, whose second partition is the EFI system partition.
    Disk,
}

impl Target {
    /// The prefix that is compiled in.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Medium => "/boot/grub",
            Self::Disk => "(,gpt2)/boot/grub",
        }
    }
}

/// Modules inside the core image: disks, the file systems and partition tables
/// of the medium and of installed disks, what stub and menu use, also where they are
/// locked.
pub const MODULES: [&str; 33] = [
    "biosdisk",
    "iso9660",
    "part_gpt",
    "part_msdos",
    "fat",
    "ext2",
    "normal",
    "configfile",
    "test",
    "true",
    "regexp",
    "search",
    "search_fs_file",
    "search_fs_uuid",
    "search_label",
    "linux",
    "chain",
    "loadenv",
    "all_video",
    "gfxterm",
    "font",
    "serial",
    "terminal",
    "echo",
    "cat",
    "ls",
    "minicmd",
    "sleep",
    "halt",
    "reboot",
    "gzio",
    "loopback",
    "password_pbkdf2",
];

/// Counts up when the same parts shall give another core image.
const RECIPE_VERSION: u32 = 2;

/// Names of the program: Debian, Ubuntu, SUSE; Fedora, RHEL.
const PROGRAMS: [&str; 2] = ["grub-mkimage", "grub2-mkimage"];

/// Debian's package with the program.
/// What is said where no file of it can be written or read.
pub(crate) const CANT_MAKE: &str = "GRUB's core image for BIOS can't be made";

pub(crate) const PACKAGE: &str = "grub-common";

/// Largest file of GRUB's directory of modules that is taken over, in bytes;
/// GRUB 2.12's largest has 270 KB.
const MODULE_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Largest core image, in bytes: GRUB loads it below the 640 KiB mark.
pub const CORE_MAX_BYTES: u64 = 640 * 1024;

/// Most that `grub-mkimage --version` may print, in bytes.
const VERSION_MAX_BYTES: u64 = 4096;

/// A core image and how it came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreImage {
    /// The image.
    pub bytes: Vec<u8>,
    /// Its digest.
    pub digest: Digest,
    /// What `grub-mkimage --version` said.
    pub made_by: String,
}

/// What a core image is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// Directory of the modules in the image (absolute), for messages.
    dir: String,
    /// Files of that directory by name.
    modules: BTreeMap<String, Vec<u8>>,
    /// What it starts from.
    target: Target,
}

impl Recipe {
    /// Reads the modules in `dir` (absolute, in `tree`), for a medium.
    ///
    /// # Errors
    /// What reading their data gives.
    pub fn read(tree: &Tree, data: &dyn ReadFile, dir: &str) -> io::Result<Self> {
        let within = dir.trim_start_matches('/');
        let mut modules = BTreeMap::new();
        for name in files::names(tree, within) {
            if let Some(file) = files::at(tree, &format!("{within}/{name}")) {
                modules.insert(name.to_owned(), read_module(data, &file)?);
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            modules,
            target: Target::Medium,
        })
    }

    /// The same modules for another target.
    #[must_use]
    pub fn target(self, target: Target) -> Self {
        Self { target, ..self }
    }

    /// Names what comes of it: a digest over everything that goes in, each part
    /// with its length before it.
    #[must_use]
    pub fn key(&self) -> Digest {
        let mut hasher = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        part(&RECIPE_VERSION.to_le_bytes());
        for text in [FORMAT, self.target.prefix()] {
            part(text.as_bytes());
        }
        part(MODULES.join(" ").as_bytes());
        for (name, bytes) in &self.modules {
            part(name.as_bytes());
            part(bytes);
        }
        hasher.finish()
    }

    /// Makes the core image with the host's grub-mkimage, working in `scratch`,
    /// an empty directory.
    ///
    /// # Errors
    /// Where the host has no grub-mkimage, it fails, or gives more than can be loaded.
    pub fn make(&self, scratch: &Path) -> Result<CoreImage, Error> {
        let Some(name) = PROGRAMS
            .into_iter()
            .find(|name| process::find(name).is_some())
        else {
            let modules = &self.dir;
            let problem = format!(
                "the OS image has GRUB's modules for BIOS ({modules}) but no core image made of \
                 them, and this machine has neither grub-mkimage nor grub2-mkimage"
            );
            let hint = format!(
                "install it (Debian, Ubuntu: {PACKAGE}; Fedora, RHEL: grub2-tools; SUSE: \
                 grub2), or write `firmware = [\"uefi\"]` under [boot]"
            );
            let lack = Failure::new(Class::Environment, problem).with_hint(hint);
            return Err(lack.into());
        };
        let version = Program::new(name, PACKAGE)
            .arg("--version")
            .output(VERSION_MAX_BYTES)
            .map_err(Error::GrubMkimage)?;
        let modules = scratch.join("i386-pc");
        fs::create_dir(&modules).map_err(Error::io(CANT_MAKE))?;
        for (file, bytes) in &self.modules {
            fs::write(modules.join(file), bytes).map_err(Error::io(CANT_MAKE))?;
        }
        let out = scratch.join("eltorito.img");
        Program::new(name, PACKAGE)
            .args(["--format", FORMAT, "--prefix", self.target.prefix()])
            .arg("--directory")
            .arg(&modules)
            .arg("--output")
            .arg(&out)
            .args(MODULES)
            .output(0)
            .map_err(Error::GrubMkimage)?;
        let size = fs::metadata(&out).map_err(Error::io(CANT_MAKE))?.len();
        if size > CORE_MAX_BYTES {
            let problem = format!(
                "GRUB's core image for BIOS has {size} bytes, of which only {CORE_MAX_BYTES} can \
                 be loaded"
            );
            return Err(unfit(problem).into());
        }
        let bytes = fs::read(&out).map_err(Error::io(CANT_MAKE))?;
        Ok(CoreImage {
            digest: Digest::of(&bytes),
            bytes,
            made_by: String::from_utf8_lossy(&version).trim().to_owned(),
        })
    }
}

fn read_module(data: &dyn ReadFile, file: &BootFile) -> io::Result<Vec<u8>> {
    files::read(data, file, MODULE_MAX_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use isoforge_base::error::{Class, Diagnose as _};
    use isoforge_base::tree::{Inode, Meta};
    use isoforge_judges::trees::{InMemory, file, tree};

    const DIR: &str = "usr/lib/grub/i386-pc";

    /// A tree with the modules that this machine has.
    fn tree_with_modules() -> Tree {
        let mut tree = tree("etc/");
        let entries = fs::read_dir(format!("/{DIR}"))
            .expect("GRUB's BIOS modules are needed (Debian package grub-pc-bin)");
        for entry in entries {
            let path = entry.unwrap().path();
            let inode = Inode {
                meta: Meta::with_mode(0o644),
                kind: file(&fs::read(&path).unwrap()),
            };
            let name = path.file_name().unwrap().to_str().unwrap();
            tree.insert(format!("{DIR}/{name}").as_bytes(), inode)
                .unwrap();
        }
        tree
    }

    fn recipe(tree: &Tree) -> Recipe {
        Recipe::read(tree, &InMemory, &format!("/{DIR}")).unwrap()
    }

    fn made(tree: &Tree) -> Result<CoreImage, Error> {
        let scratch = tempfile::tempdir().unwrap();
        recipe(tree).make(scratch.path())
    }

    #[test]
    fn the_key_follows_every_name_and_byte() {
        let tree_of = |files: &[(&str, &[u8])]| {
            let mut tree = tree("etc/");
            for (name, bytes) in files {
                let inode = Inode {
                    meta: Meta::with_mode(0o644),
                    kind: file(bytes),
                };
                tree.insert(format!("{DIR}/{name}").as_bytes(), inode)
                    .unwrap();
            }
            tree
        };
        let key = |files: &[(&str, &[u8])]| recipe(&tree_of(files)).key();
        let first = key(&[("a.mod", b"12"), ("b.mod", b"3")]);
        assert_eq!(first, key(&[("b.mod", b"3"), ("a.mod", b"12")]));
        for other in [
            key(&[("a.mod", b"12"), ("b.mod", b"4")]),
            key(&[("a.mod", b"1"), ("b.mod", b"23")]),
            key(&[("a.mod", b"12"), ("c.mod", b"3")]),
            key(&[("a.mod", b"12")]),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn the_images_modules_become_a_core_image_the_same_each_time() {
        let tree = tree_with_modules();
        let image = made(&tree).unwrap();
        // The El Torito loader comes first, as it is in the image.
        let loader = fs::read(format!("/{DIR}/cdboot.img")).unwrap();
        assert_eq!(image.bytes[..8], loader[..8]);
        assert!(image.bytes.len() > 100_000, "{}", image.bytes.len());
        assert_eq!(image.digest, Digest::of(&image.bytes));
        assert!(image.made_by.contains("GRUB"), "{}", image.made_by);
        assert_eq!(made(&tree).unwrap(), image);
    }

    #[test]
    fn an_installed_disk_has_a_core_image_of_its_own() {
        let tree = tree_with_modules();
        let medium = recipe(&tree);
        let disk = recipe(&tree).target(Target::Disk);
        assert_ne!(medium.key(), disk.key());
        let image = |recipe: &Recipe| {
            let scratch = tempfile::tempdir().unwrap();
            recipe.make(scratch.path()).unwrap()
        };
        assert_ne!(image(&medium).digest, image(&disk).digest);
    }

    #[test]
    fn a_module_that_the_image_lacks_is_named() {
        let mut tree = tree_with_modules();
        tree.remove(format!("{DIR}/regexp.mod").as_bytes());
        let error = made(&tree).unwrap_err();
        assert_eq!(error.class(), Class::Profile);
        let Error::GrubMkimage(source) = error else {
            panic!("{error}");
        };
        assert!(source.to_string().contains("regexp"), "{source}");
    }
}
