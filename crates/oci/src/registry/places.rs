//! The places that have an image, asked one after the other: mirrors in their
//! order, then the registry itself where the settings allow for it.
//!
//! Invariants:
//! - Each place is tried as often as the policy says before the next is asked,
//!   and what was asked where is part of the error.
//! - Only a server's absence or refusal leads to the next place. Wrong bytes are
//!   an error at once, which names the place.
//! - A place out of reach is not asked again as long as there is another, so a
//!   dead mirror costs its time limits once, not once for each blob.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Registry;
use super::config::RetryPolicy;
use super::error::Error;
use super::retry::{self, Retry};
use isoforge_base::progress::Progress;

/// The place that an error is about, and what the places before it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    /// `host[:port][/prefix]`.
    pub place: String,
    /// One message for each place asked before.
    pub before: Vec<String>,
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for said in &self.before {
            write!(f, "; asked before: {said}")?;
        }
        Ok(())
    }
}

/// Errors that can say where they happened.
pub trait AtPlace: Retry {
    /// The same error, with its place.
    #[must_use]
    fn at(self, trail: Trail) -> Self;
}

impl AtPlace for Error {
    fn at(self, trail: Trail) -> Self {
        if trail.before.is_empty() {
            // Its URL names the place.
            return self;
        }
        Self::Elsewhere {
            last: Box::new(self),
            trail,
        }
    }
}

/// One place.
#[derive(Debug)]
pub(super) struct Place {
    number: usize,
    /// `host[:port]`, by which a place out of reach is known.
    host: String,
    /// Whether it stands in for the image's own registry.
    mirror: bool,
    registry: Box<dyn Registry>,
}

impl Place {
    /// A place at `host`, which may stand in for the image's own registry.
    pub(super) fn new(host: &str, mirror: bool, registry: Box<dyn Registry>) -> Self {
        Self {
            number: 0,
            host: host.to_owned(),
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

/// All places that have one image.
#[derive(Debug)]
pub struct Places {
    first: Place,
    others: Vec<Place>,
    unreachable: Arc<Unreachable>,
    /// Number of the place that had what was asked last: it is asked first.
    preferred: AtomicUsize,
}

impl Places {
    /// Places are numbered as they come.
    pub(super) fn new(
        first: Place,
        others: impl IntoIterator<Item = Place>,
        unreachable: Arc<Unreachable>,
    ) -> Self {
        let others = (1..).zip(others);
        Self {
            first,
            others: others
                .map(|(number, place)| Place { number, ..place })
                .collect(),
            unreachable,
            preferred: AtomicUsize::new(0),
        }
    }

    /// Runs `attempt` at one place after the other until it succeeds or fails in
    /// a way that no other place can mend; at each as often as `policy` says.
    ///
    /// # Errors
    /// What the last attempt gave, with the places asked before.
    pub fn run<T, E: AtPlace>(
        &self,
        policy: &RetryPolicy,
        progress: &Progress,
        mut attempt: impl FnMut(&dyn Registry) -> Result<T, E>,
    ) -> Result<T, E> {
        self.each(progress, |registry| {
            retry::run(policy, progress, || attempt(registry))
        })
    }

    /// The same with an `attempt` that tries again by itself.
    ///
    /// # Errors
    /// What the last place gave, with the places asked before.
    pub fn each<T, E: AtPlace>(
        &self,
        progress: &Progress,
        mut attempt: impl FnMut(&dyn Registry) -> Result<T, E>,
    ) -> Result<T, E> {
        let (mut order, mut before) = self.order();
        let last = order.pop().unwrap_or(&self.first);
        for place in order {
            let error = match self.at(place, &mut attempt) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            match error.registry_error() {
                Some(cause) if cause.is_elsewhere_better() => {
                    progress.note(format!("{cause}; asking the next place"));
                    before.push(cause.to_string());
                }
                _ => return Err(with_place(error, place, before)),
            }
        }
        self.at(last, &mut attempt)
            .map_err(|error| with_place(error, last, before))
    }

    fn at<T, E: AtPlace>(
        &self,
        place: &Place,
        attempt: &mut impl FnMut(&dyn Registry) -> Result<T, E>,
    ) -> Result<T, E> {
        let result = attempt(&*place.registry);
        match &result {
            Ok(_) => self.preferred.store(place.number, Ordering::Relaxed),
            Err(error) => {
                let cause = error.registry_error();
                if let Some(cause) = cause.filter(|cause| cause.is_transient()) {
                    self.unreachable.insert(&place.host, cause.to_string());
                }
            }
        }
        result
    }

    /// The places to ask, in order, and what is known of those left out.
    fn order(&self) -> (Vec<&Place>, Vec<String>) {
        let preferred = self.preferred.load(Ordering::Relaxed);
        let mut all: Vec<&Place> = std::iter::once(&self.first).chain(&self.others).collect();
        // Stable, so that the others keep their order.
        all.sort_by_key(|place| place.number != preferred);
        let known: Vec<Option<String>> = all
            .iter()
            .map(|place| self.unreachable.get(&place.host))
            .collect();
        if known.iter().all(Option::is_some) {
            return (all, Vec::new());
        }
        let reachable = all
            .into_iter()
            .zip(&known)
            .filter(|(_, said)| said.is_none())
            .map(|(place, _)| place)
            .collect();
        (reachable, known.into_iter().flatten().collect())
    }
}

/// The error, with its place where it is not the one that the image names.
fn with_place<E: AtPlace>(error: E, place: &Place, before: Vec<String>) -> E {
    if !place.mirror && before.is_empty() {
        return error;
    }
    error.at(Trail {
        place: place.host.clone(),
        before,
    })
}
