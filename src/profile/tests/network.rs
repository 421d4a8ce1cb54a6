//! Keys of the machine's network.

use super::*;

fn network_with(text: &str) -> Result<Loaded, Problems> {
    load_files(&[("p/main.toml", &format!("{MINIMAL}\n{text}"))], &[])
}

fn files(text: &str) -> String {
    let loaded = network_with(text).unwrap_or_else(|problems| panic!("{problems}"));
    let context = loaded.profile.context(&Secrets::default());
    let files = context["network"]["files"].as_array().unwrap().iter();
    let shown = files.map(|it| {
        format!(
            "== {}\n{}",
            it["path"].as_str().unwrap(),
            it["content"].as_str().unwrap()
        )
    });
    shown.collect::<Vec<_>>().join("\n")
}

/// A profile with every key of a network.
const EVERYTHING: &str = r#"
[network]
renderer = "networkd"
name_servers = "10.0.0.2"
search = ["site.example"]
ntp = ["10.0.0.3", "ntp.example"]
[[network.adapters]]
name = "lan"
mac = "52:54:00:12:34:56"
addresses = "10.0.0.5/24"
gateways = "10.0.0.1"
metric = 100
routes = [{ to = "10.1.0.0/16", via = "192.0.2.1", metric = 50, onlink = true }]
[[network.adapters]]
name = "eth1"
[[network.adapters]]
name = "rest"
interface = "e*"
optional = true
[[network.bonds]]
name = "bond0"
members = ["eth1"]
mode = "802.3ad"
monitor_ms = 50
lacp_rate = "fast"
hash = "layer3+4"
dhcp = "none"
mtu = 9000
[[network.vlans]]
name = "storage"
parent = "bond0"
id = 100
dhcp = "ipv4"
name_servers = "10.2.0.2"
search = "storage.example"
[[network.bridges]]
name = "br0"
members = ["storage2"]
stp = true
[[network.vlans]]
name = "storage2"
parent = "bond0"
id = 101
"#;

#[test]
fn every_key_of_a_network_reaches_its_files() {
    insta::assert_snapshot!(files(EVERYTHING), @"");
}

#[test]
fn wrong_values_of_a_network_are_told_with_their_places() {
    let problems = network_with(
        r#"
[network]
ntp = ["a.example, b.example"]
[[network.adapters]]
name = "the first adapter"
mac = "52:54:00:12:34"
addresses = ["10.0.0.5", "10.0.0.500/24"]
gateways = "10.0.0.1/24"
dhcp = "yes"
mtu = 60
[[network.adapters]]
name = "two"
mac = "52:54:00:12:34:57"
interface = "eth 0"
[[network.vlans]]
name = "v"
parent = "two"
id = 4095
[[network.bonds]]
name = "b"
members = []
"#,
    )
    .unwrap_err();
    insta::assert_snapshot!(problems, @"");
}

#[test]
fn what_can_not_work_is_told_where_it_is_written() {
    let problems = network_with(
        r#"
[[network.adapters]]
name = "lan"
addresses = ["10.0.0.5/24"]
gateways = "10.0.1.1"
[[network.vlans]]
name = "v"
parent = "wan"
id = 5
addresses = "10.0.0.5/24"
"#,
    )
    .unwrap_err();
    insta::assert_snapshot!(problems, @"");
}
