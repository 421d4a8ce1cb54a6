//! The pages as the loop has them: how what they ask for is done.

use std::sync::Arc;

use ratatui::Frame;

use super::machine::Machine;
use super::model::{Effect, Message, Model, Page};
use super::update::update;
use super::view::view;
use crate::tui::driver::{self, Deed, Input};

/// The one console of these pages.
const CONSOLE: usize = 0;

/// The pages of one console.
pub(crate) struct Pages {
    machine: Arc<dyn Machine>,
    model: Model,
}

impl Pages {
    /// Pages of somebody who has logged in, or of nobody.
    pub(crate) fn new(machine: Arc<dyn Machine>, administrator: Option<String>) -> Self {
        Self {
            model: Model::new(machine.title(), administrator),
            machine,
        }
    }
}

impl From<Input> for Message {
    fn from(input: Input) -> Self {
        match input {
            Input::Key { key, .. } => Self::Key(key),
            Input::Gone(_) => Self::Gone,
            Input::ShellEnded(result) => Self::ShellEnded(result),
            Input::Tick(now_ms) => Self::Tick(now_ms),
        }
    }
}

impl driver::Pages for Pages {
    type Message = Message;
    type Effect = Effect;
    type Page = Page;

    fn first(&self) -> Effect {
        Effect::Look
    }

    fn update(&mut self, message: Message) -> Vec<Effect> {
        update(&mut self.model, message)
    }

    fn how(&mut self, effect: Effect) -> Deed<Message> {
        let machine = Arc::clone(&self.machine);
        match effect {
            Effect::Look => Deed::work(
                move |_| Message::Known(machine.facts()),
                // The next look comes; what was known stays.
                |_| Message::NotKnown,
            ),
            Effect::Login(name, password) => Deed::work(
                move |_| Message::LoggedIn(machine.login(&name, &password)),
                |cause| Message::LoggedIn(Err(cause)),
            ),
            Effect::Create(typed) => Deed::work(
                move |_| {
                    let key = typed.ssh_key.as_deref();
                    Message::Created(machine.create(&typed.name, &typed.password, key))
                },
                |cause| Message::Created(Err(cause)),
            ),
            Effect::Name(name) => Deed::work(
                move |_| Message::Named(machine.set_hostname(&name)),
                |cause| Message::Named(Err(cause)),
            ),
            Effect::Shell(name) => Deed::Shell {
                console: CONSOLE,
                run: Box::new(move |console| machine.shell(console, name.as_deref())),
            },
            Effect::End(power) => Deed::work(
                move |_| Message::Ending(machine.end(power)),
                |cause| Message::Ending(Err(cause)),
            ),
            Effect::Quit => Deed::Quit,
        }
    }

    fn view(&self, _console: usize, frame: &mut Frame<'_>) {
        view(&self.model, frame);
    }

    fn page(&self) -> Page {
        self.model.page
    }

    fn goes_on_alone(&self) -> bool {
        false
    }
}
