//! `[network]` is written for the program that the image has.

use super::{Project, SMALL, on_iso, os};
use crate::support::bootable;
use isoforge_oci::layer::LayerCompression;
use isoforge_oci::media::Family;

const NETWORK: &str = r#"
[[network.adapters]]
name = "lan"
mac = "52:54:00:12:34:56"
addresses = "10.0.0.5/24"
"#;

/// Builds the ISO over the small system with `more` in it: what was said of the network,
/// and the configuration.
fn built(more: &str, network: &str) -> (String, String) {
    let project = Project::new();
    let layers = [
        bootable::os_layer("amd64"),
        super::kairos_layer("amd64"),
        more.to_owned(),
    ];
    let layers: Vec<_> = layers
        .iter()
        .map(|text| (text.as_str(), LayerCompression::Gzip))
        .collect();
    let image = crate::support::layers::Image::new(Family::Oci, "linux/amd64", &layers);
    project.layout("os", &image);
    project.write("kubernetes/usr/bin/kubelet", "kubelet");
    project.write("profile.toml", format!("{SMALL}{network}"));
    let built = project.build("profile.toml", &["--only", "iso"]);
    let events = built.events.iter();
    let warnings = events.filter_map(|event| event["message"].as_str());
    let warnings: Vec<_> = warnings.filter(|it| it.contains("[network]")).collect();
    let config = on_iso(&built.iso(), "/config.yaml");
    (warnings.join("\n"), String::from_utf8(config).unwrap())
}

#[test]
fn the_image_decides_who_sets_the_network_up() {
    let networkd = "file usr/lib/systemd/systemd-networkd 0755 'networkd'";
    let manager = "file usr/sbin/NetworkManager 0755 'manager'";
    let (warnings, config) = built(networkd, NETWORK);
    assert_eq!(warnings, "");
    assert!(
        config.contains("/etc/systemd/network/11-appliance-lan.network"),
        "{config}"
    );
    assert!(
        config.contains("PermanentMACAddress=52:54:00:12:34:56"),
        "{config}"
    );
    let (warnings, config) = built(manager, NETWORK);
    assert_eq!(warnings, "");
    let path = "path: \"/etc/NetworkManager/system-connections/appliance-lan.nmconnection\"\n          permissions: 0600";
    assert!(config.contains(path), "{config}");
    let (warnings, _) = built("dir srv 0755", NETWORK);
    insta::assert_snapshot!(warnings, @"the system for amd64 has neither systemd-networkd nor NetworkManager: nothing there sets up [network]");
    let wanted = format!("[network]\nrenderer = \"networkmanager\"\n{NETWORK}");
    let (warnings, _) = built(networkd, &wanted);
    insta::assert_snapshot!(warnings, @"the system for amd64 has no NetworkManager, which 'renderer' in [network] names, but systemd-networkd");
}

#[test]
fn a_network_that_goes_nowhere_is_told() {
    let project = Project::new();
    project.layout("os", &os("amd64"));
    project.write("kubernetes/usr/bin/kubelet", "kubelet");
    project.write(
        "user-data",
        "#cloud-config\nusers: [{ name: a, groups: [admin] }]\n",
    );
    let file = "[cloud_config]\nfile = \"user-data\"\n";
    project.write("profile.toml", format!("{SMALL}{file}{NETWORK}"));
    let outcome = project.program.run(&["validate", "profile.toml"]);
    outcome.assert_exit(0);
    let warnings = outcome
        .stderr
        .lines()
        .filter(|line| line.contains("[network]"));
    insta::assert_snapshot!(warnings.collect::<String>(), @"warning: [network] does not reach the machine: user-data has no 'network.files', which docs/network.md tells of");
    project.write("profile.toml", format!("{SMALL}[vars.network.eth0]\n"));
    let outcome = project.program.run(&["validate", "profile.toml"]);
    outcome.assert_exit(2);
    insta::assert_snapshot!(outcome.error(), @r#"
    exit 2
    error: the built-in cloud-config does not read [vars.network]
    hint: write eth0 = { address = "10.0.0.5/24", gateway = "10.0.0.1" } as [[network.adapters]] with name = "eth0", addresses = "10.0.0.5/24" and gateways = "10.0.0.1"; docs/network.md has the rest
    "#);
}
