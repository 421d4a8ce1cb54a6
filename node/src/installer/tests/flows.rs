//! Whole ways through the pages.

use isoforge_contract::machine::{After, Page as AskedPage};

use super::*;
use crate::install::model::{Account, Network, StaticAddress};
use crate::installer::model::Page;
use crate::tui::Secret;

/// The installation that was asked for.
fn installed(effects: &[Effect]) -> Option<&Request> {
    effects.iter().find_map(|effect| match effect {
        Effect::Install(request) => Some(&**request),
        _ => None,
    })
}

#[test]
fn from_disk_to_reboot() {
    let mut played = Played::new(survey());
    assert_eq!(played.model.page, Page::Disk);
    assert_eq!(played.model.disk, 1, "the proposed one");
    played.begun();
    let effects = played.asked();
    assert_eq!(effects[0], Effect::Check(survey().disks[1].clone()));
    let expected = Request {
        choices: Choices {
            disk: "/dev/sda".into(),
            account: Some(Account {
                name: "op".to_owned(),
                password_hash: None,
                ssh_keys: Vec::new(),
            }),
            hostname: None,
            network: None,
            after: After::Reboot,
        },
        password: Some(Secret("secret-1".to_owned())),
    };
    assert_eq!(installed(&effects), Some(&expected));
    assert_eq!(played.model.page, Page::Progress);
    // Keys change nothing any more.
    played.press(&[Key::Esc, Key::Enter, Key::Char('s')]);
    assert_eq!(played.asked(), []);
    played
        .tell(Message::Tick(1_000))
        .tell(Message::Installed(Ok(())));
    assert_eq!(played.model.page, Page::Done);
    played.tell(Message::Tick(10_999));
    assert_eq!(
        played.asked(),
        [Effect::Say(vec!["Installed on /dev/sda.".to_owned()])]
    );
    played
        .tell(Message::Tick(11_000))
        .tell(Message::Tick(12_000));
    assert_eq!(played.asked(), [Effect::End(After::Reboot)]);
    played.tell(Message::Ending(Ok(())));
    assert_eq!(played.asked(), [Effect::Quit]);
}

#[test]
fn all_pages_there_and_back() {
    let mut played = Played::new(Survey {
        account: None,
        ..with_pages(&[AskedPage::Hostname, AskedPage::Network])
    });
    let key = format!("ssh-ed25519 {}", "A".repeat(68));
    played
        .press(&[Key::Enter])
        .account("op", "secret-1", "secret-1");
    played.write(&key).press(&[Key::Enter]);
    assert_eq!(played.model.page, Page::Hostname);
    played
        .press(&[Key::Backspace])
        .write("2")
        .press(&[Key::Enter]);
    assert_eq!(played.model.page, Page::Network);
    played.press(&[Key::Right, Key::Right, Key::Down, Key::Char(' '), Key::Down]);
    played.write("192.0.2.5/24").press(&[Key::Tab]);
    played.write("192.0.2.1").press(&[Key::Tab]);
    played.write("192.0.2.53,192.0.2.54").press(&[Key::Enter]);
    assert_eq!(played.model.page, Page::After);
    played.press(&[Key::Down, Key::Enter]);
    assert_eq!(played.model.page, Page::Summary);
    for page in [
        Page::After,
        Page::Network,
        Page::Hostname,
        Page::Account,
        Page::Disk,
    ] {
        played.press(&[Key::Esc]);
        assert_eq!(played.model.page, page);
    }
    played.press(&[Key::Esc]);
    assert_eq!(played.model.page, Page::Disk);
    // Nothing of what was typed is lost; the cursor stands where it stood.
    played.press(&[Key::Enter; 5]);
    assert_eq!(played.model.page, Page::Summary);
    played.tell(Message::Found(Vec::new()));
    played.press(&[Key::Enter, Key::Tab, Key::Enter]);
    let effects = played.asked();
    let choices = &installed(&effects).unwrap().choices;
    assert_eq!(choices.account.as_ref().unwrap().ssh_keys, [key]);
    assert_eq!(choices.hostname.as_deref(), Some("node-2"));
    assert_eq!(choices.after, After::Poweroff);
    let network = Network {
        interface: "eth1".to_owned(),
        address: Some(StaticAddress {
            cidr: "192.0.2.5/24".to_owned(),
            gateway: "192.0.2.1".to_owned(),
        }),
        dns: vec!["192.0.2.53".to_owned(), "192.0.2.54".to_owned()],
    };
    assert_eq!(choices.network, Some(network));
}

