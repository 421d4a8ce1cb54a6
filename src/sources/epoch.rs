//! The one time that everything in a build has.
//!
//! `SOURCE_DATE_EPOCH` where it is set, else the newest time that the inputs
//! themselves tell of. Never the clock, and never the time stamp of a local
//! file, which copying or cloning changes.

use isoforge_contract::manifest::{Epoch, EpochSource};

/// A time that an input tells of, in seconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputTime {
    /// What kind of input tells it.
    pub source: EpochSource,
    /// The time.
    pub seconds: i64,
}

impl InputTime {
    /// A time that an input of the kind `source` tells of, where it tells of one.
    pub fn of(source: EpochSource, seconds: Option<i64>) -> Option<Self> {
        Some(Self {
            source,
            seconds: seconds?,
        })
    }
}

/// Decides a build's time.
///
/// Times before 1970 are what builders write who want no time
/// (`0001-01-01T00:00:00Z`), so they don't count; times that the 32 bits of a
/// SquashFS can't hold are brought down to the last that they can.
#[must_use]
pub fn decide(
    source_date_epoch: Option<u32>,
    inputs: impl IntoIterator<Item = InputTime>,
) -> Epoch {
    if let Some(seconds) = source_date_epoch {
        return Epoch {
            seconds,
            source: EpochSource::SourceDateEpoch,
        };
    }
    inputs
        .into_iter()
        .filter(|input| input.seconds >= 0)
        .map(|input| Epoch {
            seconds: u32::try_from(input.seconds).unwrap_or(u32::MAX),
            source: input.source,
        })
        // Of equal times the first kind counts, whatever the order of inputs.
        .min_by_key(|epoch| (std::cmp::Reverse(epoch.seconds), epoch.source))
        .unwrap_or(Epoch {
            seconds: 0,
            source: EpochSource::None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(source: EpochSource, seconds: i64) -> InputTime {
        InputTime { source, seconds }
    }

    #[test]
    fn the_variable_decides_over_all_inputs() {
        let epoch = decide(Some(7), [time(EpochSource::Image, 100)]);
        assert_eq!(
            (epoch.seconds, epoch.source),
            (7, EpochSource::SourceDateEpoch)
        );
    }

    #[test]
    fn the_newest_input_decides_and_order_does_not_matter() {
        let mut inputs = vec![
            time(EpochSource::Bootstrap, 200),
            time(EpochSource::Archive, 300),
            time(EpochSource::Image, 300),
        ];
        let epoch = decide(None, inputs.clone());
        assert_eq!((epoch.seconds, epoch.source), (300, EpochSource::Image));
        inputs.reverse();
        assert_eq!(decide(None, inputs), epoch);
    }

    #[test]
    fn times_that_are_none_do_not_count() {
        let never = time(EpochSource::Image, -62_135_596_800);
        assert_eq!(decide(None, [never]).source, EpochSource::None);
        let late = time(EpochSource::Archive, i64::MAX);
        assert_eq!(decide(None, [late]).seconds, u32::MAX);
    }
}
