//! A time limit for a program.

use std::io;
use std::process::Child;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::parallel;

/// Looks after a program that was not waited for yet, so its number means it alone.
pub(super) struct Watch<'scope> {
    pid: Option<Pid>,
    ended: Sender<()>,
    thread: ScopedJoinHandle<'scope, bool>,
}

impl<'scope> Watch<'scope> {
    /// Kills `child` where it takes longer than `limit`.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub(super) fn over(
        scope: &'scope Scope<'scope, '_>,
        child: &Child,
        limit: Duration,
    ) -> io::Result<Self> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let (ended, end) = mpsc::channel();
        let thread = parallel::scoped(scope, move || {
            let is_late = end.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
            if let (true, Some(pid)) = (is_late, pid) {
                // It may have ended this moment.
                let _ = kill_process(pid, Signal::KILL);
            }
            is_late
        })?;
        Ok(Self { pid, ended, thread })
    }

    /// Waits until the program has ended, without taking its exit status; whether it
    /// had to be killed.
    pub(super) fn had_to_kill(self) -> bool {
        if let Some(pid) = self.pid {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while waitid(WaitId::Pid(pid), options).is_err_and(|errno| errno == Errno::INTR) {}
        }
        drop(self.ended);
        parallel::joined(self.thread)
    }
}
