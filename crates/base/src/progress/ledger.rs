//! The books of one run: time by stage, and what came from where.
//!
//! Invariant: the times of all stages together are the time since the first one
//! began; no second is counted twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde::Serialize;

/// Where something that a build needs came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counted {
    /// A blob that the store had.
    Stored,
    /// A blob from a registry or web server.
    Downloaded,
    /// A blob from a local file or folder.
    Imported,
    /// A slab that the store had.
    SlabStored,
    /// A slab that was made.
    SlabMade,
}

impl Counted {
    /// Slabs are counted apart from the blobs that they are made of.
    fn is_slab(self) -> bool {
        matches!(self, Self::SlabStored | Self::SlabMade)
    }
}

/// Things and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// How long a stage took, without the parts of it that are counted apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageTime {
    /// The stage's or part's name; a stage that began twice is here once.
    pub name: String,
    /// All of its time.
    pub time: Duration,
}

/// What a run took and used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Since the run began.
    pub total: Duration,
    /// In the order of their beginnings.
    pub stages: Vec<StageTime>,
    tallies: BTreeMap<Counted, Tally>,
}

impl Figures {
    /// What came as `how` says.
    #[must_use]
    pub fn tally(&self, how: Counted) -> Tally {
        self.tallies.get(&how).copied().unwrap_or_default()
    }
}

#[derive(Debug)]
pub(super) struct Ledger {
    began: Instant,
    /// From when on the time is not yet given to anyone.
    since: Instant,
    /// The stage and the parts of it that are open, by their place in `stages`.
    open: Vec<usize>,
    figures: Figures,
    seen: BTreeSet<(bool, String)>,
    warned: BTreeSet<String>,
}

impl Ledger {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            since: now,
            open: Vec::new(),
            figures: Figures::default(),
            seen: BTreeSet::new(),
            warned: BTreeSet::new(),
        }
    }

    /// Whether nobody was warned of this before; now somebody was.
    pub(super) fn is_new_warning(&mut self, message: &str) -> bool {
        self.warned.insert(message.to_owned())
    }

    pub(super) fn stage(&mut self, name: &str, now: Instant) {
        self.charge(now);
        self.open.clear();
        self.open(name);
    }

    pub(super) fn enter(&mut self, name: &str, now: Instant) {
        self.charge(now);
        self.open(name);
    }

    pub(super) fn leave(&mut self, now: Instant) {
        self.charge(now);
        self.open.pop();
    }

    pub(super) fn count(&mut self, how: Counted, key: String, bytes: u64) {
        if self.seen.insert((how.is_slab(), key)) {
            let tally = self.figures.tallies.entry(how).or_default();
            tally.count += 1;
            tally.bytes = tally.bytes.saturating_add(bytes);
        }
    }

    pub(super) fn figures(&mut self, now: Instant) -> Figures {
        self.charge(now);
        Figures {
            total: now.saturating_duration_since(self.began),
            ..self.figures.clone()
        }
    }

    fn open(&mut self, name: &str) {
        let stages = &mut self.figures.stages;
        let at = stages
            .iter()
            .position(|stage| stage.name == name)
            .unwrap_or_else(|| {
                stages.push(StageTime {
                    name: name.to_owned(),
                    time: Duration::ZERO,
                });
                stages.len() - 1
            });
        self.open.push(at);
    }

    /// Gives the time up to `now` to what is open.
    fn charge(&mut self, now: Instant) {
        let time = now.saturating_duration_since(self.since);
        self.since = now;
        if let Some(stage) = self
            .open
            .last()
            .and_then(|at| self.figures.stages.get_mut(*at))
        {
            stage.time += time;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_belongs_to_one_stage_or_part() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut ledger = Ledger::new(start);
        ledger.stage("gather", at(1));
        ledger.stage("iso", at(4));
        ledger.enter("compress", at(5));
        ledger.leave(at(9));
        ledger.enter("compress", at(10));
        ledger.leave(at(12));
        ledger.stage("provider", at(13));
        let figures = ledger.figures(at(20));
        let times: Vec<_> = figures
            .stages
            .iter()
            .map(|stage| (stage.name.as_str(), stage.time.as_secs()))
            .collect();
        assert_eq!(
            times,
            [("gather", 3), ("iso", 3), ("compress", 6), ("provider", 7)]
        );
        assert_eq!(figures.total, Duration::from_secs(20));
    }

    #[test]
    fn a_thing_is_counted_once_as_what_it_was_first() {
        let mut ledger = Ledger::new(Instant::now());
        ledger.count(Counted::Downloaded, "a".to_owned(), 10);
        ledger.count(Counted::Stored, "a".to_owned(), 10);
        ledger.count(Counted::Stored, "b".to_owned(), 5);
        ledger.count(Counted::Stored, "c".to_owned(), 6);
        ledger.count(Counted::SlabMade, "a".to_owned(), 10);
        ledger.count(Counted::SlabStored, "a".to_owned(), 10);
        let figures = ledger.figures(Instant::now());
        let tally = |how| (figures.tally(how).count, figures.tally(how).bytes);
        assert_eq!(tally(Counted::Downloaded), (1, 10));
        assert_eq!(tally(Counted::Stored), (2, 11));
        assert_eq!(tally(Counted::Imported), (0, 0));
        assert_eq!(tally(Counted::SlabMade), (1, 10));
        assert_eq!(tally(Counted::SlabStored), (0, 0));
    }
}