#[test]
fn a_configured_account_and_name_are_left_to_the_configuration() {
    let mut played = Played::new(with_pages(&[AskedPage::Hostname]));
    played.press(&[Key::Enter]);
    assert_eq!(played.model.page, Page::Hostname);
    played.press(&[Key::Enter, Key::Enter]);
    played.tell(Message::Found(Vec::new()));
    played.press(&[Key::Enter, Key::Left, Key::Enter]);
    let effects = played.asked();
    let request = installed(&effects).unwrap();
    assert_eq!(
        (&request.choices.account, &request.password),
        (&None, &None)
    );
    assert_eq!(request.choices.hostname, None);
}

#[test]
fn the_account_cannot_be_skipped() {
    let mut played = Played::new(survey());
    played.press(&[Key::Enter]).press(&[Key::Enter; 8]);
    assert_eq!(played.model.page, Page::Account);
    assert!(played.model.account.error.is_some());
    // Each rule holds the page, and the cursor goes where it is broken.
    for (name, password, again, field) in [
        ("daemon", "longenough", "longenough", 0),
        ("op", "", "", 1),
        ("op", "tooweak", "tooweak", 1),
        ("op", "longenough", "longenuogh", 2),
    ] {
        let mut played = Played::new(survey());
        played
            .press(&[Key::Enter])
            .account(name, password, again)
            .press(&[Key::Enter]);
        assert_eq!(played.model.page, Page::Account);
        assert_eq!(played.model.account.focus, field);
    }
    let mut played = Played::new(survey());
    played
        .press(&[Key::Enter])
        .account("op", "longenough", "longenough")
        .write("ssh-rsa no");
    played.press(&[Key::Enter]);
    assert_eq!(
        (played.model.page, played.model.account.focus),
        (Page::Account, 3)
    );
}

#[test]
fn a_disk_that_cannot_be_taken_is_not_taken() {
    let mut played = Played::new(survey());
    played.press(&[Key::Home, Key::Enter]);
    assert_eq!(played.model.page, Page::Disk);
    let note = played.model.note.clone().unwrap();
    assert_eq!(
        note,
        "/dev/sr0 can't be taken: it is the installation medium"
    );
    // The next key takes the note away; around the end is the start.
    played.press(&[Key::Up]);
    assert_eq!((played.model.note.clone(), played.model.disk), (None, 3));
    played.press(&[Key::Tab]);
    assert_eq!(played.model.disk, 0);
}

#[test]
fn without_a_disk_it_looks_again() {
    let mut played = Played::new(Survey {
        disks: Vec::new(),
        ..survey()
    });
    played.press(&[Key::Enter]);
    assert_eq!(played.model.note.as_deref(), Some("There is no disk."));
    played.press(&[Key::Char('r')]);
    assert_eq!(
        (played.model.page, played.asked()),
        (Page::Looking, vec![Effect::Survey])
    );
    played.tell(Message::Surveyed(Ok(survey())));
    assert_eq!((played.model.page, played.model.disk), (Page::Disk, 1));
    played.press(&[Key::Char('s')]);
    assert_eq!(played.asked(), [Effect::Shell(0)]);
    // Keys are the shell's, until it ends.
    played.press(&[Key::Char('p')]);
    assert_eq!(played.asked(), []);
    played.tell(Message::ShellEnded(Err("no shell".to_owned())));
    assert_eq!(played.model.note.as_deref(), Some("no shell"));
    played.press(&[Key::Char('p')]);
    assert_eq!(played.asked(), [Effect::End(After::Poweroff)]);
    played.tell(Message::Ending(Err("no bus".to_owned())));
    assert_eq!(played.model.page, Page::Disk);
    assert_eq!(played.model.note.as_deref(), Some("no bus"));
}

