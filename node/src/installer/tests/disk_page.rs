//! What the page of disks looks like, and what is before it.

use insta::assert_snapshot;

use super::*;

#[test]
fn looking() {
    let played = Played {
        model: Model::new("demo 1.0.0".to_owned(), vec!["tty1".to_owned()]),
        effects: Vec::new(),
    };
    assert_snapshot!(played.on(0, 60, 18), @r"
     demo 1.0.0 - Installer
    + Start ---------------------------------------------------+
    | Looking at this machine ...                              |
    |                                                          |
    |                                                          |
    |                                                          |
    |                                                          |
    |                                                          |
    |                                                          |
    |                                                          |
    |                                                          |
    |                                                          |
    |                                                          |
    |                                                          |
    |                                                          |
    +----------------------------------------------------------+

                            Please wait
    ");
}

#[test]
fn disk() {
    assert_snapshot!(Played::new(survey()).screen(), @r"
     demo 1.0.0 - Installer                                             Step 1 of 4
    + Disk ------------------------------------------------------------------------+
    | Which disk shall be installed on? All of its content will be lost.           |
    |                                                                              |
    |   /dev/sr0      900.0 MiB  sata    QEMU DVD-ROM                              |
    |       can't be taken: it is the installation medium                          |
    | > /dev/sda       20.0 GiB  sata    QEMU HARDDISK                             |
    |       on it: empty                                                           |
    |   /dev/sdb        2.0 GiB  usb     QEMU HARDDISK                             |
    |       can't be taken: too small: it has 2.0 GiB, 12.0 GiB are needed         |
    |   /dev/nvme0n1  953.0 GiB  nvme    SAMSUNG MZVL21T0HCLR-00B00, serial S676NX |
    |       on it: the appliance demo 0.9.0 (GPT: ESP, OEM, STATE, PERSISTENT)     |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    +------------------------------------------------------------------------------+

               TAB/arrows  ENTER continue  R rescan  S shell  P power off
    ");
}

#[test]
fn disk_that_cannot_be_taken() {
    let mut played = Played::new(survey());
    played.press(&[Key::Down, Key::Enter]);
    assert_snapshot!(played.screen(), @r"
     demo 1.0.0 - Installer                                             Step 1 of 4
    + Disk ------------------------------------------------------------------------+
    | Which disk shall be installed on? All of its content will be lost.           |
    |                                                                              |
    |   /dev/sr0      900.0 MiB  sata    QEMU DVD-ROM                              |
    |       can't be taken: it is the installation medium                          |
    |   /dev/sda       20.0 GiB  sata    QEMU HARDDISK                             |
    |       on it: empty                                                           |
    | > /dev/sdb        2.0 GiB  usb     QEMU HARDDISK                             |
    |       can't be taken: too small: it has 2.0 GiB, 12.0 GiB are needed         |
    |   /dev/nvme0n1  953.0 GiB  nvme    SAMSUNG MZVL21T0HCLR-00B00, serial S676NX |
    |       on it: the appliance demo 0.9.0 (GPT: ESP, OEM, STATE, PERSISTENT)     |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    +------------------------------------------------------------------------------+
     /dev/sdb can't be taken: too small: it has 2.0 GiB, 12.0 GiB are needed
               TAB/arrows  ENTER continue  R rescan  S shell  P power off
    ");
}

#[test]
fn disk_under_bios() {
    let bios = Survey {
        boot_order: Some(BOOT_ORDER),
        ..survey()
    };
    assert_snapshot!(Played::new(bios).screen(), @r"
     demo 1.0.0 - Installer                                             Step 1 of 4
    + Disk ------------------------------------------------------------------------+
    | Which disk shall be installed on? All of its content will be lost.           |
    |                                                                              |
    |   /dev/sr0      900.0 MiB  sata    QEMU DVD-ROM                              |
    |       can't be taken: it is the installation medium                          |
    | > /dev/sda       20.0 GiB  sata    QEMU HARDDISK                             |
    |       on it: empty                                                           |
    |   /dev/sdb        2.0 GiB  usb     QEMU HARDDISK                             |
    |       can't be taken: too small: it has 2.0 GiB, 12.0 GiB are needed         |
    |   /dev/nvme0n1  953.0 GiB  nvme    SAMSUNG MZVL21T0HCLR-00B00, serial S676NX |
    |       on it: the appliance demo 0.9.0 (GPT: ESP, OEM, STATE, PERSISTENT)     |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    | This machine was started by legacy BIOS, whose boot order the installer      |
    | can't change. Put the chosen disk before the medium in the BIOS setup: else  |
    | the machine starts the installer again.                                      |
    +------------------------------------------------------------------------------+

               TAB/arrows  ENTER continue  R rescan  S shell  P power off
    ");
}

#[test]
fn no_disk_at_all_and_none_that_can_be_taken() {
    let mut none = survey();
    none.disks.retain(|disk| disk.unusable.is_some());
    assert_snapshot!(Played::new(none.clone()).screen(), @r"
     demo 1.0.0 - Installer                                             Step 1 of 4
    + Disk ------------------------------------------------------------------------+
    | None of the disks can be taken; each one says why.                           |
    |                                                                              |
    | > /dev/sr0      900.0 MiB  sata    QEMU DVD-ROM                              |
    |       can't be taken: it is the installation medium                          |
    |   /dev/sdb        2.0 GiB  usb     QEMU HARDDISK                             |
    |       can't be taken: too small: it has 2.0 GiB, 12.0 GiB are needed         |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    +------------------------------------------------------------------------------+

                    TAB/arrows look  R rescan  S shell  P power off
    ");
    none.disks.clear();
    assert_snapshot!(Played::new(none).screen(), @r"
     demo 1.0.0 - Installer                                             Step 1 of 4
    + Disk ------------------------------------------------------------------------+
    | This machine has no disk that the system sees. Is its controller's driver    |
    | there?                                                                       |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    +------------------------------------------------------------------------------+

                    TAB/arrows look  R rescan  S shell  P power off
    ");
}

#[test]
fn many_disks_scroll() {
    let disks = (0..30).map(|n| super::disk(&format!("/dev/sd{n}"), 20 << 30));
    let mut played = Played::new(Survey {
        disks: disks.collect(),
        ..survey()
    });
    played.press(&[Key::Up]);
    assert_snapshot!(played.on(0, 60, 18), @r"
     demo 1.0.0 - Installer                         Step 1 of 4
    + Disk ----------------------------------------------------+
    | Which disk shall be installed on? All of its content     |
    | will be lost.                                            |
    |                                                          |
    |   /dev/sd25      20.0 GiB  sata    QEMU HARDDISK         |
    |       on it: empty                                       |
    |   /dev/sd26      20.0 GiB  sata    QEMU HARDDISK         |
    |       on it: empty                                       |
    |   /dev/sd27      20.0 GiB  sata    QEMU HARDDISK         |
    |       on it: empty                                       |
    |   /dev/sd28      20.0 GiB  sata    QEMU HARDDISK         |
    |       on it: empty                                       |
    | > /dev/sd29      20.0 GiB  sata    QEMU HARDDISK         |
    |       on it: empty                                       |
    +----------------------------------------------------------+

     TAB/arrows  ENTER continue  R rescan  S shell  P power off
    ");
}
