//! The order of kernel versions.

use std::cmp::Ordering;

/// Compares two kernel releases (`6.12.107+deb13-amd64`,
/// `5.14.0-503.el9.x86_64`) so that the newer one is greater: runs of digits
/// by their value, everything else by Debian's order, in which letters come
/// before other characters and `~` before even the end (Debian Policy 5.6.12).
/// A release candidate (`6.12-rc3`) is older than its release, which neither
/// Debian nor RPM would say of a name that comes from `uname`.
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    let a = a.replace("-rc", "~rc");
    let b = b.replace("-rc", "~rc");
    let (mut a, mut b) = (a.as_str(), b.as_str());
    while !a.is_empty() || !b.is_empty() {
        let (text_a, rest_a) = split_at_digits(a, true);
        let (text_b, rest_b) = split_at_digits(b, true);
        let (number_a, rest_a) = split_at_digits(rest_a, false);
        let (number_b, rest_b) = split_at_digits(rest_b, false);
        let order = compare_text(text_a, text_b).then_with(|| compare_number(number_a, number_b));
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    Ordering::Equal
}

/// Parts `text` where digits begin (`true`) or end (`false`).
fn split_at_digits(text: &str, begin: bool) -> (&str, &str) {
    let at = text
        .find(|c: char| c.is_ascii_digit() == begin)
        .unwrap_or(text.len());
    text.split_at(at)
}

fn compare_text(a: &str, b: &str) -> Ordering {
    let mut a = a.chars();
    let mut b = b.chars();
    loop {
        let (x, y) = (a.next(), b.next());
        if x.is_none() && y.is_none() {
            return Ordering::Equal;
        }
        match rank(x).cmp(&rank(y)) {
            Ordering::Equal => {}
            order => return order,
        }
    }
}

fn rank(c: Option<char>) -> (u8, u32) {
    match c {
        Some('~') => (0, 0),
        None => (1, 0),
        Some(c) if c.is_ascii_alphabetic() => (2, u32::from(c)),
        Some(c) => (3, u32::from(c)),
    }
}

/// Compares numbers of any length.
fn compare_number(a: &str, b: &str) -> Ordering {
    let a = a.trim_start_matches('0');
    let b = b.trim_start_matches('0');
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newer_kernel_is_greater() {
        for (older, newer) in [
            ("6.12.9+deb13-amd64", "6.12.107+deb13-amd64"),
            ("6.1.0-9-amd64", "6.1.0-31-amd64"),
            ("5.15.0-91-generic", "5.15.0-100-generic"),
            ("5.14.0-70.13.1.el9_0.x86_64", "5.14.0-503.el9.x86_64"),
            ("6.9.12-200.fc40.x86_64", "6.10.3-200.fc40.x86_64"),
            ("0-rescue-9f1b", "6.9.12-200.fc40.x86_64"),
            ("5.14.21-150400.22-default", "6.4.0-150600.21-default"),
            ("6.12.0-rc3", "6.12.0"),
            ("6.12.0-rc3", "6.12.0-rc10"),
            ("6.12", "6.12.1"),
            ("6.1.0-0.deb11.9", "6.1.0-0.deb11.13"),
            ("99999999999999999999998", "99999999999999999999999"),
        ] {
            assert_eq!(compare(older, newer), Ordering::Less, "{older} < {newer}");
            assert_eq!(compare(newer, older), Ordering::Greater);
            assert_eq!(compare(newer, newer), Ordering::Equal);
        }
    }
}
