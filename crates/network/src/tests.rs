use std::net::IpAddr;

use super::*;

/// Four adapters, of which two make a bond with two VLANs, one of them below a bridge.
fn network() -> Network {
    Network {
        name_servers: vec![ip("10.0.0.2"), ip("fd00::2")],
        search: vec!["site.example".to_owned(), "example".to_owned()],
        adapters: vec![
            adapter(
                "lan",
                by_mac("52:54:00:00:00:01"),
                Settings {
                    addresses: vec![prefix("10.0.0.5/24"), prefix("fd00::5/64")],
                    gateways: vec![ip("10.0.0.1")],
                    metric: Some(100),
                    routes: vec![
                        Route {
                            via: Some(ip("10.0.0.254")),
                            metric: Some(50),
                            ..to("10.1.0.0/16")
                        },
                        Route {
                            via: Some(ip("192.0.2.1")),
                            onlink: true,
                            ..to("192.0.2.0/24")
                        },
                        to("10.96.0.0/12"),
                    ],
                    ..Settings::default()
                },
            ),
            adapter("port1", by_mac("52:54:00:00:00:02"), Settings::default()),
            adapter("port2", Match::Name("ens5".to_owned()), Settings::default()),
            adapter(
                "rest",
                Match::Name("e*".to_owned()),
                Settings {
                    metric: Some(2000),
                    optional: true,
                    ..Settings::default()
                },
            ),
        ],
        bonds: vec![Bond {
            name: "bond0".to_owned(),
            members: vec!["port1".to_owned(), "port2".to_owned()],
            mode: BondMode::Lacp,
            monitor_ms: 100,
            lacp_rate: Some(LacpRate::Fast),
            hash: Some(HashPolicy::Layer34),
            settings: Settings {
                dhcp: Some(Dhcp::None),
                mtu: Some(9000),
                ..Settings::default()
            },
        }],
        vlans: vec![
            vlan(
                "storage",
                "bond0",
                4094,
                Settings {
                    addresses: vec![prefix("10.2.0.5/24")],
                    name_servers: vec![ip("10.2.0.2")],
                    search: vec!["storage.example".to_owned()],
                    mtu: Some(9000),
                    ..Settings::default()
                },
            ),
            vlan("guests", "bond0", 1, Settings::default()),
        ],
        bridges: vec![Bridge {
            name: "br0".to_owned(),
            members: vec!["guests".to_owned()],
            stp: true,
            settings: Settings {
                dhcp: Some(Dhcp::Ipv4),
                ..Settings::default()
            },
        }],
        ..Network::default()
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

fn by_mac(text: &str) -> Match {
    Match::Mac(text.parse().unwrap())
}

fn to(text: &str) -> Route {
    Route {
        to: prefix(text),
        via: None,
        metric: None,
        onlink: false,
    }
}

fn adapter(name: &str, matched: Match, settings: Settings) -> Adapter {
    Adapter {
        name: name.to_owned(),
        matched,
        settings,
    }
}

fn vlan(name: &str, parent: &str, id: u16, settings: Settings) -> Vlan {
    Vlan {
        name: name.to_owned(),
        parent: parent.to_owned(),
        id,
        settings,
    }
}

fn shown(files: &[File]) -> String {
    let files = files.iter();
    let files = files.map(|it| format!("== {} {:04o}\n{}", it.path, it.mode, it.content));
    files.collect::<Vec<_>>().join("\n")
}

/// What is wrong once `change` was made.
fn wrong(change: impl FnOnce(&mut Network)) -> String {
    let mut network = network();
    change(&mut network);
    let problems = network.problems();
    let lines = problems
        .iter()
        .map(|it| format!("{}: {}; {}", it.place, it.message, it.allowed));
    lines.collect::<Vec<_>>().join("\n")
}

fn lan(network: &mut Network) -> &mut Settings {
    &mut network.adapters[0].settings
}

#[test]
fn systemd_networkd_gets_files_that_sort_before_those_of_images() {
    assert_eq!(network().problems(), []);
    insta::assert_snapshot!(shown(&network().files(Renderer::Networkd)), @"");
}

#[test]
fn network_manager_gets_profiles() {
    insta::assert_snapshot!(shown(&network().files(Renderer::NetworkManager)), @"");
}

#[test]
fn texts_of_addresses_and_names() {
    for wrong in [
        "10.0.0.1",
        "10.0.0.1/33",
        "10.0.0.1/-1",
        "10.0.0.1/+8",
        "fd00::/129",
        "/8",
        "x/8",
        "",
    ] {
        assert!(wrong.parse::<Prefix>().is_err(), "{wrong}");
    }
    assert_eq!(prefix("10.0.5.6/0").network(), ip("0.0.0.0"));
    assert_eq!(prefix("10.0.5.6/23").network(), ip("10.0.4.0"));
    assert_eq!(prefix("fd00::1:5/112").network(), ip("fd00::1:0"));
    assert_eq!(prefix("fd00::5/0").network(), ip("::"));
    assert!(prefix("10.0.0.0/31").holds(ip("10.0.0.1")) && !prefix("10.0.0.0/31").is_no_host());
    assert!(!prefix("::/0").holds(ip("0.0.0.0")));
    let mac: Mac = "52-54-00-AB-cd-01".parse().unwrap();
    assert_eq!(mac.to_string(), "52:54:00:ab:cd:01");
    for wrong in [
        "53:54:00:00:00:01",
        "00:00:00:00:00:00",
        "52:54:00:00:00",
        "52:54:00:00:00:01:02",
        "5:54:00:00:00:01",
        "+2:54:00:00:00:01",
    ] {
        assert!(wrong.parse::<Mac>().is_err(), "{wrong}");
    }
    assert!(link_name("enp0s31f6.4094") && link_name("br-0_a"));
    for wrong in [
        "",
        "lan 1",
        "a/b",
        "sixteen-letters-",
        ".",
        "..",
        "-a",
        "12",
        "ä",
        "a%b",
        "a\nb",
    ] {
        assert!(!link_name(wrong), "{wrong}");
    }
    assert!(
        host_name("ntp.example")
            && host_name("10.0.0.1")
            && !host_name("a,b")
            && !host_name("a b")
            && !host_name("a..b")
    );
}

#[test]
fn what_can_not_work_of_a_link_is_told_with_what_is_allowed() {
    let told = [
        wrong(|it| lan(it).gateways = vec![ip("10.0.1.1")]),
        wrong(|it| lan(it).gateways = vec![ip("10.0.0.5")]),
        wrong(|it| lan(it).gateways.push(ip("10.0.0.3"))),
        wrong(|it| lan(it).addresses[0] = prefix("10.0.0.255/24")),
        wrong(|it| lan(it).addresses[1] = prefix("ff02::1/64")),
        wrong(|it| lan(it).addresses.push(prefix("10.2.0.5/24"))),
        wrong(|it| lan(it).mtu = Some(1279)),
        wrong(|it| lan(it).mtu = Some(67)),
        wrong(|it| lan(it).routes[0].to = prefix("10.1.0.5/16")),
        wrong(|it| lan(it).routes[0].via = Some(ip("fd00::1"))),
        wrong(|it| lan(it).routes[1].onlink = false),
        wrong(|it| lan(it).routes[2].onlink = true),
        wrong(|it| lan(it).routes[1] = it_twice()),
    ];
    insta::assert_snapshot!(told.join("\n"), @"");
}

/// The first route of [`network`] by another router.
fn it_twice() -> Route {
    Route {
        via: Some(ip("10.0.0.253")),
        metric: Some(50),
        ..to("10.1.0.0/16")
    }
}

#[test]
fn what_can_not_hang_together_is_told_with_what_is_allowed() {
    let told = [
        wrong(|it| it.adapters[1].name = "port 1".to_owned()),
        wrong(|it| it.vlans[1].name = "storage".to_owned()),
        wrong(|it| it.adapters[1].matched = by_mac("52:54:00:00:00:01")),
        wrong(|it| it.vlans[0].id = 0),
        wrong(|it| it.vlans[0].id = 4095),
        wrong(|it| it.vlans[0].id = 1),
        wrong(|it| it.vlans[0].parent = "bond1".to_owned()),
        wrong(|it| it.vlans[0].parent = "port1".to_owned()),
        wrong(|it| it.vlans[0].parent = "guests".to_owned()),
        wrong(|it| it.vlans[0].parent = "rest".to_owned()),
        wrong(|it| it.vlans[0].settings.mtu = Some(9001)),
        wrong(|it| it.vlans[1].parent = "br0".to_owned()),
        wrong(|it| it.bonds[0].members.push("port1".to_owned())),
        wrong(|it| it.bridges[0].members.push("port1".to_owned())),
        wrong(|it| it.bonds[0].members.push("guests".to_owned())),
        wrong(|it| it.bonds[0].mode = BondMode::ActiveBackup),
        wrong(|it| it.adapters[1].settings.addresses = vec![prefix("10.9.0.1/24")]),
        wrong(|it| it.adapters[1].settings.mtu = Some(1500)),
    ];
    insta::assert_snapshot!(told.join("\n"), @"");
}
