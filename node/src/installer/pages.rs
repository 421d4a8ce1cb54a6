//! The pages as the loop has them: how what they ask for is done.

use std::sync::Arc;

use ratatui::Frame;

use super::log::Log;
use super::machine::Machine;
use super::model::{Effect, Message, Model, Page};
use super::update::update;
use super::view::view;
use crate::install::model::{Event, Failure, Observer};
use crate::tui::driver::{self, Deed, Input, Post};

/// The installer's pages.
pub(crate) struct Pages {
    machine: Arc<dyn Machine>,
    model: Model,
    log: Log,
}

impl Pages {
    /// Pages on the consoles of these names.
    pub(crate) fn new(machine: Arc<dyn Machine>, consoles: Vec<String>, log: Log) -> Self {
        let mut model = Model::new(machine.title(), consoles);
        model.locked = machine.locked();
        Self {
            machine,
            model,
            log,
        }
    }
}

impl From<Input> for Message {
    fn from(input: Input) -> Self {
        match input {
            Input::Key { console, key } => Self::Key { console, key },
            Input::Gone(console) => Self::Gone(console),
            Input::ShellEnded(result) => Self::ShellEnded(result),
            Input::Tick(now_ms) => Self::Tick(now_ms),
        }
    }
}

/// Tells the pages how an installation goes.
struct Teller(Post<Message>);

impl Observer for Teller {
    fn event(&mut self, event: Event) {
        self.0.send(Message::Install(event));
    }
}

impl driver::Pages for Pages {
    type Message = Message;
    type Effect = Effect;
    type Page = Page;

    fn first(&self) -> Effect {
        Effect::Survey
    }

    fn update(&mut self, message: Message) -> Vec<Effect> {
        self.log.message(&message);
        update(&mut self.model, message)
    }

    fn how(&mut self, effect: Effect) -> Deed<Message> {
        let machine = Arc::clone(&self.machine);
        match effect {
            Effect::Survey => Deed::work(
                move |_| Message::Surveyed(machine.survey()),
                |cause| Message::Surveyed(Err(bug("Looking at this machine", cause))),
            ),
            Effect::Plan => Deed::work(
                move |post| Message::Planned(machine.plan(&mut Teller(post.clone()))),
                |cause| Message::Planned(Err(bug("Planning the installation", cause))),
            ),
            Effect::Check(disk) => Deed::work(
                move |_| Message::Found(machine.findings(&disk)),
                |cause| Message::Installed(Err(bug("Checking this machine", cause))),
            ),
            Effect::Install(request) => Deed::work(
                move |post| {
                    Message::Installed(machine.install(&request, &mut Teller(post.clone())))
                },
                |cause| Message::Installed(Err(bug("Installing", cause))),
            ),
            Effect::Shell(console) => Deed::Shell {
                console,
                run: Box::new(move |name| machine.shell(name)),
            },
            Effect::End(after) => Deed::work(
                move |_| Message::Ending(machine.end(after)),
                |cause| Message::Ending(Err(cause)),
            ),
            Effect::Say(lines) => {
                for line in &lines {
                    self.log.line(line);
                }
                Deed::Say(lines)
            }
            Effect::Quit => Deed::Quit,
        }
    }

    fn view(&self, console: usize, frame: &mut Frame<'_>) {
        view(&self.model, console, frame);
    }

    fn page(&self) -> Page {
        self.model.page
    }

    fn goes_on_alone(&self) -> bool {
        self.model.page == Page::Progress
    }
}

/// A failure that no code foresaw.
fn bug(step: &str, cause: String) -> Failure {
    Failure {
        step: step.to_owned(),
        cause,
        advice: "This is a bug of the installer. Please report it with its log.".to_owned(),
    }
}
