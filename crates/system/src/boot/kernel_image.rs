//! What the kernel's own bytes say: whether it is one for this architecture, and
//! its release, by which its modules and its initrd are named.
//!
//! Specifications: Linux, Documentation/arch/x86/boot.rst (the setup header) and
//! Documentation/arch/arm64/booting.rst (the image header);
//! drivers/firmware/efi/libstub/zboot-header.S for kernels that unpack themselves.

use std::io::{self, Read as _};

use super::kernel::{self, Kernel};
use super::{Finding, files};
use crate::Error;
use isoforge_base::tree::{ReadFile, Tree};
use isoforge_contract::arch::Arch;

/// How much of a kernel is looked at, in bytes: x86 has its release below 64 KiB
/// behind the boot sector.
const HEAD_BYTES: u64 = 0x200 + 0x10000 + RELEASE_MAX_BYTES as u64;

/// Longest release (`uts_namelen` is 64 with its end), in bytes.
const RELEASE_MAX_BYTES: usize = 64;

/// x86: where the setup header has its magic number.
const X86_MAGIC: (usize, &[u8]) = (0x202, b"HdrS");

/// x86: where the offset of the release is, counted from the second sector.
const X86_RELEASE: usize = 0x20e;

/// arm64: where the image header has its magic number.
const ARM64_MAGIC: (usize, &[u8]) = (56, b"ARM\x64");

/// arm64: the magic number of a program for UEFI that unpacks the kernel.
const ZBOOT_MAGIC: (usize, &[u8]) = (4, b"zimg");

/// A file that gzip has compressed, as Ubuntu has arm64's kernels.
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

/// Looks into the kernel that was found: its own release counts more than what its
/// file is called, and it must have modules in `tree`. What is wrong becomes a
/// finding.
///
/// # Errors
/// Where the kernel can't be read.
pub fn check(
    tree: &Tree,
    data: &dyn ReadFile,
    kernel: &mut Kernel,
    arch: Arch,
) -> Result<(), Error> {
    let head = head(data, kernel)?;
    let of = of_arch(&head);
    if of != Some(arch) {
        let path = &kernel.kernel.path;
        let what = match of {
            Some(other) => format!("is one for {other}, and the image is for {arch}"),
            None => format!("is no kernel for {arch}: it does not begin like one"),
        };
        kernel.findings.push(Finding::error(
            format!("the kernel {path} {what}"),
            "install the distribution's kernel in the image",
        ));
    }
    if let Some(release) = release(&head).filter(|_| of == Some(Arch::Amd64)) {
        kernel.modules = kernel::modules_of(tree, Some(&release));
        kernel.release = Some(release);
    }
    kernel.findings.extend(without_modules(tree, kernel));
    Ok(())
}

/// The release of the kernel that a machine boots from `tree`; none where it has no
/// kernel, or none that says its release.
///
/// # Errors
/// Where the kernel can't be read.
pub fn booted(tree: &Tree, data: &dyn ReadFile, arch: Arch) -> Result<Option<String>, Error> {
    // Whether a tree must have a kernel is for those who boot it to say.
    let Ok(mut kernel) = kernel::find(tree, arch) else {
        return Ok(None);
    };
    check(tree, data, &mut kernel, arch)?;
    Ok(kernel.release)
}

fn without_modules(tree: &Tree, kernel: &Kernel) -> Option<Finding> {
    if kernel.modules.is_some() {
        return None;
    }
    let there = kernel::module_releases(tree);
    let name = match &kernel.release {
        Some(release) => release,
        None if there.is_empty() => &kernel.kernel.path,
        // Which of them is the kernel's nobody can tell.
        None => return None,
    };
    let there = match there.as_slice() {
        [] => "there are none at all".to_owned(),
        there => format!("there are: {}", there.join(", ")),
    };
    Some(Finding::error(
        format!("the kernel {name} has no modules in the image; {there}"),
        "install the package with its modules in the image (on Ubuntu linux-modules and \
         linux-modules-extra), or remove this kernel: of several the one that /boot/vmlinuz \
         leads to is booted, else the newest",
    ))
}

/// The first bytes of the kernel, unpacked where gzip has packed it.
fn head(data: &dyn ReadFile, kernel: &Kernel) -> Result<Vec<u8>, Error> {
    let file = &kernel.kernel;
    let mut head = Vec::new();
    let read = |head: &mut Vec<u8>| -> io::Result<()> {
        data.open(&file.data)?.take(HEAD_BYTES).read_to_end(head)?;
        Ok(())
    };
    read(&mut head).map_err(files::unreadable(file))?;
    if !head.starts_with(GZIP_MAGIC) {
        return Ok(head);
    }
    // It is cut, so it ends in an error; what came before it is what counts.
    let mut unpacked = Vec::new();
    let _ = flate2::read::GzDecoder::new(head.as_slice())
        .take(HEAD_BYTES)
        .read_to_end(&mut unpacked);
    Ok(unpacked)
}

/// What a kernel that begins with `head` is for.
fn of_arch(head: &[u8]) -> Option<Arch> {
    let has =
        |(at, magic): (usize, &[u8])| head.get(at..).is_some_and(|rest| rest.starts_with(magic));
    if has(X86_MAGIC) {
        return Some(Arch::Amd64);
    }
    (has(ARM64_MAGIC) || has(ZBOOT_MAGIC)).then_some(Arch::Arm64)
}

