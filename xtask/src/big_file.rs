//! A Linux kernel reads from a file of 5 GiB on an ISO of ours: its extents have to
//! be found, and in their order. The host's kernel does it where it can mount
//! ISO 9660; else the demo's kernel in QEMU.
//!
//! Samples tell: each block of the file says its number, an extent is read in one
//! piece, and an emulated machine takes minutes to hash what lies in between.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::qemu::{self, Accel, Console};
use crate::sh;

/// Size of the file: over the 4,096 that one extent can nearly hold.
const MIB: u64 = 5 << 10;

/// From one sample, of 1 MiB, to the next.
const STEP_MIB: u64 = 64;

/// Samples beside those: where the first extent ends, and the file.
const ENDS_MIB: [u64; 2] = [(4 << 10) - 1, MIB - 1];

/// Bytes of a block, which begins with its number.
const BLOCK_BYTES: u64 = 2048;

/// What the example names its file and volume.
const FILE: &str = "numbered.bin";
const LABEL: &str = "NUMBERED";

/// How long the emulated machine may take to boot and read.
const DEADLINE: Duration = Duration::from_secs(900);

/// Makes the ISO and has a kernel read it.
pub(crate) fn check(demo: &Path, accel: Accel) -> Result<()> {
    let iso = qemu::scratch("numbered.iso")?;
    let mut make = sh::line("cargo run --release --quiet --example numbered_iso --");
    make.arg(&iso).arg((MIB << 20).to_string());
    println!("$ {}", sh::show(&make));
    sh::run(&mut make)?;
    let wanted = written()?;
    let found = match on_host(&iso) {
        Some(found) => found?,
        None => in_qemu(demo, &iso, accel)?,
    };
    ensure!(
        found == wanted,
        "the kernel read {found}, {wanted} was written"
    );
    let count = samples().count();
    println!("big file: {count} samples of {MIB} MiB read by a kernel, sha256 {found}");
    std::fs::remove_file(&iso).with_context(|| iso.display().to_string())
}

/// Where samples begin.
fn samples() -> impl Iterator<Item = u64> {
    (0..MIB).step_by(STEP_MIB as usize).chain(ENDS_MIB)
}

/// The digest of all samples, as they were written.
fn written() -> Result<String> {
    let path = qemu::scratch("samples")?;
    let mut file = BufWriter::new(File::create(&path)?);
    const BLOCKS: u64 = (1 << 20) / BLOCK_BYTES;
    for block in samples().flat_map(|mib| mib * BLOCKS..(mib + 1) * BLOCKS) {
        let mut bytes = [0_u8; BLOCK_BYTES as usize];
        bytes[..8].copy_from_slice(&block.to_be_bytes());
        file.write_all(&bytes)?;
    }
    file.flush()?;
    sh::sha256(&path)
}

/// How the digest of all samples is called, where other things are said as well.
const NAME: &str = "samples";

/// A shell's line that hashes all samples of a file. It has no `$`, which systemd
/// would take for its own.
fn reading(file: &str) -> String {
    let [first_end, last] = ENDS_MIB;
    format!(
        "(seq 0 {STEP_MIB} {last}; echo {first_end}; echo {last}) | \
         xargs -I@ dd if={file} bs=1M skip=@ count=1 status=none | \
         sha256sum | sed s/-/{NAME}/"
    )
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
    let script = reading(FILE);
    let found = sh::output(sh::command(["sh", "-c", &script]).current_dir(&folder));
    let unmounted = sh::run(sh::command(["umount"]).arg(&folder));
    Some(found.and_then(|found| unmounted.and_then(|()| digest(&found))))
}

/// What the line of [`reading()`] said.
fn digest(text: &str) -> Result<String> {
    let mut lines = text.lines();
    let said = lines.find_map(|line| line.trim().strip_suffix(&format!("  {NAME}")));
    let digest = said.and_then(|said| said.split_whitespace().next_back());
    Ok(digest.context("no digest was told")?.to_owned())
}

/// With the demo's kernel, started directly: the demo is the first CD and its
/// root, the ISO in question a disk. systemd runs the command that its command
/// line names (systemd.run=, systemd-run-generator(8)).
fn in_qemu(demo: &Path, iso: &Path, accel: Accel) -> Result<String> {
    let kernel = extract(demo, "kernel")?;
    let initrd = extract(demo, "initrd")?;
    let script = format!(
        "mkdir /run/n && mount -o ro -t iso9660 LABEL={LABEL} /run/n && \
         ({}) >/dev/ttyS0",
        reading(&format!("/run/n/{FILE}"))
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
    console.wait_for(&format!("  {NAME}"), Instant::now() + DEADLINE)?;
    digest(&console.text())
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
