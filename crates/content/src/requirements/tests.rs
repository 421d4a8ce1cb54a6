use std::io::Write as _;
use std::sync::Arc;

use super::*;
use isoforge_base::tree::{Inode, Meta};

pub(super) struct Inline;

impl ReadFile for Inline {
    fn open<'a>(&'a self, data: &FileData) -> io::Result<Box<dyn Read + 'a>> {
        match data {
            FileData::Inline(bytes) => Ok(Box::new(io::Cursor::new(Arc::clone(bytes)))),
            FileData::Layer { .. } => Err(io::Error::other("not inline")),
        }
    }
}

/// An object file with a `.modinfo` that says this version.
fn module(version: &str) -> Vec<u8> {
    let info = format!("license=GPL\0version={version}\0author=x\0");
    let names = b"\0.modinfo\0.shstrtab\0";
    let mut bytes = vec![0; 64];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    let info_at = bytes.len() as u64;
    bytes.extend_from_slice(info.as_bytes());
    let names_at = bytes.len() as u64;
    bytes.extend_from_slice(names);
    let table = bytes.len() as u64;
    bytes[40..48].copy_from_slice(&table.to_le_bytes());
    bytes[58..60].copy_from_slice(&64_u16.to_le_bytes());
    bytes[60..62].copy_from_slice(&3_u16.to_le_bytes());
    bytes[62..64].copy_from_slice(&2_u16.to_le_bytes());
    for (name, at, size) in [
        (0_u32, 0, 0),
        (1, info_at, info.len()),
        (10, names_at, names.len()),
    ] {
        let mut header = [0; 64];
        header[..4].copy_from_slice(&name.to_le_bytes());
        header[24..32].copy_from_slice(&at.to_le_bytes());
        header[32..40].copy_from_slice(&(size as u64).to_le_bytes());
        bytes.extend_from_slice(&header);
    }
    bytes
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn tree(files: &[(&str, Vec<u8>)]) -> Tree {
    let mut tree = Tree::new();
    for (path, bytes) in files {
        let kind = Kind::File(FileData::Inline(Arc::from(bytes.as_slice())));
        let meta = Meta::with_mode(0o755);
        tree.insert(path.as_bytes(), Inode { meta, kind }).unwrap();
    }
    let meta = Meta::with_mode(0o777);
    let kind = Kind::Symlink(b"usr/lib".to_vec());
    tree.insert(b"lib", Inode { meta, kind }).unwrap();
    tree
}

fn shown(files: &[(&str, Vec<u8>)], wanted: &str) -> Vec<String> {
    let wanted: Requirements = toml::from_str(wanted).unwrap();
    let lacks = missing(&tree(files), &Inline, &wanted).unwrap();
    lacks.iter().map(ToString::to_string).collect()
}

const DRBD: &str =
    "kernel_modules = [\"drbd >= 9\", \"dm-thin-pool\", \"loop\"]\ncommands = [\"lvcreate\"]";

#[test]
fn a_system_that_has_all_lacks_nothing() {
    let files = [
        (
            "usr/lib/modules/6.1/kernel/drivers/drbd.ko",
            module("8.4.11"),
        ),
        // An update comes before what the kernel brings.
        (
            "usr/lib/modules/6.1/updates/dkms/drbd.ko.xz",
            xz(&module("9.2.13")),
        ),
        (
            "usr/lib/modules/6.1/kernel/drivers/md/dm-thin-pool.ko.zst",
            zstd::bulk::compress(&module("1"), 1).unwrap(),
        ),
        (
            "usr/lib/modules/6.1/modules.builtin",
            b"kernel/drivers/block/loop.ko\n".to_vec(),
        ),
        ("usr/sbin/lvcreate", b"x".to_vec()),
    ];
    assert_eq!(shown(&files, DRBD), [""; 0]);
}

#[test]
fn what_is_missing_is_named_for_every_kernel() {
    let files = [
        ("usr/lib/modules/6.1/kernel/drbd.ko", module("8.4.11")),
        ("usr/lib/modules/6.2/kernel/drbd.ko", b"no module".to_vec()),
        ("usr/lib/modules/6.2/kernel/loop.ko", module("1")),
        ("usr/lib/modules/6.2/kernel/dm_thin_pool.ko", module("1")),
        (
            "usr/lib/modules/6.3/modules.builtin",
            b"kernel/drbd.ko\nkernel/loop.ko\nkernel/dm-thin-pool.ko\n".to_vec(),
        ),
        (
            "usr/lib/modules/6.3/modules.builtin.modinfo",
            b"drbd.license=GPL\0drbd.version=9.1\0".to_vec(),
        ),
        ("usr/lib/modules/leftover/x", b"".to_vec()),
    ];
    insta::assert_snapshot!(shown(&files, DRBD).join("\n"), @r"
    the kernel module dm-thin-pool: the kernel 6.1 has none
    the kernel module loop: the kernel 6.1 has none
    the kernel module drbd >= 9: the kernel 6.1 has version 8.4.11
    the kernel module drbd >= 9: that of the kernel 6.2 says no version
    the command lvcreate
    ");
    assert_eq!(
        shown(&[], "kernel_modules = [\"drbd\"]"),
        ["the kernel module drbd: the system has no kernel"]
    );
}

#[test]
fn a_setting_that_the_system_makes_otherwise_is_a_lack() {
    let wanted = "sysctls = [\"vm.max_map_count >= 262144\", \"net.core.somaxconn\", \
                  \"net.ipv4.ip_local_port_range = 1024 60999\", \"kernel.pid_max >= 1\"]";
    let set = |text: &str| [("usr/lib/sysctl.d/50-x.conf", text.as_bytes().to_vec())];
    let files = set("vm.max_map_count = 65530\nnet.core.somaxconn=1\n\
                     net/ipv4/ip_local_port_range = 1024 65000\n");
    insta::assert_snapshot!(shown(&files, wanted).join("\n"), @r"
    the kernel setting net.ipv4.ip_local_port_range = 1024 60999, and usr/lib/sysctl.d/50-x.conf sets 1024 65000
    the kernel setting vm.max_map_count >= 262144, and usr/lib/sysctl.d/50-x.conf sets 65530
    ");
    let files = set("vm.max_map_count = 1048576\nnet.ipv4.ip_local_port_range=1024\t60999\n");
    assert_eq!(shown(&files, wanted), [""; 0]);
    // What the image leaves open is the kernel's.
    assert_eq!(shown(&[], wanted), [""; 0]);
}
