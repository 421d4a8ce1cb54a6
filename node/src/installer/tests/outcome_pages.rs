//! What the pages look like from the summary on.

use insta::assert_snapshot;
use isoforge_contract::machine::{After, Page as AskedPage};

use super::*;

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
        ..with_pages(&[AskedPage::Hostname, AskedPage::Network])
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
