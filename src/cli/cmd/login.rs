//! `isoforge login`: credentials are checked with the registry before they are
//! stored. They never stand on the command line, where other users of the machine
//! could read them.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::cli::args::{Global, Login};
use crate::cli::{env, report, settings};
use isoforge_base::error::{Class, Failure, Result};
use isoforge_base::output;
use isoforge_oci::registry::login::{self, Verdict};
use isoforge_oci::registry::{Client, Secret};

/// Longest password read, in bytes: tokens of some clouds have some thousands.
const MAX_PASSWORD_BYTES: u64 = 64 * 1024;

pub(in crate::cli) fn run(args: &Login, global: &Global) -> Result<()> {
    let progress = report::progress(global);
    let host = login::registry_host(&args.registry)?;
    let config = settings::registry_config(global)?;
    config.check()?;
    let path = env::login_file().ok_or_else(|| {
        let message = "no folder for credentials: neither XDG_CONFIG_HOME nor HOME is set";
        Failure::new(Class::Environment, message).with_hint("name a file with REGISTRY_AUTH_FILE")
    })?;
    let login = ask(args)?;
    let client = Client::new(config);
    if client.verify_login(&host, &login)? == Verdict::NotAsked {
        progress.warn(format!(
            "{host} asks for no credentials, so nobody knows whether these are right"
        ));
    }
    let change = client.store_login(&path, &host, &login)?;
    if let Some(text) = &change.text {
        output::replace_private(&path, login::text_of(text).as_bytes())?;
    }
    report::data(match change.helper {
        Some(helper) => {
            format!("logged in to {host}; docker-credential-{helper} has the credentials\n")
        }
        None => format!(
            "logged in to {host}; the credentials are in {}\n",
            path.display()
        ),
    })?;
    Ok(())
}

/// Keeps the terminal from showing what is typed. The prompt comes before
/// rpassword does the same, so who pastes at once would see it.
struct Unseen(Termios);

impl Unseen {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut unseen = before.clone();
        unseen.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Now, &unseen)?;
        Ok(Self(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing any more.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

fn usage(message: impl Into<String>) -> Failure {
    Failure::new(Class::Profile, message)
}

fn no_terminal(what: &str) -> Failure {
    usage(format!("there is no terminal to ask for the {what} on")).with_hint(
        "pass the user with --username and the password on standard input with --password-stdin",
    )
}

fn ask(args: &Login) -> Result<login::Login> {
    let user = match &args.user {
        Some(user) => user.clone(),
        None if args.password_stdin => {
            let message = "--password-stdin needs the user name";
            return Err(usage(message).with_hint("add --username USER"));
        }
        None => user_from_terminal()?,
    };
    if user.is_empty() {
        return Err(usage("the user name is empty"));
    }
    let password = if args.password_stdin {
        password_from_stdin()?
    } else if io::stdin().is_terminal() {
        let _unseen = Unseen::begin()?;
        rpassword::prompt_password("Password: ")?
    } else {
        return Err(no_terminal("password"));
    };
    if password.is_empty() {
        return Err(usage("the password is empty"));
    }
    Ok(login::Login {
        user,
        password: Secret::new(password),
    })
}

fn user_from_terminal() -> Result<String> {
    if !io::stdin().is_terminal() {
        return Err(no_terminal("user name"));
    }
    let mut error = io::stderr();
    error.write_all(b"User name: ")?;
    error.flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// Without the line break at its end, which files and `echo` have.
fn password_from_stdin() -> Result<String> {
    let mut text = String::new();
    io::stdin()
        .lock()
        .take(MAX_PASSWORD_BYTES + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > MAX_PASSWORD_BYTES {
        return Err(usage(format!(
            "the password has more than {MAX_PASSWORD_BYTES} bytes"
        )));
    }
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}