#[test]
fn nothing_starts_before_the_checks_or_against_a_refusal() {
    let mut played = Played::new(survey());
    played.summary().press(&[Key::Enter]);
    assert_eq!(played.model.page, Page::Summary);
    let refusal = Finding {
        refuses: true,
        message: "memory".to_owned(),
    };
    played
        .tell(Message::Found(vec![warning("x"), refusal]))
        .press(&[Key::Enter]);
    assert_eq!(played.model.page, Page::Summary);
    assert_eq!(installed(&played.asked()), None);
    // Another look at the page checks anew.
    played.press(&[Key::Esc, Key::Enter]);
    assert_eq!(played.model.findings, None);
    played
        .tell(Message::Found(vec![warning("x")]))
        .press(&[Key::Enter]);
    assert_eq!(played.model.page, Page::Confirm);
}

#[test]
fn the_last_question_is_answered_with_no_by_itself() {
    let mut played = Played::new(survey());
    played.summary().tell(Message::Found(Vec::new()));
    for keys in [
        &[Key::Enter][..],
        &[Key::Esc],
        &[Key::Tab, Key::Tab, Key::Enter],
    ] {
        played.press(&[Key::Enter]);
        assert_eq!(played.model.page, Page::Confirm);
        played.press(keys).tell(Message::Found(Vec::new()));
        assert_eq!(played.model.page, Page::Summary);
    }
    assert_eq!(installed(&played.asked()), None);
}

#[test]
fn after_a_failure_it_is_tried_again_with_the_same_choices() {
    let mut played = Played::new(survey());
    played.begun().tell(Message::Installed(Err(failure())));
    assert_eq!(played.model.page, Page::Failed);
    let effects = played.asked();
    let said = Effect::Say(vec![
        format!("Not installed: {}", failure()),
        failure().advice,
    ]);
    assert_eq!(effects.last(), Some(&said));
    played.press(&[Key::Enter]);
    assert_eq!(played.asked(), [Effect::Survey]);
    played.tell(Message::Surveyed(Ok(survey())));
    assert_eq!(played.model.page, Page::Summary);
    played.tell(Message::Found(Vec::new()));
    played.press(&[Key::Enter, Key::Right, Key::Enter]);
    assert!(installed(&played.asked()).is_some());
    // The disk is gone by the next time: it has to be chosen anew.
    played
        .tell(Message::Installed(Err(failure())))
        .press(&[Key::Char('t')]);
    let mut less = survey();
    less.disks.remove(1);
    played.tell(Message::Surveyed(Ok(less)));
    assert_eq!(played.model.page, Page::Disk);
}

#[test]
fn what_follows_can_be_stopped_hurried_and_changed() {
    let mut played = Played::new(survey());
    played.begun().tell(Message::Installed(Ok(())));
    played.asked();
    played.press(&[Key::Esc]).tell(Message::Tick(60_000));
    assert_eq!((played.model.page, played.asked()), (Page::Done, vec![]));
    played.press(&[Key::Tab, Key::Enter]);
    assert_eq!(played.asked(), [Effect::End(After::Poweroff)]);
    played.tell(Message::Ending(Err("no bus".to_owned())));
    assert_eq!(played.model.page, Page::Done);
    let mut played = Played::new(survey());
    played.begun().tell(Message::Installed(Ok(())));
    played.asked();
    played.press(&[Key::Enter]);
    assert_eq!(played.asked(), [Effect::End(After::Reboot)]);
    let mut played = Played::new(Survey {
        after: After::None,
        ..survey()
    });
    played.begun().tell(Message::Installed(Ok(())));
    assert_eq!(played.model.countdown_seconds(), None);
}

