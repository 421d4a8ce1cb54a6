//! Boot loaders in the tree: signed shim and GRUB for UEFI, GRUB's core image
//! or its modules for BIOS, where Debian, Ubuntu, Fedora, Red Hat, SUSE and
//! Kairos put them.
//!
//! For UEFI only signed loaders count, whether the machine checks them or not:
//! the same ISO has to start with Secure Boot on. Of GRUB's builds the one for
//! CDs is preferred: it is made to read ISO 9660 and looks for its
//! configuration on the medium that it was started from.

use super::files::{self, BootFile, list};
use crate::Error;
use crate::error::unfit;
use isoforge_base::tree::{ReadFile, Tree};
use isoforge_contract::arch::Arch;

/// Largest `os-release` that is read, in bytes; real ones have hundreds.
const OS_RELEASE_MAX_BYTES: u64 = 64 * 1024;

/// Where `bootstrap` leaves the core image that it makes, without leading
/// slash.
pub const CORE_IMAGE: &str = "usr/lib/isoforge/i386-pc/eltorito.img";

/// Where it leaves the one for an installed disk, without leading slash.
pub const DISK_CORE_IMAGE: &str = "usr/lib/isoforge/i386-pc/disk.img";

/// The UEFI loaders and the names by which they call each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uefi {
    /// First loader, signed by Microsoft.
    pub shim: BootFile,
    /// File name of the shim in `EFI/BOOT`: the removable medium's path
    /// (UEFI 2.10, section 3.5.1.1).
    pub shim_name: &'static str,
    /// GRUB, signed by the distribution whose key is in the shim.
    pub grub: BootFile,
    /// File name under which the shim starts GRUB.
    pub grub_name: &'static str,
    /// Shim's tool to enrol further keys, where the image has it.
    pub mok_manager: Option<BootFile>,
    /// File name under which the shim starts that tool.
    pub mok_manager_name: &'static str,
    /// Where GRUB may look for its configuration, without leading slash: on
    /// the ESP and on the ISO a stub stands in each of these.
    pub stubs: Vec<String>,
}

/// What BIOS needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bios {
    /// GRUB's core image with its El Torito loader in front, or what to make
    /// it of.
    pub core: Core,
    /// GRUB's `boot_hybrid.img`: boot code for the MBR.
    pub mbr: BootFile,
}

/// GRUB's core image for BIOS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Core {
    /// Found in the image.
    Image(BootFile),
    /// To be made from the modules in this directory of the tree (absolute).
    Modules(String),
}

/// Finds what UEFI needs.
///
/// # Errors
/// Naming every place that was looked at; where `os-release` can't be read.
pub fn find_uefi(tree: &Tree, data: &dyn ReadFile, arch: Arch) -> Result<Uefi, Error> {
    let shim = required(tree, shim_paths(arch), "signed shim", shim_packages(arch))?;
    let grub = required(tree, grub_paths(arch), "signed GRUB", grub_packages(arch))?;
    let mok_manager = files::first(tree, &mok_manager_paths(arch));
    let suse = is_suse(&shim.path);
    Ok(Uefi {
        shim_name: match arch {
            Arch::Amd64 => "bootx64.efi",
            Arch::Arm64 => "bootaa64.efi",
        },
        // Compiled into the shim: SUSE's asks for names of its own.
        grub_name: match arch {
            _ if suse => "grub.efi",
            Arch::Amd64 => "grubx64.efi",
            Arch::Arm64 => "grubaa64.efi",
        },
        mok_manager_name: match arch {
            _ if suse => "MokManager.efi",
            Arch::Amd64 => "mmx64.efi",
            Arch::Arm64 => "mmaa64.efi",
        },
        stubs: stub_paths(tree, data, &grub.path)?,
        shim,
        grub,
        mok_manager,
    })
}

