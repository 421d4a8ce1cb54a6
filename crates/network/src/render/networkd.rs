//! Files of systemd-networkd: systemd.network(5), systemd.netdev(5), networkd.conf(5).

use super::{ADAPTER, File, PATTERN, Sections, Upper, VIRTUAL, joined};
use crate::model::{Dhcp, Match, Network, Settings};

const FOLDER: &str = "/etc/systemd/network";

const MODE: u32 = 0o644;

/// What Calico, kube-vip and the like add is not networkd's to remove.
const FOREIGN_PATH: &str = "/etc/systemd/networkd.conf.d/10-appliance.conf";
const FOREIGN_CONTENT: &str =
    "[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\n";

impl Network {
    pub(super) fn networkd(&self) -> Vec<File> {
        let mut files = vec![File {
            path: FOREIGN_PATH.to_owned(),
            mode: MODE,
            content: FOREIGN_CONTENT.to_owned(),
        }];
        for adapter in &self.adapters {
            let order = if adapter.matched.is_pattern() {
                PATTERN
            } else {
                ADAPTER
            };
            let mut text = Sections::default();
            text.begin("Match");
            match &adapter.matched {
                Match::Mac(mac) => text.set("PermanentMACAddress", mac),
                Match::Name(name) => text.set("Name", name),
            }
            let text = self.link(text, &adapter.name, &adapter.settings);
            files.push(file(order, &adapter.name, "network", text));
        }
        for vlan in &self.vlans {
            let mut device = device(&vlan.name, "vlan");
            device.begin("VLAN");
            device.set("Id", vlan.id);
            files.extend(self.virtual_files(&vlan.name, device, &vlan.settings));
        }
        for bond in &self.bonds {
            let mut device = device(&bond.name, "bond");
            device.begin("Bond");
            device.set("Mode", bond.mode.word());
            device.set("MIIMonitorSec", format!("{}ms", bond.monitor_ms));
            device.set_some("LACPTransmitRate", bond.lacp_rate.map(|it| it.word()));
            device.set_some("TransmitHashPolicy", bond.hash.map(|it| it.word()));
            files.extend(self.virtual_files(&bond.name, device, &bond.settings));
        }
        for bridge in &self.bridges {
            let mut device = device(&bridge.name, "bridge");
            device.begin("Bridge");
            device.set("STP", yes(bridge.stp));
            files.extend(self.virtual_files(&bridge.name, device, &bridge.settings));
        }
        files
    }

    fn virtual_files(&self, name: &str, device: Sections, settings: &Settings) -> [File; 2] {
        let mut text = Sections::default();
        text.begin("Match");
        text.set("Name", name);
        let text = self.link(text, name, settings);
        [
            file(VIRTUAL, name, "netdev", device),
            file(VIRTUAL, name, "network", text),
        ]
    }

    /// The rest of a `.network` file behind its match.
    fn link(&self, mut text: Sections, name: &str, settings: &Settings) -> Sections {
        let upper = self.upper(name);
        let has_addresses = upper.is_none() && settings.has_addresses();
        let mtu = upper.map_or(settings.mtu, |upper| upper.mtu_of(settings));
        // A switch that nothing is plugged into never has a carrier.
        let is_unplugged = self
            .bridges
            .iter()
            .any(|it| it.name == name && it.members.is_empty());
        let is_optional = settings.optional || is_unplugged || !has_addresses;
        if mtu.is_some() || is_optional {
            text.begin("Link");
            text.set_some("MTUBytes", mtu);
            if is_optional {
                text.set("RequiredForOnline", "no");
            }
        }
        text.begin("Network");
        if is_unplugged {
            text.set("ConfigureWithoutCarrier", "yes");
        }
        if has_addresses {
            self.addresses(&mut text, settings);
        } else {
            text.set("DHCP", "no");
            text.set("LinkLocalAddressing", "no");
            text.set("IPv6AcceptRA", "no");
        }
        if let Some(Upper { kind, name, .. }) = upper {
            text.set(if kind == "bond" { "Bond" } else { "Bridge" }, name);
        }
        for vlan in self.vlans.iter().filter(|vlan| vlan.parent == name) {
            text.set("VLAN", &vlan.name);
        }
        if has_addresses {
            routes(&mut text, settings);
        }
        text
    }

    /// What of `[Network]` is about addresses.
    fn addresses(&self, text: &mut Sections, settings: &Settings) {
        text.set(
            "DHCP",
            match settings.dhcp() {
                Dhcp::Both => "yes",
                Dhcp::Ipv4 => "ipv4",
                Dhcp::Ipv6 => "ipv6",
                Dhcp::None => "no",
            },
        );
        let is_static = settings.addresses.iter().any(|it| it.address.is_ipv6());
        if is_static && !settings.has_dhcp_of(false) {
            text.set("IPv6AcceptRA", "no");
        }
        for address in &settings.addresses {
            text.set("Address", address);
        }
        for server in self.name_servers(settings) {
            text.set("DNS", server);
        }
        let search = self.search(settings);
        if !search.is_empty() {
            text.set("Domains", joined(search, " "));
        }
    }
}

/// Default routes and others, and the metric of those from DHCP.
fn routes(text: &mut Sections, settings: &Settings) {
    for gateway in &settings.gateways {
        text.begin("Route");
        text.set("Gateway", gateway);
        text.set_some("Metric", settings.metric);
    }
    for route in &settings.routes {
        text.begin("Route");
        text.set("Destination", route.to);
        text.set_some("Gateway", route.via);
        if route.via.is_none() && route.to.address.is_ipv4() {
            text.set("Scope", "link");
        }
        text.set_some("Metric", route.metric);
        if route.onlink {
            text.set("GatewayOnLink", "yes");
        }
    }
    let Some(metric) = settings.metric else {
        return;
    };
    if settings.has_dhcp_of(true) {
        text.begin("DHCPv4");
        text.set("RouteMetric", metric);
    }
    if settings.has_dhcp_of(false) {
        text.begin("IPv6AcceptRA");
        text.set("RouteMetric", metric);
    }
}

fn device(name: &str, kind: &str) -> Sections {
    let mut text = Sections::default();
    text.begin("NetDev");
    text.set("Name", name);
    text.set("Kind", kind);
    text
}

fn file(order: u8, name: &str, kind: &str, text: Sections) -> File {
    File {
        path: format!("{FOLDER}/{order}-appliance-{name}.{kind}"),
        mode: MODE,
        content: text.0,
    }
}

fn yes(is: bool) -> &'static str {
    match is {
        true => "yes",
        false => "no",
    }
}
