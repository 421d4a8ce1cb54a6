//! What a program prints, up to its end.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Child;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

const AT_ONCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Reads until the pipe ends or the program has: what it leaves running, such as a
/// daemon, may keep the pipe open for ever.
#[derive(Debug)]
pub(super) struct Output<R> {
    pipe: R,
    /// None where the kernel can't tell; then the pipe alone says when it ends.
    program: Option<OwnedFd>,
}

impl<R> Output<R> {
    /// `pipe` is one that `child`, which was not waited for yet, prints into.
    pub(super) fn of(child: &Child, pipe: R) -> Self {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Self {
            pipe,
            program: pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()),
        }
    }
}

impl<R: Read + AsFd> Read for Output<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(program) = &self.program {
            let both = [&self.pipe.as_fd(), &program.as_fd()];
            // What it printed last came before it ended, so it is looked for once more.
            if !is_ready(&both, None)? && !is_ready(&both[..1], Some(&AT_ONCE))? {
                return Ok(0);
            }
        }
        self.pipe.read(buffer)
    }
}

/// Waits for one of `files`; whether the first is ready.
fn is_ready(files: &[&impl AsFd], time: Option<&Timespec>) -> io::Result<bool> {
    let mut fds: Vec<PollFd<'_>> = files
        .iter()
        .map(|file| PollFd::new(*file, PollFlags::IN))
        .collect();
    loop {
        match poll(&mut fds, time) {
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(_) => return Ok(fds.first().is_some_and(|pipe| !pipe.revents().is_empty())),
        }
    }
}
