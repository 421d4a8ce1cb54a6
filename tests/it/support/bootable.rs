//! An operating system made of text that isoforge takes for a bootable one:
//! every file that it looks for is where distributions have it, and nothing in
//! them would run. Quick to build, and small.

use std::path::Path;

use isoforge_oci::layer::LayerCompression;
use isoforge_oci::media::Family;

use super::layers::{Image, index, write_layout};

/// Release of the kernel in [`os_layer`].
pub(crate) const KERNEL_RELEASE: &str = "6.1.0-test";

/// Where the kernel and initrd of [`os_layer`] are, without leading slash.
pub(crate) const KERNEL: &str = "boot/vmlinuz-6.1.0-test";
pub(crate) const INITRD: &str = "boot/initrd.img-6.1.0-test";

/// Files of an initrd that dracut made with its module dmsquash-live.
pub(crate) const LIVE_INITRD: &[&str] = &["init", "usr/sbin/dmsquash-live-root"];

/// The same without that module.
pub(crate) const PLAIN_INITRD: &[&str] = &["init"];

/// Kernel modules that are asked for; the test kernel has them built in.
const BUILTIN_MODULES: &[&str] = &[
    "isofs",
    "squashfs",
    "overlay",
    "loop",
    "sr_mod",
    "usb_storage",
    "uas",
    "ahci",
    "nvme",
    "virtio_blk",
    "virtio_scsi",
    "vmw_pvscsi",
    "vmxnet3",
];

/// An initrd: a cpio archive in the format "newc" of files without content
/// (cpio(5)). It is text, so that it can stand in a line of a layer.
pub(crate) fn initrd(files: &[&str]) -> String {
    let mut archive = String::new();
    for (number, name) in files.iter().chain(&["TRAILER!!!"]).enumerate() {
        let fields = [
            number,
            0o100_755,
            0,
            0,
            1,
            0,
            0,
            0,
            0,
            0,
            0,
            name.len() + 1,
            0,
        ];
        archive.push_str("070701");
        archive.extend(fields.map(|field| format!("{field:08x}")));
        archive.push_str(name);
        archive.push('\0');
        while !archive.len().is_multiple_of(4) {
            archive.push('\0');
        }
    }
    archive
}

/// Text that begins like a kernel for `architecture`: with the magic number of its
/// header (Linux, Documentation/arch/x86/boot.rst and arm64/booting.rst).
pub(crate) fn kernel(architecture: &str) -> String {
    let mut image = format!("kernel for {architecture}").repeat(2000);
    let (at, magic) = match architecture {
        "amd64" => (0x202, "HdrS"),
        _ => (56, "ARMd"),
    };
    image.replace_range(at..at + magic.len(), magic);
    image
}

/// A line of a layer that puts an initrd of `files` in its place.
pub(crate) fn initrd_line(files: &[&str]) -> String {
    format!("file {INITRD} 0600 '{}'", initrd(files))
}

/// The layer of an operating system for `architecture` (OCI's name): amd64
/// starts under BIOS and UEFI, arm64 under UEFI.
pub(crate) fn os_layer(architecture: &str) -> String {
    let modules: String = BUILTIN_MODULES
        .iter()
        .map(|module| format!("kernel/drivers/{module}.ko\\n"))
        .collect();
    let (efi, signed) = match architecture {
        "amd64" => ("x64", "x86_64-efi-signed"),
        "arm64" => ("aa64", "arm64-efi-signed"),
        other => panic!("no loaders for {other}"),
    };
    let mut lines = vec![
        "dir etc 0755".to_owned(),
        r#"file usr/lib/os-release 0644 'ID=debian\nVERSION_ID="13"\nPRETTY_NAME="Test OS 13"\n'"#
            .to_owned(),
        "link etc/os-release ../usr/lib/os-release".to_owned(),
        format!("file usr/lib/modules/{KERNEL_RELEASE}/modules.builtin 0644 '{modules}'"),
        format!("file {KERNEL} 0644 '{}'", kernel(architecture)),
        initrd_line(LIVE_INITRD),
        format!("fill usr/lib/shim/shim{efi}.efi.signed 0644 'shim*1000'"),
        format!("fill usr/lib/grub/{signed}/gcd{efi}.efi.signed 0644 'grub*4000'"),
        "dir usr/lib/systemd/system 0755".to_owned(),
        "file usr/lib/systemd/system/rescue.target 0644 '[Unit]\\n'".to_owned(),
        "file usr/bin/true 0755 '#!/bin/sh\\n' uid=0 gid=0 mtime=1714550400".to_owned(),
        "fill usr/share/data 0644 'some data of the system *4000'".to_owned(),
    ];
    if architecture == "amd64" {
        lines.push("fill usr/lib/grub/i386-pc/boot_hybrid.img 0644 m*512".to_owned());
        lines.push("fill usr/lib/isoforge/i386-pc/eltorito.img 0644 c*9000".to_owned());
        lines.push("fill usr/lib/isoforge/i386-pc/disk.img 0644 d*9000".to_owned());
    }
    lines.join("\n")
}

/// The layer of the Kubernetes programs, and what kubeadm asks for beside them.
pub(crate) fn kubernetes_layer(architecture: &str) -> String {
    let programs = [
        "kubelet",
        "kubeadm",
        "conntrack",
        "iptables",
        "ip",
        "mount",
        "nsenter",
        "containerd",
        "runc",
        "ebtables",
        "ethtool",
        "socat",
        "tc",
    ];
    let lines =
        programs.map(|name| format!("file usr/bin/{name} 0755 '{name} for {architecture}'"));
    lines.join("\n")
}

/// An image of one gzip layer for `architecture`.
pub(crate) fn image(architecture: &str, layer: &str) -> Image {
    Image::new(
        Family::Oci,
        &format!("linux/{architecture}"),
        &[(layer, LayerCompression::Gzip)],
    )
}

/// Writes an OCI layout whose one reference `latest` is an index over `images`.
pub(crate) fn write_image(folder: &Path, images: &[&Image]) {
    write_layout(folder, &[("latest", &index(Family::Oci, images))], images);
}

/// Writes the layouts `os` and `kubernetes` into `folder`, for the profile that
/// [`profile`] gives.
pub(crate) fn write_sources(folder: &Path, architectures: &[&str]) {
    let write = |name: &str, layer: fn(&str) -> String| {
        let images: Vec<Image> = architectures
            .iter()
            .map(|architecture| image(architecture, &layer(architecture)))
            .collect();
        let images: Vec<&Image> = images.iter().collect();
        write_image(&folder.join(name), &images);
    };
    write("os", os_layer);
    write("kubernetes", kubernetes_layer);
}

/// A profile over the layouts of [`write_sources`], which lie beside it.
pub(crate) fn profile(architectures: &[&str]) -> String {
    profile_of(architectures, "oci:os", "oci:kubernetes")
}

/// A profile over these images.
pub(crate) fn profile_of(architectures: &[&str], os: &str, kubernetes: &str) -> String {
    let firmware = if architectures.contains(&"arm64") {
        r#"["uefi"]"#
    } else {
        r#"["bios", "uefi"]"#
    };
    format!(
        r#"schema = 1

[appliance]
name = "tiny"
version = "1.0.0"
arch = {architectures:?}

[os]
flavor = "appliance"
distribution = "debian"
version = "13"
image = "{os}"

[kubernetes]
distribution = "pxk-e"
version = "1.32.3"
image = "{kubernetes}"

[boot]
firmware = {firmware}

[provider]
repository = "registry.example/edge/tiny"
"#
    )
}
