//! Keys of the machine's network.

use crate::profile::check;
use crate::profile::keys::{
    boolean, inline, integer, keys, list, one_of, one_or_more, table, text,
};
use isoforge_network::{
    Adapter, Bond, BondMode, Bridge, Dhcp, HashPolicy, LacpRate, MTU_BYTES, Match, Network, Prefix,
    Renderer, Route, Settings, VLAN_IDS, Vlan,
};

/// How often a bond looks at its members' links, in milliseconds, where nothing is said.
const MONITOR_MS: u32 = 100;

keys! {
    impl Network {
        /// The program that sets the network up.
        renderer = one_of(&[
            ("networkd", Renderer::Networkd),
            ("networkmanager", Renderer::NetworkManager),
        ])
        .optional("what the image has"),
        /// Addresses of name servers, for all links that say none themselves.
        name_servers = one_or_more(text(check::ip_address)).or_empty("those of DHCP"),
        /// Domains in which short names are looked up, for all links that say none themselves.
        search = one_or_more(text(check::domain)).or_empty("those of DHCP"),
        /// Time servers, by name or address.
        ntp = one_or_more(text(check::domain)).or_empty("`vars.ntp`, else those of the image"),
        /// What is plugged in. Adapters that none of these fits get what the image gives them.
        adapters = list(table()).or_empty(""),
        /// VLANs (IEEE 802.1Q) on adapters, bonds and bridges.
        vlans = list(table()).or_empty(""),
        /// Several adapters as one.
        bonds = list(table()).or_empty(""),
        /// Switches within the machine.
        bridges = list(table()).or_empty(""),
    }
}

keys! {
    impl Adapter {
        /// What it is called in the profile: up to 15 letters, digits, `.`, `_` and `-`.
        name = text(check::link).required(),
        /// The MAC address that it was made with, which stays when the card moves.
        mac = text(check::mac).optional(""),
        /// The kernel's name, which may have `*`, `?` and `[…]`.
        interface = text(check::interface).optional("`name`, where there is no `mac`"),
        /// What it gets.
        settings = inline::<Settings>(),
    }
    one of mac, interface;
    => Self {
        matched: mac
            .map(Match::Mac)
            .or(interface.map(Match::Name))
            .unwrap_or_else(|| Match::Name(name.clone())),
        name,
        settings,
    }
}

keys! {
    impl Vlan {
        /// Its name, which is the kernel's too: up to 15 letters, digits, `.`, `_` and `-`.
        name = text(check::link).required(),
        /// The adapter, bond or bridge that it is a part of, by `name`. An adapter that is there
        /// for its VLANs alone has `dhcp = "none"`.
        parent = text(check::link).required(),
        /// Its number.
        id = integer(i64::from(*VLAN_IDS.start()), i64::from(*VLAN_IDS.end()))
            .required_else(*VLAN_IDS.start()),
        /// What it gets.
        settings = inline::<Settings>(),
    }
}

keys! {
    impl Bond {
        /// Its name, which is the kernel's too: up to 15 letters, digits, `.`, `_` and `-`.
        name = text(check::link).required(),
        /// Adapters, by `name`. They have no addresses themselves.
        members = list(text(check::link)).filled("the bond has no members", "adapters").required(),
        /// How they share the work, in the kernel's words.
        mode = one_of(BondMode::WORDS).or(BondMode::ActiveBackup),
        /// How often their links are looked at, in milliseconds.
        monitor_ms = integer(1, 60_000).or(MONITOR_MS),
        /// How often the other side is to speak, in mode `802.3ad`.
        lacp_rate = one_of(LacpRate::WORDS).optional("`slow`"),
        /// By what a packet is given to a member, in modes `802.3ad`, `balance-xor` and
        /// `balance-tlb`.
        hash = one_of(HashPolicy::WORDS).optional("`layer2`"),
        /// What it gets.
        settings = inline::<Settings>(),
    }
}

keys! {
    impl Bridge {
        /// Its name, which is the kernel's too: up to 15 letters, digits, `.`, `_` and `-`.
        name = text(check::link).required(),
        /// Adapters, bonds and VLANs, by `name`. They have no addresses themselves.
        members = list(text(check::link)).or_empty("none: for containers and guests alone"),
        /// Whether it speaks the spanning tree protocol.
        stp = boolean().or(false),
        /// What it gets.
        settings = inline::<Settings>(),
    }
}

keys! {
    impl Settings {
        /// Which addresses come from DHCP.
        dhcp = one_of(Dhcp::WORDS).optional("`both`, or `none` where it has `addresses`"),
        /// Its own, with the lengths of their networks' prefixes, such as `10.0.0.5/24`.
        addresses = one_or_more(text(check::prefix)).or_empty(""),
        /// Default routes: routers in the networks of `addresses`, at most one of IPv4 and of IPv6.
        gateways = one_or_more(text(check::ip_address)).or_empty(""),
        /// Metric of the default routes, also of those from DHCP: the lowest is taken.
        metric = integer(1, i64::from(u32::MAX)).optional("the renderer's"),
        /// Further routes.
        routes = list(table()).or_empty(""),
        /// Addresses of name servers.
        name_servers = one_or_more(text(check::ip_address)).or_empty("those of `[network]`"),
        /// Domains in which short names are looked up.
        search = one_or_more(text(check::domain)).or_empty("those of `[network]`"),
        /// Largest packet, in bytes.
        mtu = integer(i64::from(*MTU_BYTES.start()), i64::from(*MTU_BYTES.end()))
            .optional("what it has"),
        /// Whether the machine counts as online without it.
        optional = boolean().or(false),
    }
}

keys! {
    impl Route {
        /// The network that it leads to, such as `10.1.0.0/16`.
        to = text(check::prefix).required_else(Prefix::default_of(true)),
        /// The router.
        via = text(check::ip_address).optional("none: who is there is reached directly"),
        /// Which of several routes is taken: that with the lowest.
        metric = integer(1, i64::from(u32::MAX)).optional("the renderer's"),
        /// Whether the router is reached directly though it is in no network of the link.
        onlink = boolean().or(false),
    }
}
