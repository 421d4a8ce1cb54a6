//! How the pages look.

use insta::assert_snapshot;

use super::*;

#[test]
fn device_info() {
    assert_snapshot!(Played::on(facts()).screen(), @r"
     demo
    + Device Info -----------------------------------------------------------------+
    | Version         demo 1.0.0                                                   |
    | System          slot a, good                                                 |
    | Network         eth0  192.0.2.5/24  (52:54:00:12:34:56)                      |
    |                 eth1  not connected  (52:54:00:12:34:57)                     |
    | Host name       node-1                                                       |
    | Services        failed: kubelet.service                                      |
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

                      ENTER settings  L login prompt  R look again
    ");
}

#[test]
fn device_info_of_a_machine_without_an_account() {
    assert_snapshot!(Played::on(unset()).screen(), @r"
     demo
    + Device Info -----------------------------------------------------------------+
    | Set up required: nobody can log in yet. ENTER makes an account.              |
    |                                                                              |
    | Version         demo 1.0.0                                                   |
    | System          slot a, good                                                 |
    | Network         eth0  192.0.2.5/24  (52:54:00:12:34:56)                      |
    |                 eth1  not connected  (52:54:00:12:34:57)                     |
    | Host name       node-1                                                       |
    | Services        failed: kubelet.service                                      |
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

                  ENTER make an account  L login prompt  R look again
    ");
}

#[test]
fn a_wide_screen_has_the_page_in_its_middle() {
    let mut facts = facts();
    let long = "0123456789".repeat(12);
    facts.lines.push(fact("Processor", &long, Tone::Plain));
    assert_snapshot!(Played::on(facts).sized(132, 20), @r"
     demo
    + Device Info -------------------------------------------------------------------------------------+
    | Version         demo 1.0.0                                                                       |
    | System          slot a, good                                                                     |
    | Network         eth0  192.0.2.5/24  (52:54:00:12:34:56)                                          |
    |                 eth1  not connected  (52:54:00:12:34:57)                                         |
    | Host name       node-1                                                                           |
    | Services        failed: kubelet.service                                                          |
    | Processor       01234567890123456789012345678901234567890123456789012345678901234567890123456789 |
    |                 0123456789012345678901234567890123456789                                         |
    |                                                                                                  |
    |                                                                                                  |
    |                                                                                                  |
    |                                                                                                  |
    |                                                                                                  |
    |                                                                                                  |
    |                                                                                                  |
    +--------------------------------------------------------------------------------------------------+

                                ENTER settings  L login prompt  R look again
    ");
}

#[test]
fn first_account() {
    let mut played = Played::on(unset());
    played.press(&[Key::Enter]).write("op").press(&[Key::Enter]);
    played.write("secret-1");
    assert_snapshot!(played.screen(), @r"
     demo
    + First account ---------------------------------------------------------------+
    | This machine has no account yet that could log in. This one may change       |
    | everything, here and over SSH.                                               |
    |                                                                              |
    | Name                op______________________________________________________ |
    |                                                                              |
    | Password            ********________________________________________________ |
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

                     TAB/arrows next field  ENTER make it  ESC back
    ");
}

#[test]
fn login() {
    let mut played = Played::on(facts());
    played.press(&[Key::Enter]).login("op", "x");
    let refusal = "The name or the password is wrong.".to_owned();
    played.tell(Message::LoggedIn(Err(refusal)));
    assert_snapshot!(played.screen(), @r"
     demo
    + Log in ----------------------------------------------------------------------+
    | An account that administrates this machine (group 'admin').                  |
    |                                                                              |
    | Name                op______________________________________________________ |
    |                                                                              |
    | Password            ________________________________________________________ |
    |                                                                              |
    | The name or the password is wrong.                                           |
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

                     TAB/arrows next field  ENTER log in  ESC back
    ");
}

#[test]
fn settings() {
    assert_snapshot!(Played::menu().screen(), @r"
     demo                                                                        op
    + Settings --------------------------------------------------------------------+
    | > Host name     the name of this machine                                     |
    |                                                                              |
    |   Shell         a command line of your account                               |
    |                                                                              |
    |   Reboot        start this machine again                                     |
    |                                                                              |
    |   Power off     turn this machine off                                        |
    |                                                                              |
    |   Quit          log out, back to Device Info                                 |
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

                       TAB/arrows choose  ENTER open  ESC log out
    ");
}

#[test]
fn host_name() {
    let mut played = Played::menu();
    played.press(&[Key::Enter]);
    assert_snapshot!(played.screen(), @r"
     demo                                                                        op
    + Host name -------------------------------------------------------------------+
    | The name of this machine. It becomes the name of its node in a cluster,      |
    | which can't be changed later.                                                |
    |                                                                              |
    | Host name           node-1__________________________________________________ |
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

                                  ENTER set  ESC back
    ");
}

#[test]
fn power_off() {
    let mut played = Played::menu();
    played.press(&[Key::Up, Key::Up, Key::Enter]);
    assert_snapshot!(played.screen(), @r"
     demo                                                                        op
    + Power off -------------------------------------------------------------------+
    | Shall this machine be turned off? Only who stands before it can turn it on.  |
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
fn the_keys_of_each_page_fit_the_narrowest_console() {
    let mut shown = Vec::new();
    for mut played in [Played::on(facts()), Played::on(unset()), Played::in_shell()] {
        shown.push(played.sized(60, 18));
        played.press(&[Key::Enter]);
        shown.push(played.sized(60, 18));
    }
    let mut played = Played::menu();
    for keys in [
        vec![],
        vec![Key::Enter],
        vec![Key::Esc, Key::Down, Key::Down, Key::Enter],
    ] {
        played.press(&keys);
        shown.push(played.sized(60, 18));
    }
    for screen in shown {
        let keys = screen.lines().last().unwrap();
        // Centred text that is too long loses its ends.
        assert!(keys.len() < 60, "{keys}");
    }
    let small = Played::on(facts()).sized(50, 10).replace('\n', " ");
    assert!(small.contains("the console needs 60x18"), "{small}");
}

#[test]
fn what_is_no_ascii_is_not_drawn() {
    let mut facts = facts();
    facts
        .lines
        .push(fact("Machine", "Köln\u{1b}[2J", Tone::Plain));
    let screen = Played::on(facts).screen();
    assert!(
        screen
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~' | b'\n')),
        "{screen}"
    );
}