/// The release in an x86 kernel, as `uname -r` says it: the first word of a text that
/// ends with a zero.
fn release(head: &[u8]) -> Option<String> {
    let at = head.get(X86_RELEASE..)?.first_chunk::<2>()?;
    let at = usize::from(u16::from_le_bytes(*at));
    // None is said.
    if at == 0 {
        return None;
    }
    let text = head.get(at.checked_add(0x200)?..)?;
    let text = text.get(..RELEASE_MAX_BYTES).unwrap_or(text);
    let end = text.iter().position(|b| matches!(b, 0 | b' '))?;
    let word = std::str::from_utf8(text.get(..end)?).ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+~-".contains(c);
    let begins = word.starts_with(|c: char| c.is_ascii_digit());
    (begins && word.chars().all(plain)).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use insta::assert_snapshot;
    use isoforge_base::error::{Class, Diagnose as _};
    use isoforge_base::tree::{Inode, Kind, Meta};
    use isoforge_judges::trees::{InMemory, file, tree, unreadable};

    fn x86(release: &str) -> Vec<u8> {
        let mut image = vec![0; 0x400];
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x20e..0x210].copy_from_slice(&0x200_u16.to_le_bytes());
        image.extend(format!("{release} (builder@host) #1 SMP\0").bytes());
        image
    }

    fn arm64() -> Vec<u8> {
        let mut image = b"MZ".to_vec();
        image.resize(56, 0);
        image.extend(b"ARM\x64");
        image
    }

    fn with(kernel: Kind, rest: &str) -> Tree {
        let mut tree = tree(&format!("boot/vmlinuz-6.1\nboot/initrd.img-6.1\n{rest}"));
        let meta = Meta::with_mode(0o644);
        tree.insert(b"boot/vmlinuz-6.1", Inode { meta, kind: kernel })
            .unwrap();
        tree
    }

    fn checked(image: &[u8], rest: &str, arch: Arch) -> String {
        let tree = with(file(image), rest);
        let mut kernel = kernel::find(&tree, arch).unwrap();
        check(&tree, &InMemory, &mut kernel, arch).unwrap();
        let mut lines = vec![kernel.release.unwrap_or_default()];
        lines.extend(kernel.findings.into_iter().map(|f| f.message));
        lines.join("\n")
    }

    const MODULES: &str = "usr/lib/modules/6.1/modules.dep";

    #[test]
    fn a_kernel_with_its_modules_passes() {
        assert_eq!(checked(&x86("6.1"), MODULES, Arch::Amd64), "6.1");
        assert_eq!(checked(&arm64(), MODULES, Arch::Arm64), "6.1");
        let zboot = b"MZ\0\0zimg";
        assert_eq!(checked(zboot, MODULES, Arch::Arm64), "6.1");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&[arm64(), fastrand_bytes()].concat())
            .unwrap();
        assert_eq!(
            checked(&gzip.finish().unwrap(), MODULES, Arch::Arm64),
            "6.1"
        );
    }

    /// More than is looked at, so that the gzip stream is cut.
    fn fastrand_bytes() -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(1);
        (0..200_000).map(|_| random.u8(..)).collect()
    }

    #[test]
    fn a_kernel_without_its_modules_is_an_error() {
        let others = "usr/lib/modules/6.0/modules.dep\nusr/lib/modules/6.10/modules.dep";
        assert_snapshot!(checked(&x86("6.1"), others, Arch::Amd64), @r"
        6.1
        the kernel 6.1 has no modules in the image; there are: 6.10, 6.0
        ");
        assert_snapshot!(checked(&arm64(), "", Arch::Arm64), @r"
        6.1
        the kernel 6.1 has no modules in the image; there are none at all
        ");
    }

    #[test]
    fn what_the_kernel_says_counts_more_than_its_name() {
        assert_snapshot!(checked(&x86("6.2-rt"), MODULES, Arch::Amd64), @r"
        6.2-rt
        the kernel 6.2-rt has no modules in the image; there are: 6.1
        ");
        let tree = with(file(&x86("6.2-rt")), MODULES);
        let release = booted(&tree, &InMemory, Arch::Amd64).unwrap();
        assert_eq!(release.as_deref(), Some("6.2-rt"));
        assert_eq!(booted(&Tree::new(), &InMemory, Arch::Amd64).unwrap(), None);
    }

    #[test]
    fn a_file_that_is_no_kernel_is_an_error() {
        assert_snapshot!(checked(b"#!/bin/sh", MODULES, Arch::Amd64), @r"
        6.1
        the kernel /boot/vmlinuz-6.1 is no kernel for amd64: it does not begin like one
        ");
        assert_snapshot!(checked(&x86("6.1"), MODULES, Arch::Arm64), @r"
        6.1
        the kernel /boot/vmlinuz-6.1 is one for amd64, and the image is for arm64
        ");
        assert_snapshot!(checked(b"", MODULES, Arch::Arm64), @r"
        6.1
        the kernel /boot/vmlinuz-6.1 is no kernel for arm64: it does not begin like one
        ");
    }

    #[test]
    fn a_release_beyond_the_file_is_none() {
        for at in [0_u16, 0x210, 0xffff] {
            let mut image = x86("6.2");
            image[0x20e..0x210].copy_from_slice(&at.to_le_bytes());
            assert_eq!(checked(&image, MODULES, Arch::Amd64), "6.1");
        }
    }

    #[test]
    fn a_kernel_that_cannot_be_read_is_an_error() {
        let tree = with(unreadable(), MODULES);
        let error = booted(&tree, &InMemory, Arch::Amd64).unwrap_err();
        assert_eq!(error.class(), Class::Io);
        assert_snapshot!(error, @"reading '/boot/vmlinuz-6.1' from the image");
    }
}
