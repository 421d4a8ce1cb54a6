//! Installations onto loop devices, judged by foreign programs.

use std::panic::AssertUnwindSafe;
use std::path::Path;

use fs_err as fs;
use insta::assert_snapshot;
use isoforge_contract::machine::{ExtraFilesystem, ExtraPartition};

use super::model::Event;
use super::testing::{Bench, Ear, FILES, noise, quiet, without_ids};
use crate::disks::fixture::shell;
use crate::disks::{self, unfinished};
use isoforge_judges::can_loop;
use isoforge_system::disk_plan::MIB;

#[test]
fn a_disk_is_installed_whole() {
    if !can_loop() {
        return;
    }
    let bench = Bench::new(512);
    let before = bench.written();
    let mut ear = quiet();
    bench.install(&mut ear).unwrap();
    bench.is_clean();
    let written = bench.written() - before;
    assert_eq!(bench.starts(), ["BIOS", "UEFI"]);

    let report = shell("sfdisk --verify $1 2>&1", &[&bench.device]);
    assert!(report.contains("No errors detected"), "{report}");
    let json = shell("sfdisk --json $1", &[&bench.device]);
    assert_snapshot!(without_ids(&json, &bench), @r#"
    {
       "partitiontable": {
          "label": "gpt",
          "device": "DISK",
          "unit": "sectors",
          "firstlba": 34,
          "lastlba": 8388574,
          "sectorsize": 512,
          "partitions": [
             {
                "node": "DISKp1",
                "start": 2048,
                "size": 2048,
                "type": "21686148-6449-6E6F-744E-656564454649",
                "name": "BIOS"
             },{
                "node": "DISKp2",
                "start": 4096,
                "size": 131072,
                "type": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
                "name": "ESP"
             },{
                "node": "DISKp3",
                "start": 135168,
                "size": 131072,
                "type": "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
                "name": "OEM"
             },{
                "node": "DISKp4",
                "start": 266240,
                "size": 950272,
                "type": "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
                "name": "STATE"
             },{
                "node": "DISKp5",
                "start": 1216512,
                "size": 7170048,
                "type": "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
                "name": "PERSISTENT"
             }
          ]
       }
    }
    "#);
    shell("fsck.fat -n $1", &[&bench.partition(2)]);
    for number in [3, 4, 5] {
        shell("e2fsck -fn $1 2>&1", &[&bench.partition(number)]);
    }

    assert_snapshot!(bench.inside(4, "find . ! -name lost+found | sort"), @r"
    .
    ./grub
    ./grub/grub.cfg
    ./grubenv
    ./slots
    ./slots/a
    ./slots/a/initrd
    ./slots/a/kernel
    ./slots/a/rootfs.squashfs
    ./slots/a/slot.cfg
    ./slots/a/slot.json
    ./slots/a/state.cpio
    ./slots/b
    ./slots/recovery
    ./slots/recovery/initrd
    ./slots/recovery/kernel
    ./slots/recovery/rootfs.squashfs
    ./slots/recovery/slot.cfg
    ./slots/recovery/slot.json
    ./slots/recovery/state.cpio
    ");
    let slots = "for slot in a recovery; do
        cmp slots/$slot/rootfs.squashfs $3/rootfs.squashfs
        cmp slots/$slot/kernel $3/boot/kernel
        cmp slots/$slot/initrd $3/boot/initrd
        grep -c 'root=live:UUID' slots/$slot/slot.cfg
        done; head -c 60 grubenv; grep -n LABEL= grub/grub.cfg slots/*/slot.cfg || true";
    assert_snapshot!(bench.inside(4, slots), @r"
    1
    1
    # GRUB Environment Block
    good=a
    trial=
    #####################
    ");
    let config = bench.inside(4, "cat slots/a/slot.cfg grub/grub.cfg");
    for number in [3, 4, 5] {
        assert!(config.contains(&bench.uuid(number)), "{config}");
    }
    assert!(
        bench
            .inside(4, "cat slots/a/slot.json")
            .contains("\"kubernetes\": \"1.32.3\"")
    );
    assert_snapshot!(bench.esp("mdir -b -/ -i $1 ::"), @r"
    ::/EFI/
    ::/BOOT/
    ::/EFI/BOOT/
    ::/EFI/DEBIAN/
    ::/EFI/BOOT/GRUBX64.EFI
    ::/EFI/BOOT/MMX64.EFI
    ::/EFI/BOOT/BOOTX64.EFI
    ::/EFI/BOOT/GRUB.CFG
    ::/EFI/DEBIAN/GRUB.CFG
    ::/BOOT/GRUB/
    ::/BOOT/GRUB/GRUB.CFG
    ");
    for (path, _) in &FILES[3..6] {
        let script = format!("mcopy -i $1 '::{path}' - | cmp - $2/{path}");
        bench.esp(&script);
    }
    let stubs = bench.esp(
        "for dir in boot/grub EFI/BOOT EFI/debian; do
            mcopy -i $1 ::$dir/grub.cfg - | md5sum; done | sort -u | wc -l
         mcopy -i $1 ::boot/grub/grub.cfg -",
    );
    assert!(
        stubs.starts_with("1\n") && stubs.contains(&bench.uuid(4)),
        "{stubs}"
    );
    assert_snapshot!(bench.inside(3, "stat -c '%a %U %n' *.yaml; cat 90*"), @r"
    600 root 10_medium.yaml
    600 root 90_installer.yaml
    #cloud-config
    # What was chosen at the installation.
    hostname: edge-1
    ");
    assert_snapshot!(bench.inside(5, "ls"), @"lost+found");

    // GRUB's core image knows where it lies, the MBR too.
    let core = fs::read(bench.partition(1)).unwrap();
    let original = fs::read(bench.iso("isoforge/boot/bios-core.img")).unwrap();
    assert_eq!(core[..2548], original[..2548]);
    assert_eq!(core[2548..2556], 2053_u64.to_le_bytes());
    assert!(core[2556..original.len()] == original[2556..]);
    let mbr = shell("head -c 512 $1 | base64 -w0", &[&bench.device]);
    let code = fs::read(bench.iso("isoforge/boot/bios-mbr.img")).unwrap();
    let start = shell(
        "head -c 432 $1 | base64 -w0",
        &[&bench.iso("isoforge/boot/bios-mbr.img")],
    );
    assert!(mbr.starts_with(&start) && code.len() == 512);
    let fields = shell(
        "head -c 478 $1 | tail -c +433 | od -An -v -tu1",
        &[&bench.device],
    );
    let fields: Vec<u8> = fields
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    assert_eq!(fields[..8], 2052_u64.to_le_bytes());
    assert_eq!(
        fields[30..],
        [0x80, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0]
    );

    let slots: u64 = FILES[..3].iter().map(|(_, size)| 2 * size).sum();
    let esp: u64 = FILES[3..6].iter().map(|(_, size)| size).sum();
    let ratio = written as f64 / (slots + esp) as f64;
    assert!(
        ratio <= 1.05,
        "{written} bytes for {} of files",
        slots + esp
    );
    println!("bytes written: {ratio:.4} of the files");
    let steps: Vec<String> = ear
        .told
        .iter()
        .filter_map(|event| match event {
            Event::Step { number, of, name } => Some(format!("{number}/{of} {name}")),
            _ => None,
        })
        .collect();
    assert_snapshot!(steps.join("\n"), @r"
    1/8 Checking the install medium and the disk
    2/8 Erasing the disk
    3/8 Partitioning the disk
    4/8 Making the file systems
    5/8 Copying the system
    6/8 Writing the configuration
    7/8 Writing the boot loaders
    8/8 Making the disk bootable
    ");
    let last = ear
        .told
        .iter()
        .rev()
        .find(|event| matches!(event, Event::Bytes { .. }));
    let total: u64 = FILES[..3].iter().map(|(_, size)| size).sum();
    assert_eq!(last, Some(&Event::Bytes { done: total, total }));

    // The list knows it, and takes it only where that is forced.
    let disk = disks::find(&bench.sys, &bench.device).unwrap();
    assert_eq!(disk.appliance.as_deref(), Some("demo 1.0.0"));
    assert_eq!(disk.content, "GPT: BIOS, ESP, OEM, STATE, PERSISTENT");
    assert_eq!(disk.unusable, None);
}

#[test]
fn sectors_of_4096_bytes_and_further_partitions() {
    if !can_loop() {
        return;
    }
    let mut bench = Bench::new(4096);
    bench.config.install.partitions.extra = vec![
        ExtraPartition {
            label: "DATA".to_owned(),
            size_mib: 100,
            filesystem: ExtraFilesystem::Ext4,
            mount: Some("/data".to_owned()),
        },
        ExtraPartition {
            label: "RAW".to_owned(),
            size_mib: 10,
            filesystem: ExtraFilesystem::None,
            mount: None,
        },
    ];
    bench.install(&mut quiet()).unwrap();
    bench.is_clean();
    assert_eq!(bench.starts(), ["UEFI"]);
    let report = shell("sfdisk --verify $1 2>&1", &[&bench.device]);
    assert!(report.contains("No errors detected"), "{report}");
    let json = shell("sfdisk --json $1", &[&bench.device]);
    assert_snapshot!(without_ids(&json, &bench), @r#"
    {
       "partitiontable": {
          "label": "gpt",
          "device": "DISK",
          "unit": "sectors",
          "firstlba": 6,
          "lastlba": 1048570,
          "sectorsize": 4096,
          "partitions": [
             {
                "node": "DISKp1",
                "start": 256,
                "size": 16384,
                "type": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
                "name": "ESP"
             },{
                "node": "DISKp2",
                "start": 16640,
                "size": 16384,
                "type": "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
                "name": "OEM"
             },{
                "node": "DISKp3",
                "start": 33024,
                "size": 118784,
                "type": "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
                "name": "STATE"
             },{
                "node": "DISKp4",
                "start": 151808,
                "size": 25600,
                "type": "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
                "name": "DATA"
             },{
                "node": "DISKp5",
                "start": 177408,
                "size": 2560,
                "type": "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
                "name": "RAW"
             },{
                "node": "DISKp6",
                "start": 179968,
                "size": 868352,
                "type": "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
                "name": "PERSISTENT"
             }
          ]
       }
    }
    "#);
    shell("fsck.fat -n $1", &[&bench.partition(1)]);
    for number in [2, 3, 4, 6] {
        shell("e2fsck -fn $1 2>&1", &[&bench.partition(number)]);
    }
    let mounts = bench.inside(6, "cat appliance/mounts.json");
    assert_eq!(
        mounts,
        format!("{{\n  \"/data\": \"{}\"\n}}\n", bench.uuid(4))
    );
    assert_eq!(bench.uuid(5), "");
}

#[test]
fn a_damaged_medium_names_the_file_and_leaves_nothing_that_starts() {
    if !can_loop() {
        return;
    }
    let bench = Bench::new(512);
    // Short from the beginning: nothing is written.
    let kernel = bench.iso("boot/kernel");
    let whole = fs::read(&kernel).unwrap();
    fs::write(&kernel, &whole[..1000]).unwrap();
    let before = bench.written();
    let failure = bench.install(&mut quiet()).unwrap_err();
    assert_snapshot!(format!("{failure}\n{}", failure.advice), @r"
    Checking the install medium and the disk: the install medium's 'boot/kernel' has 1000 bytes, not 3145729
    The install medium is damaged, incomplete or was removed. Compare the ISO file with its checksum, write it to another medium and start the installation again.
    ");
    assert_eq!(bench.written(), before);
    fs::write(&kernel, &whole).unwrap();
    bench.install(&mut quiet()).unwrap();
    assert_eq!(bench.starts(), ["BIOS", "UEFI"]);

    // Pulled out half-way.
    let rootfs = bench.iso("rootfs.squashfs");
    let pull = || {
        let file = std::fs::File::options().write(true).open(&rootfs).unwrap();
        file.set_len(5 * MIB).unwrap();
    };
    let mut ear = Ear {
        on_bytes: Some(&pull),
        ..Ear::default()
    };
    let failure = bench.install(&mut ear).unwrap_err();
    assert_snapshot!(format!("{failure}\n{}", failure.advice), @r"
    Copying the system: the install medium's 'rootfs.squashfs' has 5242880 bytes, not 83890176
    The install medium is damaged, incomplete or was removed. Compare the ISO file with its checksum, write it to another medium and start the installation again.
    ");
    assert_eq!(bench.starts(), [""; 0]);
    bench.is_clean();

    // Every file that is copied, with one byte changed.
    fs::write(&rootfs, noise(7919, FILES[0].1)).unwrap();
    let mut causes = Vec::new();
    for (path, _) in FILES {
        let whole = fs::read(bench.iso(path)).unwrap();
        let mut changed = whole.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        fs::write(bench.iso(path), changed).unwrap();
        let failure = bench.install(&mut quiet()).unwrap_err();
        let cause = failure
            .cause
            .split(": its content")
            .next()
            .unwrap()
            .to_owned();
        causes.push(format!("{}: {cause}", failure.step));
        assert_eq!(bench.starts(), [""; 0], "{path}");
        bench.is_clean();
        fs::write(bench.iso(path), whole).unwrap();
    }
    assert_snapshot!(causes.join("\n"), @r"
    Copying the system: the install medium's 'rootfs.squashfs' is damaged
    Copying the system: the install medium's 'boot/kernel' is damaged
    Copying the system: the install medium's 'boot/initrd' is damaged
    Writing the boot loaders: the install medium's 'EFI/BOOT/bootx64.efi' is damaged
    Writing the boot loaders: the install medium's 'EFI/BOOT/grubx64.efi' is damaged
    Writing the boot loaders: the install medium's 'EFI/BOOT/mmx64.efi' is damaged
    Writing the boot loaders: the install medium's 'isoforge/boot/bios-core.img' is damaged
    Writing the boot loaders: the install medium's 'isoforge/boot/bios-mbr.img' is damaged
    ");

    let manifest = bench.iso("isoforge/manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("boot/initrd", "boot/other")).unwrap();
    assert_snapshot!(bench.install(&mut quiet()).unwrap_err(), @"Checking the install medium and the disk: the install medium's 'isoforge/manifest.json' has no digest of 'boot/initrd'");
    fs::write(&manifest, "{}").unwrap();
    assert_snapshot!(bench.install(&mut quiet()).unwrap_err(), @"Checking the install medium and the disk: the install medium's 'isoforge/manifest.json' can't be used: missing field `schema` at line 1 column 2");
}

#[test]
fn cut_off_anywhere_nothing_starts_and_a_second_run_starts_over() {
    if !can_loop() {
        return;
    }
    let bench = Bench::new(512);
    bench.install(&mut quiet()).unwrap();
    let first = bench.uuid(4);
    let appliance = || disks::find(&bench.sys, &bench.device).unwrap().appliance;
    assert_eq!(appliance().as_deref(), Some("demo 1.0.0"));
    let cut = || panic!("cut off");
    for step in 3..=8 {
        let mut ear = Ear {
            at: Some((step, &cut)),
            ..Ear::default()
        };
        let run = std::panic::catch_unwind(AssertUnwindSafe(|| bench.install(&mut ear)));
        assert!(run.is_err());
        assert_eq!(bench.starts(), [""; 0], "step {step}");
        assert_eq!(appliance(), None, "step {step}");
        bench.is_clean();
    }
    let mut ear = Ear {
        on_bytes: Some(&cut),
        ..Ear::default()
    };
    let run = std::panic::catch_unwind(AssertUnwindSafe(|| bench.install(&mut ear)));
    assert!(run.is_err());
    assert_eq!(bench.starts(), [""; 0]);

    // A run that was killed leaves its file systems mounted.
    let left = bench.sys.work.join("STATE");
    fs::create_dir_all(&left).unwrap();
    shell("mount $1 $2", &[&bench.partition(4), &left]);
    bench.install(&mut quiet()).unwrap();
    bench.is_clean();
    assert_eq!(bench.starts(), ["BIOS", "UEFI"]);
    assert_eq!(appliance().as_deref(), Some("demo 1.0.0"));
    assert_ne!(bench.uuid(4), first);
    for number in [3, 4, 5] {
        shell("e2fsck -fn $1 2>&1", &[&bench.partition(number)]);
    }
}

#[test]
fn what_the_firmware_starts_is_installed_though_its_mark_is_still_there() {
    if !can_loop() {
        return;
    }
    let bench = Bench::new(512);
    bench.install(&mut quiet()).unwrap();
    let disk = || disks::find(&bench.sys, &bench.device).unwrap();
    let open = || fs::File::options().write(true).open(&bench.device).unwrap();
    let bios = || fs::remove_dir_all(bench.sys.sys.join("firmware")).unwrap();
    let zero = |path: &Path| shell("dd if=/dev/zero of=$1 bs=512 count=1 status=none", &[path]);
    // The power went before the mark was taken away, or before BIOS had its code.
    unfinished::mark(open().file(), true).unwrap();
    assert_eq!(disk().appliance.as_deref(), Some("demo 1.0.0"));
    zero(&bench.partition(2));
    assert_eq!(disk().appliance, None);
    assert_eq!(disk().content, "an installation that was cut off");
    bios();
    assert_eq!(disk().appliance.as_deref(), Some("demo 1.0.0"));
    std::os::unix::fs::FileExt::write_all_at(open().file(), &unfinished::NEXT_DEVICE, 0).unwrap();
    assert_eq!(disk().appliance, None);
    // Without the mark somebody has used it: it may be repaired.
    unfinished::mark(open().file(), false).unwrap();
    assert_eq!(disk().appliance.as_deref(), Some("demo 1.0.0"));
}

#[test]
fn what_must_not_be_overwritten_is_not() {
    if !can_loop() {
        return;
    }
    let mut bench = Bench::new(512);
    bench.install(&mut quiet()).unwrap();
    let before = bench.written();
    // Somebody else uses a partition of it.
    let folder = bench.dir.path().join("elsewhere");
    fs::create_dir_all(&folder).unwrap();
    shell("mount -r $1 $2", &[&bench.partition(3), &folder]);
    let failure = bench.install(&mut quiet()).unwrap_err();
    assert!(failure.cause.contains("in use: mounted at"), "{failure}");
    // It is the medium.
    bench.sys.medium.clone_from(&folder);
    let failure = bench.install(&mut quiet()).unwrap_err();
    assert!(failure.cause.ends_with("the install medium"), "{failure}");
    shell("umount $1", &[&folder]);
    bench.sys.medium = bench.medium.path("");
    // The machine falls short of what is required.
    bench.config.install.requirements.disk_mib = Some(1 << 20);
    bench.config.install.requirements.enforce = true;
    let failure = bench.install(&mut quiet()).unwrap_err();
    assert!(
        failure.cause.starts_with("disk: 1.0 TiB is asked for"),
        "{failure}"
    );
    assert_eq!(bench.written(), before);
    assert_eq!(bench.starts(), ["BIOS", "UEFI"]);
}
