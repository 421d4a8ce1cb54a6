//! What happens inside the new root beside the installation of packages:
//! scripts for mmdebstrap's hooks. `$1` is the new root.

use isoforge_base::digest::Digest;
use isoforge_base::process::Program;
use isoforge_system::boot::core_image::{self, Target};
use isoforge_system::boot::loader;

/// Before the kernel comes, and with it the initrd: dracut makes one that
/// starts any machine and a live medium, the same in each run.
const DRACUT: &str = r#"set -e
mkdir -p "$1/etc/dracut.conf.d"
printf '%s\n' 'hostonly="no"' 'add_dracutmodules+=" dmsquash-live "' \
	'compress="zstd"' 'reproducible="yes"' >"$1/etc/dracut.conf.d/10-isoforge.conf"
"#;

/// What came from the host or differs from run to run. Names and addresses are
/// the cloud-config's business.
const CLEAN: &str = r#"set -e
rm -f "$1/etc/hostname" "$1/etc/resolv.conf" "$1/etc/ssh/ssh_host_"*
rm -f "$1/var/cache/debconf/"*-old "$1/var/lib/dpkg/"*-old
rm -f "$1/var/cache/apt/archives/lock" "$1/var/lib/apt/lists/lock"
if [ -e "$1/etc/machine-id" ]; then : >"$1/etc/machine-id"; fi
"#;

/// Where GRUB for BIOS is installed, its core images for the medium and for an
/// installed disk, made by its own grub-mkimage.
fn core_images() -> String {
    let format = core_image::FORMAT;
    let modules = core_image::MODULES.join(" ");
    let dir = loader::CORE_IMAGE.trim_end_matches("/eltorito.img");
    let make = |target: Target, image: &str| {
        format!(
            "\tchroot \"$1\" grub-mkimage --format {format} --prefix '{}' --output /{image} \
             {modules}\n",
            target.prefix()
        )
    };
    format!(
        r#"set -e
if [ -x "$1/usr/bin/grub-mkimage" ] && [ -e "$1/usr/lib/grub/i386-pc/kernel.img" ]; then
	mkdir -p "$1/{dir}"
{}{}fi
"#,
        make(Target::Medium, loader::CORE_IMAGE),
        make(Target::Disk, loader::DISK_CORE_IMAGE)
    )
}

/// What a line that tells a package's file begins with.
const PACKAGE: &str = "isoforge-package ";

/// Tells the digest of the file of every package, as the archives' indexes have
/// it, on standard error. The host's apt reads the new root's lists; its caches
/// are not written, so that nothing is left in the tree.
const HASHES: &str = r#"set -e
dpkg-query --admindir="$1/var/lib/dpkg" --showformat='${db:Status-Status} ${Package}:${Architecture}=${Version}\n' --show |
	sed -n 's/^installed //p' |
	APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" xargs apt-cache -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= show |
	sed -n -e '/^Package: /{s///;h}' -e '/^SHA256: /{s///;H;g;s/\n/ /;s/^/isoforge-package /;p}' >&2
"#;

/// A package's name and the digest of its file, where the line tells them.
pub(super) fn package(line: &str) -> Option<(&str, Digest)> {
    let (name, hex) = line.strip_prefix(PACKAGE)?.split_once(' ')?;
    Some((name, format!("sha256:{}", hex.trim()).parse().ok()?))
}

/// Adds the hooks to a call of mmdebstrap.
pub(super) fn add(program: Program) -> Program {
    program
        .arg(format!("--essential-hook={DRACUT}"))
        .arg(format!("--customize-hook={}", core_images()))
        .arg(format!("--customize-hook={HASHES}"))
        .arg(format!("--customize-hook={CLEAN}"))
}

/// Changes with the scripts.
pub(super) fn digest() -> Digest {
    Digest::of([DRACUT, &core_images(), HASHES, CLEAN].concat().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_package_makes_anew_in_each_run_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let ssh = root.path().join("etc/ssh");
        fs_err::create_dir_all(&ssh).unwrap();
        for name in ["ssh_host_rsa_key", "ssh_host_rsa_key.pub", "ssh_config"] {
            fs_err::write(ssh.join(name), name).unwrap();
        }
        fs_err::write(root.path().join("etc/hostname"), "host").unwrap();
        fs_err::write(root.path().join("etc/machine-id"), "id").unwrap();
        let clean = Program::new("sh", "dash").args(["-c", CLEAN, "sh"]);
        clean.arg(root.path()).output(1024).unwrap();
        let left: Vec<_> = fs_err::read_dir(&ssh)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["ssh_config"]);
        assert!(!root.path().join("etc/hostname").exists());
        let id = fs_err::read(root.path().join("etc/machine-id")).unwrap();
        assert_eq!(id, b"");
    }
}
