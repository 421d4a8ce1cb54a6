//! Short conversations with a program of the user's: one text in, one text out,
//! within a time limit.
//!
//! Unlike what makes a part of an artifact, such a program sees the user's own
//! environment and `PATH`: it works with their key ring. It is the leader of a
//! process group, which is killed as a whole where the time is over.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::output::Output;
use crate::parallel;

/// How a conversation ended.
#[derive(Debug)]
pub struct Answer {
    /// Whether the program reported success.
    pub success: bool,
    /// What it printed, cut at the limit.
    pub stdout: Vec<u8>,
    /// What it said on standard error, cut at the limit.
    pub stderr: Vec<u8>,
}

/// Runs `program`, found in the user's `PATH`, with `args` and `input`; gives
/// its answer, at most `max_bytes` of each stream.
///
/// # Errors
/// Where it can't be started or waited for; [`io::ErrorKind::TimedOut`] where it
/// takes longer than `time_limit`, and it was killed.
pub fn ask(
    program: &str,
    args: &[&str],
    input: &[u8],
    time_limit: Duration,
    max_bytes: u64,
) -> io::Result<Answer> {
    #[allow(clippy::disallowed_methods)] // see the module's text
    let mut child = std::process::Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::other("the process has no number"))?;
    let ended = converse(&mut child, pid, input.to_vec(), max_bytes);
    let ended = ended.and_then(|ended| {
        let outputs = ended.recv_timeout(time_limit);
        outputs.map_err(|_| io::ErrorKind::TimedOut.into())
    });
    let (stdout, stderr) = match ended {
        Ok(outputs) => outputs,
        Err(error) => {
            // Not waited for yet, so the number still means this process.
            let _ = kill_process_group(pid, Signal::KILL);
            child.wait()?;
            return Err(error);
        }
    };
    Ok(Answer {
        success: child.wait()?.success(),
        stdout,
        stderr,
    })
}

/// Writes and reads by threads of their own, since a program may do both in any
/// order and any part of it may hang. Tells when the program has ended, without
/// taking its exit status.
fn converse(
    child: &mut Child,
    pid: Pid,
    input: Vec<u8>,
    max_bytes: u64,
) -> io::Result<mpsc::Receiver<(Vec<u8>, Vec<u8>)>> {
    let (tell, ended) = mpsc::channel();
    let stdin = child.stdin.take();
    let stdout = child.stdout.take().map(|out| Output::of(child, out));
    let stderr = child.stderr.take().map(|err| Output::of(child, err));
    parallel::detached(move || {
        if let Some(mut stdin) = stdin {
            // A program that needs no input may not read it.
            let _ = stdin.write_all(&input);
        }
    })?;
    let said = parallel::detached(move || read(stderr, max_bytes))?;
    parallel::detached(move || {
        let stdout = read(stdout, max_bytes);
        let stderr = said.join().unwrap_or_default();
        let _ = waitid(
            WaitId::Pid(pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        );
        // Nobody listens any more where the time was over.
        let _ = tell.send((stdout, stderr));
    })?;
    Ok(ended)
}

/// Reads to the end, keeps `max_bytes`.
fn read(stream: Option<impl Read>, max_bytes: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        let _ = stream.by_ref().take(max_bytes).read_to_end(&mut bytes);
        let _ = io::copy(&mut stream, &mut io::sink());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    fn shell(script: &str, input: &str, limit: Duration) -> io::Result<Answer> {
        ask("sh", &["-c", script], input.as_bytes(), limit, 100)
    }

    #[test]
    fn a_program_gets_its_input_and_gives_both_streams_and_its_status() {
        let answer = shell("tr a-z A-Z; echo oops >&2; exit 3", "text", LONG).unwrap();
        assert!(!answer.success);
        assert_eq!(answer.stdout, b"TEXT");
        assert_eq!(answer.stderr, b"oops\n");
        let answer = shell("yes | head -c 100000", "ignored", LONG).unwrap();
        assert!(answer.success);
        assert_eq!(answer.stdout.len(), 100);
        let began = std::time::Instant::now();
        assert!(shell("sleep 60 & exit 0", "", LONG).unwrap().success);
        assert!(began.elapsed().as_secs() < 50);
        // A child that goes on printing is not waited for either.
        let endless = "while :; do echo x; done & echo answer";
        assert!(shell(endless, "", LONG).unwrap().success);
        assert!(began.elapsed().as_secs() < 50);
        let missing = ask("no-such-helper", &[], b"", LONG, 1).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_program_that_hangs_is_killed_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let held = folder.path().join("held");
        // The grandchild keeps the file locked for as long as it lives.
        let script = format!("flock {} sleep 1000 & wait", held.display());
        let error = shell(&script, "", Duration::from_millis(300)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let file = fs_err::File::create(&held).unwrap();
        // Waits for ever if it is alive.
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
    }
}