/// Finds what BIOS needs.
///
/// # Errors
/// Naming every place that was looked at; for arm64, which knows no BIOS.
pub fn find_bios(tree: &Tree, arch: Arch) -> Result<Bios, Error> {
    const PACKAGES: &str = "grub-pc-bin (Debian, Ubuntu), grub2-pc-modules (Fedora, RHEL) or \
         grub2-i386-pc (SUSE); or write `firmware = [\"uefi\"]` under [boot]";
    if arch != Arch::Amd64 {
        let problem = format!("firmware \"bios\" does not exist on {arch}");
        let hint = "write `firmware = [\"uefi\"]` under [boot]";
        return Err(unfit(problem).with_hint(hint).into());
    }
    let images = core_paths();
    let core = match files::first(tree, &images) {
        Some(image) => Core::Image(image),
        None => Core::Modules(modules(tree).ok_or_else(|| {
            let what = "GRUB core image for BIOS, nor the modules to make it";
            missing(what, PACKAGES, &[images.clone(), kernel_paths()].concat())
        })?),
    };
    let mbr = required(tree, mbr_paths(), "boot code for the MBR", PACKAGES)?;
    Ok(Bios { core, mbr })
}

/// Finds what an installed disk needs under BIOS; nothing where `tree` has
/// neither its core image nor the modules to make one.
#[must_use]
pub fn find_bios_disk(tree: &Tree) -> Option<Bios> {
    let mbr = files::first(tree, &mbr_paths())?;
    let image = files::first(tree, &[DISK_CORE_IMAGE.to_owned()]).map(Core::Image);
    let core = image.or_else(|| modules(tree).map(Core::Modules))?;
    Some(Bios { core, mbr })
}

/// The directory (absolute) with GRUB's modules for BIOS.
fn modules(tree: &Tree) -> Option<String> {
    let kernel = files::first(tree, &kernel_paths())?;
    Some(kernel.path.trim_end_matches("/kernel.img").to_owned())
}

fn kernel_paths() -> Vec<String> {
    let paths = MODULE_DIRS.iter().map(|dir| format!("{dir}/kernel.img"));
    paths.collect()
}

fn mbr_paths() -> Vec<String> {
    let paths = MODULE_DIRS.iter();
    paths.map(|dir| format!("{dir}/boot_hybrid.img")).collect()
}

fn required(
    tree: &Tree,
    paths: Vec<String>,
    what: &str,
    packages: &str,
) -> Result<BootFile, Error> {
    files::first(tree, &paths).ok_or_else(|| missing(what, packages, &paths))
}

fn missing(what: &str, packages: &str, looked_at: &[String]) -> Error {
    let looked_at = list(looked_at);
    unfit(format!(
        "the OS image has no {what}; looked for:{looked_at}"
    ))
    .with_hint(format!("add to the image: {packages}"))
    .into()
}

fn shim_packages(arch: Arch) -> &'static str {
    match arch {
        Arch::Amd64 => "shim-signed (Debian, Ubuntu), shim-x64 (Fedora, RHEL) or shim (SUSE)",
        Arch::Arm64 => "shim-signed (Debian, Ubuntu), shim-aa64 (Fedora, RHEL) or shim (SUSE)",
    }
}

fn grub_packages(arch: Arch) -> &'static str {
    match arch {
        Arch::Amd64 => {
            "grub-efi-amd64-signed (Debian, Ubuntu), grub2-efi-x64-cdboot (Fedora, RHEL) or \
             grub2-x86_64-efi (SUSE)"
        }
        Arch::Arm64 => {
            "grub-efi-arm64-signed (Debian, Ubuntu), grub2-efi-aa64-cdboot (Fedora, RHEL) or \
             grub2-arm64-efi (SUSE)"
        }
    }
}

/// Directories that hold a distribution's `EFI/<vendor>` with loaders:
/// the mounted ESP of Fedora's packages, what bootupd keeps for updates, and
/// where newer Fedora packages put them.
const VENDOR_DIRS: [&str; 4] = [
    "boot/efi/EFI/*",
    "usr/lib/bootupd/updates/EFI/*",
    "usr/lib/efi/shim/*/EFI/*",
    "usr/lib/efi/grub2/*/EFI/*",
];

/// GRUB's directories of BIOS modules: Debian, Ubuntu, Fedora; SUSE.
const MODULE_DIRS: [&str; 2] = ["usr/lib/grub/i386-pc", "usr/share/grub2/i386-pc"];

fn core_paths() -> Vec<String> {
    let mut paths = vec![CORE_IMAGE.to_owned()];
    paths.extend(MODULE_DIRS.iter().map(|dir| format!("{dir}/eltorito.img")));
    paths
}

