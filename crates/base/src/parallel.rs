//! One job for each of many items, several at once.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Runs `job` on all items in up to `threads` threads. After a failure no new
/// item is begun, and the flag that jobs are given is set; of several failures
/// the one of the earliest item is given, those last that `gave_up` holds for.
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
    let mut failures: Vec<(usize, E)> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads.get().min(items.len()))
            .map(|_| scope.spawn(worker))
            .collect();
        handles
            .into_iter()
            .filter_map(|handle| match handle.join() {
                Ok(failure) => failure,
                Err(panic) => std::panic::resume_unwind(panic),
            })
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
