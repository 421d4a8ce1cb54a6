//! Ctrl-C: what must not stay behind is removed, then the process ends.
//!
//! A build can't be stopped in the middle of a read from a registry that went
//! silent, so nothing waits for it. Instead each owner of temporary files says
//! with [`on_interrupt`] how to remove them, and the thread that receives the
//! signal does so and ends the process.
//!
//! Invariant: an owner makes its files, and gives outputs their final names, only
//! while [`hold`] is held, and the process ends only while nobody else holds it.
//! So no file appears after the removal, and several renames happen all or not
//! at all.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::parallel::no_more;

type Action = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Actions {
    next: u64,
    list: BTreeMap<u64, Action>,
}

static ACTIONS: Mutex<Actions> = Mutex::new(Actions {
    next: 0,
    list: BTreeMap::new(),
});

/// Keeps the process from being ended; made by [`hold`].
pub struct Hold(MutexGuard<'static, Actions>);

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").finish_non_exhaustive()
    }
}

/// Keeps an interrupt waiting as long as the result lives. Not to be taken twice
/// by one thread.
#[must_use]
pub fn hold() -> Hold {
    Hold(ACTIONS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// An action for the case of an interrupt; dropped, it is forgotten.
#[derive(Debug)]
#[must_use]
pub struct Registration(u64);

/// Has `action` done where an interrupt ends the process.
pub fn on_interrupt(action: impl FnOnce() + Send + 'static) -> Registration {
    let mut actions = hold();
    let number = actions.0.next;
    actions.0.next += 1;
    actions.0.list.insert(number, Box::new(action));
    Registration(number)
}

impl Drop for Registration {
    fn drop(&mut self) {
        let forgotten = hold().0.list.remove(&self.0);
        // What the action owns may want to hold too.
        drop(forgotten);
    }
}

/// From now on SIGINT and SIGTERM have all actions done, the latest first, and
/// then `end` called, which must end the process.
///
/// # Errors
/// What the system says to a signal handler or a thread.
pub fn watch(end: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            if signals.forever().next().is_some() {
                let mut held = hold();
                run(&mut held);
                end();
            }
        })
        .map_err(no_more)?;
    Ok(())
}

fn run(held: &mut Hold) {
    while let Some((_, action)) = held.0.list.pop_last() {
        action();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn a_forgotten_action_is_not_done() {
        let done = Arc::new(AtomicU32::new(0));
        let add = |n: u32| {
            let done = Arc::clone(&done);
            on_interrupt(move || {
                done.fetch_add(n, Ordering::Relaxed);
            })
        };
        let kept = add(1);
        drop(add(2));
        let action = hold().0.list.remove(&kept.0);
        action.unwrap()();
        assert_eq!(done.load(Ordering::Relaxed), 1);
    }
}