fn shim_paths(arch: Arch) -> Vec<String> {
    let efi = arch.efi();
    let mut paths = vec![
        // The first is a link to the one that the image's owner chose.
        format!("usr/lib/shim/shim{efi}.efi.signed"),
        format!("usr/lib/shim/shim{efi}.efi.signed.latest"),
        format!("usr/lib/shim/shim{efi}.efi.dualsigned"),
    ];
    paths.extend(VENDOR_DIRS.iter().map(|dir| format!("{dir}/shim{efi}.efi")));
    paths.push(format!("usr/share/shim/*/{efi}/shim{efi}.efi"));
    paths.push(format!("{}/shim.efi", suse_dir(arch)));
    paths
}

fn grub_paths(arch: Arch) -> Vec<String> {
    let efi = arch.efi();
    let signed = match arch {
        Arch::Amd64 => "usr/lib/grub/x86_64-efi-signed",
        Arch::Arm64 => "usr/lib/grub/arm64-efi-signed",
    };
    let mut paths = vec![
        format!("{signed}/gcd{efi}.efi.signed"),
        format!("{signed}/grub{efi}.efi.signed"),
    ];
    paths.extend(VENDOR_DIRS.iter().map(|dir| format!("{dir}/gcd{efi}.efi")));
    paths.extend(VENDOR_DIRS.iter().map(|dir| format!("{dir}/grub{efi}.efi")));
    paths.push(format!("{}/grub.efi", suse_dir(arch)));
    paths
}

fn mok_manager_paths(arch: Arch) -> Vec<String> {
    let efi = arch.efi();
    let mut paths = vec![
        format!("usr/lib/shim/mm{efi}.efi.signed"),
        format!("usr/lib/shim/mm{efi}.efi"),
    ];
    paths.extend(VENDOR_DIRS.iter().map(|dir| format!("{dir}/mm{efi}.efi")));
    paths.push(format!("{}/MokManager.efi", suse_dir(arch)));
    paths
}

fn suse_dir(arch: Arch) -> &'static str {
    match arch {
        Arch::Amd64 => "usr/share/efi/x86_64",
        Arch::Arm64 => "usr/share/efi/aarch64",
    }
}

fn is_suse(shim: &str) -> bool {
    shim.starts_with("/usr/share/efi/")
}

/// Where a GRUB looks depends on the prefix that it was built with: the CD
/// builds have `/boot/grub` (Debian, Ubuntu) or `/EFI/BOOT` (Fedora), others
/// `/EFI/<vendor>`. The vendor is in Fedora's paths; Debian and Ubuntu use the
/// ID of their `os-release`.
fn stub_paths(tree: &Tree, data: &dyn ReadFile, grub: &str) -> Result<Vec<String>, Error> {
    let mut stubs = vec![
        "boot/grub/grub.cfg".to_owned(),
        "EFI/BOOT/grub.cfg".to_owned(),
    ];
    let in_path = grub
        .split_once("/EFI/")
        .and_then(|(_, rest)| rest.split('/').next())
        .map(str::to_owned);
    let vendor = match in_path {
        Some(vendor) => Some(vendor),
        None => os_id(tree, data)?,
    };
    if let Some(vendor) = vendor
        && !vendor.eq_ignore_ascii_case("boot")
    {
        stubs.push(format!("EFI/{vendor}/grub.cfg"));
    }
    Ok(stubs)
}

