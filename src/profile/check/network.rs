//! The forms of texts that the keys of a network take.

use std::net::IpAddr;

use globset::Glob;

use super::Bad;
use isoforge_network::{Mac, Prefix, host_name, link_name};

pub(crate) fn ip_address(text: &str) -> Result<IpAddr, Bad> {
    text.parse().map_err(|_| {
        let expected = match text.contains('/') {
            true => "an address without a prefix, such as 10.0.0.1",
            false => "an address such as 10.0.0.1 or fd00::1",
        };
        Bad::new(format!("'{text}' is not an IP address"), expected)
    })
}

pub(crate) fn prefix(text: &str) -> Result<Prefix, Bad> {
    text.parse().map_err(|_| {
        let message = match text.parse::<IpAddr>() {
            Ok(_) => format!("'{text}' says nothing of its network"),
            Err(_) => format!("'{text}' is not an IP address with a prefix"),
        };
        let expected = "address and length of the network's prefix, such as 10.0.0.5/24";
        Bad::new(message, expected)
    })
}

pub(crate) fn mac(text: &str) -> Result<Mac, Bad> {
    text.parse().map_err(|_| {
        let message = format!("'{text}' is not the MAC address of an adapter");
        Bad::new(message, "six bytes in hex, such as 52:54:00:12:34:56")
    })
}

pub(crate) fn link(text: &str) -> Result<String, Bad> {
    let expected = "1 to 15 letters, digits, '.', '_' and '-', not digits alone";
    super::given(
        text,
        link_name(text),
        "can't be the name of a link",
        expected,
    )
}

/// What fnmatch(3) and globset read alike.
pub(crate) fn interface(text: &str) -> Result<String, Bad> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"._-*?[]!".contains(&b);
    let is_glob = !text.is_empty() && text.bytes().all(fine) && Glob::new(text).is_ok();
    let is_name = text.contains(['*', '?', '[']) || link_name(text);
    let expected = "a name of the kernel such as 'enp1s0', or a pattern such as 'en*'";
    super::given(
        text,
        is_glob && is_name,
        "can't be the name of an adapter",
        expected,
    )
}

pub(crate) fn domain(text: &str) -> Result<String, Bad> {
    let is_address = text.parse::<IpAddr>().is_ok();
    let expected = match text.contains([',', ' ']) {
        true => "one name in each text of an array",
        false => "letters, digits and '-', parted by dots",
    };
    super::given(
        text,
        is_address || host_name(text),
        "is not the name of a host",
        expected,
    )
}
