//! Trying again: the one place that decides when.

use super::config::RetryPolicy;
use super::error::Error;
use crate::progress::Progress;

/// Errors that know whether trying again may help.
pub trait Retry: std::error::Error {
    /// The registry's error behind this one, if there is one.
    fn registry_error(&self) -> Option<&Error>;
}

impl Retry for Error {
    fn registry_error(&self) -> Option<&Error> {
        Some(self)
    }
}

/// Runs `attempt` until it succeeds, fails for good, or `policy` has had enough.
///
/// # Errors
/// What the last attempt gave.
pub fn run<T, E: Retry>(
    policy: &RetryPolicy,
    progress: &Progress,
    mut attempt: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    let mut tried = 1;
    loop {
        let error = match attempt() {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let Some(cause) = error.registry_error().filter(|cause| cause.is_transient()) else {
            return Err(error);
        };
        if tried >= policy.attempts {
            return Err(error);
        }
        let delay = policy.delay(tried, cause.retry_after());
        progress.note(format!(
            "{cause}; attempt {} of {} in {:.1} s",
            tried + 1,
            policy.attempts,
            delay.as_secs_f64()
        ));
        (policy.wait)(delay);
        tried += 1;
    }
}
