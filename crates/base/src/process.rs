//! Programs of the host, run so that the host leaves no trace in what they
//! make: an empty environment plus what the caller gives, a fixed `PATH`, and
//! umask 022. This is the only place of the library that starts a process.
//!
//! A program's standard output is handed to the caller as a stream; its
//! standard error is read line by line, passed on, and its end kept for the
//! message of a failure. Nothing is read from standard input, and nothing of what the
//! program leaves running once it has ended.

pub mod helper;
mod output;
mod watch;

use std::collections::{BTreeMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use crate::error::{Class, Diagnose};
use crate::limit::read_within;
use crate::parallel;
use output::Output;
use watch::Watch;

/// Where programs are looked for, and the `PATH` that they see.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How many of the last lines of standard error a failure keeps.
const TAIL_LINES: usize = 12;

/// Longest line of standard error that is passed on, in bytes; a longer one
/// arrives in pieces, so memory stays bounded whatever a program prints.
const LINE_MAX_BYTES: u64 = 4096;

/// Sets the umask, which only the process itself can do, and becomes the
/// program: `$0` is its path, `$@` are its arguments.
const LAUNCHER: &str = "umask 022 && exec \"$0\" \"$@\"";

/// Why a program could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program is not installed.
    #[error("the program '{program}' is not installed (looked in {PATH})")]
    Missing {
        /// Name of the program.
        program: String,
        /// Debian package that has it.
        package: &'static str,
    },
    /// The program could not be started.
    #[error("can't start '{program}'")]
    Start {
        /// Name of the program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// The program reported failure.
    #[error("'{program}' failed: {status}{}", indent(.tail))]
    Failed {
        /// Name of the program.
        program: String,
        /// Exit status or signal.
        status: ExitStatus,
        /// The last lines of its standard error.
        tail: String,
    },
    /// The program took longer than it may, and was killed.
    #[error("'{program}' was killed: it took longer than {} s", .limit.as_secs())]
    TooLong {
        /// Name of the program.
        program: String,
        /// How long it may take.
        limit: Duration,
    },
    /// What the program printed could not be taken.
    #[error("reading what '{program}' prints failed")]
    Output {
        /// Name of the program.
        program: String,
        /// What failed; the caller's own error where it was the caller.
        source: io::Error,
    },
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Missing { .. }
            | Self::Start { .. }
            | Self::Failed { .. }
            | Self::TooLong { .. } => Class::Environment,
            Self::Output { source, .. } => source.class(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { package, .. } => Some(format!(
                "install it; on Debian and Ubuntu: apt-get install {package}"
            )),
            Self::Start { source, .. } | Self::Output { source, .. } => source.hint(),
            _ => None,
        }
    }
}

