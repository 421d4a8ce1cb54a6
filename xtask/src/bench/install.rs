//! An installation of the demo ISO in QEMU, beside `dd` of the same files in the
//! same guest: time, and bytes that reach the disk.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::measure::require;
use crate::image::Image;
use crate::install::{Access, After, DISK_BYTES, Guest, answer, new_disk};
use crate::qemu::{Accel, Bus, Disk, Firmware, Machine, Medium};
use crate::sh;

/// Bytes written for each byte of the files that are installed.
const MAX_WRITTEN_RATIO: f64 = 1.05;

/// How long `dd` may take.
const COPYING: Duration = Duration::from_secs(1800);

/// Both slots' files, one after the other, each on the disk when it is done.
const COPY: &str = "cd /run/initramfs/live && sync && \
    echo 3 >/proc/sys/vm/drop_caches && at=0 && \
    for file in rootfs.squashfs boot/kernel boot/initrd \
    rootfs.squashfs boot/kernel boot/initrd; do \
    dd if=$file of=/dev/vdb bs=1M seek=$at conv=fsync status=none || exit 1; \
    at=$((at + ($(stat -c %s $file) >> 20) + 1)); done";

/// Measures and prints; what missed its bound goes into `failures`.
pub(super) fn run(iso: &Path, failures: &mut Vec<String>) -> Result<()> {
    let accel = Accel::probe(iso)?;
    let access = Access::prepare()?;
    let disk = new_disk("bench-install", DISK_BYTES)?;
    let other = new_disk("bench-dd", DISK_BYTES / 2)?;
    let machine = Machine::new(Firmware::Bios, accel)
        .medium(Medium::Disk, iso)
        .disk(Disk::new(&disk, Bus::Virtio))
        .disk(Disk::new(&other, Bus::Virtio));
    let mut guest = Guest::start(machine, &access, "bench-install")?;
    guest.entry()?;
    let time = answer(&mut guest, &access, After::Nothing, None)?;
    let mut monitor = guest.monitor()?;
    let written = monitor.bytes_written("disk0")?;

    // The page after the installation offers a shell.
    guest.console.press(&["s"])?;
    guest.console.wait_for("# ", Instant::now() + COPYING)?;
    let mut shell = guest.root_shell()?;
    let begun = Instant::now();
    let said = shell.run(COPY, COPYING)?;
    let theirs = begun.elapsed();
    anyhow::ensure!(said.code == 0, "dd in the guest: {}", said.text);
    let copied = monitor.bytes_written("disk1")?;
    drop(guest);

    let files = files(&disk)?;
    let ratio = written as f64 / files as f64;
    println!(
        "{:<22} {:>7.2} s {:>9} for {} of files | dd in the guest: {:.2} s {} | time {:.2}, written {ratio:.3}",
        "installation",
        time.as_secs_f64(),
        sh::mib(written),
        sh::mib(files),
        theirs.as_secs_f64(),
        sh::mib(copied),
        time.as_secs_f64() / theirs.as_secs_f64(),
    );
    require(
        failures,
        "bytes written for each byte of slots, ESP and OEM",
        ratio,
        MAX_WRITTEN_RATIO,
    );
    Ok(())
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
