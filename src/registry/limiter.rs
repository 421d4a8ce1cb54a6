//! How many requests a host has to answer at once, and when it is left alone.
//!
//! Invariants:
//! - No more than `max_connections` [`Permit`]s of a host exist at a time; a
//!   permit lives until the answer's body was read or dropped.
//! - A thread that holds a permit never waits for another: whoever makes a second
//!   request gives up the first one's answer before.
//! - A host that asked to be left alone is asked nothing until then by any
//!   thread. The one that was told waits by itself, as part of trying again.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

type Wait = Arc<dyn Fn(Duration) + Send + Sync>;

/// Limits for all hosts.
pub(super) struct Limiter {
    wait: Wait,
    hosts: Mutex<BTreeMap<String, Arc<Host>>>,
}

#[derive(Debug, Default)]
struct Host {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    in_use: u32,
    pause: Option<Pause>,
}

#[derive(Debug)]
struct Pause {
    until: Instant,
    /// Threads that were told, and wait by themselves.
    told: Vec<ThreadId>,
}

/// The right to have one request answered; given back when it is dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct Permit(Arc<Host>);

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").finish_non_exhaustive()
    }
}

impl Limiter {
    /// Waits by means of `wait` where a host wants to be left alone.
    pub(super) fn new(wait: Wait) -> Self {
        Self {
            wait,
            hosts: Mutex::default(),
        }
    }

    /// Waits until fewer than `limit` requests are under way to `host`, and until
    /// it may be asked.
    pub(super) fn acquire(&self, host: &str, limit: NonZeroU32) -> Permit {
        let host = self.host(host);
        let mut waited = None;
        let mut state = host.lock();
        loop {
            match state.pause_for_others() {
                Some((until, left)) if waited != Some(until) => {
                    drop(state);
                    (self.wait)(left);
                    // How long that took is the waiter's business.
                    waited = Some(until);
                    state = host.lock();
                    continue;
                }
                _ => {}
            }
            if state.in_use < limit.get() {
                state.in_use += 1;
                drop(state);
                return Permit(host);
            }
            state = host
                .freed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// `host` told this thread to leave it alone for so long.
    pub(super) fn pause(&self, host: &str, length: Duration) {
        let host = self.host(host);
        let mut state = host.lock();
        let Some(until) = Instant::now().checked_add(length) else {
            return;
        };
        let me = thread::current().id();
        match &mut state.pause {
            Some(pause) => {
                pause.until = pause.until.max(until);
                pause.told.push(me);
            }
            none => {
                *none = Some(Pause {
                    until,
                    told: vec![me],
                });
            }
        }
    }

    fn host(&self, name: &str) -> Arc<Host> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(hosts.entry(name.to_owned()).or_default())
    }
}

impl Host {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Changed in single steps, so it is sound after a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Until when, and how long from now, this thread has to wait.
    fn pause_for_others(&mut self) -> Option<(Instant, Duration)> {
        let pause = self.pause.as_ref()?;
        let left = pause.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.pause = None;
            return None;
        }
        let me = thread::current().id();
        (!pause.told.contains(&me)).then_some((pause.until, left))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.lock().in_use -= 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;

    use super::*;

    const TWO: NonZeroU32 = NonZeroU32::new(2).unwrap();

    fn limiter() -> (Arc<Limiter>, Arc<Mutex<Vec<Duration>>>) {
        let waits = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&waits);
        let limiter = Limiter::new(Arc::new(move |length| log.lock().unwrap().push(length)));
        (Arc::new(limiter), waits)
    }

    #[test]
    fn no_more_than_the_limit_are_under_way_and_all_get_their_turn() {
        let (limiter, _) = limiter();
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
        let (limiter, _) = limiter();
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

    #[test]
    fn a_host_that_wants_to_be_left_alone_is_left_alone_by_all_threads() {
        let (limiter, waits) = limiter();
        limiter.pause("a", Duration::from_secs(3600));
        limiter.pause("a", Duration::from_secs(1));
        drop(limiter.acquire("a", TWO));
        assert_eq!(
            waits.lock().unwrap().len(),
            0,
            "whoever was told waits by itself"
        );
        thread::scope(|scope| {
            scope.spawn(|| drop(limiter.acquire("b", TWO)));
        });
        assert_eq!(waits.lock().unwrap().len(), 0, "another host was not meant");
        thread::scope(|scope| {
            scope.spawn(|| drop(limiter.acquire("a", TWO)));
        });
        let waits = waits.lock().unwrap();
        assert_eq!(waits.len(), 1);
        assert!(waits[0] <= Duration::from_secs(3600) && waits[0] > Duration::from_secs(60));
    }
}
