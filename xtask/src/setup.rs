//! What the machine needs beside Rust and a C compiler.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::sh;

/// How often a failing apt-get is tried, and how long is waited in between.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(10);

/// Oldest QEMU that can be trusted under emulation.
pub(crate) const QEMU_MIN_MAJOR: u32 = 8;

/// What a package is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Need {
    /// What `isoforge build profiles/demo.toml` needs
    Build,
    /// What the tests need beside that
    Test,
}

/// Arguments of the task.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only what is needed for this
    #[arg(long, value_enum)]
    only: Option<Need>,
}

/// A package, as a line of a table has it.
struct Package {
    name: &'static str,
    need: Need,
    /// Taken from Debian 12's backports, where it runs on Debian 12.
    backport: bool,
    /// What it is needed for.
    why: &'static str,
}

// Everything, a package a line, with the reason for it. A test that runs a program
// fails where the program is missing, so each of them is here.

const FOR_BUILD: &str = "
    mmdebstrap              makes the root file system of `bootstrap` profiles
    debian-archive-keyring  the keys that mmdebstrap checks Debian's archive with
    uidmap                  user namespaces for mmdebstrap, where the user is not root
    util-linux              unshare, which tells whether user namespaces work
";

const FOR_TEST: &str = "
    grub-common             grub-mkimage and grub-script-check: BIOS core image, menu syntax
    grub-pc-bin             GRUB's BIOS modules, of which a core image is made
    squashfs-tools          unsquashfs judges the SquashFS writer; mksquashfs is the bench's peer
    xorriso                 judges the ISO writer, and is the bench's peer
    genisoimage             isoinfo, a second judge of the ISO writer
    mtools                  mdir and mcopy judge the ESP, of ISOs and of installed disks
    dosfstools              fsck.fat judges the ESP; mkfs.fat makes a site's medium
    fdisk                   sfdisk judges GPT and MBR, of ISOs and of installed disks
    skopeo                  judges OCI layouts and archives
    umoci                   judges the provider image
    docker-registry         a real registry on loopback; its service is not needed
    curl                    asks an installed container runtime for an image
    cpio                    makes initrds for tests
    zstd                    makes archives for tests
    xz-utils                makes archives for tests
    e2fsprogs               file systems for tests; e2fsck and debugfs judge installed disks
    openssh-client          logs in to installed machines, and sees their host keys
    openssl                 hashes the password of the tests' account, as users do
    libfaketime             another clock for the builds that have to be equal
    strace                  gives calls of the kernel errors: what fails then is to fail well
    time                    GNU time tells the bench what peers use
";

/// Those of the tests that Debian 12 has too old.
const BACKPORTS_FOR_TEST: &str = "
    qemu-system-x86         boots the ISO; 7.2 of Debian 12 breaks kernels under emulation
    qemu-utils              qemu-io writes a log of writes that the reader is tested with
    seabios                 BIOS for QEMU
    ovmf                    UEFI for QEMU, with Secure Boot
";

/// All of the tables.
fn packages() -> impl Iterator<Item = Package> {
    [
        (FOR_BUILD, Need::Build, false),
        (FOR_TEST, Need::Test, false),
        (BACKPORTS_FOR_TEST, Need::Test, true),
    ]
    .into_iter()
    .flat_map(|(table, need, backport)| {
        let lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(move |line| {
            let (name, why) = line.split_once(' ').unwrap_or((line, ""));
            Package {
                name,
                need,
                backport,
                why: why.trim_start(),
            }
        })
    })
}

/// The task.
pub(crate) fn run(args: &Args) -> Result<()> {
    match args.only {
        Some(Need::Build) => ensure(Need::Build)?,
        Some(Need::Test) | None => ensure(Need::Test)?,
    }
    println!("setup: complete");
    Ok(())
}

/// Installs what is missing up to `need`.
pub(crate) fn ensure(need: Need) -> Result<()> {
    if !sh::succeeds(&mut sh::command(["cc", "--version"])) {
        bail!("no C compiler: install gcc and libc6-dev (zstd and ring are built from C)");
    }
    let missing: Vec<_> = packages()
        .filter(|package| package.need <= need && !is_installed(package))
        .collect();
    if missing.is_empty() {
        println!("setup: every package is there");
    } else {
        println!("setup: installing");
        for package in &missing {
            println!("  {:<24}{}", package.name, package.why);
        }
        install(&missing)?;
    }
    if need == Need::Test {
        rust_components()?;
    }
    Ok(())
}

fn is_installed(package: &Package) -> bool {
    let query = ["dpkg-query", "--show", "--showformat=${Status}"];
    let status = sh::output(sh::command(query).arg(package.name));
    let installed = status.is_ok_and(|status| status.ends_with(" installed"));
    installed
        && (package.name != "qemu-system-x86" || qemu_major().is_ok_and(|v| v >= QEMU_MIN_MAJOR))
}