/// The ID in `os-release`, where it is a plain name (os-release(5)).
fn os_id(tree: &Tree, data: &dyn ReadFile) -> Result<Option<String>, Error> {
    let paths = ["etc/os-release".to_owned(), "usr/lib/os-release".to_owned()];
    let Some(file) = files::first(tree, &paths) else {
        return Ok(None);
    };
    let text = files::text(data, &file, OS_RELEASE_MAX_BYTES)?;
    let Some(id) = text.lines().find_map(|line| line.strip_prefix("ID=")) else {
        return Ok(None);
    };
    let id = id.trim_matches(['"', '\'']);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let named = !id.is_empty() && !id.starts_with('.') && id.chars().all(plain);
    Ok(named.then(|| id.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;
    use isoforge_base::error::{Class, Diagnose as _};
    use isoforge_judges::trees::{InMemory, tree};

    fn uefi(arch: Arch, text: &str) -> String {
        let found = find_uefi(&tree(text), &InMemory, arch).unwrap();
        format!(
            "{} <- {}\n{} <- {}\n{} <- {}\n{}",
            found.shim_name,
            found.shim.path,
            found.grub_name,
            found.grub.path,
            found.mok_manager_name,
            found
                .mok_manager
                .map_or("none".to_owned(), |file| file.path),
            found.stubs.join(" ")
        )
    }

    #[test]
    fn an_os_release_that_cannot_be_read_is_not_one_that_is_missing() {
        let text = "usr/lib/shim/shimx64.efi.signed
             usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed";
        let mut tree = tree(text);
        let found = find_uefi(&tree, &InMemory, Arch::Amd64).unwrap();
        assert_eq!(found.stubs.len(), 2);
        let lost = isoforge_base::tree::Inode {
            meta: isoforge_base::tree::Meta::with_mode(0o644),
            kind: isoforge_judges::trees::unreadable(),
        };
        tree.insert(b"etc/os-release", lost).unwrap();
        let error = find_uefi(&tree, &InMemory, Arch::Amd64).unwrap_err();
        assert_eq!(error.class(), Class::Io);
        assert_snapshot!(error, @"reading '/etc/os-release' from the image");
    }

    #[test]
    fn debian_and_ubuntu() {
        assert_snapshot!(uefi(
            Arch::Amd64,
            "usr/lib/shim/shimx64.efi.signed
             usr/lib/shim/shimx64.efi
             usr/lib/shim/mmx64.efi.signed
             usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed
             usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed
             etc/os-release -> ../usr/lib/os-release
             usr/lib/os-release = ID=debian"
        ), @r"
        bootx64.efi <- /usr/lib/shim/shimx64.efi.signed
        grubx64.efi <- /usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed
        mmx64.efi <- /usr/lib/shim/mmx64.efi.signed
        boot/grub/grub.cfg EFI/BOOT/grub.cfg EFI/debian/grub.cfg
        ");
        assert_snapshot!(uefi(
            Arch::Arm64,
            "usr/lib/shim/shimaa64.efi.signed -> /etc/alternatives/shimaa64.efi.signed
             etc/alternatives/shimaa64.efi.signed -> /usr/lib/shim/shimaa64.efi.signed.latest
             usr/lib/shim/shimaa64.efi.signed.latest
             usr/lib/shim/shimaa64.efi.dualsigned
             usr/lib/grub/arm64-efi-signed/grubaa64.efi.signed
             etc/os-release = ID=\"ubuntu\""
        ), @r"
        bootaa64.efi <- /usr/lib/shim/shimaa64.efi.signed.latest
        grubaa64.efi <- /usr/lib/grub/arm64-efi-signed/grubaa64.efi.signed
        mmaa64.efi <- none
        boot/grub/grub.cfg EFI/BOOT/grub.cfg EFI/ubuntu/grub.cfg
        ");
    }

    #[test]
    fn fedora_and_suse() {
        assert_snapshot!(uefi(
            Arch::Amd64,
            "boot/efi/EFI/BOOT/BOOTX64.EFI
             boot/efi/EFI/fedora/shimx64.efi
             boot/efi/EFI/fedora/grubx64.efi
             boot/efi/EFI/fedora/gcdx64.efi
             boot/efi/EFI/fedora/mmx64.efi"
        ), @r"
        bootx64.efi <- /boot/efi/EFI/fedora/shimx64.efi
        grubx64.efi <- /boot/efi/EFI/fedora/gcdx64.efi
        mmx64.efi <- /boot/efi/EFI/fedora/mmx64.efi
        boot/grub/grub.cfg EFI/BOOT/grub.cfg EFI/fedora/grub.cfg
        ");
        assert_snapshot!(uefi(
            Arch::Amd64,
            "usr/share/efi/x86_64/shim.efi -> shim-opensuse.efi
             usr/share/efi/x86_64/shim-opensuse.efi
             usr/share/efi/x86_64/grub.efi -> ../../grub2/x86_64-efi/grub.efi
             usr/share/grub2/x86_64-efi/grub.efi
             usr/share/efi/x86_64/MokManager.efi"
        ), @r"
        bootx64.efi <- /usr/share/efi/x86_64/shim-opensuse.efi
        grub.efi <- /usr/share/grub2/x86_64-efi/grub.efi
        MokManager.efi <- /usr/share/efi/x86_64/MokManager.efi
        boot/grub/grub.cfg EFI/BOOT/grub.cfg
        ");
    }

    #[test]
    fn an_os_release_that_would_leave_its_place_is_not_used() {
        let text = "usr/lib/shim/shimx64.efi.signed
             usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed
             etc/os-release = ID=../../x";
        let found = find_uefi(&tree(text), &InMemory, Arch::Amd64).unwrap();
        assert_eq!(found.stubs.len(), 2);
    }

    #[test]
    fn bios_takes_an_image_before_modules() {
        let modules = "usr/lib/grub/i386-pc/kernel.img
             usr/lib/grub/i386-pc/boot_hybrid.img";
        let found = find_bios(&tree(modules), Arch::Amd64).unwrap();
        assert_eq!(
            found.core,
            Core::Modules("/usr/lib/grub/i386-pc".to_owned())
        );
        let text = format!("{modules}\n{CORE_IMAGE}");
        let found = find_bios(&tree(&text), Arch::Amd64).unwrap();
        assert!(matches!(found.core, Core::Image(file) if file.path == format!("/{CORE_IMAGE}")));
    }

    #[test]
    fn a_disk_takes_an_image_of_its_own_before_modules() {
        let core = |text: &str| find_bios_disk(&tree(text)).map(|bios| bios.core);
        let mbr = "usr/lib/grub/i386-pc/boot_hybrid.img";
        let modules = format!("{mbr}\nusr/lib/grub/i386-pc/kernel.img\n{CORE_IMAGE}");
        let dir = Core::Modules("/usr/lib/grub/i386-pc".to_owned());
        assert_eq!(core(&modules), Some(dir));
        let image = format!("{modules}\n{DISK_CORE_IMAGE}");
        assert!(
            matches!(core(&image), Some(Core::Image(file)) if file.path == format!("/{DISK_CORE_IMAGE}"))
        );
        // The medium's is no use to a disk.
        assert_eq!(core(&format!("{mbr}\n{CORE_IMAGE}")), None);
    }

    #[test]
    fn errors_name_every_place_and_the_packages() {
        let error = find_uefi(&tree("etc/"), &InMemory, Arch::Amd64).unwrap_err();
        assert_eq!(error.class(), Class::Profile);
        assert_snapshot!(error, @r"
        the OS image has no signed shim; looked for:
            /usr/lib/shim/shimx64.efi.signed
            /usr/lib/shim/shimx64.efi.signed.latest
            /usr/lib/shim/shimx64.efi.dualsigned
            /boot/efi/EFI/*/shimx64.efi
            /usr/lib/bootupd/updates/EFI/*/shimx64.efi
            /usr/lib/efi/shim/*/EFI/*/shimx64.efi
            /usr/lib/efi/grub2/*/EFI/*/shimx64.efi
            /usr/share/shim/*/x64/shimx64.efi
            /usr/share/efi/x86_64/shim.efi
        ");
        assert_snapshot!(error.hint().unwrap(), @"add to the image: shim-signed (Debian, Ubuntu), shim-x64 (Fedora, RHEL) or shim (SUSE)");
        let error = find_bios(&tree("etc/"), Arch::Amd64).unwrap_err();
        assert_snapshot!(error, @r"
        the OS image has no GRUB core image for BIOS, nor the modules to make it; looked for:
            /usr/lib/isoforge/i386-pc/eltorito.img
            /usr/lib/grub/i386-pc/eltorito.img
            /usr/share/grub2/i386-pc/eltorito.img
            /usr/lib/grub/i386-pc/kernel.img
            /usr/share/grub2/i386-pc/kernel.img
        ");
        let error = find_bios(&tree("etc/"), Arch::Arm64).unwrap_err();
        assert_snapshot!(error, @r#"firmware "bios" does not exist on arm64"#);
    }
}
