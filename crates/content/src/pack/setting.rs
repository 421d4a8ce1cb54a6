//! Kernel settings as packs ask for them, and whether a value will do.
//!
//! Specification: sysctl.d(5) for names; proc(5) and the kernel's `proc_dointvec`
//! for values. Numbers are compared as numbers, in the bases that the kernel reads;
//! anything else is text, in which any blanks are one: the kernel parts the values
//! of `net.ipv4.ip_local_port_range` by a tab, files part them by a space.

use serde::{Deserialize, Deserializer};

use super::need::{Comparison, Need, Range};

/// The file of a setting below `/proc/sys`, for a name whose parts are parted by
/// dots or slashes; nothing for a name that leads out of there. Where the first
/// separator is a dot, slashes stand for dots within a part:
/// `net.ipv4.conf.eth0/7.forwarding`.
#[must_use]
pub fn path(name: &str) -> Option<String> {
    let first = name.find(['.', '/']);
    let is_dotted = first.is_some_and(|at| name[at..].starts_with('.'));
    let swapped = |c| match c {
        '.' => '/',
        '/' => '.',
        c => c,
    };
    let path: String = match is_dotted {
        true => name.chars().map(swapped).collect(),
        false => name.to_owned(),
    };
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    (!parts.is_empty() && !parts.contains(&"..")).then(|| parts.join("/"))
}

impl Range {
    /// Whether a setting with this value is in the range. With `=` values that are
    /// no numbers are compared as text; with other signs they are out of it.
    #[must_use]
    pub fn admits(&self, value: &str) -> bool {
        self.bounds()
            .iter()
            .all(|(comparison, bound)| match (number(value), number(bound)) {
                (Some(value), Some(bound)) => comparison.holds(value.cmp(&bound)),
                _ => *comparison == Comparison::Exactly && words(value).eq(words(bound)),
            })
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_ascii_whitespace()
}

/// A whole number: decimal, `0x` hexadecimal, or octal with a leading zero.
fn number(text: &str) -> Option<i128> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let is_digit = |c: char| c.is_ascii_hexdigit();
    let (digits, radix) = match digits.strip_prefix('0') {
        Some("") | None => (digits, 10),
        Some(rest) => match rest.strip_prefix(['x', 'X']) {
            Some(rest) => (rest, 16),
            None => (rest, 8),
        },
    };
    // `from_str_radix` would take a second sign.
    if !digits.starts_with(is_digit) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    value.checked_mul(sign)
}

/// Reads needs of settings: names that can be one, and bounds that a value can
/// have.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(reader: D) -> Result<Vec<Need>, D::Error> {
    use serde::de::Error;
    let needs = Vec::<Need>::deserialize(reader)?;
    for need in &needs {
        if path(&need.name).is_none() {
            let problem = format_args!("'{}' is no kernel setting", need.name);
            return Err(D::Error::custom(problem));
        }
        for (comparison, bound) in need.range.bounds() {
            if *comparison != Comparison::Exactly && number(bound).is_none() {
                let problem = format_args!("'{need}': '{bound}' is no whole number");
                return Err(D::Error::custom(problem));
            }
        }
    }
    Ok(needs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_its_file() {
        for (name, file) in [
            ("vm.max_map_count", Some("vm/max_map_count")),
            ("vm/max_map_count", Some("vm/max_map_count")),
            (
                "net.ipv4.conf.eth0/7.forwarding",
                Some("net/ipv4/conf/eth0.7/forwarding"),
            ),
            (
                "net/ipv4/conf/eth0.7/forwarding",
                Some("net/ipv4/conf/eth0.7/forwarding"),
            ),
            ("/vm//./swappiness/", Some("vm/swappiness")),
            ("vm/../../etc/shadow", None),
            ("vm.//.shadow", None),
            ("/", None),
        ] {
            assert_eq!(path(name).as_deref(), file, "{name}");
        }
    }

    #[test]
    fn numbers_are_numbers_and_the_rest_is_text() {
        for (need, value, will_do) in [
            ("a >= 262144", "262144", true),
            ("a >= 262144", "65530", false),
            ("a >= 9", "10", true),
            ("a > -1", "0", true),
            ("a < 0", "-1", true),
            ("a = 16", "0x10", true),
            ("a = 8", "010", true),
            ("a = 0", " 0\n", true),
            ("a >= 1, < 3", "3", false),
            ("a >= 1", "1 2", false),
            ("a >= 1", "1.5", false),
            ("a >= 1", "--2", false),
            ("a >= 1", "", false),
            ("a = bbr", "bbr", true),
            ("a = bbr", "cubic", false),
            ("a = 32768 60999", "32768\t60999", true),
            ("a = 32768 60999", "32768 60998", false),
            ("a = 8080,9148", "8080,9148", true),
            ("a = 8080,9148", "8080", false),
            ("a = |/bin/false -x=1", "|/bin/false  -x=1", true),
            ("a", "", true),
        ] {
            let need: Need = need.parse().unwrap();
            assert_eq!(need.range.admits(value), will_do, "{need}: {value}");
        }
    }
}
