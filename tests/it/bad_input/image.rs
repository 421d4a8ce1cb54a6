//! Images that can't boot, layers that no honest tool writes.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use insta::assert_snapshot;
use isoforge_base::digest::Digest;
use isoforge_oci::layer::LayerCompression;
use isoforge_oci::media::{Family, MediaType};

use super::{builds_again, failed};
use crate::support::bootable::{
    self, INITRD, KERNEL, LIVE_INITRD, PLAIN_INITRD, initrd_line, os_layer,
};
use crate::support::layers::{Blob, Image, tar_layer};
use crate::support::program::Project;

/// A project whose operating system is the usual one, changed.
fn project_of(change: impl Fn(String) -> String) -> Project {
    let project = Project::bootable();
    replace_os(&project, change);
    project
}

fn replace_os(project: &Project, change: impl Fn(String) -> String) {
    let image = bootable::image("amd64", &change(os_layer("amd64")));
    std::fs::remove_dir_all(project.path("os")).unwrap();
    bootable::write_image(&project.path("os"), &[&image]);
}

/// The layer without the entry at `path`.
fn without(layer: &str, path: &str) -> String {
    let wanted = |line: &&str| !line.contains(&format!(" {path} "));
    let rest: Vec<&str> = layer.lines().filter(wanted).collect();
    assert_eq!(rest.len() + 1, layer.lines().count(), "{path} was there");
    rest.join("\n")
}

