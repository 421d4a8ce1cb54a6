//! What the installer knows, what was chosen, and where it stands.

use std::collections::VecDeque;
use std::path::PathBuf;

use isoforge_contract::machine::{self, After};

use super::machine::{Request, Survey};
use crate::install::model::{Choices, Disk, Event, Failure, Finding};
use crate::tui::account;
use crate::tui::form::Form;
use crate::tui::key::Key;

/// Lines of the log that are kept for the page.
const LOG_LINES: usize = 50;

/// How long the rate of copying looks back, in milliseconds.
const RATE_SPAN_MS: u64 = 5_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    /// The machine is being looked at.
    Looking,
    Disk,
    /// Name, password and SSH key.
    Account,
    /// The machine's name.
    Hostname,
    /// Addresses.
    Network,
    /// What follows.
    After,
    /// All choices.
    Summary,
    /// The last question.
    Confirm,
    /// It installs.
    Progress,
    /// It is installed.
    Done,
    /// It is not.
    Failed,
    /// The machine goes down.
    Ending(After),
}

/// What can be done where nothing is asked any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Looks anew, and goes on from there.
    Retry,
    /// A shell on this console.
    Shell,
    /// Boots again.
    Reboot,
    /// Turns the machine off.
    PowerOff,
}

impl Action {
    /// Its name; the first letter is its key.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Retry => "Try again",
            Self::Shell => "Shell",
            Self::Reboot => "Reboot",
            Self::PowerOff => "Power off",
        }
    }

    /// The key that takes it at once.
    pub(crate) fn key(self) -> char {
        match self {
            Self::Retry => 't',
            Self::Shell => 's',
            Self::Reboot => 'r',
            Self::PowerOff => 'p',
        }
    }
}

/// What happens.
#[derive(Debug)]
pub(crate) enum Message {
    /// A key on a console.
    Key { console: usize, key: Key },
    /// A console went away.
    Gone(usize),
    /// The machine was looked at.
    Surveyed(Result<Survey, Failure>),
    /// The checks for the chosen disk are done.
    Found(Vec<Finding>),
    /// An unattended installation is planned, or refused.
    Planned(Result<Choices, Failure>),
    /// The installation tells something.
    Install(Event),
    /// The installation is over.
    Installed(Result<(), Failure>),
    /// The shell has ended, or never began.
    ShellEnded(Result<(), String>),
    /// The machine goes down, or doesn't.
    Ending(Result<(), String>),
    /// Time since the start, in milliseconds.
    Tick(u64),
}

/// What has to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Look at the machine.
    Survey,
    /// Plan an unattended installation.
    Plan,
    /// Check the machine for this disk.
    Check(Disk),
    Install(Box<Request>),
    /// A shell on this console.
    Shell(usize),
    /// Reboot or power off.
    End(After),
    /// Lines that stay on the consoles, and in the log.
    Say(Vec<String>),
    /// End the program.
    Quit,
}

/// A step of the installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// From 1.
    pub(crate) number: u32,
    /// What it does.
    pub(crate) name: String,
}

/// How far the installation is.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Steps that began; all but the last are done.
    pub(crate) steps: Vec<Step>,
    /// How many there are.
    pub(crate) of: u32,
    /// Bytes of the running step, done and in all.
    pub(crate) bytes: Option<(u64, u64)>,
    /// The log's last lines.
    pub(crate) log: VecDeque<String>,
    /// When it began, in milliseconds since the program's start.
    pub(crate) began_ms: u64,
    /// Times in milliseconds, and bytes that were done then.
    samples: VecDeque<(u64, u64)>,
}

impl Progress {
    /// An installation that begins now.
    pub(super) fn new(began_ms: u64) -> Self {
        Self {
            began_ms,
            ..Self::default()
        }
    }

    pub(super) fn event(&mut self, event: Event) {
        match event {
            Event::Step { number, of, name } => {
                self.of = of;
                self.bytes = None;
                self.samples.clear();
                self.steps.push(Step { number, name });
            }
            Event::Bytes { done, total } => self.bytes = Some((done, total)),
            Event::Log(line) => {
                if self.log.len() == LOG_LINES {
                    self.log.pop_front();
                }
                self.log.push_back(line);
            }
        }
    }

    pub(super) fn tick(&mut self, now_ms: u64) {
        let Some((done, _)) = self.bytes else {
            return;
        };
        self.samples.push_back((now_ms, done));
        let old = |sample: &(u64, u64)| now_ms.saturating_sub(sample.0) > RATE_SPAN_MS;
        while self.samples.len() > 2 && self.samples.front().is_some_and(old) {
            self.samples.pop_front();
        }
    }

    /// Bytes of the last seconds, in a second.
    pub(crate) fn bytes_per_second(&self) -> Option<u64> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let bytes = last.1.checked_sub(first.1)?;
        let time_ms = last.0.checked_sub(first.0)?;
        bytes.saturating_mul(1000).checked_div(time_ms)
    }
}

