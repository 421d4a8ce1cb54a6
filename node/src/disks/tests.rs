use std::path::PathBuf;

use insta::assert_snapshot;
use isoforge_contract::machine::Firmware;

use super::fixture::{Machine, shell};
use super::*;

fn told(machine: &Machine) -> String {
    let root = machine.root().to_str().unwrap().to_owned();
    list(&machine.sys)
        .unwrap()
        .iter()
        .map(|disk| {
            format!(
                "{} {} {} [{}] [{}] {} | {} | {} | {}\n",
                disk.path.display(),
                isoforge_base::human::size(disk.bytes),
                disk.sector_bytes,
                disk.model,
                disk.serial,
                disk.transport,
                disk.content,
                disk.appliance.as_deref().unwrap_or("-"),
                disk.unusable.as_deref().unwrap_or("-"),
            )
        })
        .collect::<String>()
        .replace(&root, "")
}

/// One of each kind, as kernels have them.
fn zoo() -> Machine {
    let machine = Machine::new(
        r"sys/firmware/efi/
        proc/self/mountinfo = 22 1 0:20 / /proc rw - proc proc rw\n30 1 11:0 / /run/initramfs/live ro - iso9660 /dev/sr0 ro\n",
    );
    let pci = "pci0000:00/0000:00:1f.2";
    machine.disk(
        "sr0",
        &format!("{pci}/ata1/host0/target0:0:0/0:0:0:0"),
        1,
        2048,
    );
    machine.disk(
        "sda",
        &format!("{pci}/ata2/host1/target1:0:0/1:0:0:0"),
        40,
        512,
    );
    machine.disk(
        "sdb",
        "pci0000:00/0000:00:05.0/host2/target2:0:0/2:0:0:0",
        41,
        512,
    );
    machine.disk(
        "sdc",
        "pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host3/target3:0:0/3:0:0:0",
        8,
        512,
    );
    machine.disk("vda", "pci0000:00/0000:00:06.0/virtio2", 20, 512);
    machine.disk("nvme0n1", "pci0000:00/0000:00:07.0/nvme/nvme0", 100, 4096);
    machine.disk("mmcblk0", "platform/mmc_host/mmc0/mmc0:0001", 16, 512);
    machine.disk("mmcblk0boot0", "platform/mmc_host/mmc0/mmc0:0001", 1, 512);
    machine.disk(
        "sdd",
        &format!("{pci}/ata3/host4/target4:0:0/4:0:0:0"),
        0,
        512,
    );
    machine.disk(
        "sdaa",
        &format!("{pci}/ata4/host5/target5:0:0/5:0:0:0"),
        3,
        512,
    );
    for (name, gib) in [
        ("loop0", 4),
        ("zram0", 2),
        ("ram0", 1),
        ("dm-0", 9),
        ("md127", 9),
    ] {
        machine.disk(name, &format!("virtual/{name}"), gib, 512);
    }
    machine.add(
        r"sys/block/sda/device/model = QEMU HARDDISK   \n
        sys/block/sda/device/vpd_pg80 = ____QM00003
        sys/block/sdb/device/model = Virtual disk
        sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/idVendor = 0781
        sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/serial = 4C53
        sys/block/sdc/device/model = Ultra
        sys/block/vda/serial = disk-one
        sys/block/nvme0n1/device/model = Some NVMe
        sys/block/nvme0n1/device/serial = S1
        sys/block/mmcblk0/device/name = SD16G",
    );
    machine
}