#[test]
fn an_image_without_a_kernel() {
    let project = project_of(|layer| without(&layer, KERNEL));
    assert_snapshot!(failed(&project, &[]), @r"
    exit 2
    error: the OS image has no kernel; looked for:
        /boot/vmlinuz
        /boot/vmlinuz-*
        /usr/lib/modules/*/vmlinuz
    hint: add a kernel to the image: linux-image-amd64 (Debian), linux-image-generic (Ubuntu), kernel (Fedora, RHEL), kernel-default (SUSE)
    ");
    builds_again(&project);
}

#[test]
fn a_kernel_without_modules_unless_forced() {
    let project =
        project_of(|layer| layer.replace("usr/lib/modules/6.1.0-test/", "usr/lib/modules/6.0/"));
    assert_snapshot!(failed(&project, &[]), @r"
    exit 2
    error: the kernel 6.1.0-test has no modules in the image; there are: 6.0
    hint: install the package with its modules in the image (on Ubuntu linux-modules and linux-modules-extra), or remove this kernel: of several the one that /boot/vmlinuz leads to is booted, else the newest; --force builds the ISO all the same
    ");
    let forced = project.run(&["build", "profile.toml", "--force"]);
    forced.assert_exit(0);
    let warning = "warning: the kernel 6.1.0-test has no modules in the image; there are: 6.0";
    assert!(forced.stderr.contains(warning), "{}", forced.stderr);
}

#[test]
fn a_file_that_is_no_kernel() {
    let project = project_of(|layer| layer.replace("HdrS", "none"));
    assert_snapshot!(failed(&project, &[]), @r"
    exit 2
    error: the kernel /boot/vmlinuz-6.1.0-test is no kernel for amd64: it does not begin like one
    hint: install the distribution's kernel in the image; --force builds the ISO all the same
    ");
    builds_again(&project);
}

#[test]
fn an_initrd_of_another_kernel() {
    let of_another = [LIVE_INITRD, &["usr/lib/modules/5.9/modules.dep"]].concat();
    let project =
        project_of(|layer| layer.replace(&initrd_line(LIVE_INITRD), &initrd_line(&of_another)));
    assert_snapshot!(failed(&project, &[]), @r"
    exit 2
    error: the initrd /boot/initrd.img-6.1.0-test has modules of the kernel 5.9 and none of 6.1.0-test, which is booted
    hint: make one for it in the image: dracut --force --kver 6.1.0-test; --force builds the ISO all the same
    ");
    builds_again(&project);
}

#[test]
fn an_image_without_an_initrd() {
    let project = project_of(|layer| without(&layer, INITRD));
    assert_snapshot!(failed(&project, &[]), @r"
    exit 2
    error: the OS image has no initrd for its kernel /boot/vmlinuz-6.1.0-test; looked for:
        /boot/initrd.img-6.1.0-test
        /boot/initramfs-6.1.0-test.img
        /boot/initrd-6.1.0-test
        /boot/initrd-6.1.0-test.img
        /usr/lib/modules/6.1.0-test/initramfs.img
        /usr/lib/modules/6.1.0-test/initrd
        /boot/initrd
        /boot/initrd.img
        /boot/initramfs.img
    hint: make one in the image with dracut (packages dracut and dracut-live, dracut-squash on older releases): dracut --no-hostonly --add dmsquash-live --regenerate-all --force
    ");
    builds_again(&project);
}

#[test]
fn an_image_without_a_boot_loader() {
    let project = project_of(|layer| without(&layer, "usr/lib/shim/shimx64.efi.signed"));
    assert_snapshot!(failed(&project, &[]), @r"
    exit 2
    error: the OS image has no signed shim; looked for:
        /usr/lib/shim/shimx64.efi.signed
        /usr/lib/shim/shimx64.efi.signed.latest
        /usr/lib/shim/shimx64.efi.dualsigned
        /boot/efi/EFI/*/shimx64.efi
        /usr/lib/bootupd/updates/EFI/*/shimx64.efi
        /usr/lib/efi/shim/*/EFI/*/shimx64.efi
        /usr/lib/efi/grub2/*/EFI/*/shimx64.efi
        /usr/share/shim/*/x64/shimx64.efi
        /usr/share/efi/x86_64/shim.efi
    hint: add to the image: shim-signed (Debian, Ubuntu), shim-x64 (Fedora, RHEL) or shim (SUSE)
    ");
    builds_again(&project);
}

#[test]
fn an_initrd_that_cannot_start_the_iso_unless_forced() {
    let project =
        project_of(|layer| layer.replace(&initrd_line(LIVE_INITRD), &initrd_line(PLAIN_INITRD)));
    assert_snapshot!(failed(&project, &[]), @r#"
    exit 2
    error: the initrd /boot/initrd.img-6.1.0-test can't start the ISO: it has no dmsquash-live, the module of dracut that mounts a live medium
    hint: in the image, install dracut and dracut-live (dracut-squash on older releases), put `add_dracutmodules+=" dmsquash-live "` and `hostonly="no"` into /etc/dracut.conf.d/live.conf, and run dracut --regenerate-all --force; --force builds the ISO all the same
    "#);
    let forced = project.run(&["build", "profile.toml", "--force"]);
    forced.assert_exit(0);
    assert!(project.path("dist/tiny-1.0.0/tiny-1.0.0.iso").exists());
    assert_snapshot!(forced.stderr, @r#"
    Gathering inputs
    Building the ISO for amd64
    warning: the initrd /boot/initrd.img-6.1.0-test can't start the ISO: it has no dmsquash-live, the module of dracut that mounts a live medium; in the image, install dracut and dracut-live (dracut-squash on older releases), put `add_dracutmodules+=" dmsquash-live "` and `hostonly="no"` into /etc/dracut.conf.d/live.conf, and run dracut --regenerate-all --force
    Building the system with Kubernetes 1.32.3 for amd64
    Building the provider image
    Done in [TIME]
      Gathering inputs [TIME]
      Building the ISO for amd64 [TIME]
      Building the system with Kubernetes 1.32.3 for amd64 [TIME]
      Building the provider image [TIME]
      blobs: 6 from the store ( [SIZE]), 2 from local files ( [SIZE])
      layers: 5 compressed before ( [SIZE])
      to look into it: isoforge inspect dist/tiny-1.0.0
      to boot it: qemu-system-x86_64 -machine q35 -m 4096 -cdrom dist/tiny-1.0.0/tiny-1.0.0.iso
    "#);
    builds_again(&project);
}

#[test]
fn an_initrd_that_is_none() {
    let line = initrd_line(LIVE_INITRD);
    let project = project_of(|layer| layer.replace(&line, &format!("file {INITRD} 0600 nonsense")));
    assert_snapshot!(failed(&project, &[]), @r#"
    exit 2
    error: the initrd /boot/initrd.img-6.1.0-test can't be read
      caused by: neither a cpio archive nor a known compression at offset 0 (bytes 6e 6f 6e 73 65 6e)
    hint: make the image's initrd anew, with dracut and compress="zstd"
    "#);
    builds_again(&project);
}

#[test]
fn an_image_for_another_architecture() {
    let project = Project::bootable();
    assert_snapshot!(
        failed(&project, &["--set", "appliance.arch=[\"arm64\"]", "--set", "boot.firmware=[\"uefi\"]"]),
        @r"
        exit 2
        error: oci:os can't be used
          caused by: there is no image for linux/arm64; there are: linux/amd64
        hint: take one of the platforms there, or another tag
        "
    );
    builds_again(&project);
}

#[test]
fn an_image_that_is_not_there() {
    let project = Project::bootable();
    project.change_profile("oci:os", "oci:nowhere");
    assert_snapshot!(failed(&project, &[]), @r"
    exit 2
    error: oci:nowhere can't be pulled
      caused by: nowhere does not exist
    ");
    builds_again(&project);
}

/// Puts an image of this tar archive in the place of the Kubernetes layer.
fn put_layer(project: &Project, tar: &[u8]) {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(tar).unwrap();
    let media_type = MediaType::Layer(Family::Oci, LayerCompression::Gzip);
    let blob = Blob::new(media_type.as_str(), gzip.finish().unwrap());
    let image = Image::from_blobs(
        Family::Oci,
        "linux/amd64",
        vec![blob],
        vec![Digest::of(tar)],
    );
    std::fs::remove_dir_all(project.path("kubernetes")).unwrap();
    bootable::write_image(&project.path("kubernetes"), &[&image]);
}

#[test]
fn a_layer_that_climbs_out() {
    let project = Project::bootable();
    let mut tar = tar_layer("file xx/evil 0644 content");
    // The library that writes the tests' archives refuses to write this.
    tar[..2].copy_from_slice(b"..");
    let mut header = tar::Header::from_byte_slice(&tar[..512]).clone();
    header.set_cksum();
    tar[..512].copy_from_slice(header.as_bytes());
    put_layer(&project, &tar);
    assert_snapshot!(failed(&project, &[]), @r"
    exit 5
    error: layer Kubernetes 1.32.3: unsafe entry '../evil': path '../evil' has a '..' component
    hint: no usual tool writes such an archive; do not trust the image it comes from
    ");
    builds_again(&project);
}

#[test]
fn a_gzip_bomb() {
    let project = Project::bootable();
    put_layer(&project, &tar_layer("fill usr/zeros 0644 0*70000000"));
    assert_snapshot!(failed(&project, &[]), @r"
    exit 5
    error: layer Kubernetes 1.32.3: more than [N] uncompressed bytes for each compressed one, at 'byte [N] of the uncompressed layer'
    hint: if this layer is trusted and really that large, raise 'ratio' under [limits] in the profile
    ");
    builds_again(&project);
}

#[test]
fn a_layer_that_is_no_archive() {
    let project = Project::bootable();
    put_layer(&project, &[b'x'; 4096]);
    assert_snapshot!(failed(&project, &[]), @r"
    exit 5
    error: layer Kubernetes 1.32.3: no valid tar header at byte [N]
    hint: the archive is damaged or no tar archive; fetch or make it again
    ");
    builds_again(&project);
}

#[test]
fn an_earlier_output_survives_a_failed_build() {
    let project = Project::bootable();
    project.build();
    let read = || -> Vec<_> {
        let path = |name: &String| project.path("dist").join(name);
        let names = project.outputs();
        names
            .iter()
            .map(|name| std::fs::read(path(name)).unwrap())
            .collect()
    };
    let before = read();
    replace_os(&project, |layer| without(&layer, KERNEL));
    failed(&project, &[]);
    assert_eq!(read(), before);
}
