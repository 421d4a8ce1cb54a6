//! Systems without Kubernetes, and those whose image holds it already.

use super::{Built, Project, SMALL, os, text};
use crate::support::bootable;
use crate::support::layers::Image;
use isoforge_oci::layer::LayerCompression;
use isoforge_oci::media::Family;
use serde_json::Value;

/// [`SMALL`] without its Kubernetes.
fn without() -> String {
    let (before, section) = SMALL.split_once("[kubernetes]").unwrap();
    let (_, after) = section.split_once("[vars]").unwrap();
    format!("{before}[vars]{after}")
}

const INCLUDED: &str = "[kubernetes]\ndistribution = \"k3s\"\nincluded = true\n";

/// The labels of the one provider image, and its tag.
fn provider(project: &Project, built: &Built) -> (String, Value) {
    let report = project.inspect(&built.file("-provider.oci.tar"));
    let images = report["images"].as_array().unwrap();
    assert_eq!(images.len(), 1, "{images:?}");
    let platform = &images[0]["platforms"][0];
    (text(&images[0]["name"]), platform["labels"].clone())
}

fn kubernetes_of(built: &Built) -> Vec<(String, String)> {
    let manifest = built.manifest();
    let components = manifest["architectures"]["amd64"]["components"].clone();
    let components = components.as_array().unwrap().iter();
    let kubernetes = components.filter(|it| it["kind"] == "kubernetes");
    kubernetes
        .map(|it| (text(&it["name"]), text(&it["version"])))
        .collect()
}

#[test]
fn every_verb_takes_a_profile_without_kubernetes() {
    let project = Project::new();
    project.layout("os", &os("amd64"));
    project.write("profile.toml", without());
    let run = |arguments: &[&str]| {
        let outcome = project.program.run(arguments);
        outcome.assert_exit(0);
        outcome.stdout
    };
    let said = run(&["validate", "profile.toml"]);
    assert!(
        said.ends_with("amd64 on ubuntu 22.04, no Kubernetes\n"),
        "{said}"
    );
    let planned = run(&["plan", "profile.toml"]);
    assert!(
        planned.contains("  registry.example/edge/small:1.0.0\n"),
        "{planned}"
    );
    run(&["lock", "profile.toml"]);
    let built = project.build("profile.toml", &["--locked"]);
    assert_eq!(
        built.summary["provider_images"][0],
        "registry.example/edge/small:1.0.0"
    );
    assert_eq!(kubernetes_of(&built), []);
    let (tag, labels) = provider(&project, &built);
    assert_eq!(tag, "1.0.0");
    assert_eq!(
        labels["org.opencontainers.image.description"],
        "ubuntu 22.04"
    );
    let labels = labels.as_object().unwrap();
    assert!(
        !labels.keys().any(|name| name.contains("kubernetes")),
        "{labels:?}"
    );
    project.inspect(&built.iso());
    project.inspect(&built.folder);
    let only = project.build("profile.toml", &["--only", "iso", "--output", "iso-alone"]);
    assert_eq!(only.squashfs("amd64"), built.squashfs("amd64"));
    let archive = built.file("-provider.oci.tar");
    let archive = archive.to_str().unwrap();
    run(&["bundle", "build", "profile.toml", "--provider", archive]);
    run(&["init", "elsewhere"]);
}

