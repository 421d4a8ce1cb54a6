use std::path::Path;

use super::*;
use crate::profile::load;

const PROFILE: &str = r#"
schema = 1
[appliance]
name = "a"
version = "1"
arch = ["amd64", "arm64"]
[os]
flavor = "kairos"
distribution = "ubuntu"
version = "22.04"
image = "registry.example/os:{arch}"
[kubernetes]
distribution = "mine"
versions = ["1.32.3", "1.31.0"]
image = "registry.example/k8s:{version}"
files = [{ url = "https://e.example/kubelet", sha256 = "sha256:0000000000000000000000000000000000000000000000000000000000000001", path = "/usr/bin/kubelet" }]
[[layers]]
folder = "extra"
for = ["iso"]
[[layers]]
archive = "agent-{arch}.tar"
arch = "arm64"
[cni]
name = "net"
version = "1"
images = ["registry.example/net:v1", "registry.example/net:v2"]
exclude_images = ["*:v2"]
"#;

#[test]
fn the_list_has_all_in_the_order_in_which_it_is_laid() {
    let loaded = load(Path::new("p.toml"), &Default::default(), &|_| {
        Ok(PROFILE.to_owned())
    });
    let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
    let inputs = Inputs::of(&loaded, &[]).unwrap();
    let shown = inputs.list.iter().map(|input| {
        let kind = match &input.source {
            Source::Image(_) => "image",
            Source::Archive(_) => "archive",
            Source::Folder(_) => "folder",
            Source::Files(_) => "files",
            Source::Packages(_) => "packages",
        };
        let version = input.version.as_deref().unwrap_or("*");
        let places = match (input.iso, input.provider) {
            (true, true) => "both",
            (true, false) => "iso",
            (false, true) => "provider",
            (false, false) => "none",
        };
        let (arch, role) = (input.arch, format!("{:?}", input.role));
        format!("{arch} {version} {role} {kind} {places}: {}", input.name)
    });
    insta::assert_snapshot!(shown.collect::<Vec<_>>().join("\n"), @"
    amd64 * Os image both: registry.example/os:amd64
    amd64 1.32.3 Kubernetes image both: registry.example/k8s:1.32.3
    amd64 1.32.3 Kubernetes files both: Kubernetes 1.32.3
    amd64 1.31.0 Kubernetes image both: registry.example/k8s:1.31.0
    amd64 1.31.0 Kubernetes files both: Kubernetes 1.31.0
    amd64 * Layer folder iso: extra
    amd64 * Content image iso: registry.example/net:v1
    arm64 * Os image both: registry.example/os:arm64
    arm64 1.32.3 Kubernetes image both: registry.example/k8s:1.32.3
    arm64 1.32.3 Kubernetes files both: Kubernetes 1.32.3
    arm64 1.31.0 Kubernetes image both: registry.example/k8s:1.31.0
    arm64 1.31.0 Kubernetes files both: Kubernetes 1.31.0
    arm64 * Layer folder iso: extra
    arm64 * Layer archive both: agent-arm64.tar
    arm64 * Content image iso: registry.example/net:v1
    ");
    let left_out = inputs.left_out.iter();
    let left_out: Vec<_> = left_out
        .map(|(arch, image, by)| format!("{arch} {image} {by}"))
        .collect();
    assert_eq!(
        left_out,
        [
            "amd64 registry.example/net:v2 cni net 1",
            "arm64 registry.example/net:v2 cni net 1"
        ]
    );
}
