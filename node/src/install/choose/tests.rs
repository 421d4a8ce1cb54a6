use insta::assert_snapshot;

use super::*;
use crate::disks::fixture::Machine;
use crate::install::medium::Source;
use crate::testing::config;
use isoforge_base::digest::Digest;
use isoforge_contract::manifest::Content;

/// An image whose root file system has `mib` MiB.
fn image(mib: u64) -> Image {
    let source = |path: &str, size| Source {
        path: path.to_owned(),
        content: Content {
            digest: Digest::of(b""),
            size,
        },
    };
    Image {
        name: "demo".to_owned(),
        version: "1.0.0".to_owned(),
        kubernetes: None,
        epoch: None,
        rootfs: source("rootfs.squashfs", mib * disk_plan::MIB),
        kernel: source("boot/kernel", 12 * disk_plan::MIB),
        initrd: source("boot/initrd", 30 * disk_plan::MIB),
        efi: vec![source("EFI/BOOT/bootx64.efi", 3 * disk_plan::MIB)],
        bios: None,
    }
}

fn disk(machine: &Machine, name: &str, gib: u64) -> Disk {
    machine.disk(name, &format!("pci0000:00/{name}"), gib, 512);
    Disk {
        path: machine.sys.dev.join(name),
        bytes: gib << 30,
        sector_bytes: 512,
        model: String::new(),
        serial: String::new(),
        transport: "sata".to_owned(),
        content: "empty".to_owned(),
        appliance: None,
        unusable: None,
    }
}

/// The medium is the largest, then comes a disk with an appliance, then two
/// equal ones.
fn shelf(machine: &Machine) -> Vec<Disk> {
    let mut disks = [
        ("sda", 900),
        ("sdb", 500),
        ("sdc", 100),
        ("sdd", 100),
        ("sde", 20),
    ]
    .map(|(name, gib)| disk(machine, name, gib));
    disks[0].unusable = Some("the install medium".to_owned());
    disks[1].appliance = Some("demo 0.9".to_owned());
    disks[2].model = "QEMU HARDDISK".to_owned();
    disks[3].model = "Other".to_owned();
    disks[3].serial = "S-77".to_owned();
    disks[4].transport = "nvme".to_owned();
    disks.to_vec()
}

fn chosen(device: Device, force: bool) -> String {
    let machine = Machine::new("dev/disk/by-id/ata-S-77 -> ../../sdd");
    let disks = shelf(&machine);
    machine.add("dev/sdc1\nsys/block/sdc/sdc1/partition = 1");
    let root = machine.sys.dev.display().to_string();
    let device = match device {
        Device::Path(path) => Device::Path(path.replace("/dev", &root)),
        device => device,
    };
    let chosen = choose(&machine.sys, &device, &disks, force);
    let text = match chosen {
        Ok(path) => path.display().to_string(),
        Err(error) => error.to_string(),
    };
    text.replace(&root, "/dev")
}

fn path(path: &str) -> Device {
    Device::Path(path.to_owned())
}

fn rule(change: impl FnOnce(&mut Rule)) -> Device {
    let mut rule = Rule::default();
    change(&mut rule);
    Device::Rule(rule)
}

#[test]
fn the_largest_that_can_be_taken() {
    assert_eq!(chosen(Device::Auto, false), "/dev/sdc");
    assert_eq!(chosen(Device::Auto, true), "/dev/sdb");
}

