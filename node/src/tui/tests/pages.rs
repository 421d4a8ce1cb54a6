//! What each page looks like.

use insta::assert_snapshot;
use isoforge::node::{After, Page as Wanted};

use super::*;

#[test]
fn looking() {
    let played = Played {
        model: Model::new(vec!["tty1".to_owned()]),
        effects: Vec::new(),
    };
    assert_snapshot!(played.on(0, 60, 18), @"");
}

#[test]
fn disk() {
    assert_snapshot!(Played::new(survey()).screen(), @"");
}

#[test]
fn disk_that_cannot_be_taken() {
    let mut played = Played::new(survey());
    played.press(&[Key::Down, Key::Enter]);
    assert_snapshot!(played.screen(), @"");
}

#[test]
fn disk_under_bios() {
    let bios = Survey {
        bios: true,
        ..survey()
    };
    assert_snapshot!(Played::new(bios).screen(), @"");
}

#[test]
fn no_disk_at_all_and_none_that_can_be_taken() {
    let mut none = survey();
    none.disks.retain(|disk| disk.unusable.is_some());
    assert_snapshot!(Played::new(none.clone()).screen(), @"");
    none.disks.clear();
    assert_snapshot!(Played::new(none).screen(), @"");
}

#[test]
fn many_disks_scroll() {
    let disks = (0..30).map(|n| super::disk(&format!("/dev/sd{n}"), 20 << 30));
    let mut played = Played::new(Survey {
        disks: disks.collect(),
        ..survey()
    });
    played.press(&[Key::Up]);
    assert_snapshot!(played.on(0, 60, 18), @"");
}

#[test]
fn account() {
    let mut played = Played::new(survey());
    played.press(&[Key::Enter]);
    assert_snapshot!(played.screen(), @"");
    played
        .account("op", "secret", "secrex")
        .press(&[Key::Enter]);
    assert_snapshot!(played.screen(), @"");
}

#[test]
fn hostname() {
    let mut played = Played::new(with_pages(&[Wanted::Hostname]));
    played.press(&[Key::Enter]).write("-").press(&[Key::Enter]);
    assert_snapshot!(played.screen(), @"");
}

#[test]
fn network() {
    let mut played = Played::new(with_pages(&[Wanted::Network]));
    played.press(&[Key::Enter]);
    assert_snapshot!(played.screen(), @"");
    played.press(&[Key::Right, Key::Tab, Key::Right, Key::Tab]);
    played.write("192.0.2.5/24").press(&[Key::Enter]);
    played.write("192.0.3.1").press(&[Key::Enter, Key::Enter]);
    assert_snapshot!(played.screen(), @"");
}

#[test]
fn after() {
    let mut played = Played::new(with_pages(&[]));
    played.press(&[Key::Enter, Key::Down]);
    assert_snapshot!(played.screen(), @"");
}

#[test]
fn summary() {
    let mut played = Played::new(survey());
    played.summary();
    assert_snapshot!(played.screen(), @"");
    played.tell(Message::Found(vec![warning(
        "memory: 2.0 GiB, 4.0 GiB are asked for",
    )]));
    assert_snapshot!(played.screen(), @"");
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
    assert_snapshot!(played.screen(), @"");
}

#[test]
fn summary_that_is_longer_than_the_page() {
    let mut played = Played::new(with_pages(&[]));
    played.press(&[Key::Enter, Key::Enter]);
    let many = (0..20).map(|n| warning(&format!("module number_{n} is missing")));
    played.tell(Message::Found(many.collect()));
    assert_snapshot!(played.on(0, 60, 18), @"");
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
    assert_snapshot!(played.screen(), @"");
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
    assert_snapshot!(played.screen(), @"");
}

#[test]
fn done() {
    let mut played = Played::new(survey());
    played.begun().tell(Message::Tick(5_000));
    played
        .tell(Message::Installed(Ok(())))
        .tell(Message::Tick(6_500));
    assert_snapshot!(played.screen(), @"");
    played.press(&[Key::Esc]);
    assert_snapshot!(played.screen(), @"");
}

#[test]
fn done_with_nothing_to_follow_under_bios() {
    let mut played = Played::new(Survey {
        after: After::None,
        bios: true,
        ..survey()
    });
    played.begun().tell(Message::Installed(Ok(())));
    assert_snapshot!(played.screen(), @"");
}

#[test]
fn failed() {
    let mut played = Played::new(survey());
    played.begun().tell(Message::Installed(Err(failure())));
    assert_snapshot!(played.screen(), @"");
}

#[test]
fn the_console_that_does_not_lead_says_so() {
    let mut played = Played::new(survey());
    played.press(&[Key::Down]);
    let foot = |played: &Played| {
        let screen = played.on(1, 80, 24);
        screen.lines().nth(22).unwrap().to_owned()
    };
    assert_snapshot!(foot(&played), @"");
    played.press(&[Key::Char('s')]);
    assert_snapshot!(foot(&played), @"");
}

#[test]
fn too_small_and_huge() {
    let mut played = Played::new(survey());
    assert_snapshot!(played.on(0, 50, 10), @"");
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
