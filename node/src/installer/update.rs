//! What happens turns the model, and says what has to be done. Nothing else is
//! touched here.

mod pages;

pub(crate) use pages::{AFTERS, hostname_of, network_of};

use isoforge_contract::machine::After;

use super::machine::Survey;
use super::model::{Action, Effect, Message, Model, Page, Progress, network};
use crate::install::model::{Choices, Failure};
use crate::tui::form::{Field, Form};
use crate::tui::key::Key;

/// How long an installed machine waits before what follows, in milliseconds.
const COUNTDOWN_MS: u64 = 10_000;

/// Turns the model by a message.
pub(crate) fn update(model: &mut Model, message: Message) -> Vec<Effect> {
    match message {
        Message::Key { console, key } => key_of(model, console, key),
        Message::Gone(console) => {
            if model.leader == Some(console) {
                model.leader = None;
            }
            Vec::new()
        }
        Message::Surveyed(Ok(survey)) => surveyed(model, survey),
        Message::Planned(Ok(choices)) => planned(model, choices),
        Message::Surveyed(Err(failure)) | Message::Planned(Err(failure)) => failed(model, failure),
        Message::Found(findings) => {
            model.findings = Some(findings);
            Vec::new()
        }
        Message::Install(event) => {
            model.progress.event(event);
            Vec::new()
        }
        Message::Installed(Ok(())) => installed(model),
        Message::Installed(Err(failure)) => failed(model, failure),
        Message::ShellEnded(result) => {
            model.shell = false;
            model.note = result.err();
            Vec::new()
        }
        Message::Ending(result) => ending(model, result),
        Message::Tick(now_ms) => tick(model, now_ms),
    }
}

/// A key of the leading console, or of the first one that acts.
fn key_of(model: &mut Model, console: usize, key: Key) -> Vec<Effect> {
    if *model.leader.get_or_insert(console) != console || model.shell {
        return Vec::new();
    }
    model.note = None;
    pages::key(model, key)
}

/// Goes to a page, as it looks at first.
fn go(model: &mut Model, page: Page) -> Vec<Effect> {
    model.page = page;
    model.scroll = 0;
    model.action = 0;
    model.yes = false;
    if page != Page::Summary {
        return Vec::new();
    }
    model.findings = None;
    model
        .chosen_disk()
        .map(|disk| Effect::Check(disk.clone()))
        .into_iter()
        .collect()
}

fn surveyed(model: &mut Model, survey: Survey) -> Vec<Effect> {
    // What was chosen before holds where it still can.
    let again = model.survey.is_some();
    let before = model.disk_path();
    let usable = |path: &std::path::Path| {
        let fits =
            |disk: &crate::install::model::Disk| disk.path == path && disk.unusable.is_none();
        survey.disks.iter().position(fits)
    };
    let kept = usable(&before);
    let proposed = survey.proposed.as_deref().and_then(usable);
    let first = survey.disks.iter().position(|disk| disk.unusable.is_none());
    let retried = model.failure.take().is_some() && kept.is_some();
    model.disk = kept.or(proposed).or(first).unwrap_or(0);
    if !again {
        model.after = survey.after;
        let hostname = survey.hostname.as_deref().unwrap_or("");
        model.hostname = Form::new(vec![Field::text("Host name", hostname)]);
        model.network = network_form(&survey);
    }
    let unattended = survey.unattended;
    model.survey = Some(survey);
    if unattended {
        return vec![Effect::Plan];
    }
    let asked = retried && pages::account_of(model).is_ok();
    go(model, if asked { Page::Summary } else { Page::Disk })
}

