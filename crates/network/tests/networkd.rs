//! systemd-networkd itself reads the files and sets a network up, in namespaces of its own.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::path::Path;
use std::process::Command;

use isoforge_network::{
    Adapter, Bond, BondMode, Bridge, Dhcp, HashPolicy, LacpRate, Match, Network, Renderer, Route,
    Settings, Vlan,
};
use serde_json::Value;

const NETWORKD: &str = "/usr/lib/systemd/systemd-networkd";

/// Runs networkd with the files in `$1` beside a pair of links until `port0` has its
/// routes, at most ten seconds. Prints what there is then, and what networkd said.
const SCRIPT: &str = r#"
set -e
mount --bind "$1/etc/systemd" /etc/systemd
mount -t tmpfs none /run
mount -t sysfs -o ro none /sys
mkdir -p /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
chown -R systemd-network:systemd-network /run/systemd/netif || true
ip link set lo up
ip link add port0 type veth peer name peer0
ip link set peer0 up
SYSTEMD_LOG_LEVEL=info "$2" 2> "$1/log" &
for _ in $(seq 100); do
    ip route | grep -q 10.1.0.0/16 && ip -br addr show br0 | grep -q 10.3 && break
    sleep 0.1
done
ip -j -d address > "$1/addresses"
ip -j route > "$1/routes"
kill %1
wait || true
"#;

fn network() -> Network {
    let text = |text: &str| text.to_owned();
    let adapter = |name: &str, matched, settings| Adapter {
        name: text(name),
        matched,
        settings,
    };
    Network {
        name_servers: vec!["10.0.0.2".parse().unwrap()],
        search: vec![text("site.example")],
        adapters: vec![
            adapter(
                "port",
                Match::Name(text("port0")),
                Settings {
                    addresses: vec![
                        "10.0.0.5/24".parse().unwrap(),
                        "fd00::5/64".parse().unwrap(),
                    ],
                    gateways: vec!["10.0.0.1".parse().unwrap()],
                    metric: Some(100),
                    routes: vec![
                        route("10.1.0.0/16", Some("192.0.2.1"), Some(50), true),
                        route("10.96.0.0/12", None, None, false),
                    ],
                    mtu: Some(1400),
                    ..Settings::default()
                },
            ),
            adapter(
                "nic",
                Match::Mac("52:54:00:00:00:01".parse().unwrap()),
                Settings {
                    metric: Some(7),
                    ..Settings::default()
                },
            ),
        ],
        vlans: vec![Vlan {
            name: text("storage"),
            parent: text("bond0"),
            id: 100,
            settings: Settings::default(),
        }],
        bonds: vec![Bond {
            name: text("bond0"),
            members: Vec::new(),
            mode: BondMode::Lacp,
            monitor_ms: 100,
            lacp_rate: Some(LacpRate::Fast),
            hash: Some(HashPolicy::Layer34),
            settings: Settings {
                dhcp: Some(Dhcp::None),
                ..Settings::default()
            },
        }],
        bridges: vec![Bridge {
            name: text("br0"),
            members: Vec::new(),
            stp: true,
            settings: Settings {
                addresses: vec!["10.3.0.1/24".parse().unwrap()],
                ..Settings::default()
            },
        }],
        ..Network::default()
    }
}

fn route(to: &str, via: Option<&str>, metric: Option<u32>, onlink: bool) -> Route {
    Route {
        to: to.parse().unwrap(),
        via: via.map(|via| via.parse().unwrap()),
        metric,
        onlink,
    }
}

fn json(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn networkd_takes_every_key_and_sets_up_addresses_and_routes() {
    let is_root = Command::new("unshare").args(["-n", "-m", "true"]).status();
    if !Path::new(NETWORKD).is_file() || !is_root.is_ok_and(|status| status.success()) {
        isoforge_judges::skip("systemd-networkd with namespaces of its own, which root can make");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    assert_eq!(network().problems(), []);
    for file in network().files(Renderer::Networkd) {
        let path = root.join(file.path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file.content).unwrap();
    }
    let arguments = ["-n", "-m", "bash", "-c", SCRIPT, "bash"];
    let status = Command::new("unshare")
        .args(arguments)
        .arg(root)
        .arg(NETWORKD)
        .status();
    let log = std::fs::read_to_string(root.join("log")).unwrap_or_default();
    assert!(status.unwrap().success(), "{log}");
    // So systemd speaks of what it does not understand in a file.
    for word in [
        "Unknown",
        "Failed to parse",
        "nvalid",
        "ignoring assignment",
        "conflict",
    ] {
        let line = log
            .lines()
            .find(|line| line.contains(word) && line.contains("/etc/systemd"));
        assert_eq!(line, None, "{log}");
    }
    let routes = json(&root.join("routes"));
    let route_to = |to: &str| {
        let found = routes.iter().find(|route| route["dst"] == to);
        found
            .unwrap_or_else(|| panic!("no route to {to} in {routes:?}\n{log}"))
            .clone()
    };
    let default = route_to("default");
    assert_eq!(
        (&default["gateway"], &default["metric"]),
        (&"10.0.0.1".into(), &100.into())
    );
    let other = route_to("10.1.0.0/16");
    assert_eq!(
        (&other["gateway"], &other["metric"]),
        (&"192.0.2.1".into(), &50.into())
    );
    assert_eq!(other["flags"][0], "onlink");
    assert_eq!(route_to("10.96.0.0/12")["scope"], "link");
    let links = json(&root.join("addresses"));
    let link = |name: &str| {
        links
            .iter()
            .find(|link| link["ifname"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(link("port0")["mtu"], 1400);
    let own = |name: &str| -> Vec<String> {
        let addresses = link(name)["addr_info"].as_array().unwrap().clone();
        let global = addresses.into_iter().filter(|it| it["scope"] == "global");
        global
            .map(|it| format!("{}/{}", it["local"].as_str().unwrap(), it["prefixlen"]))
            .collect()
    };
    assert_eq!(own("port0"), ["10.0.0.5/24", "fd00::5/64"]);
    assert_eq!(own("br0"), ["10.3.0.1/24"]);
    assert_eq!(link("br0")["linkinfo"]["info_data"]["stp_state"], 1);
}
