//! How many requests a host has to answer at once.
//!
//! Invariants:
//! - No more than `max_connections` [`Permit`]s of a host exist at a time; a
//!   permit lives until the answer's body was read or dropped.
//! - A thread that holds a permit never waits for another: whoever makes a second
//!   request gives up the first one's answer before.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Limits for all hosts.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    hosts: Mutex<BTreeMap<String, Arc<Host>>>,
}

#[derive(Debug, Default)]
struct Host {
    in_use: Mutex<u32>,
    freed: Condvar,
}

/// The right to have one request answered; given back when it is dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct Permit(Arc<Host>);

impl Limiter {
    /// Waits until fewer than `limit` requests are under way to `host`.
    pub(super) fn acquire(&self, host: &str, limit: NonZeroU32) -> Permit {
        let host = self.host(host);
        let mut in_use = host
            .freed
            .wait_while(host.lock(), |in_use| *in_use >= limit.get())
            .unwrap_or_else(PoisonError::into_inner);
        *in_use += 1;
        drop(in_use);
        Permit(host)
    }

    fn host(&self, name: &str) -> Arc<Host> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(hosts.entry(name.to_owned()).or_default())
    }
}

impl Host {
    fn lock(&self) -> MutexGuard<'_, u32> {
        // Changed in single steps, so it is sound after a panic.
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *self.0.lock() -= 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    const TWO: NonZeroU32 = NonZeroU32::new(2).unwrap();

    #[test]
    fn no_more_than_the_limit_are_under_way_and_all_get_their_turn() {
        let limiter = Limiter::default();
        let (now, most) = (AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let permit = limiter.acquire("a", TWO);
                        let running = now.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(running, Ordering::SeqCst);
                        thread::yield_now();
                        now.fetch_sub(1, Ordering::SeqCst);
                        drop(permit);
                    }
                });
            }
        });
        assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
        // Another host has permits of its own.
        let _two = [limiter.acquire("a", TWO), limiter.acquire("a", TWO)];
        let _other = limiter.acquire("b", TWO);
    }

    #[test]
    fn a_waiting_thread_goes_on_when_a_permit_comes_back() {
        let limiter = Limiter::default();
        let held = limiter.acquire("a", NonZeroU32::MIN);
        let (said, heard) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                said.send("asks").unwrap();
                drop(limiter.acquire("a", NonZeroU32::MIN));
                said.send("got it").unwrap();
            });
            assert_eq!(heard.recv().unwrap(), "asks");
            assert!(heard.try_recv().is_err(), "while the permit is held");
            drop(held);
            assert_eq!(heard.recv().unwrap(), "got it");
        });
    }
}
