//! What the pages know, what was typed, and where they stand.

use super::machine::{Facts, Power};
use crate::tui::Secret;
use crate::tui::account::{self, Typed};
use crate::tui::form::{Field, Form};
use crate::tui::key::Key;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    /// Device Info.
    Info,
    /// The first account.
    Account,
    Login,
    /// What somebody who has logged in can do.
    Menu,
    Hostname,
    /// The question before the machine ends.
    Sure(Power),
    /// It ends.
    Ending(Power),
}

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Item {
    Hostname,
    Shell,
    Reboot,
    PowerOff,
    /// Back to Device Info.
    LogOut,
}

impl Item {
    pub(crate) const ALL: [Self; 5] = [
        Self::Hostname,
        Self::Shell,
        Self::Reboot,
        Self::PowerOff,
        Self::LogOut,
    ];

    /// Its name, and what it is for.
    pub(crate) fn label(self) -> (&'static str, &'static str) {
        match self {
            Self::Hostname => ("Host name", "the name of this machine"),
            Self::Shell => ("Shell", "a command line of your account"),
            Self::Reboot => ("Reboot", "start this machine again"),
            Self::PowerOff => ("Power off", "turn this machine off"),
            Self::LogOut => ("Quit", "log out, back to Device Info"),
        }
    }
}

/// Index of a field of the page Login.
pub(crate) mod login {
    pub(crate) const NAME: usize = 0;
    pub(crate) const PASSWORD: usize = 1;
}

/// What happens.
#[derive(Debug)]
pub(crate) enum Message {
    Key(Key),
    /// The machine was looked at.
    Known(Facts),
    /// The login was checked.
    LoggedIn(Result<(), String>),
    /// The first account was made.
    Created(Result<(), String>),
    /// The machine got another name.
    Named(Result<(), String>),
    /// The shell has ended, or never began.
    ShellEnded(Result<(), String>),
    /// The machine goes down, or doesn't.
    Ending(Result<(), String>),
    /// Time since the start, in milliseconds.
    Tick(u64),
    /// Looking at the machine ended by a bug.
    NotKnown,
    /// The console went away, with which the loop ends.
    Gone,
}

/// What has to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Look at the machine.
    Look,
    Login(String, Secret),
    Create(Typed),
    Name(String),
    /// A shell of this account, or the system's own login.
    Shell(Option<String>),
    End(Power),
    /// End the program.
    Quit,
}

/// The whole of it.
#[derive(Debug)]
pub(crate) struct Model {
    /// What runs on the machine.
    pub(crate) title: String,
    pub(crate) page: Page,
    /// What is known; none: it is being looked at for the first time.
    pub(crate) facts: Option<Facts>,
    /// Whether it is being looked at.
    pub(crate) looks: bool,
    /// When it was looked at last, in milliseconds since the start.
    pub(crate) looked_ms: u64,
    /// Who has logged in.
    pub(crate) administrator: Option<String>,
    /// Whether the pages were opened in a shell, to which they end.
    pub(crate) in_shell: bool,
    pub(crate) account: Form,
    pub(crate) login: Form,
    pub(crate) hostname: Form,
    /// The item under the cursor.
    pub(crate) item: usize,
    /// Page Sure: whether Yes has the cursor.
    pub(crate) yes: bool,
    /// First line shown of a text that is longer than its page.
    pub(crate) scroll: u16,
    /// What is done just now, in words; keys wait for its end.
    pub(crate) busy: Option<&'static str>,
    /// Logins that failed one after another.
    pub(crate) failures: u32,
    /// Until when no login is tried, in milliseconds since the start.
    pub(crate) barred_ms: u64,
    /// When the last key came, in milliseconds since the start.
    pub(crate) key_ms: u64,
    /// Milliseconds since the start.
    pub(crate) now_ms: u64,
    /// What the last key led to, and whether it is bad.
    pub(crate) note: Option<(String, bool)>,
}

impl Model {
    /// The start, before the machine was looked at.
    pub(crate) fn new(title: String, administrator: Option<String>) -> Self {
        Self {
            title,
            page: Page::Info,
            facts: None,
            looks: true,
            looked_ms: 0,
            in_shell: administrator.is_some(),
            administrator,
            account: account::form(),
            login: login_form(),
            hostname: Form::new(Vec::new()),
            item: 0,
            yes: false,
            scroll: 0,
            busy: None,
            failures: 0,
            barred_ms: 0,
            key_ms: 0,
            now_ms: 0,
            note: None,
        }
    }

    /// What can be done by who has logged in. Who came from a shell has one.
    pub(crate) fn items(&self) -> impl Iterator<Item = Item> + use<> {
        let in_shell = self.in_shell;
        let items = Item::ALL.into_iter();
        items.filter(move |item| !(in_shell && *item == Item::Shell))
    }

    /// Whether nobody has an account yet.
    pub(crate) fn needs_account(&self) -> bool {
        self.facts.as_ref().is_some_and(|facts| !facts.is_owned)
    }

    /// Why nothing can be changed here.
    pub(crate) fn read_only(&self) -> Option<&str> {
        self.facts.as_ref()?.read_only.as_deref()
    }
}

/// An empty form for a login.
pub(crate) fn login_form() -> Form {
    Form::new(vec![Field::text("Name", ""), Field::secret("Password")])
}