fn network_form(survey: &Survey) -> Form {
    let mut interfaces = vec!["as configured".to_owned()];
    interfaces.extend(survey.interfaces.iter().map(|interface| {
        let link = match interface.link {
            Some(true) => ", connected",
            Some(false) => ", not connected",
            None => "",
        };
        format!("{} ({}{link})", interface.name, interface.mac)
    }));
    let mut form = Form::new(vec![
        Field::choice("Interface", interfaces),
        Field::choice("Addresses", vec!["DHCP".to_owned(), "static".to_owned()]),
        Field::text("Address/prefix", ""),
        Field::text("Gateway", ""),
        Field::text("Name servers", ""),
    ]);
    settle_network(&mut form);
    form
}

/// Switches the fields on that matter with what is chosen.
fn settle_network(form: &mut Form) {
    let configured = form.chosen(network::INTERFACE) > 0;
    let fixed = configured && form.chosen(network::MODE) > 0;
    form.enable(network::MODE, configured);
    form.enable(network::ADDRESS, fixed);
    form.enable(network::GATEWAY, fixed);
    form.enable(network::DNS, configured);
}

fn planned(model: &mut Model, choices: Choices) -> Vec<Effect> {
    model.after = choices.after;
    if let Some(index) = model
        .disks()
        .iter()
        .position(|disk| disk.path == choices.disk)
    {
        model.disk = index;
    }
    let said = format!(
        "Installing on {} without questions; its content will be lost.",
        choices.disk.display()
    );
    let request = super::machine::Request {
        choices,
        password: None,
    };
    let mut effects = vec![Effect::Say(vec![said])];
    effects.extend(start(model, request));
    effects
}

/// The installation begins.
fn start(model: &mut Model, request: super::machine::Request) -> Vec<Effect> {
    model.installed = false;
    model.progress = Progress::new(model.now_ms);
    let mut effects = go(model, Page::Progress);
    effects.push(Effect::Install(Box::new(request)));
    effects
}

fn installed(model: &mut Model) -> Vec<Effect> {
    model.installed = true;
    let waits = model.after != After::None;
    model.ends_ms = waits.then(|| model.now_ms.saturating_add(COUNTDOWN_MS));
    let mut effects = go(model, Page::Done);
    if model.after == After::Poweroff {
        model.action = 1;
    }
    let disk = model.disk_path();
    effects.push(Effect::Say(vec![format!(
        "Installed on {}.",
        disk.display()
    )]));
    effects
}

fn failed(model: &mut Model, failure: Failure) -> Vec<Effect> {
    let lines = vec![format!("Not installed: {failure}"), failure.advice.clone()];
    model.failure = Some(failure);
    let mut effects = go(model, Page::Failed);
    effects.push(Effect::Say(lines));
    effects
}

fn ending(model: &mut Model, result: Result<(), String>) -> Vec<Effect> {
    let Err(cause) = result else {
        return vec![Effect::Quit];
    };
    let back = if model.failure.is_some() {
        Page::Failed
    } else if model.installed {
        Page::Done
    } else {
        Page::Disk
    };
    let effects = go(model, back);
    model.note = Some(cause);
    effects
}

fn tick(model: &mut Model, now_ms: u64) -> Vec<Effect> {
    model.now_ms = now_ms;
    model.progress.tick(now_ms);
    if model.page == Page::Done && model.ends_ms.is_some_and(|end| end <= now_ms) {
        return end(model, model.after);
    }
    Vec::new()
}

/// Reboots or powers off.
fn end(model: &mut Model, after: After) -> Vec<Effect> {
    model.ends_ms = None;
    let mut effects = go(model, Page::Ending(after));
    effects.push(Effect::End(after));
    effects
}

/// Carries out an action of a page.
fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    model.ends_ms = None;
    match action {
        Action::Retry => {
            model.page = Page::Looking;
            vec![Effect::Survey]
        }
        // No page offers it then; a key may still ask.
        Action::Shell if model.locked => Vec::new(),
        Action::Shell => {
            model.shell = model.leader.is_some();
            model.leader.map(Effect::Shell).into_iter().collect()
        }
        Action::Reboot => end(model, After::Reboot),
        Action::PowerOff => end(model, After::Poweroff),
    }
}
