//! What each page looks like.

use insta::assert_snapshot;
use isoforge::node::{After, Page as Wanted};

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

#[test]
fn account() {
    let mut played = Played::new(survey());
    played.press(&[Key::Enter]);
    assert_snapshot!(played.screen(), @r"
     demo 1.0.0 - Installer                                             Step 2 of 4
    + Account ---------------------------------------------------------------------+
    | The first account of the machine, for its console and SSH. There is no other |
    | way in, so it can't be left out.                                             |
    |                                                                              |
    | Name                ________________________________________________________ |
    |                                                                              |
    | Password            ________________________________________________________ |
    |                                                                              |
    | Password again      ________________________________________________________ |
    |                                                                              |
    | SSH key (optional)  ________________________________________________________ |
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

                    TAB/arrows next field  ENTER continue  ESC back
    ");
    played
        .account("op", "secret", "secrex")
        .press(&[Key::Enter]);
    assert_snapshot!(played.screen(), @r"
     demo 1.0.0 - Installer                                             Step 2 of 4
    + Account ---------------------------------------------------------------------+
    | The first account of the machine, for its console and SSH. There is no other |
    | way in, so it can't be left out.                                             |
    |                                                                              |
    | Name                op______________________________________________________ |
    |                                                                              |
    | Password            ******__________________________________________________ |
    |                                                                              |
    | Password again      ******__________________________________________________ |
    |                                                                              |
    | SSH key (optional)  ________________________________________________________ |
    |                                                                              |
    | The two passwords differ.                                                    |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    +------------------------------------------------------------------------------+

                    TAB/arrows next field  ENTER continue  ESC back
    ");
}

#[test]
fn hostname() {
    let mut played = Played::new(with_pages(&[Wanted::Hostname]));
    played.press(&[Key::Enter]).write("-").press(&[Key::Enter]);
    assert_snapshot!(played.screen(), @r"
     demo 1.0.0 - Installer                                             Step 2 of 4
    + Host name -------------------------------------------------------------------+
    | The name of this machine. Left empty, it is named by the configuration.      |
    |                                                                              |
    | Host name           node-1-_________________________________________________ |
    |                                                                              |
    | A host name has letters, digits and -, in parts with dots between.           |
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

                    TAB/arrows next field  ENTER continue  ESC back
    ");
}

#[test]
fn network() {
    let mut played = Played::new(with_pages(&[Wanted::Network]));
    played.press(&[Key::Enter]);
    assert_snapshot!(played.screen(), @r"
     demo 1.0.0 - Installer                                             Step 2 of 4
    + Network ---------------------------------------------------------------------+
    | How the installed machine reaches its network. Name servers have commas      |
    | between.                                                                     |
    |                                                                              |
    | Interface           < as configured >                                        |
    |                                                                              |
    | Addresses           -                                                        |
    |                                                                              |
    | Address/prefix      -                                                        |
    |                                                                              |
    | Gateway             -                                                        |
    |                                                                              |
    | Name servers        -                                                        |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    +------------------------------------------------------------------------------+

              TAB next field  left/right choose  ENTER continue  ESC back
    ");
    played.press(&[Key::Right, Key::Tab, Key::Right, Key::Tab]);
    played.write("192.0.2.5/24").press(&[Key::Enter]);
    played.write("192.0.3.1").press(&[Key::Enter, Key::Enter]);
    assert_snapshot!(played.screen(), @r"
     demo 1.0.0 - Installer                                             Step 2 of 4
    + Network ---------------------------------------------------------------------+
    | How the installed machine reaches its network. Name servers have commas      |
    | between.                                                                     |
    |                                                                              |
    | Interface           < eth0 (52:54:00:12:34:56, connected) >                  |
    |                                                                              |
    | Addresses           < static >                                               |
    |                                                                              |
    | Address/prefix      192.0.2.5/24____________________________________________ |
    |                                                                              |
    | Gateway             192.0.3.1_______________________________________________ |
    |                                                                              |
    | Name servers        ________________________________________________________ |
    |                                                                              |
    | The gateway 192.0.3.1 is not within 192.0.2.5/24.                            |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    +------------------------------------------------------------------------------+

              TAB next field  left/right choose  ENTER continue  ESC back
    ");
}

#[test]
fn after() {
    let mut played = Played::new(with_pages(&[]));
    played.press(&[Key::Enter, Key::Down]);
    assert_snapshot!(played.screen(), @r"
     demo 1.0.0 - Installer                                             Step 2 of 3
    + After the installation ------------------------------------------------------+
    | What shall the machine do once it is installed?                              |
    |                                                                              |
    | ( ) nothing                                                                  |
    | ( ) reboot                                                                   |
    | (*) power off                                                                |
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

                      TAB/arrows choose  ENTER continue  ESC back
    ");
}

#[test]
fn summary() {
    let mut played = Played::new(survey());
    played.summary();
    assert_snapshot!(played.screen(), @r"
     demo 1.0.0 - Installer                                             Step 4 of 4
    + Installation summary --------------------------------------------------------+
    | Disk        /dev/sda       20.0 GiB  sata    QEMU HARDDISK                   |
    | On it       empty; it will be lost                                           |
    | Account     op, with password                                                |
    | Host name   as configured                                                    |
    | Network     as configured                                                    |
    | Afterwards  reboot                                                           |
    |                                                                              |
    | The machine is being checked ...                                             |
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

                        ENTER install  ESC back  up/down scroll
    ");
    played.tell(Message::Found(vec![warning(
        "memory: 2.0 GiB, 4.0 GiB are asked for",
    )]));
    assert_snapshot!(played.screen(), @r"
     demo 1.0.0 - Installer                                             Step 4 of 4
    + Installation summary --------------------------------------------------------+
    | Disk        /dev/sda       20.0 GiB  sata    QEMU HARDDISK                   |
    | On it       empty; it will be lost                                           |
    | Account     op, with password                                                |
    | Host name   as configured                                                    |
    | Network     as configured                                                    |
    | Afterwards  reboot                                                           |
    |                                                                              |
    | Warning: memory: 2.0 GiB, 4.0 GiB are asked for                              |
    | ENTER asks once more, then it installs.                                      |
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

                        ENTER install  ESC back  up/down scroll
    ");
}

#[test]
fn summary_that_refuses() {
    let mut played = Played::new(Survey {
        findings: vec![warning("cloud-config 'cidata': nothing acts on 'bundles'")],
        ..with_pages(&[Wanted::Hostname, Wanted::Network])
    });
    played.press(&[Key::Enter]).write("b").press(&[Key::Enter]);
    played.press(&[Key::Right, Key::Enter, Key::Enter]);
    played.write("192.0.2.53").press(&[Key::Enter, Key::Enter]);
    let refusal = Finding {
        refuses: true,
        message: "processors: 1, 2 are required".to_owned(),
    };
    played
        .tell(Message::Found(vec![refusal]))
        .press(&[Key::Enter]);
    assert_snapshot!(played.screen(), @r"
     demo 1.0.0 - Installer                                             Step 5 of 5
    + Installation summary --------------------------------------------------------+
    | Disk        /dev/sda       20.0 GiB  sata    QEMU HARDDISK                   |
    | On it       empty; it will be lost                                           |
    | Account     admin, from the profile                                          |
    | Host name   node-1b                                                          |
    | Network     eth0: DHCP, name servers 192.0.2.53                              |
    | Afterwards  reboot                                                           |
    |                                                                              |
    | Warning: cloud-config 'cidata': nothing acts on 'bundles'                    |
    | Refused: processors: 1, 2 are required                                       |
    | The installation is refused; nothing has been changed.                       |
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
     This machine can't be installed as it is; see above.
                        ENTER install  ESC back  up/down scroll
    ");
}

#[test]
fn summary_that_is_longer_than_the_page() {
    let mut played = Played::new(with_pages(&[]));
    played.press(&[Key::Enter, Key::Enter]);
    let many = (0..20).map(|n| warning(&format!("module number_{n} is missing")));
    played.tell(Message::Found(many.collect()));
    assert_snapshot!(played.on(0, 60, 18), @r"
     demo 1.0.0 - Installer                         Step 3 of 3
    + Installation summary ------------------------------------+
    | Disk        /dev/sda       20.0 GiB  sata    QEMU        |
    | HARDDISK                                                 |
    | On it       empty; it will be lost                       |
    | Account     admin, from the profile                      |
    | Host name   node-1                                       |
    | Network     as configured                                |
    | Afterwards  reboot                                       |
    |                                                          |
    | Warning: module number_0 is missing                      |
    | Warning: module number_1 is missing                      |
    | Warning: module number_2 is missing                      |
    | Warning: module number_3 is missing                      |
    |                                         -- more: down -- |
    +----------------------------------------------------------+

              ENTER install  ESC back  up/down scroll
    ");
    played.press(&[Key::PageDown, Key::PageDown, Key::PageDown, Key::PageDown]);
    let end = played.on(0, 60, 18);
    assert!(end.contains("ENTER asks once more"), "{end}");
    assert!(end.contains("-- end --"), "{end}");
}

#[test]
fn confirm() {
    let mut played = Played::new(survey());
    played.press(&[Key::Tab, Key::Tab]).summary();
    played.tell(Message::Found(Vec::new())).press(&[Key::Enter]);
    assert_snapshot!(played.screen(), @r"
     demo 1.0.0 - Installer
    + Last question ---------------------------------------------------------------+
    | All content of /dev/nvme0n1 will be lost:                                    |
    |                                                                              |
    | /dev/nvme0n1  953.0 GiB  nvme    SAMSUNG MZVL21T0HCLR-00B00, serial          |
    | S676NX0R123456                                                               |
    | on it: the appliance demo 0.9.0 (GPT: ESP, OEM, STATE, PERSISTENT)           |
    |                                                                              |
    | Shall it be overwritten and the system installed?                            |
    |                                                                              |
    | [ No ]   [ Yes ]                                                             |
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

                       TAB/arrows choose  ENTER confirm  ESC back
    ");
}

#[test]
fn progress() {
    let mut played = Played::new(survey());
    played.begun();
    for event in events() {
        played.tell(Message::Install(event));
    }
    played.tell(Message::Tick(1_000));
    let event = Event::Bytes {
        done: 512 << 20,
        total: 1 << 30,
    };
    played
        .tell(Message::Install(event))
        .tell(Message::Tick(3_000));
    assert_snapshot!(played.screen(), @r"
     demo 1.0.0 - Installer
    + Installing ------------------------------------------------------------------+
    | On /dev/sda, 0:03 so far                                                     |
    |                                                                              |
    | [ok] 1/4  Partitioning                                                       |
    | [ok] 2/4  Making file systems                                                |
    | [..] 3/4  Copying the system                                                 |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    |                                                                              |
    | [##################################..................................]  50 % |
    | 512.0 MiB of 1.0 GiB, 106.0 MiB/s                                            |
    |                                                                              |
    | sfdisk: 5 partitions                                                         |
    | mkfs.ext4 /dev/sda4                                                          |
    |                                                                              |
    |                                                                              |
    +------------------------------------------------------------------------------+

                         Please wait. Log: Alt-F2 on the screen
    ");
}

#[test]
fn done() {
    let mut played = Played::new(survey());
    played.begun().tell(Message::Tick(5_000));
    played
        .tell(Message::Installed(Ok(())))
        .tell(Message::Tick(6_500));
    assert_snapshot!(played.screen(), @r"
     demo 1.0.0 - Installer
    + Installed -------------------------------------------------------------------+
    | The system is installed on /dev/sda.                                         |
    |                                                                              |
    | Remove the installation medium, or let the firmware boot the disk first.     |
    |                                                                              |
    | In 9 s: reboot. ESC stays here.                                              |
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

                                ENTER at once  ESC stay
    ");
    played.press(&[Key::Esc]);
    assert_snapshot!(played.screen(), @r"
     demo 1.0.0 - Installer
    + Installed -------------------------------------------------------------------+
    | The system is installed on /dev/sda.                                         |
    |                                                                              |
    | Remove the installation medium, or let the firmware boot the disk first.     |
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
    | [ Reboot ]  [ Power off ]  [ Shell ]                                         |
    +------------------------------------------------------------------------------+

                          TAB/left/right choose  ENTER confirm
    ");
}

#[test]
fn done_with_nothing_to_follow_under_bios() {
    let mut played = Played::new(Survey {
        after: After::None,
        boot_order: Some(BOOT_ORDER),
        ..survey()
    });
    played.begun().tell(Message::Installed(Ok(())));
    assert_snapshot!(played.screen(), @r"
     demo 1.0.0 - Installer
    + Installed -------------------------------------------------------------------+
    | The system is installed on /dev/sda.                                         |
    |                                                                              |
    | Remove the installation medium, or let the firmware boot the disk first.     |
    | Under legacy BIOS the disk must be at the top of the boot order.             |
    |                                                                              |
    | Nothing follows by itself, as chosen.                                        |
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
    | [ Reboot ]  [ Power off ]  [ Shell ]                                         |
    +------------------------------------------------------------------------------+

                          TAB/left/right choose  ENTER confirm
    ");
}

#[test]
fn failed() {
    let mut played = Played::new(survey());
    played.begun().tell(Message::Installed(Err(failure())));
    assert_snapshot!(played.screen(), @r"
     demo 1.0.0 - Installer
    + Not installed ---------------------------------------------------------------+
    | Step     Copying the system                                                  |
    |                                                                              |
    | Cause    /run/initramfs/live/rootfs.squashfs: the digest differs             |
    |          expected sha256:aa, got sha256:bb                                   |
    |                                                                              |
    | To do    The medium is damaged. Write it anew, and compare its checksum.     |
    |                                                                              |
    | The log is in /run/appliance/install.log.                                    |
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
    | [ Try again ]  [ Shell ]  [ Power off ]                                      |
    +------------------------------------------------------------------------------+

                  TAB/left/right choose  ENTER confirm  up/down scroll
    ");
}

#[test]
fn the_console_that_does_not_lead_says_so() {
    let mut played = Played::new(survey());
    played.press(&[Key::Down]);
    let foot = |played: &Played| {
        let screen = played.on(1, 80, 24);
        screen.lines().nth(22).unwrap().to_owned()
    };
    assert_snapshot!(foot(&played), @r" Console tty1 leads; this one (ttyS0) shows what happens.");
    played.press(&[Key::Char('s')]);
    assert_snapshot!(foot(&played), @r" A shell is open on tty1.");
}

#[test]
fn too_small_and_huge() {
    let mut played = Played::new(survey());
    assert_snapshot!(played.on(0, 50, 10), @r"
    This terminal is too small: it has 50x10, the
    installer needs 60x18.
    ");
    played.begun();
    for event in events() {
        played.tell(Message::Install(event));
    }
    played.tell(Message::Installed(Err(failure())));
    for (width, height) in [(1, 1), (60, 17), (59, 18), (60, 18), (300, 100)] {
        played.on(0, width, height);
    }
}

#[test]
fn unattended() {
    let mut played = Played::new(Survey {
        unattended: true,
        account: Some("op, as the configuration has it".to_owned()),
        ..survey()
    });
    played.tell(Message::Planned(Err(failure())));
    assert_snapshot!(played.on(0, 60, 18), @r"
     demo 1.0.0 - Installer                          Unattended
    + Not installed -------------------------------------------+
    | Step     Copying the system                              |
    |                                                          |
    | Cause    /run/initramfs/live/rootfs.squashfs: the digest |
    | differs                                                  |
    |          expected sha256:aa, got sha256:bb               |
    |                                                          |
    | To do    The medium is damaged. Write it anew, and       |
    | compare its checksum.                                    |
    |                                                          |
    | The log is in /run/appliance/install.log.                |
    |                                                          |
    |                                                          |
    | [ Try again ]  [ Shell ]  [ Power off ]                  |
    +----------------------------------------------------------+

        TAB/left/right choose  ENTER confirm  up/down scroll
    ");
}

#[test]
fn the_keys_of_each_page_fit_the_narrowest_console() {
    use crate::tui::model::Page;
    let mut played = Played::new(survey());
    for page in [
        Page::Disk,
        Page::Account,
        Page::Network,
        Page::After,
        Page::Summary,
        Page::Confirm,
        Page::Progress,
        Page::Done,
        Page::Failed,
    ] {
        played.model.page = page;
        let keys = |width| {
            let screen = played.on(0, width, 18);
            screen.lines().last().unwrap().trim().to_owned()
        };
        assert_eq!(keys(60), keys(300));
    }
}

#[test]
fn only_ascii_is_drawn() {
    let mut odd = survey();
    odd.disks[1].model = "Gr\u{f6}\u{df}e \u{78c1}\u{1b}[31m\u{2026}".to_owned();
    let screen = Played::new(odd).screen();
    assert!(
        screen
            .bytes()
            .all(|byte| matches!(byte, b'\n' | 0x20..=0x7e))
    );
    assert!(screen.contains("Gr??e ?"), "{screen}");
}
