//! The work under way as the reporters remember it: bytes, rate, time left.
//! Time is handed in, so that what is shown can be tested.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use isoforge_base::progress::TaskId;
use isoforge_base::shown;

/// Over how long the rate is an average: shorter it would tremble, longer it
/// would hide that a line went dead.
const RATE_WINDOW: Duration = Duration::from_secs(4);

/// How far apart two looks at the rate are at least.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(250);

/// Time left beyond this is nobody's estimate.
const MAX_TIME_LEFT: Duration = Duration::from_secs(100 * 3600);

/// One task.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) label: String,
    pub(super) done_bytes: u64,
    pub(super) total_bytes: Option<u64>,
    pub(super) started: Instant,
    /// When something was said of it last, where a reporter does so by task.
    pub(super) said: Instant,
    rate: Option<f64>,
    sampled: Instant,
    sampled_bytes: u64,
}

impl Running {
    pub(super) fn new(label: &str, total_bytes: Option<u64>, now: Instant) -> Self {
        Self {
            label: shown::line(label).into_owned(),
            done_bytes: 0,
            total_bytes,
            started: now,
            said: now,
            rate: None,
            sampled: now,
            sampled_bytes: 0,
        }
    }

    /// Looks at how much was done since the last look.
    pub(super) fn sample(&mut self, now: Instant) {
        let time = now.saturating_duration_since(self.sampled);
        if time < SAMPLE_INTERVAL {
            return;
        }
        let bytes = self.done_bytes.saturating_sub(self.sampled_bytes);
        let latest = bytes as f64 / time.as_secs_f64();
        let weight = 1.0 - (-time.as_secs_f64() / RATE_WINDOW.as_secs_f64()).exp();
        self.rate = Some(
            self.rate
                .map_or(latest, |old| old + weight * (latest - old)),
        );
        self.sampled = now;
        self.sampled_bytes = self.done_bytes;
    }

    /// Bytes a second of late; of a task that is younger than a look, on average.
    pub(super) fn rate(&self, now: Instant) -> u64 {
        match self.rate {
            Some(rate) => rate as u64,
            None => self.mean_rate(now),
        }
    }

    /// Bytes a second over all of the task's time.
    pub(super) fn mean_rate(&self, now: Instant) -> u64 {
        let seconds = self.age(now).as_secs_f64().max(0.001);
        (self.done_bytes as f64 / seconds) as u64
    }

    /// Since the task began.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// At the rate of late; `None` where nobody can say.
    pub(super) fn time_left(&self, now: Instant) -> Option<Duration> {
        let left = self.total_bytes?.saturating_sub(self.done_bytes);
        let rate = self.rate(now);
        if rate == 0 {
            return (left == 0).then_some(Duration::ZERO);
        }
        Some(Duration::from_secs(left.div_ceil(rate))).filter(|left| *left < MAX_TIME_LEFT)
    }
}

/// All of them, in the order of their beginnings.
#[derive(Debug, Default)]
pub(super) struct Tasks(BTreeMap<TaskId, Running>);

impl Tasks {
    pub(super) fn start(&mut self, id: TaskId, task: Running) {
        self.0.insert(id, task);
    }

    pub(super) fn advance(&mut self, id: TaskId, bytes: u64) -> Option<&mut Running> {
        let task = self.0.get_mut(&id)?;
        task.done_bytes = task.done_bytes.saturating_add(bytes);
        Some(task)
    }

    pub(super) fn finish(&mut self, id: TaskId) -> Option<Running> {
        self.0.remove(&id)
    }

    pub(super) fn sample(&mut self, now: Instant) {
        self.0.values_mut().for_each(|task| task.sample(now));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Running> {
        self.0.values()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_follows_what_happens_and_the_time_left_follows_the_rate() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut task = Running::new("x", Some(3000), start);
        assert_eq!(task.time_left(start), None);
        for second in 1..=10 {
            task.done_bytes += 100;
            task.sample(at(second));
        }
        assert_eq!(task.rate(at(10)), 100);
        assert_eq!(task.time_left(at(10)), Some(Duration::from_secs(20)));
        for second in 11..=60 {
            task.sample(at(second));
        }
        assert_eq!(task.rate(at(60)), 0);
        assert_eq!(task.time_left(at(60)), None);
        assert_eq!(task.mean_rate(at(60)), 16);
        task.done_bytes = 3000;
        assert_eq!(task.time_left(at(60)), Some(Duration::ZERO));
    }
}
