//! What happens turns the model, and says what has to be done. Nothing else is
//! touched here.

use super::machine::{Facts, Power};
use super::model::{Effect, Item, Message, Model, Page, login, login_form};
use crate::tui::account;
use crate::tui::form::{Field, Form, Outcome};
use crate::tui::key::Key;
use crate::tui::{Secret, typed};

/// How often the machine is looked at while its page is shown, in milliseconds.
const LOOK_MS: u64 = 5_000;

/// After how long without a key somebody is logged out, in milliseconds.
const IDLE_MS: u64 = 10 * 60_000;

/// Logins that may fail before each further one has to wait.
const FREE_FAILURES: u32 = 3;

/// How long that is, in milliseconds. Never for good: who stands here has no other way.
const BARRED_MS: u64 = 5_000;

/// How far a page key scrolls.
const PAGE_LINES: u16 = 8;

/// Turns the model by a message.
pub(super) fn update(model: &mut Model, message: Message) -> Vec<Effect> {
    match message {
        Message::Key(key) => return pressed(model, key),
        Message::Tick(now_ms) => return tick(model, now_ms),
        Message::Known(facts) => known(model, facts),
        Message::NotKnown => looked(model),
        Message::LoggedIn(result) => logged_in(model, result),
        Message::Created(result) => return created(model, result),
        Message::Named(result) => return named(model, result),
        Message::ShellEnded(result) => {
            model.busy = None;
            model.note = result.err().map(bad);
        }
        Message::Ending(Ok(())) => return vec![Effect::Quit],
        Message::Ending(Err(cause)) => {
            go(model, Page::Menu);
            model.note = Some(bad(cause));
        }
        Message::Gone => {}
    }
    Vec::new()
}

fn bad(text: String) -> (String, bool) {
    (text, true)
}

fn good(text: String) -> (String, bool) {
    (text, false)
}

fn looked(model: &mut Model) {
    model.looks = false;
    model.looked_ms = model.now_ms;
}

fn known(model: &mut Model, facts: Facts) {
    model.facts = Some(facts);
    looked(model);
}

fn look(model: &mut Model) -> Vec<Effect> {
    if std::mem::replace(&mut model.looks, true) {
        return Vec::new();
    }
    vec![Effect::Look]
}

fn tick(model: &mut Model, now_ms: u64) -> Vec<Effect> {
    model.now_ms = now_ms;
    let since = |then: u64| now_ms.saturating_sub(then);
    let away = since(model.key_ms) >= IDLE_MS && !model.in_shell && model.busy.is_none();
    if away && model.page != Page::Info && !matches!(model.page, Page::Ending(_)) {
        log_out(model);
        model.note = Some(bad(
            "Logged out: no key was pressed for ten minutes.".to_owned()
        ));
    }
    if model.page == Page::Info && since(model.looked_ms) >= LOOK_MS {
        return look(model);
    }
    Vec::new()
}

/// Goes to a page, as it looks at first.
fn go(model: &mut Model, page: Page) {
    model.page = page;
    model.scroll = 0;
    model.yes = false;
    model.busy = None;
    // What was typed stays nowhere.
    model.account = account::form();
    model.login = login_form();
}

fn log_out(model: &mut Model) {
    model.administrator = None;
    model.item = 0;
    go(model, Page::Info);
}

fn pressed(model: &mut Model, key: Key) -> Vec<Effect> {
    model.key_ms = model.now_ms;
    if model.busy.is_some() {
        return Vec::new();
    }
    model.note = None;
    match model.page {
        Page::Info => info_key(model, key),
        Page::Account => account_key(model, key),
        Page::Login => login_key(model, key),
        Page::Menu => menu_key(model, key),
        Page::Hostname => hostname_key(model, key),
        Page::Sure(power) => sure_key(model, power, key),
        Page::Ending(_) => Vec::new(),
    }
}

fn info_key(model: &mut Model, key: Key) -> Vec<Effect> {
    match key {
        Key::Enter if model.facts.is_none() => {}
        Key::Enter if model.administrator.is_some() => go(model, Page::Menu),
        Key::Enter if !model.needs_account() => go(model, Page::Login),
        Key::Enter => match model.read_only() {
            Some(reason) => model.note = Some(bad(reason.to_owned())),
            None => go(model, Page::Account),
        },
        Key::Char('l' | 'L') if !model.in_shell => return shell(model, None),
        Key::Char('q' | 'Q') | Key::Esc if model.in_shell => return vec![Effect::Quit],
        Key::Char('r' | 'R') => return look(model),
        _ => scroll(model, key),
    }
    Vec::new()
}

fn shell(model: &mut Model, name: Option<String>) -> Vec<Effect> {
    model.busy = Some("A shell is open.");
    vec![Effect::Shell(name)]
}

fn scroll(model: &mut Model, key: Key) {
    let last = model.facts.as_ref().map_or(0, |facts| facts.lines.len());
    let to = match key {
        Key::Up => model.scroll.saturating_sub(1),
        Key::Down => model.scroll.saturating_add(1),
        Key::PageUp => model.scroll.saturating_sub(PAGE_LINES),
        Key::PageDown => model.scroll.saturating_add(PAGE_LINES),
        Key::Home => 0,
        _ => model.scroll,
    };
    model.scroll = to.min(u16::try_from(last).unwrap_or(u16::MAX));
}

