//! Threads, and one job for each of many items, several at once.
//!
//! `std::thread`'s own functions panic where the system gives no more threads; these give
//! an error.

use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle, Scope, ScopedJoinHandle};

use crate::error::{Class, Failure};

/// Starts a thread of a scope.
///
/// # Errors
/// Where the system gives no more; the error carries its class and a hint.
pub fn scoped<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    let started = thread::Builder::new().spawn_scoped(scope, work);
    started.map_err(no_more)
}

/// Starts a thread that may outlive who starts it.
///
/// # Errors
/// As [`scoped`].
pub fn detached<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    thread::Builder::new().spawn(work).map_err(no_more)
}

/// Waits for a thread's value; its panic goes on here.
pub fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

pub(crate) fn no_more(source: io::Error) -> io::Error {
    Failure::caused(
        Class::Environment,
        "the system gives no more threads",
        source,
    )
    .with_hint(
        "allow more processes (`ulimit -u`, or the limit of the container), or use fewer \
             threads with --jobs",
    )
    .into()
}

/// Runs `job` on all items in up to `threads` threads. After a failure no new
/// item is begun, and the flag that jobs are given is set; of several failures
/// the one of the earliest item is given, those last that `gave_up` holds for.
/// Where the system gives fewer threads, fewer do the work: this one at least.
///
/// # Errors
/// That failure.
pub fn for_each<T: Sync, E: Send>(
    items: &[T],
    threads: NonZeroUsize,
    gave_up: impl Fn(&E) -> bool,
    job: impl Fn(&T, &AtomicBool) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let (next, cancelled) = (AtomicUsize::new(0), AtomicBool::new(false));
    let worker = || {
        let mut failure = None;
        while !cancelled.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { break };
            if let Err(error) = job(item, &cancelled) {
                cancelled.store(true, Ordering::Relaxed);
                failure = Some((at, error));
            }
        }
        failure
    };
    let mut failures: Vec<(usize, E)> = thread::scope(|scope| {
        let mut handles = Vec::new();
        for _ in 0..threads.get().min(items.len()) {
            match scoped(scope, worker) {
                Ok(handle) => handles.push(handle),
                Err(_) => break,
            }
        }
        let own = match handles.is_empty() {
            true => worker(),
            false => None,
        };
        own.into_iter()
            .chain(handles.into_iter().filter_map(joined))
            .collect()
    });
    failures.sort_by_key(|(at, error)| (gave_up(error), *at));
    match failures.into_iter().next() {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Diagnose as _;
    use std::sync::Barrier;

    const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

    #[test]
    fn the_failure_that_made_the_others_give_up_is_given() {
        let both = Barrier::new(2);
        let failed = for_each(
            &["waits", "fails", "never"],
            TWO,
            |error| *error == "gave up",
            |item, cancelled| {
                both.wait();
                if *item == "fails" {
                    return Err("failed");
                }
                while !cancelled.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                }
                Err("gave up")
            },
        );
        assert_eq!(failed, Err("failed"));
    }

    #[test]
    fn a_system_without_more_threads_is_the_environments_failure() {
        let error = no_more(io::ErrorKind::WouldBlock.into());
        assert_eq!(error.class(), Class::Environment);
        assert!(error.hint().unwrap().contains("ulimit -u"));
        // So through what others make of it.
        let failure = Failure::from(error).context("packing");
        assert_eq!(failure.class(), Class::Environment);
        assert!(format!("{failure:#}").contains("no more threads"));
    }

    #[test]
    fn every_item_has_its_turn_and_nothing_is_done_for_none() {
        let done = AtomicUsize::new(0);
        let job = |n: &usize, _: &AtomicBool| {
            done.fetch_add(*n, Ordering::Relaxed);
            Ok::<(), ()>(())
        };
        for_each(&[1, 2, 4, 8], TWO, |()| false, job).unwrap();
        for_each(&[], TWO, |()| false, job).unwrap();
        assert_eq!(done.into_inner(), 15);
    }
}
