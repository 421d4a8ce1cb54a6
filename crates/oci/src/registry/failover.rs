//! The hosts that have an image, asked one after the other: mirrors in their
//! order, then the registry itself where the settings allow for it.
//!
//! Invariants:
//! - Each host is tried as often as the policy says before the next is asked,
//!   and what was asked where is part of the error.
//! - Only a server's absence or refusal leads to the next host. Wrong bytes are
//!   an error at once, which names the host.
//! - A host out of reach is not asked again as long as there is another, so a
//!   dead mirror costs its time limits once, not once for each blob.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Registry;
use super::config::RetryPolicy;
use super::retry;
use crate::error::Earlier;
use crate::{Error, Step};
use isoforge_base::progress::Progress;

/// A host that has the image; a folder or archive is one, too.
#[derive(Debug)]
pub(super) struct Host {
    number: usize,
    /// `host[:port]`, by which one out of reach is known.
    name: String,
    /// Whether it stands in for the image's own registry.
    mirror: bool,
    registry: Box<dyn Registry>,
}

impl Host {
    pub(super) fn new(name: &str, mirror: bool, registry: Box<dyn Registry>) -> Self {
        Self {
            number: 0,
            name: name.to_owned(),
            mirror,
            registry,
        }
    }

    /// A folder or archive.
    pub(super) fn local(registry: impl Registry + 'static) -> Self {
        Self::new("", false, Box::new(registry))
    }
}

/// Hosts out of reach, with what was said last. Shared by all images of a client.
#[derive(Debug, Default)]
pub(super) struct Unreachable(Mutex<BTreeMap<String, String>>);

impl Unreachable {
    fn get(&self, host: &str) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(host).cloned()
    }

    fn insert(&self, host: &str, said: String) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(host.to_owned(), said);
    }
}

/// All hosts that have one image.
#[derive(Debug)]
pub struct Failover {
    first: Host,
    others: Vec<Host>,
    unreachable: Arc<Unreachable>,
    /// Number of the host that had what was asked last: it is asked first.
    preferred: AtomicUsize,
}

impl Failover {
    /// Hosts are numbered as they come.
    pub(super) fn new(
        first: Host,
        others: impl IntoIterator<Item = Host>,
        unreachable: Arc<Unreachable>,
    ) -> Self {
        let others = (1..).zip(others);
        Self {
            first,
            others: others
                .map(|(number, host)| Host { number, ..host })
                .collect(),
            unreachable,
            preferred: AtomicUsize::new(0),
        }
    }

    /// Runs `attempt` at one host after the other until it succeeds or fails in
    /// a way that no other host can mend; at each as often as `policy` says.
    ///
    /// # Errors
    /// What the last attempt gave, with the hosts asked before.
    pub(crate) fn run<T>(
        &self,
        policy: &RetryPolicy,
        progress: &Progress,
        mut attempt: impl FnMut(&dyn Registry) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.each(progress, |registry| {
            retry::run(policy, progress, || attempt(registry))
        })
    }

    /// The same with an `attempt` that tries again by itself.
    ///
    /// # Errors
    /// What the last host gave, with the hosts asked before.
    pub fn each<T>(
        &self,
        progress: &Progress,
        mut attempt: impl FnMut(&dyn Registry) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (mut order, mut earlier) = self.order();
        let last = order.pop().unwrap_or(&self.first);
        for host in order {
            let error = match self.ask(host, &mut attempt) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let cause = error.cause();
            if !cause.is_elsewhere_better() {
                return Err(with_host(error, host, earlier));
            }
            progress.note(format!("{cause}; asking the next place"));
            earlier.push(cause.to_string());
        }
        self.ask(last, &mut attempt)
            .map_err(|error| with_host(error, last, earlier))
    }

    fn ask<T>(
        &self,
        host: &Host,
        attempt: &mut impl FnMut(&dyn Registry) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let result = attempt(&*host.registry);
        match result.as_ref().map_err(Error::cause) {
            Ok(_) => self.preferred.store(host.number, Ordering::Relaxed),
            Err(cause) if cause.is_transient() => {
                self.unreachable.insert(&host.name, cause.to_string());
            }
            Err(_) => {}
        }
        result
    }

    /// The hosts to ask, in order, and what is known of those left out.
    fn order(&self) -> (Vec<&Host>, Vec<String>) {
        let preferred = self.preferred.load(Ordering::Relaxed);
        let mut all: Vec<&Host> = std::iter::once(&self.first).chain(&self.others).collect();
        // Stable, so that the others keep their order.
        all.sort_by_key(|host| host.number != preferred);
        let known: Vec<Option<String>> = all
            .iter()
            .map(|host| self.unreachable.get(&host.name))
            .collect();
        if known.iter().all(Option::is_some) {
            return (all, Vec::new());
        }
        let reachable = all
            .into_iter()
            .zip(&known)
            .filter(|(_, said)| said.is_none())
            .map(|(host, _)| host)
            .collect();
        (reachable, known.into_iter().flatten().collect())
    }
}

/// The error, with its host where that is not the one that the image names.
fn with_host(error: Error, host: &Host, earlier: Vec<String>) -> Error {
    match error {
        Error::Image {
            image,
            step: Step::Pull,
            source,
        } => with_host(*source, host, earlier).of_image(&image, Step::Pull),
        // Wrong bytes: whoever sent them is named.
        Error::Image {
            image,
            step: Step::Store,
            source,
        } if host.mirror || !earlier.is_empty() => Error::Image {
            image: format!("{image} (from {}{})", host.name, Earlier(&earlier)),
            step: Step::Store,
            source,
        },
        Error::Image { .. } | Error::Cancelled { .. } => error,
        // Its URL names the host.
        _ if earlier.is_empty() => error,
        _ => Error::AllFailed {
            last: Box::new(error),
            earlier,
        },
    }
}
