//! What a link gets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{Check, Link};
use crate::address::Prefix;
use crate::model::{MTU_BYTES, Route, Settings};

/// What Ethernet has without being told, in bytes.
pub(super) const ETHERNET_MTU: u32 = 1500;

/// Least that IPv6 needs, in bytes (RFC 8200); the kernel switches it off below.
const IPV6_MIN_MTU: u32 = 1280;

impl Check<'_> {
    pub(super) fn settings(&mut self, link: &Link<'_>) {
        self.mtu(link);
        self.own_addresses(link);
        self.gateways(link);
        self.routes(link);
    }

    fn mtu(&mut self, link: &Link<'_>) {
        let settings = link.settings;
        let Some(mtu) = settings.mtu else {
            return;
        };
        let place = format!("{}.mtu", link.place);
        if !MTU_BYTES.contains(&mtu) {
            let (least, most) = MTU_BYTES.into_inner();
            self.bad(
                place,
                format!("the MTU can't be {mtu}"),
                format!("{least} to {most} bytes"),
            );
            return;
        }
        let is_member = self.upper(link.name).is_some();
        let has_ipv6 =
            settings.has_dhcp_of(false) || settings.addresses.iter().any(|it| it.address.is_ipv6());
        if mtu < IPV6_MIN_MTU && has_ipv6 && !is_member {
            self.bad(
                place,
                format!("with an MTU of {mtu} there is no IPv6"),
                format!("at least {IPV6_MIN_MTU}, or dhcp = \"ipv4\" and no address of IPv6"),
            );
        }
    }

    fn own_addresses(&mut self, link: &Link<'_>) {
        for (i, prefix) in link.settings.addresses.iter().enumerate() {
            let place = format!("{}.addresses.{i}", link.place);
            if let Some(is) = unusable(prefix.address) {
                let message = format!("{} is {is}", prefix.address);
                self.bad(place, message, "an address of this machine alone");
            } else if prefix.is_no_host() {
                let message = format!("{prefix} is the address of a network, not of a host in it");
                self.bad(place, message, "an address between the first and the last");
            } else if prefix.length == 0 {
                let message = format!("{prefix} would have the whole world on this link");
                self.bad(
                    place,
                    message,
                    "the length of the network's prefix, such as /24",
                );
            }
        }
    }

    fn gateways(&mut self, link: &Link<'_>) {
        let settings = link.settings;
        let mut families = BTreeSet::new();
        for (i, gateway) in settings.gateways.iter().enumerate() {
            let place = format!("{}.gateways.{i}", link.place);
            if !families.insert(gateway.is_ipv4()) {
                let message = format!("a second gateway of {}", family(gateway.is_ipv4()));
                self.bad(
                    place,
                    message,
                    "one, and 'routes' with a 'metric' for another",
                );
            } else if let Some(bad) = unreachable(settings, *gateway) {
                self.bad(place, bad.message, bad.allowed);
            }
        }
    }

    fn routes(&mut self, link: &Link<'_>) {
        let settings = link.settings;
        let mut seen = BTreeSet::new();
        for (i, route) in settings.routes.iter().enumerate() {
            let place = |key: &str| format!("{}.routes.{i}.{key}", link.place);
            let Route { to, via, .. } = *route;
            let network = Prefix {
                address: to.network(),
                ..to
            };
            if network != to {
                let message = format!("{to} is an address within a network, not the network");
                self.bad(place("to"), message, format!("{network}"));
            } else if !seen.insert((to, route.metric)) {
                let message = format!("two routes to {to} with the same metric");
                self.bad(place("metric"), message, "a 'metric' for each");
            }
            match via {
                None if route.onlink => {
                    self.bad(
                        place("onlink"),
                        "no router is there to be on the link",
                        "'via'",
                    );
                }
                None => {}
                Some(router) if router.is_ipv4() != to.address.is_ipv4() => {
                    let message = format!("{router} and {to} are of two families");
                    let allowed = format!("a router of {}", family(to.address.is_ipv4()));
                    self.bad(place("via"), message, allowed);
                }
                Some(router) if !route.onlink => {
                    if let Some(bad) = unreachable(settings, router) {
                        let allowed = format!("{}, or onlink = true", bad.allowed);
                        self.bad(place("via"), bad.message, allowed);
                    }
                }
                Some(_) => {}
            }
        }
    }

    /// No two links have one address.
    pub(super) fn addresses(&mut self) {
        let mut seen: BTreeMap<IpAddr, &str> = BTreeMap::new();
        for link in self.links {
            for (i, prefix) in link.settings.addresses.iter().enumerate() {
                if let Some(other) = seen.insert(prefix.address, link.name) {
                    let message = match other == link.name {
                        true => format!("'{other}' has {} already", prefix.address),
                        false => format!("'{}' and '{other}' have {}", link.name, prefix.address),
                    };
                    let place = format!("{}.addresses.{i}", link.place);
                    self.bad(place, message, "an address once in the machine");
                }
            }
        }
    }
}

/// Why no host has `address`, if none has.
fn unusable(address: IpAddr) -> Option<&'static str> {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    match address {
        _ if address.is_unspecified() => Some("no address"),
        _ if address.is_loopback() => Some("the machine itself"),
        _ if address.is_multicast() || is_broadcast => Some("that of a group"),
        _ => None,
    }
}

struct Bad {
    message: String,
    allowed: String,
}

/// Why `router` can't be reached from a link with `settings`.
fn unreachable(settings: &Settings, router: IpAddr) -> Option<Bad> {
    let is_ipv4 = router.is_ipv4();
    let of_family = || {
        settings
            .addresses
            .iter()
            .filter(|it| it.address.is_ipv4() == is_ipv4)
    };
    if let Some(is) = unusable(router) {
        return Some(Bad {
            message: format!("{router} is {is}"),
            allowed: "the address of a router".to_owned(),
        });
    }
    if of_family().any(|own| own.address == router) {
        return Some(Bad {
            message: format!("{router} is the link's own address"),
            allowed: "the address of a router".to_owned(),
        });
    }
    let is_link_local = matches!(router, IpAddr::V6(address) if address.is_unicast_link_local());
    let fits =
        is_link_local || settings.has_dhcp_of(is_ipv4) || of_family().any(|own| own.holds(router));
    (!fits).then(|| {
        let networks: Vec<_> = of_family()
            .map(|own| {
                Prefix {
                    address: own.network(),
                    ..*own
                }
                .to_string()
            })
            .collect();
        let allowed = match networks.is_empty() {
            true => format!("an address of {} for the link first", family(is_ipv4)),
            false => format!("an address in {}", networks.join(" or ")),
        };
        Bad {
            message: format!("{router} is in no network of the link"),
            allowed,
        }
    })
}

fn family(is_ipv4: bool) -> &'static str {
    match is_ipv4 {
        true => "IPv4",
        false => "IPv6",
    }
}
