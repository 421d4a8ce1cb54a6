//! In one guest in QEMU: an installation of the demo ISO beside `dd` of the same
//! files, by time and by bytes that reach the disk; and content taken into Zot's
//! storage beside `cp` and `sha256sum` of the same blobs.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::measure::{ROUNDS, require};
use crate::image::Image;
use crate::install::{Access, After, DISK_BYTES, Guest, Shell, answer, folder_disk, new_disk};
use crate::qemu::{Accel, Bus, Disk, Firmware, Machine, Medium};
use crate::sh;

/// Bytes written for each byte of the files that are installed.
const MAX_WRITTEN_RATIO: f64 = 1.05;

/// Time of an import for each second that `cp` and `sha256sum` take.
const MAX_FILL_RATIO: f64 = 1.3;

/// How long `dd` may take.
const COPYING: Duration = Duration::from_secs(1800);

/// Both slots' files, one after the other, each on the disk when it is done.
const COPY: &str = "cd /run/initramfs/live && sync && \
    echo 3 >/proc/sys/vm/drop_caches && at=0 && \
    for file in rootfs.squashfs boot/kernel boot/initrd \
    rootfs.squashfs boot/kernel boot/initrd; do \
    dd if=$file of=/dev/vdb bs=1M seek=$at conv=fsync status=none || exit 1; \
    at=$((at + ($(stat -c %s $file) >> 20) + 1)); done";

/// The disk of the last measurement, for the next: a file system with the registry's
/// folder, and the bundle. The demo has no registry, so the live system is told of
/// one, and gets the account that it would run as.
const PREPARE_FILL: &str = "mkdir -p /run/bundle /run/bench && \
    mke2fs -q -F -t ext4 /dev/vdb && mount /dev/vdb /run/bench && \
    mount -o ro LABEL=UPGRADE /run/bundle && \
    sed -i '1s#{#{\"registry\":{\"name\":\"zot\",\"port\":30003,\"folder\":\"/run/bench/registry\"},#' \
    /usr/lib/appliance/config.json && \
    echo 'u appliance-registry -' | systemd-sysusers - && \
    du --summarize --bytes /run/bundle/blobs";

const BEFORE_FILL: &str =
    "rm -rf /run/bench/registry /run/bench/theirs && sync && echo 3 >/proc/sys/vm/drop_caches";

/// What it tells on a terminal would be part of the time.
const IMPORT: &str = "appliance content import /run/bundle >/run/said 2>&1 || \
    { cat /run/said; false; }";

/// An import is on the disk when it ends, so the copy is to be as well.
const COPY_AND_HASH: &str = "cp -r /run/bundle/blobs /run/bench/theirs && \
    sha256sum /run/bench/theirs/sha256/* >/dev/null && sync --file-system /run/bench";

/// Measures and prints; what missed its bound goes into `failures`. `bundle` is the
/// folder of a bundle.
pub(super) fn run(iso: &Path, bundle: &Path, failures: &mut Vec<String>) -> Result<()> {
    let accel = Accel::probe(iso)?;
    let access = Access::prepare()?;
    let disk = new_disk("bench-install", DISK_BYTES)?;
    let other = new_disk("bench-dd", DISK_BYTES / 2)?;
    let bundle = folder_disk(bundle, "bench-bundle")?;
    let machine = Machine::new(Firmware::Bios, accel)
        .medium(Medium::Disk, iso)
        .disk(Disk::new(&disk, Bus::Virtio))
        .disk(Disk::new(&other, Bus::Virtio))
        .disk(Disk::new(&bundle, Bus::Virtio).readonly());
    let mut guest = Guest::start(machine, &access, "bench-install")?;
    guest.entry()?;
    let time = answer(&mut guest, &access, After::Nothing, None)?;
    let mut monitor = guest.monitor()?;
    let written = monitor.bytes_written("disk0")?;

    // The page after the installation offers a shell.
    guest.console.press(&["s"])?;
    guest.console.wait_for("# ", Instant::now() + COPYING)?;
    let mut shell = guest.root_shell()?;
    let theirs = seconds(&mut shell, COPY)?;
    let copied = monitor.bytes_written("disk1")?;
    fill(&mut shell, failures)?;
    drop(guest);

    let files = files(&disk)?;
    let ratio = written as f64 / files as f64;
    println!(
        "{:<22} {:>7.2} s {:>9} for {} of files | dd in the guest: {:.2} s {} | time {:.2}, written {ratio:.3}",
        "installation",
        time.as_secs_f64(),
        sh::mib(written),
        sh::mib(files),
        theirs,
        sh::mib(copied),
        time.as_secs_f64() / theirs,
    );
    require(
        failures,
        "bytes written for each byte of slots, ESP and OEM",
        ratio,
        MAX_WRITTEN_RATIO,
    );
    Ok(())
}

/// A bundle into Zot's storage, beside a copy of its blobs.
fn fill(shell: &mut Shell<'_>, failures: &mut Vec<String>) -> Result<()> {
    let blobs = shell.ok(PREPARE_FILL)?;
    // What the others said comes before it.
    let said = blobs
        .lines()
        .last()
        .and_then(|line| line.split_whitespace().next());
    let bytes = said.context("du said nothing")?.parse();
    let bytes = bytes.with_context(|| blobs.clone())?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        shell.ok(BEFORE_FILL)?;
        ours.push(seconds(shell, IMPORT)?);
        shell.ok(BEFORE_FILL)?;
        theirs.push(seconds(shell, COPY_AND_HASH)?);
    }
    let (ours, theirs) = (middle(ours)?, middle(theirs)?);
    println!(
        "{:<22} {ours:>7.2} s {:>9} | cp, sha256sum, sync in the guest: {theirs:.2} s | time {:.2}",
        "content into Zot",
        sh::mib(bytes),
        ours / theirs,
    );
    require(failures, "import time", ours / theirs, MAX_FILL_RATIO);
    Ok(())
}

/// Seconds that a command takes in the guest; it must succeed.
fn seconds(shell: &mut Shell<'_>, command: &str) -> Result<f64> {
    let begun = Instant::now();
    let said = shell.run(command, COPYING)?;
    let seconds = begun.elapsed().as_secs_f64();
    anyhow::ensure!(said.code == 0, "'{command}' in the guest: {}", said.text);
    Ok(seconds)
}

/// The median.
fn middle(mut seconds: Vec<f64>) -> Result<f64> {
    seconds.sort_by(f64::total_cmp);
    let middle = seconds.get(seconds.len() / 2);
    middle.copied().context("nothing was measured")
}

/// Bytes of the files of slots, ESP and OEM.
fn files(disk: &Path) -> Result<u64> {
    let image = Image::new(disk);
    let mut bytes = image.fat_bytes(&image.named("ESP")?)?;
    for (name, folder) in [("STATE", "/slots"), ("OEM", "")] {
        let part = image.named(name)?;
        let fs = image.ext4(&part)?;
        let fs = fs.with_context(|| format!("{name} is no ext4"))?;
        bytes += fs.bytes_below(folder)?;
    }
    Ok(bytes)
}
