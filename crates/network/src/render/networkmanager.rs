//! Profiles of NetworkManager: nm-settings-keyfile(5).
//!
//! Links name each other by UUID, since the kernel's name of an adapter that is found by
//! its MAC address is not known here.

use std::net::IpAddr;

use isoforge_base::digest::Digest;

use super::{File, Sections, joined};
use crate::model::{Adapter, Match, Network, Settings};

const FOLDER: &str = "/etc/NetworkManager/system-connections";

/// NetworkManager passes over files that others than root may read.
const MODE: u32 = 0o600;

/// Above 0, which profiles of the image have.
const PRIORITY: u8 = 10;
const PRIORITY_OF_PATTERNS: u8 = 5;

/// `connection.multi-connect`: several adapters at once.
const MULTIPLE: u8 = 3;

impl Network {
    pub(super) fn network_manager(&self) -> Vec<File> {
        let mut files = Vec::new();
        files.extend(self.adapters.iter().map(|adapter| self.adapter(adapter)));
        for vlan in &self.vlans {
            let mut text = self.virtual_connection(&vlan.name, "vlan");
            text.begin("vlan");
            text.set("id", vlan.id);
            text.set("parent", uuid(&vlan.parent));
            files.push(self.profile(text, &vlan.name, &vlan.settings));
        }
        for bond in &self.bonds {
            let mut text = self.virtual_connection(&bond.name, "bond");
            text.begin("bond");
            text.set("mode", bond.mode.word());
            text.set("miimon", bond.monitor_ms);
            text.set_some("lacp_rate", bond.lacp_rate.map(|it| it.word()));
            text.set_some("xmit_hash_policy", bond.hash.map(|it| it.word()));
            files.push(self.profile(text, &bond.name, &bond.settings));
        }
        for bridge in &self.bridges {
            let mut text = self.virtual_connection(&bridge.name, "bridge");
            text.begin("bridge");
            text.set("stp", bridge.stp);
            files.push(self.profile(text, &bridge.name, &bridge.settings));
        }
        files
    }

    fn adapter(&self, adapter: &Adapter) -> File {
        let is_pattern = adapter.matched.is_pattern();
        let mut text = self.connection(
            &adapter.name,
            "ethernet",
            match is_pattern {
                true => PRIORITY_OF_PATTERNS,
                false => PRIORITY,
            },
        );
        match &adapter.matched {
            Match::Name(name) if is_pattern => {
                text.set("multi-connect", MULTIPLE);
                text.begin("match");
                text.set("interface-name", format!("{name};"));
            }
            Match::Name(name) => text.set("interface-name", name),
            Match::Mac(_) => {}
        }
        self.profile(text, &adapter.name, &adapter.settings)
    }

    fn virtual_connection(&self, name: &str, kind: &str) -> Sections {
        let mut text = self.connection(name, kind, PRIORITY);
        text.set("interface-name", name);
        text
    }

    /// The section `connection`, which is still open.
    fn connection(&self, name: &str, kind: &str, priority: u8) -> Sections {
        let mut text = Sections::default();
        text.begin("connection");
        text.set("id", format!("appliance-{name}"));
        text.set("uuid", uuid(name));
        text.set("type", kind);
        text.set("autoconnect-priority", priority);
        if let Some(upper) = self.upper(name) {
            // Versions since 1.44 call them controller and port-type, and read these too.
            text.set("master", uuid(upper.name));
            text.set("slave-type", upper.kind);
        }
        text
    }

    /// The rest of a profile: what is of Ethernet, and addresses.
    fn profile(&self, mut text: Sections, name: &str, settings: &Settings) -> File {
        let upper = self.upper(name);
        let mac = self.adapters.iter().find(|adapter| adapter.name == name);
        let mac = mac.and_then(|adapter| match adapter.matched {
            Match::Mac(mac) => Some(mac),
            Match::Name(_) => None,
        });
        let mtu = upper.map_or(settings.mtu, |upper| upper.mtu_of(settings));
        if mac.is_some() || mtu.is_some() {
            text.begin("ethernet");
            text.set_some("mac-address", mac);
            text.set_some("mtu", mtu);
        }
        if upper.is_none() {
            for is_ipv4 in [true, false] {
                self.family(&mut text, settings, is_ipv4);
            }
        }
        File {
            path: format!("{FOLDER}/appliance-{name}.nmconnection"),
            mode: MODE,
            content: text.0,
        }
    }

    /// The section `ipv4` or `ipv6`.
    fn family(&self, text: &mut Sections, settings: &Settings, is_ipv4: bool) {
        let of_family = |address: &IpAddr| address.is_ipv4() == is_ipv4;
        let own = settings.addresses.iter();
        let own: Vec<_> = own.filter(|prefix| of_family(&prefix.address)).collect();
        let method = match (settings.has_dhcp_of(is_ipv4), own.is_empty()) {
            (true, _) => "auto",
            (false, false) => "manual",
            // As systemd-networkd does, which listens to routers that speak IPv6.
            (false, true) if !is_ipv4 && settings.has_addresses() => "auto",
            (false, true) => "disabled",
        };
        text.begin(if is_ipv4 { "ipv4" } else { "ipv6" });
        text.set("method", method);
        if method == "disabled" {
            return;
        }
        for (i, address) in (1..).zip(&own) {
            text.set(&format!("address{i}"), address);
        }
        text.set_some("gateway", settings.gateways.iter().find(|it| of_family(it)));
        text.set_some("route-metric", settings.metric);
        let routes = settings.routes.iter();
        let routes = routes.filter(|route| of_family(&route.to.address));
        for (i, route) in (1..).zip(routes) {
            let via = route.via.map_or(String::new(), |via| via.to_string());
            let value = match (via.as_str(), route.metric) {
                ("", None) => route.to.to_string(),
                (_, None) => format!("{},{via}", route.to),
                ("", Some(metric)) => format!("{},{},{metric}", route.to, no_router(is_ipv4)),
                (_, Some(metric)) => format!("{},{via},{metric}", route.to),
            };
            text.set(&format!("route{i}"), value);
            if route.onlink {
                text.set(&format!("route{i}_options"), "onlink=true");
            }
        }
        let servers = self.name_servers(settings).iter();
        let servers: Vec<_> = servers.filter(|it| of_family(it)).collect();
        if !servers.is_empty() {
            text.set("dns", format!("{};", joined(&servers, ";")));
        }
        let search = self.search(settings);
        if !search.is_empty() {
            text.set("dns-search", format!("{};", joined(search, ";")));
        }
    }
}

/// What stands for no router where a metric follows.
fn no_router(is_ipv4: bool) -> &'static str {
    match is_ipv4 {
        true => "0.0.0.0",
        false => "::",
    }
}

/// One for each name, of the kind that says nothing of how it was made (RFC 9562, version 8).
fn uuid(name: &str) -> String {
    let digest = Digest::of(format!("appliance network {name}").as_bytes());
    let hex: Vec<char> = digest.hex().chars().collect();
    let part = |from: usize, to: usize| {
        hex.get(from..to)
            .unwrap_or_default()
            .iter()
            .collect::<String>()
    };
    format!(
        "{}-{}-8{}-8{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 15),
        part(15, 18),
        part(18, 30)
    )
}
