//! What the pages look like that ask for the rest, and what all pages share.

use insta::assert_snapshot;
use isoforge_contract::machine::Page as AskedPage;

use super::*;

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
        .account("op", "secret-1", "secrex-1")
        .press(&[Key::Enter]);
    assert_snapshot!(played.screen(), @r"
     demo 1.0.0 - Installer                                             Step 2 of 4
    + Account ---------------------------------------------------------------------+
    | The first account of the machine, for its console and SSH. There is no other |
    | way in, so it can't be left out.                                             |
    |                                                                              |
    | Name                op______________________________________________________ |
    |                                                                              |
    | Password            ********________________________________________________ |
    |                                                                              |
    | Password again      ********________________________________________________ |
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
    let mut played = Played::new(with_pages(&[AskedPage::Hostname]));
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
    let mut played = Played::new(with_pages(&[AskedPage::Network]));
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
    use crate::installer::model::Page;
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
