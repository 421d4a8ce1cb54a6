//! Programs whose output goes where this program's own goes, such as the
//! journal, and which may leave others running: what they leave must not hold
//! this program up, so nothing is read from them.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use isoforge_base::process::{PATH, Program, find};
use rustix::process::{Pid, Signal, kill_process_group};

/// How often a running program is looked at.
const TICK: Duration = Duration::from_millis(20);

/// How long a program has to clean up once it was told to end.
const GRACE: Duration = Duration::from_secs(10);

/// Runs a program to its end, or to the end of its time; then all that it
/// started ends, too.
pub(crate) fn attached(program: &str, args: &[&str], limit: Duration) -> Result<()> {
    let path =
        find(program).with_context(|| format!("the program '{program}' is not installed"))?;
    let failed = |error| {
        let text = format!("can't start '{program}': {error}");
        anyhow::Error::new::<io::Error>(error).context(text)
    };
    let out = io::stderr().as_fd().try_clone_to_owned().map_err(failed)?;
    #[allow(clippy::disallowed_methods)] // what can't go through util::process
    let mut child = std::process::Command::new(path)
        .args(args)
        .env_clear()
        .envs([("PATH", PATH), ("HOME", "/root"), ("LC_ALL", "C.UTF-8")])
        .stdin(Stdio::null())
        .stdout(Stdio::from(out))
        .stderr(Stdio::inherit())
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    let status = match wait(&mut child, limit).map_err(failed)? {
        Some(status) => status,
        None => {
            signal(&child, Signal::TERM);
            if wait(&mut child, GRACE).map_err(failed)?.is_none() {
                signal(&child, Signal::KILL);
                child.wait().map_err(failed)?;
            }
            let seconds = limit.as_secs();
            bail!("'{program}' was ended: it ran for more than {seconds} seconds");
        }
    };
    if !status.success() {
        bail!("'{program}' failed: {status}");
    }
    Ok(())
}

/// Tells systemd a verb without arguments, such as `reboot`.
///
/// # Errors
/// Why it doesn't, in words.
pub(crate) fn systemctl(verb: &str) -> Result<(), String> {
    let told = Program::new("systemctl", "systemd").arg(verb).output(4096);
    told.map(drop).map_err(|error| causes(&error))
}

/// An error and its causes in one line, the outermost first.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// Tries until something works or the time is over; then its last error counts.
///
/// # Errors
/// Those of `work`.
pub(crate) fn retried<T, E>(
    time: Duration,
    pause: Duration,
    mut work: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    let deadline = Instant::now() + time;
    loop {
        match work() {
            Err(_) if Instant::now() < deadline => std::thread::sleep(pause),
            done => return done,
        }
    }
}

/// Whether something holds before the time is over.
pub(crate) fn holds_within(
    time: Duration,
    pause: Duration,
    mut holds: impl FnMut() -> bool,
) -> bool {
    retried(time, pause, || holds().then_some(()).ok_or(())).is_ok()
}

fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let mut ended = || child.try_wait().transpose().ok_or(());
    retried(limit, TICK, &mut ended).ok().transpose()
}

fn signal(child: &Child, signal: Signal) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may have ended by itself; then there is nothing to tell.
        let _ = kill_process_group(group, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(line: &str, limit: Duration) -> Result<()> {
        attached("sh", &["-c", line], limit)
    }

    #[test]
    fn success_failure_and_absence_are_told_apart() {
        let limit = Duration::from_secs(60);
        assert!(shell("true", limit).is_ok());
        let error = shell("exit 7", limit).unwrap_err();
        assert_eq!(error.to_string(), "'sh' failed: exit status: 7");
        let error = attached("no-such-program", &[], limit).unwrap_err();
        assert!(error.to_string().ends_with("is not installed"), "{error}");
    }

    #[test]
    fn what_runs_too_long_is_ended_with_all_that_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("mark");
        let line = format!("(sleep 3; touch {}) & sleep 600", mark.display());
        let error = shell(&line, Duration::from_millis(200)).unwrap_err();
        assert!(error.to_string().contains(" was ended: "), "{error}");
        std::thread::sleep(Duration::from_secs(4));
        assert!(!mark.exists());
    }

    #[test]
    fn what_is_left_running_holds_nobody_up() {
        let start = Instant::now();
        shell("sleep 30 &", Duration::from_secs(60)).unwrap();
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}
