//! The small system's ISO and its root file system in the eyes of others'
//! tools, and the same root file system whichever way its image came.

use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;

use super::{Project, on_iso};
use crate::support::docker_registry::DockerRegistry;
use crate::support::judge;

#[test]
fn the_root_file_system_is_the_same_from_layout_and_registry() {
    let project = Project::small();
    let layout = project.build("profile.toml", &["--only", "iso"]);
    let from_layout = layout.squashfs("amd64");

    let registry = DockerRegistry::start(&project.path(""), false);
    let from = format!("oci:{}:v1", project.path("os").display());
    let to = format!("docker://{}/x/os:y", registry.host);
    let arguments = ["copy", "-q", "--dest-tls-verify=false", &from, &to];
    judge("skopeo", "skopeo", &arguments);
    let host = registry.host.replace("127.0.0.1", "localhost");
    let image = format!("os.image={host}/x/os:y");
    // An empty store, or the blobs and slabs of the first build would do.
    let pulled = project.build(
        "profile.toml",
        &["--only", "iso", "--set", &image, "--cache-dir", "other"],
    );
    assert_eq!(pulled.squashfs("amd64"), from_layout);
    let images = &pulled.manifest()["architectures"]["amd64"]["images"];
    assert_eq!(images[0]["reference"], format!("{host}/x/os:y"));
}

