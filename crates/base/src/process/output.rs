//! What a program prints, up to its end.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Child;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, ioctl_fionread};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Reads until the pipe ends or the program has: what it leaves running, such as a
/// daemon, may keep the pipe open for ever, and print into it.
#[derive(Debug)]
pub(super) struct Output<R> {
    pipe: R,
    /// None where the kernel can't tell; then the pipe alone says when it ends.
    program: Option<OwnedFd>,
    /// Bytes that were in the pipe when the program was found to have ended.
    left: Option<u64>,
}

impl<R> Output<R> {
    /// `pipe` is one that `child`, which was not waited for yet, prints into.
    pub(super) fn of(child: &Child, pipe: R) -> Self {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Self {
            pipe,
            program: pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()),
            left: None,
        }
    }
}

impl<R: Read + AsFd> Read for Output<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let (Some(program), None) = (&self.program, self.left)
            && is_ended(&self.pipe, program)?
        {
            self.left = Some(ioctl_fionread(&self.pipe)?);
        }
        let Some(left) = &mut self.left else {
            return self.pipe.read(buffer);
        };
        // What it printed came before it ended; all else is others'.
        let wanted = usize::try_from(*left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if wanted == 0 {
            return Ok(0);
        }
        let n = self
            .pipe
            .read(buffer.get_mut(..wanted).unwrap_or_default())?;
        *left = left.saturating_sub(n as u64);
        Ok(n)
    }
}

/// Waits until something is in the pipe or the program has ended; whether it has.
fn is_ended(pipe: &impl AsFd, program: &OwnedFd) -> io::Result<bool> {
    let mut fds = [
        PollFd::new(program, PollFlags::IN),
        PollFd::new(pipe, PollFlags::IN),
    ];
    loop {
        match poll(&mut fds, None) {
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(_) => return Ok(fds.first().is_some_and(|fd| !fd.revents().is_empty())),
        }
    }
}