#[test]
fn every_kind_of_disk_is_told_and_what_is_no_disk_left_out() {
    assert_snapshot!(told(&zoo()), @r"
    /dev/mmcblk0 16.0 GiB 512 [SD16G] [] mmc | empty | - | -
    /dev/nvme0n1 100.0 GiB 4096 [Some NVMe] [S1] nvme | empty | - | -
    /dev/sda 40.0 GiB 512 [QEMU HARDDISK] [QM00003] sata | empty | - | -
    /dev/sdb 41.0 GiB 512 [Virtual disk] [] scsi | empty | - | -
    /dev/sdc 8.0 GiB 512 [Ultra] [4C53] usb | empty | - | -
    /dev/sdaa 3.0 GiB 512 [] [] sata | empty | - | -
    /dev/vda 20.0 GiB 512 [] [disk-one] virtio | empty | - | -
    ");
}

#[test]
fn firmware_is_seen_and_bios_warns_of_the_boot_order() {
    let machine = Machine::new("");
    assert_eq!(machine.sys.firmware(), Firmware::Bios);
    assert_snapshot!(boot_order_warning(Firmware::Bios).unwrap(), @"This machine was started by legacy BIOS, whose boot order the installer can't change. When the installation is done, remove the install medium, or put the chosen disk before it in the BIOS setup: else the machine starts the installer again.");
    machine.add("sys/firmware/efi/");
    assert_eq!(machine.sys.firmware(), Firmware::Uefi);
    assert_eq!(boot_order_warning(Firmware::Uefi), None);
}

#[test]
fn what_cant_be_taken_says_why() {
    let machine = Machine::new(
        r"proc/self/mountinfo = 30 1 8:1 / /run/initramfs/live ro - iso9660 /dev/sda1 ro\n31 1 8:17 / /srv/my\040data rw - ext4 /dev/sdb1 rw\n
        proc/swaps = Filename Type Size Used Priority\nDEV/sdd1 partition 1 0 -2\n",
    );
    for (name, sector) in [
        ("sda", 512),
        ("sdb", 512),
        ("sdc", 4096),
        ("sdd", 512),
        ("sde", 512),
        ("sdf", 512),
        ("sdg", 520),
    ] {
        machine.disk(name, &format!("pci0000:00/{name}/host0/target0"), 4, sector);
    }
    machine.add(&format!(
        r"sys/block/sda/sda1/dev = 8:1
        sys/block/sda/sda1/partition = 1
        sys/block/sdb/sdb1/dev = 8:17
        sys/block/sdb/sdb1/partition = 1
        sys/block/sdd/sdd1/partition = 1
        sys/block/sdd/sdd1/dev = 8:49
        proc/swaps = Filename Type Size Used Priority\n{}/sdd1 partition 1 0 -2\n
        sys/block/sde/holders/dm-0/
        sys/block/dm-0/dm/name = vg-root
        sys/block/sdf/ro = 1",
        machine.sys.dev.display()
    ));
    assert_snapshot!(told(&machine), @r"
    /dev/sda 4.0 GiB 512 [] [] scsi | empty | - | the install medium
    /dev/sdb 4.0 GiB 512 [] [] scsi | empty | - | in use: mounted at /srv/my data
    /dev/sdc 4.0 GiB 4096 [] [] scsi | empty | - | legacy BIOS can't start a disk with 4,096-byte sectors
    /dev/sdd 4.0 GiB 512 [] [] scsi | empty | - | in use: /dev/sdd1 is swap space
    /dev/sde 4.0 GiB 512 [] [] scsi | empty | - | in use: /dev/sde is part of 'vg-root'
    /dev/sdf 4.0 GiB 512 [] [] scsi | empty | - | read-only
    /dev/sdg 4.0 GiB 520 [] [] scsi | empty | - | sectors of 520 bytes, not 512 or 4,096
    ");
}

#[test]
fn a_medium_is_found_through_loop_devices_and_volumes() {
    let machine = Machine::new(
        r"proc/self/mountinfo = 20 1 253:0 / /isos rw - ext4 /dev/dm-0 rw\n30 1 7:0 / /run/initramfs/live ro - iso9660 /dev/loop0 ro\n
        sys/block/loop0/dev = 7:0
        sys/block/loop0/loop/backing_file = /isos/demo.iso
        sys/block/dm-0/dev = 253:0
        sys/block/dm-0/slaves/sdb2/dev = 8:18
        sys/block/sdb/dev = 8:16
        sys/block/sdb/sdb2/partition = 2
        sys/block/sdb/sdb2/dev = 8:18
        sys/block/sda/dev = 8:0",
    );
    assert_eq!(holders::of_medium(&machine.sys), ["dm-0", "loop0", "sdb"]);
    // A loop that rests on itself ends.
    machine.add("sys/block/loop0/loop/backing_file = /run/initramfs/live/x.iso");
    assert_eq!(holders::of_medium(&machine.sys), ["loop0"]);
}

#[test]
fn links_lead_to_disks_and_partitions_are_refused() {
    let machine = zoo();
    machine.add(
        "dev/disk/by-id/ata-QEMU -> ../../sda
        dev/disk/by-id/ata-QEMU-part1 -> ../../sda1
        sys/block/sda/sda1/partition = 1
        dev/sda1",
    );
    let dev = |name: &str| machine.sys.dev.join(name);
    let disk = find(&machine.sys, &dev("disk/by-id/ata-QEMU")).unwrap();
    assert_eq!(disk.path, dev("sda"));
    let error = find(&machine.sys, &dev("disk/by-id/ata-QEMU-part1")).unwrap_err();
    let of = format!(
        " is a partition of {}; a whole disk is needed",
        dev("sda").display()
    );
    assert!(error.to_string().ends_with(&of), "{error}");
    for other in [dev("sdz"), PathBuf::from("/etc/hostname")] {
        let error = find(&machine.sys, &other).unwrap_err();
        assert!(
            error.to_string().ends_with(" is no disk of this machine"),
            "{error}"
        );
    }
}

#[test]
fn content_is_told_in_words() {
    let machine = Machine::new("sys/firmware/efi/");
    let image = |name: &str, script: &str| {
        machine.disk(name, &format!("pci0000:00/{name}"), 1, 512);
        shell(script, &[&machine.sys.dev.join(name)]);
    };
    image("sda", "true");
    image("sdb", "mke2fs -q -t ext4 -L data $1");
    image("sdc", "printf 'size=1M\\n' | sfdisk -q $1");
    image(
        "sdd",
        "printf 'label: gpt\\ntype=U,size=1M\\nsize=1M\\nsize=1M,name=\"C:\\t\\\\x\"\\n' | sfdisk -q $1",
    );
    image(
        "sde",
        "printf 'label: gpt\\nsize=8M,name=OEM\\nsize=32M,name=STATE\\nname=PERSISTENT\\n' | sfdisk -q $1
         mkdir -p $1.d/slots/a $1.d/slots/b
         printf '# GRUB Environment Block\\ngood=b\\n' > $1.d/grubenv
         echo '{\"name\": \"old\", \"version\": \"0.9\", \"more\": 1}' > $1.d/slots/b/slot.json
         mke2fs -q -t ext4 -d $1.d -E offset=9437184 $1 32768k",
    );
    image(
        "sdf",
        "printf 'label: gpt\\nsize=8M,name=OEM\\nsize=32M,name=STATE\\nname=PERSISTENT\\n' | sfdisk -q $1",
    );
    image(
        "sdg",
        "{ echo 'label: gpt'; for n in 1 2 3 4 5 6 7 8 9 10; do echo size=1M; done; } | sfdisk -q $1",
    );
    assert_snapshot!(told(&machine), @r#"
    /dev/sda 1.0 GiB 512 [] []  | empty | - | -
    /dev/sdb 1.0 GiB 512 [] []  | ext4 "data" | - | -
    /dev/sdc 1.0 GiB 512 [] []  | MBR partitions | - | -
    /dev/sdd 1.0 GiB 512 [] []  | GPT: ESP, partition 2, C: \x | - | -
    /dev/sde 1.0 GiB 512 [] []  | GPT: OEM, STATE, PERSISTENT | old 0.9 | -
    /dev/sdf 1.0 GiB 512 [] []  | GPT: OEM, STATE, PERSISTENT | an appliance of unknown version | -
    /dev/sdg 1.0 GiB 512 [] []  | GPT: partition 1, partition 2, partition 3, partition 4, partition 5, partition 6, partition 7, partition 8 and 2 more | - | -
    "#);
}

#[test]
fn a_table_of_nonsense_is_read_without_harm() {
    let machine = Machine::new("");
    let path = machine.root().join("disk");
    let mut random = fastrand::Rng::with_seed(1);
    for round in 0..500_usize {
        let mut bytes = vec![0_u8; 64 << 10];
        bytes[512..520].copy_from_slice(b"EFI PART");
        bytes[512 + 84] = 128;
        for at in (584..600).chain(1024..2048) {
            if !(592..600).contains(&at) || round % 3 == 0 {
                bytes[at] = random.u8(..);
            }
        }
        if round % 2 == 0 {
            bytes[584..592].copy_from_slice(&2_u64.to_le_bytes());
            bytes[592..600].copy_from_slice(&[128, 0, 0, 0, 128, 0, 0, 0]);
        }
        fs::write(&path, &bytes).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        let all = table::read_all(&file, bytes.len() as u64);
        assert!(all.len() <= 4 * 256);
        let _ = content::look(&path, 512, Firmware::Uefi);
    }
}
