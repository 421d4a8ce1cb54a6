//! Whether an upgrade would be none: whoever may hand out an image could hand out an
//! old one, with faults that are mended long since.

use std::cmp::Ordering;

use anyhow::{Result, bail};
use isoforge_base::progress::Progress;
use isoforge_system::boot::version;

/// What is said of every image.
const NOBODY_VOUCHES: &str = "Nothing vouches for who made this image; its digests say that all of it arrived, and it will run as root.";

/// Refuses a version that is older than what runs, unless it is allowed. What can't be
/// compared is told.
///
/// # Errors
/// Where it is older.
pub(super) fn refuse(
    running: Option<&str>,
    new: &str,
    allowed: bool,
    progress: &Progress,
) -> Result<()> {
    let running = running.unwrap_or_default();
    match compare(new, running) {
        Some(Ordering::Less) if allowed => {
            progress.warn(format!("version {new} is older than {running}, which runs"));
        }
        Some(Ordering::Less) => bail!(
            "version {new} is older than {running}, which runs; 'appliance rollback' goes back to the other slot, and --allow-downgrade takes an older image"
        ),
        Some(_) => {}
        None => progress.warn(format!(
            "whether version '{new}' is older than '{running}', which runs, can't be told"
        )),
    }
    Ok(())
}

/// Says, once, what the digests do not.
pub(super) fn tell_nobody_vouches(progress: &Progress) {
    progress.note(NOBODY_VOUCHES);
}

/// How versions compare; none where it can't be told. Numbers with dots between them
/// decide, as in `1.10.0` and `2024.10`. What follows them (`-beta.2`, `+build.7`) is
/// before the version itself to some and after it to others, so there only its numbers
/// are compared.
fn compare(a: &str, b: &str) -> Option<Ordering> {
    let ((a, rest_a), (b, rest_b)) = (parts(a)?, parts(b)?);
    let order = version::compare(a, b);
    if order != Ordering::Equal {
        return Some(order);
    }
    let words = |text: &str| text.split(|c: char| c.is_ascii_digit()).collect::<String>();
    (words(rest_a) == words(rest_b)).then(|| version::compare(rest_a, rest_b))
}

/// The numbers of a version, without zeros at their end, and what follows them.
fn parts(version: &str) -> Option<(&str, &str)> {
    let version = version.strip_prefix('v').unwrap_or(version);
    let end = version
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(version.len());
    let (numbers, rest) = version.split_at(end);
    let is_number = |part: &str| !part.is_empty();
    // `3f2a9c` is no version 3.
    let is_apart = rest.is_empty() || rest.starts_with(['-', '+', '~', '_']);
    if !is_apart || !numbers.split('.').all(is_number) {
        return None;
    }
    let mut numbers = numbers;
    while let Some(shorter) = numbers.strip_suffix(".0") {
        numbers = shorter;
    }
    Some((numbers, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_decide() {
        for (older, newer) in [
            ("1.0.0", "2.0.0"),
            ("1.9.0", "1.10.0"),
            ("1.2", "1.2.1"),
            ("2024.9", "2024.10.1"),
            ("1.0.0-beta", "1.0.1-alpha"),
            ("1.0.0-rc2", "1.0.0-rc10"),
            ("v1.0+build.9", "1.0+build.10"),
        ] {
            assert_eq!(
                compare(older, newer),
                Some(Ordering::Less),
                "{older} {newer}"
            );
            assert_eq!(compare(newer, older), Some(Ordering::Greater));
        }
        for (a, b) in [("1.0.0", "1.0.0"), ("1.0", "1.0.0"), ("v2", "2.0")] {
            assert_eq!(compare(a, b), Some(Ordering::Equal), "{a} {b}");
        }
    }

    #[test]
    fn what_can_not_be_compared_is_told_and_taken() {
        for (a, b) in [
            ("1.0.0-beta", "1.0.0"),
            ("1.0.0", "1.0.0-beta"),
            ("3f2a9c", "1.0.0"),
            ("nightly", "1.0.0"),
            ("1..0", "1.0"),
            ("", "1.0"),
        ] {
            assert_eq!(compare(a, b), None, "{a} {b}");
            refuse(Some(a), b, false, &Progress::silent()).unwrap();
        }
        refuse(None, "1.0.0", false, &Progress::silent()).unwrap();
    }

    #[test]
    fn an_older_version_is_taken_where_it_is_asked_for() {
        let refused = |allowed| refuse(Some("1.10.0"), "1.9.0", allowed, &Progress::silent());
        insta::assert_snapshot!(refused(false).unwrap_err(), @"version 1.9.0 is older than 1.10.0, which runs; 'appliance rollback' goes back to the other slot, and --allow-downgrade takes an older image");
        refused(true).unwrap();
    }
}