/// Asks a process to end. It may clean up first (mmdebstrap removes its
/// temporary root), which SIGKILL would not let it do.
fn terminate(child: &Child) {
    if let Some(pid) = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    {
        // It may have ended by itself; then there is nothing to tell.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

fn indent(tail: &str) -> String {
    tail.lines().map(|line| format!("\n    {line}")).collect()
}

/// A program to run, with its arguments and environment.
#[derive(Debug, Clone)]
pub struct Program {
    name: String,
    package: &'static str,
    args: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    time_limit: Option<Duration>,
}

impl Program {
    /// The program `name`, which Debian has in `package`.
    #[must_use]
    pub fn new(name: &str, package: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            package,
            args: Vec::new(),
            env: BTreeMap::from([
                ("PATH".into(), PATH.into()),
                ("LC_ALL".into(), "C.UTF-8".into()),
                ("TZ".into(), "UTC".into()),
            ]),
            time_limit: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the otherwise empty environment (`PATH`, `LC_ALL`
    /// and `TZ` are set already).
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .insert(name.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// Kills the program where it takes longer.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// Runs the program to its end. `stdout` takes all that it prints;
    /// `stderr_line` is called for each line of its standard error, from
    /// another thread. When `stdout` fails the program is told to end.
    ///
    /// # Errors
    /// [`Error`]; where `stdout` fails, its error is the cause that is told.
    pub fn run<T>(
        &self,
        stdout: impl FnOnce(&mut dyn Read) -> io::Result<T>,
        stderr_line: &mut (dyn FnMut(&str) + Send),
    ) -> Result<T, Error> {
        let mut child = self.start()?;
        let mut out = child.stdout.take().map(|out| Output::of(&child, out));
        let err = child.stderr.take().map(|err| Output::of(&child, err));
        let limit = self.time_limit;
        let (taken, tail, is_late) = std::thread::scope(|scope| {
            let errors = parallel::scoped(scope, move || read_lines(err, stderr_line));
            let watch = limit.map(|limit| Watch::over(scope, &child, limit));
            let (errors, watch) = match (errors, watch.transpose()) {
                (Ok(errors), Ok(watch)) => (errors, watch),
                (Err(error), _) | (_, Err(error)) => {
                    terminate(&child);
                    return (Err(error), String::new(), false);
                }
            };
            let taken = match &mut out {
                Some(out) => stdout(out),
                None => stdout(&mut io::empty()),
            };
            drop(out);
            if taken.is_err() {
                terminate(&child);
            }
            let tail = errors.join().unwrap_or_default();
            (taken, tail, watch.is_some_and(Watch::had_to_kill))
        });
        let status = child.wait().map_err(|source| self.output_error(source))?;
        if let (true, Some(limit)) = (is_late, limit) {
            let program = self.name.clone();
            return Err(Error::TooLong { program, limit });
        }
        match taken {
            Ok(value) if status.success() => Ok(value),
            Ok(_) => Err(self.failed(status, tail)),
            Err(source) => Err(self.output_error(source)),
        }
    }

    /// Runs the program and gives what it printed, at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Output`] where it prints more than `limit`.
    pub fn output(&self, limit: u64) -> Result<Vec<u8>, Error> {
        self.run(
            |out| {
                read_within(out, limit)?
                    .ok_or_else(|| io::Error::other(format!("more than {limit} bytes")))
            },
            &mut |_| {},
        )
    }

    fn start(&self) -> Result<Child, Error> {
        let path = find(&self.name).ok_or_else(|| Error::Missing {
            program: self.name.clone(),
            package: self.package,
        })?;
        #[allow(clippy::disallowed_methods)] // the one place that may
        std::process::Command::new("/bin/sh")
            .arg("-c")
            .arg(LAUNCHER)
            .arg(path)
            .args(&self.args)
            .env_clear()
            .envs(&self.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| Error::Start {
                program: self.name.clone(),
                source,
            })
    }

    fn failed(&self, status: ExitStatus, tail: String) -> Error {
        Error::Failed {
            program: self.name.clone(),
            status,
            tail,
        }
    }

    fn output_error(&self, source: io::Error) -> Error {
        Error::Output {
            program: self.name.clone(),
            source,
        }
    }
}

/// Where the program `name` is installed, looked for in [`PATH`]; a name with a
/// slash is a path.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| path.is_file());
    }
    PATH.split(':')
        .map(|dir| Path::new(dir).join(name))
        .find(|path| path.is_file())
}

/// Passes on each line and gives the last ones.
fn read_lines(stream: Option<impl Read>, line: &mut (dyn FnMut(&str) + Send)) -> String {
    let Some(stream) = stream else {
        return String::new();
    };
    let mut stream = BufReader::new(stream);
    let mut tail = VecDeque::with_capacity(TAIL_LINES);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        match stream
            .by_ref()
            .take(LINE_MAX_BYTES)
            .read_until(b'\n', &mut bytes)
        {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        // A progress bar overwrites its line; what it showed last counts.
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end();
        let text = text.rsplit('\r').next().unwrap_or(text);
        if text.is_empty() {
            continue;
        }
        line(text);
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(text.to_owned());
    }
    Vec::from(tail).join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    fn shell(script: &str) -> Program {
        Program::new("sh", "dash").arg("-c").arg(script)
    }

    #[test]
    fn nothing_of_the_hosts_environment_arrives() {
        let out = shell("env | grep -v ^PWD= | grep -v ^_= | sort; umask")
            .env("SOURCE_DATE_EPOCH", "7")
            .output(4096)
            .unwrap();
        assert_snapshot!(String::from_utf8(out).unwrap(), @r"
        LC_ALL=C.UTF-8
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
        SOURCE_DATE_EPOCH=7
        TZ=UTC
        0022
        ");
    }

    #[test]
    fn a_missing_program_names_its_package() {
        let error = Program::new("no-such-program", "some-package")
            .output(0)
            .unwrap_err();
        assert_eq!(error.class(), Class::Environment);
        assert_snapshot!(error, @"the program 'no-such-program' is not installed (looked in /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)");
        assert_snapshot!(error.hint().unwrap(), @"install it; on Debian and Ubuntu: apt-get install some-package");
    }

    #[test]
    fn a_failure_shows_status_and_the_last_lines() {
        let error = shell("seq 1 100 >&2; exit 7").output(0).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("'sh' failed: exit status: 7\n    89\n"));
        assert!(text.ends_with("\n    100"));
    }

    #[test]
    fn a_failing_reader_ends_the_program() {
        let error = shell("while :; do echo x; done")
            .run(
                |_| Err::<(), _>(io::Error::other("no space")),
                &mut |_: &str| {},
            )
            .unwrap_err();
        assert!(
            matches!(error, Error::Output { ref source, .. } if source.to_string() == "no space")
        );
    }

    #[test]
    fn endless_output_and_endless_lines_are_bounded() {
        let error = shell("while :; do echo x; done").output(100).unwrap_err();
        assert!(matches!(error, Error::Output { .. }), "{error}");
        let mut longest = 0;
        shell("head -c 100000 /dev/zero | tr '\\0' x >&2")
            .run(|_| Ok(()), &mut |line: &str| {
                longest = longest.max(line.len())
            })
            .unwrap();
        assert_eq!(longest as u64, LINE_MAX_BYTES);
    }

    #[test]
    fn a_program_that_takes_too_long_is_killed_even_where_it_prints_no_more() {
        let limit = Duration::from_millis(300);
        for script in ["exec sleep 600", "exec >&- 2>&-; while :; do :; done"] {
            let error = shell(script).within(limit).output(10).unwrap_err();
            assert!(matches!(error, Error::TooLong { .. }), "{error}");
        }
        let long = Duration::from_secs(600);
        assert_eq!(shell("echo a").within(long).output(10).unwrap(), b"a\n");
        let error = shell("exit 3").within(long).output(10).unwrap_err();
        assert!(matches!(error, Error::Failed { .. }), "{error}");
    }

    #[test]
    fn what_it_leaves_running_holds_nobody_up() {
        let began = std::time::Instant::now();
        let out = shell("sleep 60 & echo started; echo noted >&2")
            .output(100)
            .unwrap();
        assert_eq!(out, b"started\n");
        assert!(began.elapsed().as_secs() < 50);
    }

    #[test]
    fn arguments_arrive_as_they_are() {
        let out = Program::new("printf", "coreutils")
            .args(["%s|", "a b", "$HOME", "'\"", ""])
            .output(100)
            .unwrap();
        assert_eq!(out, b"a b|$HOME|'\"||");
    }
}
