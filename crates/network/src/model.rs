//! What a network is.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use serde::Serialize;

use crate::address::{Mac, Prefix};

/// Numbers that a VLAN can have (IEEE 802.1Q): 0 means none, 4095 is reserved.
pub const VLAN_IDS: RangeInclusive<u16> = 1..=4094;

/// Largest packets that a link can have, in bytes: from what each host of IPv4 must take
/// (RFC 791) to what an IP packet can be.
pub const MTU_BYTES: RangeInclusive<u32> = 68..=65_535;

/// The network of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Who sets it up; `None`: what the system has.
    pub renderer: Option<Renderer>,
    /// Of all links that have none of their own.
    pub name_servers: Vec<IpAddr>,
    /// Domains of all links that have none of their own.
    pub search: Vec<String>,
    /// Time servers: names or addresses.
    pub ntp: Vec<String>,
    /// What is plugged in.
    pub adapters: Vec<Adapter>,
    /// Tagged parts of other links.
    pub vlans: Vec<Vlan>,
    /// Several adapters as one.
    pub bonds: Vec<Bond>,
    /// Switches within the machine.
    pub bridges: Vec<Bridge>,
}

/// The program that sets up a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Renderer {
    /// systemd-networkd.
    Networkd,
    /// NetworkManager.
    NetworkManager,
}

/// An adapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Adapter {
    /// What it is called here; the kernel's name may be another.
    pub name: String,
    /// How it is found.
    pub matched: Match,
    /// What it gets.
    pub settings: Settings,
}

/// How an adapter is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Match {
    /// By the address that it was made with: that stays when the card moves, and bonds,
    /// which give all their members one address, do not change it.
    Mac(Mac),
    /// By the kernel's name, which may have `*`, `?` and `[…]`.
    Name(String),
}

impl Match {
    /// Whether several adapters may be meant.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        matches!(self, Self::Name(name) if name.contains(['*', '?', '[']))
    }
}

/// A VLAN (IEEE 802.1Q).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vlan {
    /// Its name.
    pub name: String,
    /// The link that it is a part of.
    pub parent: String,
    /// Of [`VLAN_IDS`].
    pub id: u16,
    /// What it gets.
    pub settings: Settings,
}

/// A bond.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bond {
    /// Its name.
    pub name: String,
    /// Adapters.
    pub members: Vec<String>,
    /// How they share the work.
    pub mode: BondMode,
    /// How often their link is looked at, in milliseconds.
    pub monitor_ms: u32,
    /// How often the other side is to speak, in mode 802.3ad.
    pub lacp_rate: Option<LacpRate>,
    /// By what a packet is given to a member.
    pub hash: Option<HashPolicy>,
    /// What it gets.
    pub settings: Settings,
}

macro_rules! words {
    ($(#[doc = $doc:literal])+ $Name:ident { $($(#[doc = $help:literal])+ $Variant:ident = $word:literal),+ $(,)? }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        pub enum $Name {
            $($(#[doc = $help])+ #[serde(rename = $word)] $Variant),+
        }

        impl $Name {
            /// All of them, with their words, which the kernel and both renderers share.
            pub const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$Variant)),+];

            /// Its word.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$Variant => $word),+ }
            }
        }
    };
}

words! {
    /// How the members of a bond share the work (Linux, Documentation/networking/bonding.rst).
    BondMode {
        /// One works, the others wait.
        ActiveBackup = "active-backup",
        /// Link aggregation (IEEE 802.3ad), which the switch must know.
        Lacp = "802.3ad",
        /// In turns.
        RoundRobin = "balance-rr",
        /// By [`HashPolicy`].
        Xor = "balance-xor",
        /// Everything over all.
        Broadcast = "broadcast",
        /// What is sent, by load.
        TransmitLoad = "balance-tlb",
        /// What is sent and received, by load.
        AdaptiveLoad = "balance-alb",
    }
}

words! {
    /// How often the other side of a link aggregation is to speak.
    LacpRate {
        /// Each 30 seconds.
        Slow = "slow",
        /// Each second.
        Fast = "fast",
    }
}

words! {
    /// By what a packet is given to a member of a bond.
    HashPolicy {
        /// MAC addresses.
        Layer2 = "layer2",
        /// MAC and IP addresses.
        Layer23 = "layer2+3",
        /// IP addresses and ports.
        Layer34 = "layer3+4",
    }
}

words! {
    /// Which addresses come from DHCP.
    Dhcp {
        /// Of both families.
        Both = "both",
        /// IPv4.
        Ipv4 = "ipv4",
        /// IPv6.
        Ipv6 = "ipv6",
        /// None.
        None = "none",
    }
}

/// A bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bridge {
    /// Its name.
    pub name: String,
    /// Adapters, bonds and VLANs.
    pub members: Vec<String>,
    /// Whether it speaks the spanning tree protocol.
    pub stp: bool,
    /// What it gets.
    pub settings: Settings,
}

/// What a link gets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// `None`: of both families where it has no address and is no part of another link.
    pub dhcp: Option<Dhcp>,
    /// Its own, with their networks.
    pub addresses: Vec<Prefix>,
    /// Default routes, at most one of a family.
    pub gateways: Vec<IpAddr>,
    /// Metric of its default routes, also of those from DHCP.
    pub metric: Option<u32>,
    /// Further routes.
    pub routes: Vec<Route>,
    /// Empty: those of the whole network.
    pub name_servers: Vec<IpAddr>,
    /// Empty: those of the whole network.
    pub search: Vec<String>,
    /// Largest packet in bytes, of [`MTU_BYTES`].
    pub mtu: Option<u32>,
    /// Whether the machine counts as online without it.
    pub optional: bool,
}

impl Settings {
    /// Whether it has, or asks for, any address.
    #[must_use]
    pub fn has_addresses(&self) -> bool {
        !self.addresses.is_empty() || self.dhcp() != Dhcp::None
    }

    /// Which addresses come from DHCP, where it is no part of another link.
    #[must_use]
    pub fn dhcp(&self) -> Dhcp {
        match self.addresses.is_empty() {
            true => self.dhcp.unwrap_or(Dhcp::Both),
            false => self.dhcp.unwrap_or(Dhcp::None),
        }
    }

    /// Whether addresses of IPv4, or else of IPv6, come from DHCP.
    #[must_use]
    pub fn has_dhcp_of(&self, is_ipv4: bool) -> bool {
        match self.dhcp() {
            Dhcp::Both => true,
            Dhcp::Ipv4 => is_ipv4,
            Dhcp::Ipv6 => !is_ipv4,
            Dhcp::None => false,
        }
    }
}

/// A route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Route {
    /// Where to.
    pub to: Prefix,
    /// By which router; `None`: who is there is reached directly.
    pub via: Option<IpAddr>,
    /// Which of several is taken: the lowest.
    pub metric: Option<u32>,
    /// Whether the router is reached directly though no network of the link has it.
    pub onlink: bool,
}
