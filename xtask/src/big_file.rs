//! A Linux kernel reads a file of 5 GiB on an ISO of ours: its extents have to
//! be found, and in their order. The host's kernel does it where it can mount
//! ISO 9660; else the demo's kernel in QEMU.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::qemu::{self, Accel, Console};
use crate::sh;

/// Size of the file, in bytes: over the 4 GiB that one extent can hold.
const BYTES: u64 = 5 << 30;

/// What the example names its file and volume.
const FILE: &str = "numbered.bin";
const LABEL: &str = "NUMBERED";

/// How long the emulated machine may take to boot and hash.
const DEADLINE: Duration = Duration::from_secs(1500);

/// Makes the ISO and has a kernel read it.
pub(crate) fn check(demo: &Path, accel: Accel) -> Result<()> {
    let iso = qemu::scratch("numbered.iso")?;
    let mut make = sh::line("cargo run --release --quiet --example numbered_iso --");
    make.arg(&iso).arg(BYTES.to_string());
    println!("$ {}", sh::show(&make));
    let wanted = sh::output(&mut make)?.trim().to_owned();
    let found = match on_host(&iso) {
        Some(found) => found?,
        None => in_qemu(demo, &iso, accel)?,
    };
    ensure!(
        found == wanted,
        "the kernel read {found}, {wanted} was written"
    );
    println!("big file: {BYTES} bytes read by a kernel, sha256 {found}");
    std::fs::remove_file(&iso).with_context(|| iso.display().to_string())
}

/// With the host's kernel; nothing where it can't mount such a file.
fn on_host(iso: &Path) -> Option<Result<String>> {
    let folder = qemu::scratch("mount").ok()?;
    std::fs::create_dir_all(&folder).ok()?;
    let mut mount = sh::command(["mount", "-t", "iso9660", "-o", "ro,loop"]);
    if !sh::succeeds(mount.arg(iso).arg(&folder)) {
        println!("big file: this machine can't mount it; reading it in QEMU");
        return None;
    }
    let found = sh::sha256(&folder.join(FILE));
    let unmounted = sh::run(sh::command(["umount"]).arg(&folder));
    Some(found.and_then(|found| unmounted.map(|()| found)))
}

/// With the demo's kernel, started directly: the demo is the first CD and its
/// root, the ISO in question a disk. systemd runs the command that its command
/// line names (systemd.run=, systemd-run-generator(8)).
fn in_qemu(demo: &Path, iso: &Path, accel: Accel) -> Result<String> {
    let kernel = extract(demo, "kernel")?;
    let initrd = extract(demo, "initrd")?;
    let script = format!(
        "mkdir /run/n && mount -o ro -t iso9660 LABEL={LABEL} /run/n && \
         sha256sum /run/n/{FILE} >/dev/ttyS0"
    );
    let line = format!(
        "root=live:CDLABEL=COS_LIVE rd.live.dir=/ rd.live.squashimg=rootfs.squashfs \
         rd.live.overlay.overlayfs=1 console=ttyS0,115200n8 \
         systemd.run=\"/bin/sh -c '{script}'\""
    );
    let mut command = qemu::bare(accel, false);
    command.args(["-nic", "none", "-no-reboot"]);
    command
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(initrd);
    command.args(["-append", &line]);
    for (id, file, device) in [
        ("demo", demo, "ide-cd"),
        ("numbered", iso, "virtio-blk-pci"),
    ] {
        command.arg("-drive").arg(format!(
            "if=none,id={id},format=raw,readonly=on,file={}",
            qemu::escape(file)
        ));
        command.args(["-device", &format!("{device},drive={id}")]);
    }
    let mut console = Console::start(command, "big-file")?;
    console.wait_for(&format!("  /run/n/{FILE}"), Instant::now() + DEADLINE)?;
    let text = console.text();
    let line = text
        .lines()
        .find(|line| line.contains(&format!("/run/n/{FILE}")) && !line.contains("sha256sum"));
    let digest = line.and_then(|line| line.split_whitespace().rev().nth(1));
    Ok(digest.context("the console shows no digest")?.to_owned())
}

/// Takes a boot file out of an ISO.
fn extract(iso: &Path, name: &str) -> Result<std::path::PathBuf> {
    let to = qemu::scratch(name)?;
    let mut xorriso = sh::command(["xorriso", "-osirrox", "on", "-indev"]);
    xorriso
        .arg(iso)
        .args(["-extract", &format!("/boot/{name}")])
        .arg(&to);
    sh::output(&mut xorriso)?;
    Ok(to)
}
