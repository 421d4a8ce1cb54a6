//! Numbers as people read them: powers of 1,024 with one digit behind the point,
//! rounded down, so that nothing looks more than it is.

use std::fmt;
use std::time::Duration;

const UNITS: [&str; 6] = ["", "K", "M", "G", "T", "P"];

/// The whole part, the tenths and the unit's letter.
fn scaled(bytes: u64) -> (u128, u128, &'static str) {
    let (scale, letter) = (0..)
        .zip(UNITS)
        .map(|(power, letter)| (1_u64 << (10 * power), letter))
        .take_while(|(scale, _)| *scale == 1 || bytes >= *scale)
        .last()
        .unwrap_or((1, ""));
    let tenths = u128::from(bytes) * 10 / u128::from(scale);
    (tenths / 10, tenths % 10, letter)
}

/// `512 B`, `1.5 KiB`, `20.0 GiB`; at most ten characters.
#[must_use]
pub fn size(bytes: u64) -> String {
    match scaled(bytes) {
        (whole, _, "") => format!("{whole} B"),
        (whole, tenths, letter) => format!("{whole}.{tenths} {letter}iB"),
    }
}

/// `512B`, `1.5K`, `20G`; at most five characters, for narrow places.
#[must_use]
pub fn short_size(bytes: u64) -> String {
    match scaled(bytes) {
        (whole, _, "") => format!("{whole}B"),
        (whole, tenths, letter) if whole < 10 => format!("{whole}.{tenths}{letter}"),
        (whole, _, letter) => format!("{whole}{letter}"),
    }
}

/// `1 file`, `2 files`, `0 repositories`.
#[must_use]
pub fn count<N: PartialEq + From<u8> + fmt::Display>(number: N, noun: &str) -> String {
    if number == N::from(1) {
        return format!("{number} {noun}");
    }
    match noun.strip_suffix('y') {
        Some(stem) => format!("{number} {stem}ies"),
        None => format!("{number} {noun}s"),
    }
}

/// `0:07`, `12:34`, `1:02:03`: time by the clock.
#[must_use]
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours == 0 {
        return format!("{minutes}:{seconds:02}");
    }
    format!("{hours}:{minutes:02}:{seconds:02}")
}

/// `0.3 s`, `12.0 s`, `12:34 min`, `1:02:03 h`: how long something took.
#[must_use]
pub fn duration(time: Duration) -> String {
    match time.as_secs() {
        0..60 => {
            let tenths = time.as_millis() / 100;
            format!("{}.{} s", tenths / 10, tenths % 10)
        }
        60..3600 => format!("{} min", clock(time)),
        _ => format!("{} h", clock(time)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, long, short) in [
            (0, "0 B", "0B"),
            (1023, "1023 B", "1023B"),
            (1024, "1.0 KiB", "1.0K"),
            (1_048_575, "1023.9 KiB", "1023K"),
            (10 << 20, "10.0 MiB", "10M"),
            (3 << 29, "1.5 GiB", "1.5G"),
            (u64::MAX, "16383.9 PiB", "16383P"),
        ] {
            assert_eq!(size(bytes), long);
            assert_eq!(short_size(bytes), short);
        }
    }

    #[test]
    fn counts() {
        assert_eq!(count(0_u64, "file"), "0 files");
        assert_eq!(count(1_usize, "repository"), "1 repository");
        assert_eq!(count(2_u32, "repository"), "2 repositories");
    }

    #[test]
    fn times() {
        for (millis, at, took) in [
            (0, "0:00", "0.0 s"),
            (59_990, "0:59", "59.9 s"),
            (61_000, "1:01", "1:01 min"),
            (3_723_000, "1:02:03", "1:02:03 h"),
        ] {
            assert_eq!(clock(Duration::from_millis(millis)), at);
            assert_eq!(duration(Duration::from_millis(millis)), took);
        }
    }
}
