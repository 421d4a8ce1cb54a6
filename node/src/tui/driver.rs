//! The loop: keys and events in, pictures out, and work in threads.

use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use isoforge_base::parallel;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_setfl};

use super::console::{Console, timespec};
use super::key::Key;
use super::log::Log;
use super::machine::Machine;
use super::model::{Effect, Message, Model, Page};
use super::update::update;
use crate::install::model::{Event, Failure, Observer};

/// How long a lone ESC waits for the rest of a sequence.
const ESCAPE_TIME: Duration = Duration::from_millis(100);

/// Pictures are at least so far apart: a copy tells more than a serial line
/// can take.
const FRAME_TIME: Duration = Duration::from_millis(100);

/// How often time is told.
const TICK_TIME: Duration = Duration::from_millis(500);

/// What can't be done where the kernel refuses a pipe.
const WAITING: &str = "waiting for keys failed";

/// Hands messages to the loop from other threads.
#[derive(Debug, Clone)]
struct Post {
    sender: Sender<Message>,
    bell: Arc<PipeWriter>,
}

impl Post {
    fn send(&self, message: Message) {
        // Where the loop has ended nobody wants to know; a full pipe has
        // rung already.
        let _ = self.sender.send(message);
        let _ = (&*self.bell).write(b"!");
    }
}

impl Observer for Post {
    fn event(&mut self, event: Event) {
        self.send(Message::Install(event));
    }
}

/// Consoles, model and what they wait for.
pub(crate) struct Driver {
    machine: Arc<dyn Machine>,
    consoles: Vec<Console>,
    model: Model,
    log: Log,
    post: Post,
    messages: Receiver<Message>,
    bell: PipeReader,
    started: Instant,
    quit: bool,
}

impl Driver {
    /// A loop over consoles.
    pub(crate) fn new(machine: Arc<dyn Machine>, consoles: Vec<Console>, log: Log) -> Result<Self> {
        let names = consoles.iter().map(|console| console.name().to_owned());
        let (sender, messages) = channel();
        let (bell, ringer) = io::pipe().context(WAITING)?;
        fcntl_setfl(&bell, OFlags::NONBLOCK).context(WAITING)?;
        fcntl_setfl(&ringer, OFlags::NONBLOCK).context(WAITING)?;
        Ok(Self {
            model: Model::new(machine.title(), names.collect()),
            machine,
            consoles,
            log,
            post: Post {
                sender,
                bell: Arc::new(ringer),
            },
            messages,
            bell,
            started: Instant::now(),
            quit: false,
        })
    }

    /// Runs until the machine goes down.
    pub(crate) fn run(mut self) -> Result<()> {
        self.perform(Effect::Survey);
        let mut drawn = None;
        while !self.quit {
            let due = drawn.map_or(Duration::ZERO, |at: Instant| {
                FRAME_TIME.saturating_sub(at.elapsed())
            });
            let mut wait = due;
            if due.is_zero() {
                self.draw();
                drawn = Some(Instant::now());
                wait = TICK_TIME;
            }
            self.wait(wait)?;
            self.take_in();
            if !self.consoles.iter().any(Console::there) && self.model.page != Page::Progress {
                bail!("all consoles have gone away");
            }
        }
        Ok(())
    }

    fn draw(&mut self) {
        for (index, console) in self.consoles.iter_mut().enumerate() {
            console.draw(&self.model, index);
        }
    }

    /// Waits for keys, for room on a console, or for a message.
    fn wait(&self, at_most: Duration) -> Result<()> {
        let escape = self.consoles.iter().any(Console::waits);
        let wait = if escape {
            at_most.min(ESCAPE_TIME)
        } else {
            at_most
        };
        let mut fds: Vec<PollFd<'_>> = self.consoles.iter().filter_map(Console::poll_fd).collect();
        fds.push(PollFd::new(&self.bell, PollFlags::IN));
        match poll(&mut fds, Some(&timespec(wait))) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(errno).context(WAITING),
        }
    }

    /// Takes in all that has come.
    fn take_in(&mut self) {
        // Rings of the bell count once.
        let mut rings = [0; 4096];
        let _ = self.bell.read(&mut rings);
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.tell(Message::Tick(now));
        for index in 0..self.consoles.len() {
            self.take_keys(index);
        }
        while let Ok(message) = self.messages.try_recv() {
            self.tell(message);
        }
    }

    fn take_keys(&mut self, index: usize) {
        let Some(console) = self
            .consoles
            .get_mut(index)
            .filter(|console| console.ours())
        else {
            return;
        };
        let waited = console.waits();
        console.write();
        let mut keys = console.keys();
        if keys.is_empty() && waited {
            keys.extend(console.timeout());
        }
        if keys.contains(&Key::Redraw) {
            console.redraw();
        }
        let gone = !console.there();
        for key in keys.into_iter().filter(|key| *key != Key::Redraw) {
            self.tell(Message::Key {
                console: index,
                key,
            });
        }
        if gone {
            self.tell(Message::Gone(index));
        }
    }

    fn tell(&mut self, message: Message) {
        self.log.message(&message);
        if matches!(message, Message::ShellEnded(_)) {
            self.consoles.iter_mut().for_each(Console::take_back);
        }
        let page = self.model.page;
        for effect in update(&mut self.model, message) {
            self.perform(effect);
        }
        if page != self.model.page {
            // Whoever looks only now sees the page as a whole.
            self.consoles.iter_mut().for_each(Console::redraw);
        }
    }

    fn perform(&mut self, effect: Effect) {
        let machine = Arc::clone(&self.machine);
        let post = self.post.clone();
        match effect {
            Effect::Survey => self.work(
                move || Message::Surveyed(machine.survey()),
                |cause| Message::Surveyed(Err(bug("Looking at this machine", cause))),
            ),
            Effect::Plan => self.work(
                move || {
                    let mut observer = post;
                    Message::Planned(machine.plan(&mut observer))
                },
                |cause| Message::Planned(Err(bug("Planning the installation", cause))),
            ),
            Effect::Check(disk) => self.work(
                move || Message::Found(machine.findings(&disk)),
                |cause| Message::Installed(Err(bug("Checking this machine", cause))),
            ),
            Effect::Install(request) => self.work(
                move || {
                    let mut observer = post;
                    Message::Installed(machine.install(&request, &mut observer))
                },
                |cause| Message::Installed(Err(bug("Installing", cause))),
            ),
            Effect::Shell(console) => self.shell(console),
            Effect::End(after) => self.work(
                move || Message::Ending(machine.end(after)),
                |cause| Message::Ending(Err(cause)),
            ),
            Effect::Say(lines) => {
                for line in &lines {
                    self.log.line(line);
                }
                for console in &mut self.consoles {
                    console.say(&lines);
                }
            }
            Effect::Quit => self.quit = true,
        }
    }

    fn shell(&mut self, index: usize) {
        let Some(console) = self.consoles.get_mut(index) else {
            return;
        };
        console.lend();
        let name = console.name().to_owned();
        let machine = Arc::clone(&self.machine);
        self.work(
            move || Message::ShellEnded(machine.shell(&name)),
            |cause| Message::ShellEnded(Err(cause)),
        );
    }

    /// Does work in a thread. The pages stay even where it ends by a bug.
    fn work(&self, work: impl FnOnce() -> Message + Send + 'static, failed: fn(String) -> Message) {
        let post = self.post.clone();
        let started = parallel::detached(move || {
            let message = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                failed(text.unwrap_or("no cause was given").to_owned())
            });
            post.send(message);
        });
        if let Err(error) = started {
            self.post.send(failed(error.to_string()));
        }
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
