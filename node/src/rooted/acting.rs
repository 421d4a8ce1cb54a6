//! Acting as another account, where what is worked on is that account's: whatever
//! it put in the way leads only where it could have gone itself.

use std::io;
use std::marker::PhantomData;

use rustix::fs::{Gid, Uid};
use rustix::process::{getegid, geteuid, getgroups};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// The rights of an account instead of root's, as long as this is there. What is
/// open keeps the rights that it was opened with.
#[derive(Debug)]
#[must_use]
pub(crate) struct Acting {
    before: Option<(Gid, Vec<Gid>)>,
    /// The kernel keeps rights for each thread.
    of_this_thread: PhantomData<*const ()>,
}

impl Acting {
    /// Gives this thread, and those that it starts, the rights of an account. Where
    /// it isn't root's, or the account is root, nothing changes.
    ///
    /// # Errors
    /// Where the kernel refuses; all is as before then.
    pub(crate) fn of(uid: Uid, gid: Gid) -> io::Result<Self> {
        let mut acting = Self {
            before: None,
            of_this_thread: PhantomData,
        };
        if uid.is_root() || !geteuid().is_root() {
            return Ok(acting);
        }
        acting.before = Some((getegid(), getgroups()?));
        // Real and saved ids stay root's: nobody may signal or trace this program,
        // and it can go back. Dropping it undoes what was done of this.
        set_thread_groups(&[])?;
        set_thread_res_gid(None::<Gid>, gid, None::<Gid>)?;
        set_thread_res_uid(None::<Uid>, uid, None::<Uid>)?;
        Ok(acting)
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        if let Some((gid, groups)) = self.before.take() {
            // Where this failed, what comes next has too few rights, never too many.
            let _ = set_thread_res_uid(None::<Uid>, Uid::ROOT, None::<Uid>)
                .and_then(|()| set_thread_res_gid(None::<Gid>, gid, None::<Gid>))
                .and_then(|()| set_thread_groups(&groups));
        }
    }
}
