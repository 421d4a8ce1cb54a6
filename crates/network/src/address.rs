//! The texts that a network is written in: addresses with prefix, MAC addresses, names.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::Serialize;

/// Longest name of a link: `IFNAMSIZ` less its final zero (Linux, `if.h`).
const MAX_LINK_NAME_BYTES: usize = 15;

/// Longest host name (RFC 1123), and longest part of one.
const MAX_HOST_NAME_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;

/// An IP address with the length of its network's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    /// The address, its host part included.
    pub address: IpAddr,
    /// In bits.
    pub length: u8,
}

impl Prefix {
    /// The default route's destination of a family.
    #[must_use]
    pub fn default_of(is_ipv4: bool) -> Self {
        let address = match is_ipv4 {
            true => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            false => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Self { address, length: 0 }
    }

    /// The network that the address is in.
    #[must_use]
    pub fn network(self) -> IpAddr {
        let length = u32::from(self.length);
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(length));
                IpAddr::V4((u32::from(address) & mask.unwrap_or(0)).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(length));
                IpAddr::V6((u128::from(address) & mask.unwrap_or(0)).into())
            }
        }
    }

    /// Whether `address` is in the same network.
    #[must_use]
    pub fn holds(self, address: IpAddr) -> bool {
        let other = Self { address, ..self };
        self.address.is_ipv4() == address.is_ipv4() && self.network() == other.network()
    }

    /// Whether a host can't have the address, since it is that of the network or, with
    /// IPv4, of all its hosts. Networks of two (RFC 3021) and of one have neither.
    #[must_use]
    pub fn is_no_host(self) -> bool {
        let IpAddr::V4(address) = self.address else {
            return false;
        };
        if self.length >= 31 {
            return false;
        }
        let hosts = u32::MAX.checked_shr(u32::from(self.length)).unwrap_or(0);
        let host = u32::from(address) & hosts;
        host == 0 || host == hosts
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl Serialize for Prefix {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a text is none of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl FromStr for Prefix {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (address, length) = text.split_once('/').ok_or(Malformed)?;
        let address: IpAddr = address.parse().map_err(|_| Malformed)?;
        let digits = length.len() <= 3 && length.bytes().all(|b| b.is_ascii_digit());
        let length: u8 = digits
            .then_some(length)
            .ok_or(Malformed)?
            .parse()
            .map_err(|_| Malformed)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        (length <= most)
            .then_some(Self { address, length })
            .ok_or(Malformed)
    }
}

/// A MAC address of Ethernet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl Serialize for Mac {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Mac {
    type Err = Malformed;

    /// Six bytes in hex with `:` or `-` between them. One of a group is no adapter's.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().ok_or(Malformed)?;
            let is_hex = part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
            let value = is_hex.then(|| u8::from_str_radix(part, 16).ok()).flatten();
            *byte = value.ok_or(Malformed)?;
        }
        let [first, ..] = bytes;
        let is_adapters = parts.next().is_none() && first & 1 == 0 && bytes != [0; 6];
        is_adapters.then_some(Self(bytes)).ok_or(Malformed)
    }
}

/// Whether the kernel and all who write its names in files take `text` as the name of a link.
#[must_use]
pub fn link_name(text: &str) -> bool {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    !text.is_empty()
        && text.len() <= MAX_LINK_NAME_BYTES
        && text.bytes().all(fine)
        && !text.starts_with(['.', '-'])
        && !text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether `text` is a host's or domain's name (RFC 1123).
#[must_use]
pub fn host_name(text: &str) -> bool {
    let label = |label: &str| {
        let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        (1..=MAX_LABEL_BYTES).contains(&label.len())
            && label.bytes().all(fine)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= MAX_HOST_NAME_BYTES && text.split('.').all(label)
}