#[test]
fn paths_and_links() {
    assert_eq!(chosen(path("/dev/sde"), false), "/dev/sde");
    assert_eq!(chosen(path("/dev/disk/by-id/ata-S-77"), false), "/dev/sdd");
    assert_eq!(chosen(path("/dev/sdb"), true), "/dev/sdb");
    assert_snapshot!(chosen(path("/dev/sdb"), false), @r"
    the disk '/dev/sdb' can't be taken: holds an installed appliance (demo 0.9); only install.force overwrites it
        /dev/sda (900.0 GiB): the install medium
        /dev/sdb (500.0 GiB): holds an installed appliance (demo 0.9); only install.force overwrites it
        /dev/sdc (100.0 GiB, QEMU HARDDISK): can be taken
        /dev/sdd (100.0 GiB, Other, S-77): can be taken
        /dev/sde (20.0 GiB): can be taken
    ");
    assert_snapshot!(chosen(path("/dev/sda"), true), @r"
    the disk '/dev/sda' can't be taken: the install medium
        /dev/sda (900.0 GiB): the install medium
        /dev/sdb (500.0 GiB): can be taken
        /dev/sdc (100.0 GiB, QEMU HARDDISK): can be taken
        /dev/sdd (100.0 GiB, Other, S-77): can be taken
        /dev/sde (20.0 GiB): can be taken
    ");
    assert_snapshot!(chosen(path("/dev/sdc1"), true), @r"
    the disk '/dev/sdc1' can't be taken: '/dev/sdc1' is a partition of /dev/sdc; a whole disk is needed
        /dev/sda (900.0 GiB): the install medium
        /dev/sdb (500.0 GiB): can be taken
        /dev/sdc (100.0 GiB, QEMU HARDDISK): can be taken
        /dev/sdd (100.0 GiB, Other, S-77): can be taken
        /dev/sde (20.0 GiB): can be taken
    ");
    assert_snapshot!(chosen(path("/dev/sdz"), true), @r"
    the disk '/dev/sdz' can't be taken: '/dev/sdz' is no disk of this machine
        /dev/sda (900.0 GiB): the install medium
        /dev/sdb (500.0 GiB): can be taken
        /dev/sdc (100.0 GiB, QEMU HARDDISK): can be taken
        /dev/sdd (100.0 GiB, Other, S-77): can be taken
        /dev/sde (20.0 GiB): can be taken
    ");
}

#[test]
fn rules() {
    let model = |glob: &str| {
        let glob = glob.to_owned();
        rule(|rule| rule.model = Some(glob))
    };
    assert_eq!(chosen(model("qemu*"), false), "/dev/sdc");
    let serial = rule(|rule| rule.serial = Some("S-??".to_owned()));
    assert_eq!(chosen(serial, false), "/dev/sdd");
    let small = rule(|rule| {
        rule.max_bytes = Some(50 << 30);
        rule.transport = Some("{nvme,usb}".to_owned());
    });
    assert_eq!(chosen(small, false), "/dev/sde");
    let none = rule(|rule| {
        rule.min_bytes = Some(50 << 30);
        rule.model = Some("QEMU*".to_owned());
        rule.serial = Some("X*".to_owned());
    });
    assert_snapshot!(chosen(none, false), @r"
    no disk fits the rule (at least 50.0 GiB, model QEMU*, serial X*):
        /dev/sda (900.0 GiB): the install medium
        /dev/sdb (500.0 GiB): holds an installed appliance (demo 0.9); only install.force overwrites it
        /dev/sdc (100.0 GiB, QEMU HARDDISK): tells no serial
        /dev/sdd (100.0 GiB, Other, S-77): model is 'Other'
        /dev/sde (20.0 GiB): smaller than the rule asks
    ");
    assert_snapshot!(chosen(model("[a"), false), @"the rule's model '[a' is no pattern: unclosed character class; missing ']'");
}

#[test]
fn nothing_to_take() {
    let machine = Machine::new("");
    let error = choose(&machine.sys, &Device::Auto, &[], true).unwrap_err();
    assert_snapshot!(error, @"this machine has no disk");
    let mut disks = vec![disk(&machine, "sda", 1), disk(&machine, "sdb", 2)];
    note_sizes(&mut disks, &config(), &image(700));
    let root = machine.sys.dev.display().to_string();
    let error = choose(&machine.sys, &Device::Auto, &disks, true).unwrap_err();
    assert_snapshot!(error.to_string().replace(&root, "/dev"), @r"
    no disk can be taken:
        /dev/sda (1.0 GiB): too small with 1.0 GiB: 4.4 GiB are needed, which are BIOS 1.0 MiB, ESP 64.0 MiB, OEM 64.0 MiB, STATE 3.3 GiB, PERSISTENT 1.0 GiB
        /dev/sdb (2.0 GiB): too small with 2.0 GiB: 4.4 GiB are needed, which are BIOS 1.0 MiB, ESP 64.0 MiB, OEM 64.0 MiB, STATE 3.3 GiB, PERSISTENT 1.0 GiB
    ");
}

#[test]
fn the_pages_propose_even_a_disk_that_holds_an_appliance() {
    let machine = Machine::new("");
    let mut disks = shelf(&machine);
    let site = Site::default();
    let mut config = config();
    let proposed = |config: &Config, disks: &[Disk]| {
        proposal(&machine.sys, config, &site, disks)
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
    };
    assert_eq!(proposed(&config, &disks).as_deref(), Some("sdc"));
    config.install.device = rule(|rule| rule.model = Some("nothing".to_owned()));
    assert_eq!(proposed(&config, &disks).as_deref(), Some("sdb"));
    disks.truncate(2);
    config.install.device = Device::Auto;
    assert_eq!(proposed(&config, &disks).as_deref(), Some("sdb"));
    disks.truncate(1);
    assert_eq!(proposed(&config, &disks), None);
}
