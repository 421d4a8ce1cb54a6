//! Keys on each page.

use isoforge_contract::machine::{After, PasswordRules};

use super::{act, end, go, settle_network, start};
use crate::install::model::{Account, Choices, Network};
use crate::installer::check;
use crate::installer::machine::Request;
use crate::installer::model::{Action, Effect, Model, Page, network};
use crate::tui::account;
use crate::tui::form::{Form, Outcome};
use crate::tui::key::Key;
use crate::tui::{Secret, typed};

/// How far a page key scrolls.
const PAGE_LINES: u16 = 8;

/// Columns of text on a narrow console.
const NARROW: usize = 50;

/// What can follow, in the order of the page.
pub(crate) const AFTERS: [After; 3] = [After::None, After::Reboot, After::Poweroff];

/// What is wrong, with the field that it is wrong in.
type Refusal = (usize, String);

/// A key on the page that is shown.
pub(super) fn key(model: &mut Model, key: Key) -> Vec<Effect> {
    match model.page {
        Page::Disk => disk_key(model, key),
        Page::Account => account_key(model, key),
        Page::Hostname => hostname_key(model, key),
        Page::Network => network_key(model, key),
        Page::After => after_key(model, key),
        Page::Summary => summary_key(model, key),
        Page::Confirm => confirm_key(model, key),
        Page::Done | Page::Failed => actions_key(model, key),
        Page::Looking | Page::Progress | Page::Ending(_) => Vec::new(),
    }
}

/// The next page that asks.
fn forth(model: &mut Model) -> Vec<Effect> {
    beside(model, 1)
}

/// The page before.
fn back(model: &mut Model) -> Vec<Effect> {
    beside(model, -1)
}

fn beside(model: &mut Model, by: isize) -> Vec<Effect> {
    let pages = model.pages();
    let here = pages.iter().position(|page| *page == model.page);
    let there = here.and_then(|here| pages.get(here.checked_add_signed(by)?));
    match there {
        Some(page) => go(model, *page),
        None => Vec::new(),
    }
}

fn disk_key(model: &mut Model, key: Key) -> Vec<Effect> {
    let last = model.disks().len().saturating_sub(1);
    match key {
        Key::Up | Key::BackTab => model.disk = model.disk.checked_sub(1).unwrap_or(last),
        Key::Down | Key::Tab => model.disk = if model.disk < last { model.disk + 1 } else { 0 },
        Key::Home | Key::PageUp => model.disk = 0,
        Key::End | Key::PageDown => model.disk = last,
        Key::Char('r' | 'R') => return act(model, Action::Retry),
        Key::Char('s' | 'S') => return act(model, Action::Shell),
        Key::Char('p' | 'P') => return act(model, Action::PowerOff),
        Key::Enter => return disk_chosen(model),
        _ => {}
    }
    Vec::new()
}

fn disk_chosen(model: &mut Model) -> Vec<Effect> {
    let refusal = match model.chosen_disk() {
        None => "There is no disk.".to_owned(),
        Some(disk) => match &disk.unusable {
            None => return forth(model),
            Some(reason) => format!("{} can't be taken: {reason}", disk.path.display()),
        },
    };
    model.note = Some(refusal);
    Vec::new()
}

fn account_key(model: &mut Model, key: Key) -> Vec<Effect> {
    let outcome = model.account.key(key);
    after_form(
        model,
        outcome,
        |model| account_of(model).map(drop),
        |model| &mut model.account,
    )
}

/// What follows a key of a page with a form, whose values `check` looks at.
fn after_form(
    model: &mut Model,
    outcome: Outcome,
    check: impl Fn(&Model) -> Result<(), Refusal>,
    form: impl Fn(&mut Model) -> &mut Form,
) -> Vec<Effect> {
    match outcome {
        Outcome::Stay => Vec::new(),
        Outcome::Back => back(model),
        Outcome::Submit => match check(model) {
            Ok(()) => forth(model),
            Err((field, refusal)) => {
                form(model).refuse(field, refusal);
                Vec::new()
            }
        },
    }
}

/// The account that was typed, with its password; none where the page is not
/// asked.
pub(super) fn account_of(model: &Model) -> Result<Option<(Account, Secret)>, Refusal> {
    let (names, rules) = match &model.survey {
        Some(survey) if survey.account.is_some() => return Ok(None),
        Some(survey) => (survey.names.as_slice(), survey.password),
        None => (&[] as &[_], PasswordRules::default()),
    };
    let typed = account::typed(&model.account, names, rules)?;
    let account = Account {
        name: typed.name,
        password_hash: None,
        ssh_keys: typed.ssh_key.into_iter().collect(),
    };
    Ok(Some((account, typed.password)))
}

fn hostname_key(model: &mut Model, key: Key) -> Vec<Effect> {
    let outcome = model.hostname.key(key);
    let check = |model: &Model| {
        let name = typed::hostname(&model.hostname.value(0));
        name.map(drop).map_err(|refusal| (0, refusal))
    };
    after_form(model, outcome, check, |model| &mut model.hostname)
}

fn network_key(model: &mut Model, key: Key) -> Vec<Effect> {
    let outcome = model.network.key(key);
    settle_network(&mut model.network);
    after_form(
        model,
        outcome,
        |model| network_of(model).map(drop),
        |model| &mut model.network,
    )
}

