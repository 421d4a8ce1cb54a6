//! Hosts that asked to be left alone for a while (`Retry-After`).
//!
//! Whoever wants to ask such a host waits until the time is over, not only the
//! thread that was told so: a registry that limits requests counts those of the
//! whole process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::config::RetryPolicy;
use super::url::Origin;

/// When which host may be asked again; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    policy: RetryPolicy,
    closed: Arc<Mutex<BTreeMap<String, Instant>>>,
}

impl Gate {
    pub(super) fn new(policy: &RetryPolicy) -> Self {
        Self {
            policy: policy.clone(),
            closed: Arc::default(),
        }
    }

    /// Nobody asks the URL's host for `delay`, or the longest delay of the
    /// policy where that is shorter.
    pub(super) fn close(&self, url: &str, delay: Duration) {
        let until = (self.policy.now)().checked_add(delay.min(self.policy.max_delay));
        let (Some(host), Some(until)) = (host(url), until) else {
            return;
        };
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        closed
            .entry(host)
            .and_modify(|known| *known = until.max(*known))
            .or_insert(until);
    }

    /// Returns when the URL's host may be asked.
    pub(super) fn pass(&self, url: &str) {
        let Some(host) = host(url) else { return };
        let mut waited_for = None;
        loop {
            let until = {
                let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(&until) = closed.get(&host) else {
                    return;
                };
                let now = (self.policy.now)();
                // A clock that stands still must not keep anybody here.
                if until <= now || waited_for == Some(until) {
                    closed.remove(&host);
                    return;
                }
                until
            };
            (self.policy.wait)(until.saturating_duration_since((self.policy.now)()));
            waited_for = Some(until);
        }
    }
}

fn host(url: &str) -> Option<String> {
    Origin::of(url).map(|origin| format!("{}:{}", origin.host, origin.port))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A gate whose waits move its clock and are written down.
    fn gate() -> (Gate, Arc<Mutex<Vec<u64>>>) {
        let (start, moved) = (Instant::now(), Arc::new(Mutex::new(Duration::ZERO)));
        let waits = Arc::new(Mutex::new(Vec::new()));
        let (log, clock) = (Arc::clone(&waits), Arc::clone(&moved));
        let policy = RetryPolicy {
            max_delay: Duration::from_secs(60),
            wait: Arc::new(move |delay| {
                log.lock().unwrap().push(delay.as_secs());
                *clock.lock().unwrap() += delay;
            }),
            now: Arc::new(move || start + *moved.lock().unwrap()),
            ..RetryPolicy::default()
        };
        (Gate::new(&policy), waits)
    }

    #[test]
    fn a_host_is_left_alone_by_all_and_others_are_not_affected() {
        let (gate, waits) = gate();
        let other_thread = gate.clone();
        gate.close("http://a.example/v2/x", Duration::from_secs(7));
        gate.close("http://a.example/v2/x", Duration::from_secs(3));
        gate.close("http://b.example/v2/x", Duration::from_secs(9000));
        other_thread.pass("http://c.example/");
        assert!(waits.lock().unwrap().is_empty());
        other_thread.pass("http://a.example/v2/other");
        gate.pass("http://a.example/v2/x");
        assert_eq!(*waits.lock().unwrap(), [7], "the longer wish, once");
        gate.pass("http://b.example/");
        assert_eq!(*waits.lock().unwrap(), [7, 53], "up to the longest delay");
    }

    #[test]
    fn a_clock_that_stands_still_does_not_hold_anybody() {
        let now = Instant::now();
        let policy = RetryPolicy {
            wait: Arc::new(|_| {}),
            now: Arc::new(move || now),
            ..RetryPolicy::default()
        };
        let gate = Gate::new(&policy);
        gate.close("http://a.example/", Duration::from_secs(7));
        gate.pass("http://a.example/");
    }
}