#[test]
fn unattended_asks_nothing() {
    let plan = Choices {
        disk: "/dev/nvme0n1".into(),
        account: None,
        hostname: None,
        network: None,
        after: After::Poweroff,
    };
    let unattended = Survey {
        unattended: true,
        ..survey()
    };
    let mut played = Played::new(unattended.clone());
    assert_eq!(played.asked(), [Effect::Plan]);
    played.tell(Message::Planned(Ok(plan.clone())));
    assert_eq!(played.model.page, Page::Progress);
    let effects = played.asked();
    assert!(matches!(&effects[0], Effect::Say(_)));
    assert_eq!(installed(&effects).unwrap().choices, plan);
    played
        .tell(Message::Installed(Ok(())))
        .tell(Message::Tick(10_000));
    assert_eq!(played.asked().last(), Some(&Effect::End(After::Poweroff)));
    // A refusal comes before anything is installed, and can be tried again.
    let mut played = Played::new(unattended.clone());
    played.tell(Message::Planned(Err(failure())));
    assert_eq!(played.model.page, Page::Failed);
    assert_eq!(installed(&played.asked()), None);
    played
        .press(&[Key::Enter])
        .tell(Message::Surveyed(Ok(unattended)));
    assert_eq!(played.asked(), [Effect::Survey, Effect::Plan]);
}

#[test]
fn a_machine_that_cannot_be_looked_at_is_a_failure() {
    let mut played = Played::new(survey());
    played
        .press(&[Key::Char('r')])
        .tell(Message::Surveyed(Err(failure())));
    assert_eq!(played.model.page, Page::Failed);
    played.press(&[Key::Right, Key::Enter]);
    assert_eq!(played.asked().last(), Some(&Effect::Shell(0)));
}

#[test]
fn the_console_that_acts_first_leads_until_it_goes_away() {
    let mut played = Played::new(survey());
    let other = |key| Message::Key { console: 1, key };
    played.press(&[Key::Down]).tell(other(Key::Down));
    assert_eq!((played.model.leader, played.model.disk), (Some(0), 2));
    played.tell(Message::Gone(1));
    assert_eq!(played.model.leader, Some(0));
    played.tell(Message::Gone(0)).tell(other(Key::Down));
    assert_eq!((played.model.leader, played.model.disk), (Some(1), 3));
}

#[test]
fn any_keys_on_any_page_break_nothing() {
    let all = [
        Key::Up,
        Key::Down,
        Key::Left,
        Key::Right,
        Key::Tab,
        Key::BackTab,
        Key::Enter,
        Key::Esc,
        Key::Backspace,
        Key::Delete,
        Key::Home,
        Key::End,
        Key::PageUp,
        Key::PageDown,
        Key::Char('a'),
        Key::Char('1'),
        Key::Enter,
        Key::Enter,
    ];
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..200 {
        let mut played = Played::new(with_pages(&[AskedPage::Hostname, AskedPage::Network]));
        for _ in 0..60 {
            let key = all[random.usize(..all.len())];
            played.press(&[key]);
            if played
                .asked()
                .iter()
                .any(|effect| matches!(effect, Effect::Check(_)))
            {
                played.tell(Message::Found(Vec::new()));
            }
        }
        if round % 20 == 0 {
            played.screen();
        }
    }
}

#[test]
fn a_locked_medium_gives_nobody_a_shell() {
    let mut played = Played::new(survey());
    played.model.locked = true;
    assert!(!played.screen().contains("shell"), "{}", played.screen());
    played.press(&[Key::Char('s')]);
    assert_eq!(played.asked(), []);
    assert!(!played.model.shell);
    played
        .press(&[Key::Char('r')])
        .tell(Message::Surveyed(Err(failure())));
    assert_eq!(played.model.page, Page::Failed);
    assert!(!played.screen().contains("Shell"), "{}", played.screen());
    played.asked();
    played.press(&[Key::Char('s'), Key::Right, Key::Enter]);
    assert_eq!(played.asked(), [Effect::End(After::Poweroff)]);
}