fn account_key(model: &mut Model, key: Key) -> Vec<Effect> {
    match model.account.key(key) {
        Outcome::Stay => {}
        Outcome::Back => go(model, Page::Info),
        Outcome::Submit => {
            let facts = model.facts.clone().unwrap_or_default();
            match account::typed(&model.account, &facts.names, facts.password) {
                Ok(typed) => {
                    model.administrator = Some(typed.name.clone());
                    model.busy = Some("The account is made ...");
                    return vec![Effect::Create(typed)];
                }
                Err((field, refusal)) => model.account.refuse(field, refusal),
            }
        }
    }
    Vec::new()
}

fn created(model: &mut Model, result: Result<(), String>) -> Vec<Effect> {
    model.busy = None;
    match result {
        Ok(()) => {
            let name = model.administrator.clone().unwrap_or_default();
            go(model, Page::Menu);
            model.note = Some(good(format!("The account '{name}' is made.")));
        }
        Err(cause) => {
            model.administrator = None;
            model.account.refuse(account::field::NAME, cause);
        }
    }
    look(model)
}

fn login_key(model: &mut Model, key: Key) -> Vec<Effect> {
    match model.login.key(key) {
        Outcome::Stay => {}
        Outcome::Back => go(model, Page::Info),
        Outcome::Submit => {
            let name = model.login.value(login::NAME).trim().to_owned();
            let password = model.login.value(login::PASSWORD);
            let wait_ms = model.barred_ms.saturating_sub(model.now_ms);
            if name.is_empty() {
                let refusal = "Whose name is it?".to_owned();
                model.login.refuse(login::NAME, refusal);
            } else if wait_ms > 0 {
                let seconds = wait_ms.div_ceil(1000);
                let refusal = format!("Too many wrong passwords: wait {seconds} s.");
                model.login.refuse(login::PASSWORD, refusal);
            } else {
                model.administrator = Some(name.clone());
                model.busy = Some("The password is checked ...");
                return vec![Effect::Login(name, Secret(password))];
            }
        }
    }
    Vec::new()
}

fn logged_in(model: &mut Model, result: Result<(), String>) {
    model.busy = None;
    model.key_ms = model.now_ms;
    match result {
        Ok(()) => {
            model.failures = 0;
            go(model, Page::Menu);
        }
        Err(refusal) => {
            let name = model.administrator.take().unwrap_or_default();
            model.failures = model.failures.saturating_add(1);
            if model.failures >= FREE_FAILURES {
                model.barred_ms = model.now_ms.saturating_add(BARRED_MS);
            }
            let mut form = Form::new(vec![Field::text("Name", &name), Field::secret("Password")]);
            form.refuse(login::PASSWORD, refusal);
            model.login = form;
        }
    }
}

fn menu_key(model: &mut Model, key: Key) -> Vec<Effect> {
    let items: Vec<Item> = model.items().collect();
    let count = items.len();
    match key {
        Key::Up | Key::BackTab => model.item = (model.item + count - 1) % count,
        Key::Down | Key::Tab => model.item = (model.item + 1) % count,
        Key::Home | Key::PageUp => model.item = 0,
        Key::End | Key::PageDown => model.item = count - 1,
        Key::Esc => leave(model),
        Key::Enter => {
            if let Some(item) = items.get(model.item) {
                return chosen(model, *item);
            }
        }
        _ => {}
    }
    Vec::new()
}

/// Back to Device Info. Who came from a shell stays who they are.
fn leave(model: &mut Model) {
    if model.in_shell {
        go(model, Page::Info);
    } else {
        log_out(model);
    }
}

fn chosen(model: &mut Model, item: Item) -> Vec<Effect> {
    match item {
        Item::Hostname => match model.read_only() {
            Some(reason) => model.note = Some(bad(reason.to_owned())),
            None => {
                let facts = model.facts.as_ref();
                let name = facts.map_or("", |facts| facts.hostname.as_str());
                let form = Form::new(vec![Field::text("Host name", name)]);
                go(model, Page::Hostname);
                model.hostname = form;
            }
        },
        Item::Shell => {
            let name = model.administrator.clone();
            return shell(model, name);
        }
        Item::Reboot => go(model, Page::Sure(Power::Reboot)),
        Item::PowerOff => go(model, Page::Sure(Power::Off)),
        Item::LogOut => leave(model),
    }
    Vec::new()
}

fn hostname_key(model: &mut Model, key: Key) -> Vec<Effect> {
    match model.hostname.key(key) {
        Outcome::Stay => {}
        Outcome::Back => go(model, Page::Menu),
        Outcome::Submit => match typed::hostname(&model.hostname.value(0)) {
            Ok(Some(name)) => {
                model.busy = Some("The name is set ...");
                return vec![Effect::Name(name)];
            }
            Ok(None) => model
                .hostname
                .refuse(0, "The machine needs a name.".to_owned()),
            Err(refusal) => model.hostname.refuse(0, refusal),
        },
    }
    Vec::new()
}

fn named(model: &mut Model, result: Result<(), String>) -> Vec<Effect> {
    model.busy = None;
    match result {
        Ok(()) => {
            go(model, Page::Menu);
            model.note = Some(good("The machine has its new name.".to_owned()));
        }
        Err(cause) => model.hostname.refuse(0, cause),
    }
    look(model)
}

fn sure_key(model: &mut Model, power: Power, key: Key) -> Vec<Effect> {
    match key {
        Key::Left | Key::Right | Key::Up | Key::Down | Key::Tab | Key::BackTab => {
            model.yes = !model.yes;
        }
        Key::Enter if model.yes => {
            go(model, Page::Ending(power));
            return vec![Effect::End(power)];
        }
        Key::Enter | Key::Esc => go(model, Page::Menu),
        _ => {}
    }
    Vec::new()
}