/// The network that was typed; none: as the configuration has it.
pub(crate) fn network_of(model: &Model) -> Result<Option<Network>, Refusal> {
    let form = &model.network;
    let index = form.chosen(network::INTERFACE).checked_sub(1);
    let survey = model.survey.as_ref();
    let interface = index.and_then(|index| survey?.interfaces.get(index));
    let Some(interface) = interface else {
        return Ok(None);
    };
    let address = if form.chosen(network::MODE) == 0 {
        None
    } else {
        let (cidr, gateway) = (form.value(network::ADDRESS), form.value(network::GATEWAY));
        check::address(&cidr, "").map_err(|e| (network::ADDRESS, e))?;
        Some(check::address(&cidr, &gateway).map_err(|e| (network::GATEWAY, e))?)
    };
    let dns = check::name_servers(&form.value(network::DNS)).map_err(|e| (network::DNS, e))?;
    Ok(Some(Network {
        interface: interface.name.clone(),
        address,
        dns,
    }))
}

fn after_key(model: &mut Model, key: Key) -> Vec<Effect> {
    let at = AFTERS.iter().position(|after| *after == model.after);
    let at = at.unwrap_or(0);
    let to = match key {
        Key::Up | Key::BackTab | Key::Left => (at + AFTERS.len() - 1) % AFTERS.len(),
        Key::Down | Key::Tab | Key::Right => (at + 1) % AFTERS.len(),
        Key::Enter => return forth(model),
        Key::Esc => return back(model),
        _ => at,
    };
    if let Some(after) = AFTERS.get(to) {
        model.after = *after;
    }
    Vec::new()
}

fn summary_key(model: &mut Model, key: Key) -> Vec<Effect> {
    match key {
        Key::Esc => return back(model),
        Key::Enter => return summary_confirmed(model),
        _ => scroll(model, key),
    }
    Vec::new()
}

fn summary_confirmed(model: &mut Model) -> Vec<Effect> {
    let note = if model.findings.is_none() {
        "The machine is still being checked."
    } else if model.all_findings().any(|finding| finding.refuses) {
        "This machine can't be installed as it is; see above."
    } else {
        return go(model, Page::Confirm);
    };
    model.note = Some(note.to_owned());
    Vec::new()
}

fn confirm_key(model: &mut Model, key: Key) -> Vec<Effect> {
    match key {
        Key::Left | Key::Right | Key::Up | Key::Down | Key::Tab | Key::BackTab => {
            model.yes = !model.yes;
        }
        Key::Enter if model.yes => return confirmed(model),
        Key::Enter | Key::Esc => return go(model, Page::Summary),
        _ => {}
    }
    Vec::new()
}

/// The last question was answered with yes.
fn confirmed(model: &mut Model) -> Vec<Effect> {
    match request(model) {
        Some(request) => start(model, request),
        // The pages before let nothing pass that is no good.
        None => go(model, Page::Summary),
    }
}

/// All that was chosen.
fn request(model: &Model) -> Option<Request> {
    let (account, password) = account_of(model).ok()?.unzip();
    let choices = Choices {
        disk: model.chosen_disk()?.path.clone(),
        account,
        hostname: hostname_of(model),
        network: network_of(model).ok()?,
        after: model.after,
    };
    Some(Request { choices, password })
}

/// The host name, where it is not what the configuration has.
pub(crate) fn hostname_of(model: &Model) -> Option<String> {
    let typed = typed::hostname(&model.hostname.value(0)).ok()??;
    let configured = model
        .survey
        .as_ref()
        .and_then(|survey| survey.hostname.as_ref());
    (configured != Some(&typed)).then_some(typed)
}

fn actions_key(model: &mut Model, key: Key) -> Vec<Effect> {
    let actions = model.actions();
    let count = actions.len().max(1);
    let counted = model.ends_ms.is_some();
    match key {
        // The countdown stops; whoever reads on decides.
        Key::Esc if counted => model.ends_ms = None,
        Key::Enter if counted => return end(model, model.after),
        Key::Left | Key::BackTab => model.action = (model.action + count - 1) % count,
        Key::Right | Key::Tab => model.action = (model.action + 1) % count,
        Key::Enter => {
            if let Some(action) = actions.get(model.action) {
                return act(model, *action);
            }
        }
        Key::Char(c) => {
            let pressed = |action: &&Action| action.key() == c.to_ascii_lowercase();
            if let Some(action) = actions.iter().find(pressed) {
                return act(model, *action);
            }
        }
        _ => scroll(model, key),
    }
    Vec::new()
}

fn scroll(model: &mut Model, key: Key) {
    let to = match key {
        Key::Up => model.scroll.saturating_sub(1),
        Key::Down => model.scroll.saturating_add(1),
        Key::PageUp => model.scroll.saturating_sub(PAGE_LINES),
        Key::PageDown => model.scroll.saturating_add(PAGE_LINES),
        Key::Home => 0,
        _ => model.scroll,
    };
    model.scroll = to.min(longest_text(model));
}

/// About how many lines the page has on a narrow console, so that the way back
/// is not longer than the text.
fn longest_text(model: &Model) -> u16 {
    let findings = model.all_findings().map(|finding| finding.message.as_str());
    let failure = model.failure.iter();
    let texts = failure.flat_map(|failure| [failure.cause.as_str(), failure.advice.as_str()]);
    let lines: usize = findings
        .chain(texts)
        .flat_map(str::lines)
        .map(|line| line.len() / NARROW + 1)
        .sum();
    u16::try_from(lines).unwrap_or(u16::MAX)
}
