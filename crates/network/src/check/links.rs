//! How links hang together.

use std::collections::{BTreeMap, BTreeSet};

use super::{Check, Kind, Link};
use crate::address::link_name;
use crate::model::{BondMode, Match, VLAN_IDS};

impl<'a> Check<'a> {
    pub(super) fn names(&mut self) {
        let mut seen = BTreeSet::new();
        for link in self.links {
            let place = format!("{}.name", link.place);
            if !link_name(link.name) {
                self.bad(
                    place,
                    format!("'{}' can't be the name of a link", link.name),
                    "1 to 15 letters, digits, '.', '_' and '-', not digits alone",
                );
            } else if !seen.insert(link.name) {
                self.bad(
                    place,
                    format!("two links '{}'", link.name),
                    "a name for each",
                );
            }
        }
    }

    /// No adapter is meant twice. Patterns may overlap: what is named exactly comes first.
    pub(super) fn adapters(&mut self) {
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for (i, adapter) in self.network.adapters.iter().enumerate() {
            let (key, text) = match &adapter.matched {
                Match::Mac(mac) => ("mac", mac.to_string()),
                Match::Name(name) => ("interface", name.clone()),
            };
            if let Some(other) = seen.insert(text.clone(), &adapter.name) {
                let message = format!("'{}' and '{other}' are both {text}", adapter.name);
                self.bad(
                    format!("adapters.{i}.{key}"),
                    message,
                    "one adapter for each",
                );
            }
        }
    }

    pub(super) fn vlans(&mut self) {
        let mut seen = BTreeSet::new();
        for (i, vlan) in self.network.vlans.iter().enumerate() {
            let place = format!("vlans.{i}.id");
            if !VLAN_IDS.contains(&vlan.id) {
                let message = format!("a VLAN can't have the number {}", vlan.id);
                let (first, last) = VLAN_IDS.into_inner();
                self.bad(place, message, format!("a number from {first} to {last}"));
            } else if !seen.insert((vlan.parent.as_str(), vlan.id)) {
                let message = format!("two VLANs {} on '{}'", vlan.id, vlan.parent);
                self.bad(place, message, "one for each number");
            }
            let place = format!("vlans.{i}.parent");
            let Some(parent) = self.known(&place, &vlan.parent) else {
                continue;
            };
            if parent.kind == Kind::Vlan {
                let message = format!("'{}' is a VLAN itself", vlan.parent);
                self.bad(place, message, "an adapter, bond or bridge");
            } else if let Some(upper) = self.upper(parent.name) {
                let message = format!(
                    "'{}' gives all its packets to '{}'",
                    parent.name, upper.name
                );
                self.bad(place, message, format!("'{}'", upper.name));
            }
            self.mtu_within(i, vlan.settings.mtu, parent);
        }
    }

    /// A VLAN can't have larger packets than what it is a part of.
    fn mtu_within(&mut self, vlan: usize, mtu: Option<u32>, parent: &Link<'_>) {
        let most = parent.settings.mtu.unwrap_or(super::settings::ETHERNET_MTU);
        if let Some(mtu) = mtu.filter(|mtu| *mtu > most) {
            self.bad(
                format!("vlans.{vlan}.mtu"),
                format!("{mtu} is more than the MTU of '{}', {most}", parent.name),
                format!("up to {most}, or a larger 'mtu' of '{}'", parent.name),
            );
        }
    }

    pub(super) fn bonds(&mut self) {
        for (i, bond) in self.network.bonds.iter().enumerate() {
            let mode = bond.mode;
            if bond.lacp_rate.is_some() && mode != BondMode::Lacp {
                let message = format!("mode '{}' knows no LACP", mode.word());
                self.bad(
                    format!("bonds.{i}.lacp_rate"),
                    message,
                    "it with mode '802.3ad'",
                );
            }
            let hashes = [BondMode::Lacp, BondMode::Xor, BondMode::TransmitLoad];
            if bond.hash.is_some() && !hashes.contains(&mode) {
                let message = format!("mode '{}' does not choose by hash", mode.word());
                let allowed = "it with mode '802.3ad', 'balance-xor' or 'balance-tlb'";
                self.bad(format!("bonds.{i}.hash"), message, allowed);
            }
        }
    }