#[test]
fn what_is_of_a_cluster_needs_kubernetes() {
    let project = Project::new();
    project.layout("os", &os("amd64"));
    let of_cluster = "[cni]\nname = \"calico\"\nversion = \"3.29.2\"\n[cluster]\nnodes = 3\n\
                      [content]\nimages = [\"registry.example/x:{version}\"]\n";
    project.write("profile.toml", without() + of_cluster);
    let outcome = project.program.run(&["validate", "profile.toml"]);
    outcome.assert_exit(2);
    insta::assert_snapshot!(outcome.error(), @r#"
    exit 2
    error: [cni] is of a cluster, and the profile has no [kubernetes]
      --> profile.toml:15:1
       |
    15 | [cni]
       | ^^^^^
       = expected [kubernetes], or [content] for what the ISO only carries

    error: [cluster] is of a cluster, and the profile has no [kubernetes]
      --> profile.toml:18:1
       |
    18 | [cluster]
       | ^^^^^^^^^
       = expected [kubernetes], or [content] for what the ISO only carries

    error: '{version}' stands for nothing: the profile says no version of Kubernetes
      --> profile.toml:21:11
       |
    21 | images = ["registry.example/x:{version}"]
       |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       = expected a version in its place, or 'version' in [kubernetes]

    3 problems in the profile
    "#);
}

#[test]
fn kubernetes_of_the_image_is_found_and_compared() {
    let project = Project::new();
    let k3s = "file usr/local/bin/k3s 0755 'go1.23 v1.32.3+k3s1 k3s'";
    let layers = [
        bootable::os_layer("amd64"),
        super::kairos_layer("amd64"),
        k3s.to_owned(),
    ];
    let layers: Vec<_> = layers
        .iter()
        .map(|text| (text.as_str(), LayerCompression::Gzip))
        .collect();
    let image = Image::new(Family::Oci, "linux/amd64", &layers);
    project.layout("os", &image);
    project.write("profile.toml", without() + INCLUDED);
    let built = project.build("profile.toml", &[]);
    assert_eq!(
        kubernetes_of(&built),
        [("k3s".to_owned(), "1.32.3+k3s1".to_owned())]
    );
    let (tag, labels) = provider(&project, &built);
    assert_eq!(tag, "k3s-1.0.0");
    assert_eq!(labels["io.isoforge.kubernetes.version"], "1.32.3+k3s1");
    assert_eq!(labels["io.isoforge.kubernetes.distribution"], "k3s");

    let said = ["--set", "kubernetes.version=1.32.3", "--output", "said"];
    let said = project.build("profile.toml", &said);
    assert_eq!(provider(&project, &said).0, "k3s-1.32.3-1.0.0");
    assert_eq!(said.squashfs("amd64"), built.squashfs("amd64"));
    let refused = |sets: &[&str]| {
        let outcome = project
            .program
            .run(&[&["build", "profile.toml"], sets].concat());
        outcome.assert_exit(2);
        outcome.error()
    };
    insta::assert_snapshot!(refused(&["--set", "kubernetes.version=1.31.0"]), @r"
    exit 2
    error: the image for amd64 holds k3s 1.32.3+k3s1, not 1.31.0
    hint: correct 'version' in [kubernetes], or leave it out: then it is the image's; --force builds nonetheless
    ");
    let other = ["--set", "kubernetes.distribution=rke2"];
    insta::assert_snapshot!(refused(&other), @r"
    exit 2
    error: the image for amd64 does not hold rke2
    hint: take an image that has it, or say with 'image', 'archive', 'layers' or 'files' in [kubernetes] where it comes from; --force builds nonetheless
    ");
    let forced = [other.as_slice(), &["--force", "--output", "forced"]].concat();
    project.build("profile.toml", &forced);
}

/// Warnings of a build of ISO and provider image that are about programs.
fn lacking(project: &Project, arguments: &[&str]) -> String {
    let outcome = project
        .program
        .run(&[&["build", "profile.toml"], arguments].concat());
    outcome.assert_exit(0);
    let lines = outcome.stderr.lines();
    let lines: Vec<_> = lines
        .filter(|line| line.contains("lacks programs"))
        .collect();
    lines.join("\n")
}

#[test]
fn what_kubeadm_asks_for_and_the_system_lacks_is_told_once_by_name() {
    let project = Project::small();
    assert_eq!(
        lacking(&project, &[]),
        "",
        "of another distribution nothing is known"
    );
    // The catalog knows no images of this version.
    let kubeadm = SMALL.replace("\"text\"", "\"kubeadm\"");
    let kubeadm = kubeadm.replace("\"1.32.3\"", "\"1.31.7\"");
    project.write("profile.toml", &kubeadm);
    insta::assert_snapshot!(lacking(&project, &["--output", "bare"]), @r"
    warning: the system for amd64 lacks programs that clusters of kubeadm need: kubeadm, kubelet, conntrack, ip, iptables, mount, nsenter, a container runtime (containerd or crio), runc or crun; add them to the image, or with [[layers]], an overlay or [[kubernetes.files]]
    warning: the system for amd64 lacks programs that clusters can do without but tools ask for: ebtables, ethtool, socat, tc
    ");
    // As Debian has it: `/sbin` merged, iptables by its alternatives to the one of nftables.
    let whole = bootable::kubernetes_layer("amd64")
        .replace("usr/bin/iptables", "usr/sbin/xtables-nft-multi");
    let whole = format!(
        "{whole}
         link sbin usr/sbin
         link usr/sbin/iptables /etc/alternatives/iptables
         link etc/alternatives/iptables /sbin/iptables-nft
         link usr/sbin/iptables-nft xtables-nft-multi"
    );
    project.layout("programs", &bootable::image("amd64", &whole));
    let folder = "layers = [{ folder = \"kubernetes\" }]";
    project.write(
        "profile.toml",
        kubeadm.replace(folder, "image = \"oci:programs:v1\""),
    );
    assert_eq!(lacking(&project, &["--output", "whole"]), "");
}