/// The major version of the installed QEMU.
pub(crate) fn qemu_major() -> Result<u32> {
    let text = sh::output(&mut sh::command(["qemu-system-x86_64", "--version"]))?;
    let version = text
        .split_once("version ")
        .and_then(|(_, rest)| rest.split('.').next())
        .context("qemu-system-x86_64 does not tell its version")?;
    version
        .parse()
        .with_context(|| format!("QEMU's version in {text:?}"))
}

fn install(missing: &[Package]) -> Result<()> {
    let os = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let bookworm = os.lines().any(|line| line == "VERSION_CODENAME=bookworm");
    if !Path::new("/usr/bin/apt-get").exists() {
        let names: Vec<_> = missing.iter().map(|package| package.name).collect();
        bail!(
            "this machine has no apt-get; install yourself what Debian calls: {}",
            names.join(" ")
        );
    }
    let (backports, main): (Vec<&Package>, Vec<&Package>) = missing
        .iter()
        .partition(|package| bookworm && package.backport);
    if !backports.is_empty() {
        add_backports()?;
    }
    if !has_lists()? {
        apt(&["update"])?;
    }
    install_from(&main, &[])?;
    install_from(&backports, &["--target-release", "bookworm-backports"])
}

fn install_from(packages: &[&Package], options: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let mut words = vec!["install", "--yes", "--no-install-recommends"];
    words.extend(options);
    words.extend(packages.iter().map(|package| package.name));
    for left in (0..TRIES).rev() {
        match apt(&words) {
            Ok(()) => return Ok(()),
            Err(error) if left == 0 => return Err(error),
            Err(error) => {
                println!("setup: {error:#}; trying again with new package lists");
                std::thread::sleep(PAUSE);
                // Old lists name packages that the mirror has dropped.
                if let Err(error) = apt(&["update"]) {
                    println!("setup: {error:#}");
                }
            }
        }
    }
    Ok(())
}

/// Adds Debian 12's backports where no source names them yet.
fn add_backports() -> Result<()> {
    const FILE: &str = "/etc/apt/sources.list.d/bookworm-backports.sources";
    const SOURCE: &str = "Types: deb\nURIs: http://deb.debian.org/debian\n\
         Suites: bookworm-backports\nComponents: main\n\
         Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n";
    let policy = sh::output(&mut sh::command(["apt-cache", "policy"])).unwrap_or_default();
    if policy.contains("bookworm-backports") || sources_name_backports() {
        return Ok(());
    }
    println!("setup: adding {FILE}");
    let script = format!("printf %s '{SOURCE}' >{FILE}");
    sh::run(as_root(&["sh", "-c", &script])?.stdin(std::process::Stdio::null()))?;
    apt(&["update"])
}

fn sources_name_backports() -> bool {
    let folder = std::fs::read_dir("/etc/apt/sources.list.d");
    let files: BTreeSet<_> = folder
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|e| e == "list" || e == "sources")
        })
        .chain(["/etc/apt/sources.list".into()])
        .collect();
    let texts = files
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok());
    texts
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .any(|line| !line.trim_start().starts_with('#') && line.contains("bookworm-backports"))
}

/// Whether apt has any package list; fresh containers have none.
fn has_lists() -> Result<bool> {
    let lists = std::fs::read_dir("/var/lib/apt/lists").context("/var/lib/apt/lists")?;
    Ok(lists
        .filter_map(Result::ok)
        .any(|entry| entry.file_name().to_string_lossy().contains("_Packages")))
}

fn apt(words: &[&str]) -> Result<()> {
    let mut all = vec![
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "--quiet",
    ];
    all.extend(words);
    sh::run(&mut as_root(&all)?)
}

fn as_root(words: &[&str]) -> Result<Command> {
    let root = sh::output(&mut sh::command(["id", "-u"]))?.trim() == "0";
    if root {
        return Ok(sh::command(words));
    }
    if !sh::succeeds(&mut sh::command(["sudo", "--version"])) {
        bail!(
            "packages are missing and this user is neither root nor has sudo; as root run: {}",
            words.join(" ")
        );
    }
    Ok(sh::command(["sudo"].iter().chain(words)))
}

/// rustfmt and clippy, which rustup's minimal profile leaves out.
fn rust_components() -> Result<()> {
    for (tool, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !sh::succeeds(&mut sh::command(["cargo", tool, "--version"])) {
            sh::run(&mut sh::command(["rustup", "component", "add", component]))
                .with_context(|| format!("cargo {tool} is missing"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_named_once_and_says_why() {
        let names: BTreeSet<_> = packages().map(|package| package.name).collect();
        assert_eq!(names.len(), packages().count());
        assert!(packages().all(|package| !package.why.is_empty()));
    }
}