    pub(super) fn members(&mut self) {
        let mut used: BTreeMap<&str, &str> = BTreeMap::new();
        for link in self.links.iter().filter(|link| link.kind != Kind::Vlan) {
            for (place, name) in &link.below {
                let Some(member) = self.known(place, name) else {
                    continue;
                };
                let fits = match link.kind {
                    Kind::Bond => member.kind == Kind::Adapter,
                    _ => member.kind != Kind::Bridge,
                };
                if !fits {
                    let allowed = match link.kind {
                        Kind::Bond => "adapters",
                        _ => "adapters, bonds and VLANs",
                    };
                    self.bad(
                        place,
                        format!("'{name}' can't be in '{}'", link.name),
                        allowed,
                    );
                } else if let Some(other) = used.insert(name, link.name) {
                    let message = format!("'{name}' is in '{other}' already");
                    self.bad(place, message, "each link in one bond or bridge");
                }
                self.has_nothing(link, member);
                self.mtu_of_member(link, member);
            }
        }
    }

    /// Addresses are those of the whole.
    fn has_nothing(&mut self, link: &Link<'_>, member: &Link<'_>) {
        let settings = member.settings;
        let written = [
            ("addresses", !settings.addresses.is_empty()),
            (
                "dhcp",
                !matches!(settings.dhcp, None | Some(crate::Dhcp::None)),
            ),
            ("gateways", !settings.gateways.is_empty()),
            ("routes", !settings.routes.is_empty()),
        ];
        if let Some((key, _)) = written.into_iter().find(|(_, is_written)| *is_written) {
            self.bad(
                format!("{}.{key}", member.place),
                format!(
                    "'{}' is a part of '{}' and has no addresses",
                    member.name, link.name
                ),
                format!("'{key}' of '{}'", link.name),
            );
        }
    }

    fn mtu_of_member(&mut self, link: &Link<'_>, member: &Link<'_>) {
        let (Some(whole), Some(part)) = (link.settings.mtu, member.settings.mtu) else {
            return;
        };
        let fits = match link.kind {
            Kind::Bond => part == whole,
            _ => part >= whole,
        };
        if !fits {
            self.bad(
                format!("{}.mtu", member.place),
                format!(
                    "{part} does not go with the MTU of '{}', {whole}",
                    link.name
                ),
                format!("{whole}, or no 'mtu'"),
            );
        }
    }

    /// The link that `place` names, which must be there and one.
    fn known(&mut self, place: &str, name: &str) -> Option<&'a Link<'a>> {
        let Some(link) = self.by_name.get(name).copied() else {
            let mut names: Vec<_> = self
                .by_name
                .keys()
                .map(|name| format!("'{name}'"))
                .collect();
            names.truncate(10);
            self.bad(
                place,
                format!("there is no link '{name}'"),
                format!("the name of a link that is here: {}", names.join(", ")),
            );
            return None;
        };
        if link.is_pattern {
            let message = format!("'{name}' may be several adapters");
            self.bad(
                place,
                message,
                "an adapter by 'mac', or by 'interface' without a pattern",
            );
        }
        Some(link)
    }

    /// Nothing is a part of itself.
    pub(super) fn circles(&mut self) {
        for link in self.links {
            let mut seen = BTreeSet::new();
            let mut next: Vec<&str> = link.below.iter().map(|(_, name)| *name).collect();
            while let Some(name) = next.pop() {
                if name == link.name {
                    let message = format!("'{name}' would be a part of itself");
                    self.bad(&link.place, message, "links that lead to adapters");
                    return;
                }
                if seen.insert(name) {
                    let below = self.by_name.get(name).map(|link| &link.below);
                    next.extend(below.into_iter().flatten().map(|(_, name)| *name));
                }
            }
        }
    }
}