#[test]
fn the_root_file_system_is_what_the_layers_say() {
    let project = Project::small();
    project.write("rootfs/etc/motd", "text\n");
    let overlay = "overlays.rootfs=[\"rootfs\"]";
    let built = project.build("profile.toml", &["--only", "iso", "--set", overlay]);
    let file = project.squashfs_file(&built.iso());
    let stat = judge(
        "squashfs-tools",
        "unsquashfs",
        &["-stat", file.to_str().unwrap()],
    );
    assert!(stat.contains("Compression zstd\n"), "{stat}");
    assert!(stat.contains("Block size 262144\n"), "{stat}");
    for (path, content) in [
        ("usr/bin/also-large", "large".repeat(100_000)),
        ("usr/bin/kubelet", "kubelet".to_owned()),
        ("usr/bin/ping", "ping".to_owned()),
        ("etc/motd", "text\n".to_owned()),
    ] {
        let arguments = ["-cat", file.to_str().unwrap(), path];
        let read = judge("squashfs-tools", "unsquashfs", &arguments);
        assert!(read == content, "{path} has {} bytes", read.len());
    }
    assert_snapshot!(project.squashfs_listing(&built), @r"
    drwxr-xr-x 0/0                     127 1970-01-01 00:00
    lrwxrwxrwx 0/0                       7 1970-01-01 00:00 /bin -> usr/bin
    drwxr-xr-x 0/0                     142 1970-01-01 00:00 /boot
    -rw-r--r-- 0/0                     144 1970-01-01 00:00 /boot/.vmlinuz-6.1.0-test.hmac
    -rw-r--r-- 0/0                      21 1970-01-01 00:00 /boot/config-6.1.0-test
    -rw------- 0/0                     540 1970-01-01 00:00 /boot/initrd.img-6.1.0-test
    lrwxrwxrwx 0/0                      18 1970-01-01 00:00 /boot/vmlinuz -> vmlinuz-6.1.0-test
    -rw-r--r-- 0/0                   32000 1970-01-01 00:00 /boot/vmlinuz-6.1.0-test
    drwxr-xr-x 0/0                       3 2024-05-01 10:00 /dev
    drwxr-xr-x 0/0                     107 1970-01-01 00:00 /etc
    drwxr-xr-x 0/0                      41 1970-01-01 00:00 /etc/issue.d
    -rw-r--r-- 0/0                      61 2024-05-01 10:00 /etc/issue.d/10-appliance.issue
    -r--r--r-- 0/0                       0 2024-05-01 10:00 /etc/machine-id
    -rw-r--r-- 0/0                       5 2024-05-01 10:00 /etc/motd
    lrwxrwxrwx 0/0                      21 1970-01-01 00:00 /etc/os-release -> ../usr/lib/os-release
    -rw-r----- 0/42                     19 2023-11-14 22:13 /etc/shadow
    drwxr-xr-x 0/0                      29 1970-01-01 00:00 /etc/systemd
    drwxr-xr-x 0/0                      72 1970-01-01 00:00 /etc/systemd/system
    drwxr-xr-x 0/0                      41 1970-01-01 00:00 /etc/systemd/system/getty.target.wants
    lrwxrwxrwx 0/0                      38 2024-05-01 10:00 /etc/systemd/system/getty.target.wants/getty@tty1.service -> /usr/lib/systemd/system/getty@.service
    drwxr-xr-x 0/0                      54 1970-01-01 00:00 /etc/systemd/system/multi-user.target.wants
    lrwxrwxrwx 0/0                      55 2024-05-01 10:00 /etc/systemd/system/multi-user.target.wants/appliance-ssh-host-keys.service -> /usr/lib/systemd/system/appliance-ssh-host-keys.service
    lrwxrwxrwx 0/0                       7 1970-01-01 00:00 /lib -> usr/lib
    dr-xr-xr-x 0/0                       3 2024-05-01 10:00 /proc
    drwxr-xr-x 0/0                       3 2024-05-01 10:00 /run
    dr-xr-xr-x 0/0                       3 2024-05-01 10:00 /sys
    drwxrwxrwt 0/0                       3 2024-05-01 10:00 /tmp
    drwxr-xr-x 0/0                      74 1970-01-01 00:00 /usr
    drwxr-xr-x 0/0                     122 1970-01-01 00:00 /usr/bin
    -rwxr-xr-x 0/0                  500000 1970-01-01 00:00 /usr/bin/also-large
    -rwxr-xr-x 0/0                     120 2024-05-01 10:00 /usr/bin/appliance
    -rwxr-xr-x 0/0                      10 1970-01-01 00:00 /usr/bin/kairos-agent
    -rw-r--r-- 0/0                       7 2024-05-01 10:00 /usr/bin/kubelet
    -rwxr-xr-x 0/0                  500000 1970-01-01 00:00 /usr/bin/large
    -rwsr-xr-x 0/0                       4 1970-01-01 00:00 /usr/bin/ping
    -rwxr-xr-x 0/0                      10 2024-05-01 08:00 /usr/bin/true
    drwxr-xr-x 0/0                     120 1970-01-01 00:00 /usr/lib
    drwxr-xr-x 0/0                      34 1970-01-01 00:00 /usr/lib/appliance
    -rw-r--r-- 0/0                     941 2024-05-01 10:00 /usr/lib/appliance/config.json
    drwxr-xr-x 0/0                      55 1970-01-01 00:00 /usr/lib/grub
    drwxr-xr-x 0/0                      38 1970-01-01 00:00 /usr/lib/grub/i386-pc
    -rw-r--r-- 0/0                     512 1970-01-01 00:00 /usr/lib/grub/i386-pc/boot_hybrid.img
    drwxr-xr-x 0/0                      40 1970-01-01 00:00 /usr/lib/grub/x86_64-efi-signed
    -rw-r--r-- 0/0                   16000 1970-01-01 00:00 /usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed
    drwxr-xr-x 0/0                      53 1970-01-01 00:00 /usr/lib/isoforge
    -rw-r--r-- 0/0                     295 2024-05-01 10:00 /usr/lib/isoforge/components.json
    drwxr-xr-x 0/0                      51 1970-01-01 00:00 /usr/lib/isoforge/i386-pc
    -rw-r--r-- 0/0                    9000 1970-01-01 00:00 /usr/lib/isoforge/i386-pc/disk.img
    -rw-r--r-- 0/0                    9000 1970-01-01 00:00 /usr/lib/isoforge/i386-pc/eltorito.img
    drwxr-xr-x 0/0                      33 1970-01-01 00:00 /usr/lib/modules
    drwxr-xr-x 0/0                      57 1970-01-01 00:00 /usr/lib/modules/6.1.0-test
    -rw-r--r-- 0/0                     337 1970-01-01 00:00 /usr/lib/modules/6.1.0-test/modules.builtin
    -rw-r--r-- 0/0                       0 1970-01-01 00:00 /usr/lib/modules/6.1.0-test/modules.dep
    -rw-r--r-- 0/0                      29 1970-01-01 00:00 /usr/lib/os-release
    drwxr-xr-x 0/0                      58 1970-01-01 00:00 /usr/lib/shim
    -rw-r--r-- 0/0                    3000 1970-01-01 00:00 /usr/lib/shim/mmx64.efi
    -rw-r--r-- 0/0                    4000 1970-01-01 00:00 /usr/lib/shim/shimx64.efi.signed
    drwxr-xr-x 0/0                      29 1970-01-01 00:00 /usr/lib/systemd
    drwxr-xr-x 0/0                      75 1970-01-01 00:00 /usr/lib/systemd/system
    -rw-r--r-- 0/0                     390 2024-05-01 10:00 /usr/lib/systemd/system/appliance-ssh-host-keys.service
    -rw-r--r-- 0/0                       7 1970-01-01 00:00 /usr/lib/systemd/system/rescue.target
    crw-rw-rw- 0/0                   1,  3 1970-01-01 00:00 /usr/null
    prw------- 0/0                       0 1970-01-01 00:00 /usr/pipe
    drwxr-xr-x 0/0                       3 1970-01-01 00:00 /usr/share
    ");
}

#[test]
fn the_iso_is_sound_in_the_eyes_of_others() {
    let project = Project::small();
    let built = project.build("profile.toml", &["--only", "iso"]);
    let iso = built.iso();
    project.inspect(&iso);
    let said = xorriso(
        &iso,
        &["-report_el_torito", "plain", "-report_system_area", "plain"],
    );
    let said: Vec<_> = said
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for wanted in [
        "El Torito boot img : 1 BIOS y none 0x0000 0x00 4 ",
        "El Torito boot img : 2 UEFI y none 0x0000 0x00 16384 ",
        "El Torito img path : 1 /boot/eltorito.img",
        "El Torito img opts : 1 boot-info-table grub2-boot-info",
        "System area summary: MBR protective-msdos-label grub2-mbr cyl-align-off GPT",
        "GPT partname local : 1 EFI System",
        "GPT type GUID : 1 28732ac11ff8d211ba4b00a0c93ec93b",
        "GPT start and size : 1 2048 16384",
        "GPT partname local : 2 ISO9660",
    ] {
        assert!(
            said.iter().any(|line| line.starts_with(wanted)),
            "{wanted}: {said:?}"
        );
    }
    let verified = judge("fdisk", "sfdisk", &["--verify", iso.to_str().unwrap()]);
    assert!(verified.contains("No errors detected."), "{verified}");
    let found = xorriso(&iso, &["-find", "/", "-exec", "lsdl"]);
    let names: Vec<_> = found
        .lines()
        .filter_map(|line| line.split_once(" '"))
        .map(|(_, name)| name.trim_end_matches('\''))
        .filter(|name| !name.starts_with("/isoforge/id/"))
        .collect();
    assert_snapshot!(names.join("\n"), @r"
    /
    /EFI
    /EFI/BOOT
    /EFI/BOOT/bootx64.efi
    /EFI/BOOT/grub.cfg
    /EFI/BOOT/grubx64.efi
    /EFI/BOOT/mmx64.efi
    /EFI/ubuntu
    /EFI/ubuntu/grub.cfg
    /boot
    /boot/eltorito.img
    /boot/grub
    /boot/grub/grub.cfg
    /boot/grub2
    /boot/grub2/grub.cfg
    /boot/initrd
    /boot/kernel
    /config.yaml
    /isoforge
    /isoforge/id
    /isoforge/manifest.json
    /rootfs.squashfs
    ");
}

/// What xorriso says of an ISO; a word of trouble is a failure.
fn xorriso(iso: &Path, arguments: &[&str]) -> String {
    let output = Command::new("xorriso")
        .args(["-no_rc", "-indev", iso.to_str().unwrap()])
        .args(arguments)
        .output()
        .expect("xorriso can't be run; the Debian package xorriso has it ('cargo xtask setup' installs it)");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    for word in ["WARNING", "SORRY", "FAILURE", "FATAL"] {
        assert!(!said.contains(word), "{said}");
    }
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn paths_given_by_set_start_from_the_current_folder() {
    let project = Project::small();
    std::fs::create_dir(project.path("sub")).unwrap();
    for name in ["os", "kubernetes", "profile.toml"] {
        std::fs::rename(project.path(name), project.path("sub").join(name)).unwrap();
    }
    project.write("rootfs/etc/motd", "from the overlay\n");
    project.write("agent/usr/bin/agent", "agent");
    project.write("iso/docs/readme", "read this\n");
    project.write("user-data", "#cloud-config\nhostname: given\n");
    let built = project.build(
        "sub/profile.toml",
        &[
            "--set",
            "overlays.rootfs=[\"rootfs\"]",
            "--set",
            "overlays.iso=[\"iso\"]",
            "--set",
            "layers=[{ folder = \"agent\" }]",
            "--set",
            "cloud_config.file=user-data",
        ],
    );
    let listing = project.squashfs_listing(&built);
    for wanted in ["/etc/motd", "/usr/bin/agent"] {
        assert!(listing.contains(&format!(" {wanted}\n")), "{listing}");
    }
    assert_eq!(on_iso(&built.iso(), "/docs/readme"), b"read this\n");
    let config = on_iso(&built.iso(), "/config.yaml");
    assert_eq!(config, b"#cloud-config\nhostname: given\n");
    // Where the project lies is nobody else's business.
    let folder = project.path("").to_str().unwrap().as_bytes().to_vec();
    for output in [built.file("-provider.oci.tar"), built.iso()] {
        let bytes = std::fs::read(&output).unwrap();
        let found = bytes.windows(folder.len()).any(|bytes| bytes == folder);
        assert!(!found, "{}", output.display());
    }
}
