//! What keys lead to.

use super::*;
use crate::console::model::Page;
use crate::tui::account::Typed;

const IDLE_MS: u64 = 600_000;

#[test]
fn nothing_is_changed_before_a_login() {
    let mut played = Played::on(facts());
    played.press(&[Key::Enter]);
    assert_eq!(played.model.page, Page::Login);
    played.login("op", "wrong");
    let asked = Effect::Login("op".to_owned(), Secret("wrong".to_owned()));
    assert_eq!(played.asked(), [asked]);
    // Keys wait for the answer.
    played.press(&[Key::Esc, Key::Enter]);
    assert_eq!(
        (played.model.page, played.asked()),
        (Page::Login, Vec::new())
    );
    played.tell(Message::LoggedIn(Err("no".to_owned())));
    assert_eq!(played.model.page, Page::Login);
    assert_eq!(played.model.administrator, None);
    // The name stays, the password doesn't.
    assert_eq!(played.model.login.value(0), "op");
    assert_eq!(played.model.login.value(1), "");
    played.write("secret-1").press(&[Key::Enter]);
    played.tell(Message::LoggedIn(Ok(())));
    assert_eq!(played.model.page, Page::Menu);
    assert_eq!(played.model.administrator.as_deref(), Some("op"));
    assert_eq!(played.model.login.value(1), "");
    played.press(&[Key::Esc]);
    assert_eq!(played.model.page, Page::Info);
    assert_eq!(played.model.administrator, None);
}

#[test]
fn wrong_passwords_are_slowed_down_and_never_lock_the_console() {
    let mut played = Played::on(facts());
    played.press(&[Key::Enter]).login("op", "a");
    for _ in 0..3 {
        played.tell(Message::LoggedIn(Err("no".to_owned())));
        played.write("a").press(&[Key::Enter]);
    }
    // The fourth has to wait.
    assert_eq!(played.asked().len(), 3);
    assert!(
        played
            .screen()
            .contains("Too many wrong passwords: wait 5 s.")
    );
    played.tell(Message::Tick(4_999)).press(&[Key::Enter]);
    assert_eq!(played.asked().len(), 0);
    played.tell(Message::Tick(5_000));
    played.asked();
    played.press(&[Key::Enter]);
    assert_eq!(played.asked().len(), 1);
    played.tell(Message::LoggedIn(Ok(())));
    assert_eq!((played.model.page, played.model.failures), (Page::Menu, 0));
}

#[test]
fn the_first_account_is_made_by_who_stands_there() {
    let mut played = Played::on(unset());
    played.press(&[Key::Enter]);
    assert_eq!(played.model.page, Page::Account);
    for text in ["daemon", "secret-1", "secret-1", ""] {
        played.write(text).press(&[Key::Enter]);
    }
    assert!(played.screen().contains("an account 'daemon' of its own"));
    played.press(&[Key::Backspace; 6]).write("op");
    played.press(&[Key::Enter, Key::Enter, Key::Enter, Key::Enter]);
    let typed = Typed {
        name: "op".to_owned(),
        password: Secret("secret-1".to_owned()),
        ssh_key: None,
    };
    assert_eq!(played.asked(), [Effect::Create(typed)]);
    played.tell(Message::Created(Err("the disk is full".to_owned())));
    assert_eq!(
        (played.model.page, &played.model.administrator),
        (Page::Account, &None)
    );
    assert!(played.screen().contains("the disk is full"));
    played.press(&[Key::Enter, Key::Enter, Key::Enter, Key::Enter]);
    played.tell(Message::Created(Ok(())));
    assert_eq!(played.model.page, Page::Menu);
    assert_eq!(played.model.administrator.as_deref(), Some("op"));
    assert!(played.screen().contains("The account 'op' is made."));
    assert_eq!(played.model.account.value(1), "");
}

#[test]
fn a_machine_that_keeps_nothing_says_why() {
    let reason = "The recovery system keeps no settings.";
    let mut played = Played::on(Facts {
        read_only: Some(reason.to_owned()),
        ..unset()
    });
    played.press(&[Key::Enter]);
    assert_eq!(played.model.page, Page::Info);
    assert!(played.screen().contains(reason));
    let mut played = Played::menu();
    played.tell(Message::Known(Facts {
        read_only: Some(reason.to_owned()),
        ..facts()
    }));
    played.press(&[Key::Enter]);
    assert_eq!(played.model.page, Page::Menu);
    assert!(played.screen().contains(reason));
}

