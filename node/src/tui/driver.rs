//! The loop: keys and events in, pictures out, and work in threads.

use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use isoforge_base::parallel;
use ratatui::Frame;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_setfl};

use super::console::{Console, timespec};
use super::key::Key;

/// How long a lone ESC waits for the rest of a sequence.
const ESCAPE_TIME: Duration = Duration::from_millis(100);

/// Pictures are at least so far apart: a copy tells more than a serial line
/// can take.
const FRAME_TIME: Duration = Duration::from_millis(100);

/// How often time is told.
const TICK_TIME: Duration = Duration::from_millis(500);

/// What can't be done where the kernel refuses a pipe.
const WAITING: &str = "waiting for keys failed";

/// What the loop itself tells pages.
#[derive(Debug)]
pub(crate) enum Input {
    /// A key on a console.
    Key { console: usize, key: Key },
    /// A console went away.
    Gone(usize),
    /// The program that had a console has ended, or never began.
    ShellEnded(Result<(), String>),
    /// Time since the start, in milliseconds.
    Tick(u64),
}

/// A program of pages.
pub(crate) trait Pages {
    /// What happens.
    type Message: From<Input> + Send + 'static;
    /// What has to be done.
    type Effect;
    /// A page.
    type Page: PartialEq;

    /// What has to be done first.
    fn first(&self) -> Self::Effect;

    /// Turns the model by what happened.
    fn update(&mut self, message: Self::Message) -> Vec<Self::Effect>;

    /// How something is done.
    fn how(&mut self, effect: Self::Effect) -> Deed<Self::Message>;

    /// Draws the model on the console with this index.
    fn view(&self, console: usize, frame: &mut Frame<'_>);

    /// The page that is shown.
    fn page(&self) -> Self::Page;

    /// Whether it goes on where nobody sees it.
    fn goes_on_alone(&self) -> bool;
}

/// Work in a thread, which tells what it ended with.
type Work<M> = Box<dyn FnOnce(&Post<M>) -> M + Send>;

/// What has a console until it ends; it is given the console's name.
type Shell = Box<dyn FnOnce(&str) -> Result<(), String> + Send>;

/// How something is done.
pub(crate) enum Deed<M> {
    /// In a thread; `failed` is told where it ended by a bug.
    Work {
        work: Work<M>,
        failed: fn(String) -> M,
    },
    /// By a program that has the console until it ends.
    Shell { console: usize, run: Shell },
    /// By lines that stay on the consoles.
    Say(Vec<String>),
    /// By ending the loop.
    Quit,
}

impl<M> Deed<M> {
    /// Work in a thread.
    pub(crate) fn work(
        work: impl FnOnce(&Post<M>) -> M + Send + 'static,
        failed: fn(String) -> M,
    ) -> Self {
        let work = Box::new(work);
        Self::Work { work, failed }
    }
}

/// Hands messages to the loop from other threads.
#[derive(Debug)]
pub(crate) struct Post<M> {
    sender: Sender<M>,
    bell: Arc<PipeWriter>,
}

impl<M> Clone for Post<M> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            bell: Arc::clone(&self.bell),
        }
    }
}

impl<M> Post<M> {
    pub(crate) fn send(&self, message: M) {
        // Where the loop has ended nobody wants to know; a full pipe has
        // rung already.
        let _ = self.sender.send(message);
        let _ = (&*self.bell).write(b"!");
    }
}

/// Consoles, pages and what they wait for.
pub(crate) struct Driver<P: Pages> {
    pages: P,
    consoles: Vec<Console>,
    post: Post<P::Message>,
    messages: Receiver<P::Message>,
    /// What had a console has ended.
    ended: (Sender<Result<(), String>>, Receiver<Result<(), String>>),
    bell: PipeReader,
    started: Instant,
    quit: bool,
}

impl<P: Pages> Driver<P> {
    /// A loop over consoles.
    pub(crate) fn new(pages: P, consoles: Vec<Console>) -> Result<Self> {
        let (sender, messages) = channel();
        let (bell, ringer) = io::pipe().context(WAITING)?;
        fcntl_setfl(&bell, OFlags::NONBLOCK).context(WAITING)?;
        fcntl_setfl(&ringer, OFlags::NONBLOCK).context(WAITING)?;
        Ok(Self {
            pages,
            consoles,
            post: Post {
                sender,
                bell: Arc::new(ringer),
            },
            messages,
            ended: channel(),
            bell,
            started: Instant::now(),
            quit: false,
        })
    }

    /// Runs until the pages end it.
    pub(crate) fn run(mut self) -> Result<()> {
        let first = self.pages.first();
        self.perform(first);
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
            if !self.consoles.iter().any(Console::there) && !self.pages.goes_on_alone() {
                bail!("all consoles have gone away");
            }
        }
        Ok(())
    }

    fn draw(&mut self) {
        for (index, console) in self.consoles.iter_mut().enumerate() {
            console.draw(|frame| self.pages.view(index, frame));
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
        self.tell(Input::Tick(now).into());
        for index in 0..self.consoles.len() {
            self.take_keys(index);
        }
        while let Ok(result) = self.ended.1.try_recv() {
            self.consoles.iter_mut().for_each(Console::take_back);
            self.tell(Input::ShellEnded(result).into());
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
            let console = index;
            self.tell(Input::Key { console, key }.into());
        }
        if gone {
            self.tell(Input::Gone(index).into());
        }
    }

    fn tell(&mut self, message: P::Message) {
        let page = self.pages.page();
        for effect in self.pages.update(message) {
            self.perform(effect);
        }
        if page != self.pages.page() {
            // Whoever looks only now sees the page as a whole.
            self.consoles.iter_mut().for_each(Console::redraw);
        }
    }

    fn perform(&mut self, effect: P::Effect) {
        match self.pages.how(effect) {
            Deed::Work { work, failed } => {
                let post = self.post.clone();
                let (done, not) = (post.clone(), post.clone());
                detached(
                    move || done.send(work(&post)),
                    move |cause| not.send(failed(cause)),
                );
            }
            Deed::Shell { console, run } => self.shell(console, run),
            Deed::Say(lines) => {
                for console in &mut self.consoles {
                    console.say(&lines);
                }
            }
            Deed::Quit => self.quit = true,
        }
    }

    fn shell(&mut self, index: usize, run: Shell) {
        let Some(console) = self.consoles.get_mut(index) else {
            return;
        };
        console.lend();
        let name = console.name().to_owned();
        let (ended, bell) = (self.ended.0.clone(), Arc::clone(&self.post.bell));
        let tell = move |result| {
            // As for [`Post::send`].
            let _ = ended.send(result);
            let _ = (&*bell).write(b"!");
        };
        let not = tell.clone();
        detached(move || tell(run(&name)), move |cause| not(Err(cause)));
    }
}

/// Does work in a thread; what it failed with is told where it ended by a bug, or never
/// began. The pages stay.
fn detached(
    work: impl FnOnce() + Send + 'static,
    failed: impl Fn(String) + Clone + Send + 'static,
) {
    let bug = failed.clone();
    let started = parallel::detached(move || {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            bug(text.unwrap_or("no cause was given").to_owned());
        }
    });
    if let Err(error) = started {
        failed(error.to_string());
    }
}
