//! Trying again: the one place that decides when.

use super::config::RetryPolicy;
use crate::Error;
use isoforge_base::progress::Progress;

/// Runs `attempt` until it succeeds, fails for good, or `policy` has had enough.
///
/// # Errors
/// What the last attempt gave.
pub fn run<T>(
    policy: &RetryPolicy,
    progress: &Progress,
    mut attempt: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    run_on(policy, progress, |_| attempt())
}

/// Like [`run`] for work that keeps what an attempt brought. An attempt that
/// sets its argument brought enough to count as the first again: so a long
/// transfer over a line that breaks now and then ends, and one that no longer
/// gets on is given up.
///
/// # Errors
/// What the last attempt gave.
pub(crate) fn run_on<T>(
    policy: &RetryPolicy,
    progress: &Progress,
    mut attempt: impl FnMut(&mut bool) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut tried = 0;
    loop {
        let mut got_on = false;
        let error = match attempt(&mut got_on) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        tried = if got_on { 1 } else { tried + 1 };
        let cause = error.cause();
        if !cause.is_transient() || tried >= policy.attempts {
            return Err(error);
        }
        // A wish of the server is kept by the gate, before the next request to
        // that host, whoever makes it.
        let wish = match cause {
            Error::Status { retry_after, .. } => *retry_after,
            _ => None,
        };
        let delay = wish.map_or_else(|| policy.delay(tried), |wish| wish.min(policy.max_delay));
        progress.note(format!(
            "{cause}; attempt {} of {} in {:.1} s",
            tried + 1,
            policy.attempts,
            delay.as_secs_f64()
        ));
        if wish.is_none() {
            (policy.wait)(delay);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::url::ShownUrl;
    use super::*;

    fn broken() -> Error {
        Error::Truncated {
            url: ShownUrl::of("http://a.example/"),
            expected: 2,
            got: 1,
        }
    }

    #[test]
    fn attempts_that_get_on_are_not_counted() {
        let policy = RetryPolicy {
            wait: Arc::new(|_| {}),
            ..RetryPolicy::default()
        };
        let attempts = std::cell::Cell::new(0);
        let tried = |gets_on: fn(u32) -> bool| {
            attempts.set(0);
            let result: Result<(), Error> = run_on(&policy, &Progress::silent(), |got_on| {
                attempts.set(attempts.get() + 1);
                *got_on = gets_on(attempts.get());
                if attempts.get() == 50 {
                    return Ok(());
                }
                Err(broken())
            });
            (result.is_ok(), attempts.get())
        };
        assert_eq!(tried(|_| false), (false, policy.attempts));
        assert_eq!(tried(|_| true), (true, 50));
        assert_eq!(tried(|n| n % 3 == 0), (true, 50));
        assert_eq!(tried(|n| n <= 10), (false, 10 + policy.attempts - 1));
    }
}