/// Index of a field of the page Network.
pub(crate) mod network {
    pub(crate) const INTERFACE: usize = 0;
    pub(crate) const MODE: usize = 1;
    pub(crate) const ADDRESS: usize = 2;
    pub(crate) const GATEWAY: usize = 3;
    pub(crate) const DNS: usize = 4;
}

/// The whole of it.
#[derive(Debug)]
pub(crate) struct Model {
    /// What is to be installed.
    pub(crate) title: String,
    /// Names of the consoles.
    pub(crate) consoles: Vec<String>,
    /// The console that acted first.
    pub(crate) leader: Option<usize>,
    /// Whether a shell runs on the leading console.
    pub(crate) shell: bool,
    /// Whether there is none, see [`Machine::locked`](super::machine::Machine::locked).
    pub(crate) locked: bool,
    /// Where it stands.
    pub(crate) page: Page,
    /// What the machine is.
    pub(crate) survey: Option<Survey>,
    /// The disk under the cursor; it is the chosen one on later pages.
    pub(crate) disk: usize,
    /// Page Account.
    pub(crate) account: Form,
    /// Page Hostname.
    pub(crate) hostname: Form,
    /// Page Network.
    pub(crate) network: Form,
    /// Page After.
    pub(crate) after: After,
    /// What the checks found; none: they run.
    pub(crate) findings: Option<Vec<Finding>>,
    /// First line shown of a text that is longer than its page.
    pub(crate) scroll: u16,
    /// Page Confirm: whether Yes has the cursor.
    pub(crate) yes: bool,
    /// How far it is.
    pub(crate) progress: Progress,
    /// Whether it is installed.
    pub(crate) installed: bool,
    /// Why it is not installed.
    pub(crate) failure: Option<Failure>,
    /// Which action has the cursor.
    pub(crate) action: usize,
    /// When what follows begins by itself, in milliseconds since the start.
    pub(crate) ends_ms: Option<u64>,
    /// Milliseconds since the start.
    pub(crate) now_ms: u64,
    /// What the last key led to, where it led nowhere.
    pub(crate) note: Option<String>,
}

impl Model {
    /// The start, before the machine was looked at.
    pub(crate) fn new(title: String, consoles: Vec<String>) -> Self {
        Self {
            title,
            consoles,
            leader: None,
            shell: false,
            locked: false,
            page: Page::Looking,
            survey: None,
            disk: 0,
            account: account::form(),
            hostname: Form::new(Vec::new()),
            network: Form::new(Vec::new()),
            after: After::Reboot,
            findings: None,
            scroll: 0,
            yes: false,
            progress: Progress::default(),
            installed: false,
            failure: None,
            action: 0,
            ends_ms: None,
            now_ms: 0,
            note: None,
        }
    }

    /// The pages that ask, in order.
    pub(crate) fn pages(&self) -> Vec<Page> {
        let mut pages = vec![Page::Disk];
        if let Some(survey) = &self.survey {
            if survey.account.is_none() {
                pages.push(Page::Account);
            }
            if survey.pages.contains(&machine::Page::Hostname) {
                pages.push(Page::Hostname);
            }
            if survey.pages.contains(&machine::Page::Network) {
                pages.push(Page::Network);
            }
        }
        pages.extend([Page::After, Page::Summary]);
        pages
    }

    pub(crate) fn disks(&self) -> &[Disk] {
        self.survey.as_ref().map_or(&[], |survey| &survey.disks)
    }

    /// The disk under the cursor.
    pub(crate) fn chosen_disk(&self) -> Option<&Disk> {
        self.disks().get(self.disk)
    }

    /// Whether any disk can be taken.
    pub(crate) fn any_disk(&self) -> bool {
        self.disks().iter().any(|disk| disk.unusable.is_none())
    }

    /// What the checks and the look at the machine found.
    pub(crate) fn all_findings(&self) -> impl Iterator<Item = &Finding> {
        let survey = self.survey.iter().flat_map(|survey| &survey.findings);
        survey.chain(self.findings.iter().flatten())
    }

    /// Whether nothing is asked.
    pub(crate) fn unattended(&self) -> bool {
        self.survey.as_ref().is_some_and(|survey| survey.unattended)
    }

    /// What can be done on this page.
    pub(crate) fn actions(&self) -> &'static [Action] {
        match self.page {
            Page::Failed if self.locked => &[Action::Retry, Action::PowerOff],
            Page::Done if self.locked => &[Action::Reboot, Action::PowerOff],
            Page::Failed => &[Action::Retry, Action::Shell, Action::PowerOff],
            Page::Done => &[Action::Reboot, Action::PowerOff, Action::Shell],
            _ => &[],
        }
    }

    /// Seconds until what follows begins by itself.
    pub(crate) fn countdown_seconds(&self) -> Option<u64> {
        let left_ms = self.ends_ms?.saturating_sub(self.now_ms);
        Some(left_ms.div_ceil(1000))
    }

    /// The path of the disk under the cursor.
    pub(crate) fn disk_path(&self) -> PathBuf {
        self.chosen_disk()
            .map(|disk| disk.path.clone())
            .unwrap_or_default()
    }
}