#[test]
fn the_name_is_set_and_looked_at_again() {
    let mut played = Played::menu();
    played.press(&[Key::Enter]);
    assert_eq!(played.model.hostname.value(0), "node-1");
    played
        .press(&[Key::Backspace])
        .write("_")
        .press(&[Key::Enter]);
    assert!(played.screen().contains("A host name has letters"));
    played
        .press(&[Key::Backspace])
        .write("7")
        .press(&[Key::Enter]);
    assert_eq!(played.asked(), [Effect::Name("node-7".to_owned())]);
    played.tell(Message::Named(Ok(())));
    assert_eq!(
        (played.model.page, played.asked()),
        (Page::Menu, vec![Effect::Look])
    );
}

#[test]
fn the_machine_ends_only_after_a_question() {
    for (down, power) in [(2, Power::Reboot), (3, Power::Off)] {
        let mut played = Played::menu();
        played.press(&vec![Key::Down; down]).press(&[Key::Enter]);
        assert_eq!(played.model.page, Page::Sure(power));
        // No is the answer that is there.
        played.press(&[Key::Enter]);
        assert_eq!(
            (played.model.page, played.asked()),
            (Page::Menu, Vec::new())
        );
        played.press(&[Key::Enter, Key::Right, Key::Enter]);
        assert_eq!(played.asked(), [Effect::End(power)]);
        played.press(&[Key::Esc]);
        played.tell(Message::Ending(Err("it is busy".to_owned())));
        assert_eq!(played.model.page, Page::Menu);
        assert!(played.screen().contains("it is busy"));
        played.tell(Message::Ending(Ok(())));
        assert_eq!(played.asked(), [Effect::Quit]);
    }
}

#[test]
fn a_shell_is_that_of_who_logged_in_or_the_systems_own_login() {
    let mut played = Played::menu();
    played.press(&[Key::Down, Key::Enter]);
    assert_eq!(played.asked(), [Effect::Shell(Some("op".to_owned()))]);
    // However long it is open, nobody is logged out meanwhile.
    played.tell(Message::Tick(IDLE_MS * 2));
    played.tell(Message::ShellEnded(Ok(())));
    assert_eq!(played.model.page, Page::Menu);
    let mut played = Played::on(unset());
    played.press(&[Key::Char('l')]);
    assert_eq!(played.asked(), [Effect::Shell(None)]);
    played.tell(Message::ShellEnded(Err("there is no login".to_owned())));
    assert!(played.screen().contains("there is no login"));
}

#[test]
fn who_goes_away_is_logged_out() {
    let mut played = Played::menu();
    played.press(&[Key::Enter]).tell(Message::Tick(IDLE_MS - 1));
    assert_eq!(played.model.page, Page::Hostname);
    played.press(&[Key::Left]).tell(Message::Tick(IDLE_MS));
    assert_eq!(played.model.page, Page::Hostname);
    played.tell(Message::Tick(IDLE_MS * 2 - 1));
    assert_eq!(played.model.page, Page::Info);
    assert_eq!(played.model.administrator, None);
    assert!(played.screen().contains("Logged out"));
}

#[test]
fn the_machine_is_looked_at_now_and_then_and_once_at_a_time() {
    let mut played = Played::on(facts());
    played.tell(Message::Tick(4_999));
    assert_eq!(played.asked(), []);
    played.tell(Message::Tick(5_000)).tell(Message::Tick(9_999));
    played.press(&[Key::Char('r')]);
    assert_eq!(played.asked(), [Effect::Look]);
    // A look that fell over is made again.
    played.tell(Message::NotKnown).tell(Message::Tick(14_999));
    assert_eq!(played.asked(), [Effect::Look]);
}

#[test]
fn in_a_shell_root_need_not_log_in_and_goes_back_there() {
    let mut played = Played::in_shell();
    played.press(&[Key::Enter]);
    assert_eq!(played.model.page, Page::Menu);
    assert!(!played.screen().contains("command line"));
    played.tell(Message::Tick(IDLE_MS * 2));
    assert_eq!(played.model.page, Page::Menu);
    played.press(&[Key::Esc]);
    assert_eq!(played.model.administrator.as_deref(), Some("root"));
    played.asked();
    played.press(&[Key::Char('l')]);
    assert_eq!(played.asked(), []);
    played.press(&[Key::Char('q')]);
    assert_eq!(played.asked(), [Effect::Quit]);
}
