//! What tests of packs and charts start from.

use crate::support::layers::index;
use crate::support::program::{Outcome, Project};
use crate::support::registry::FakeRegistry;
use crate::support::{bootable, judge};
use isoforge_contract::machine::Config;
use isoforge_oci::media::Family;

/// The component that the pack of [`write_pack`] in `packs/store` is.
pub(super) const STORE: &str =
    "[csi]\nname = \"store\"\nversion = \"1.0.0\"\npack = \"packs/store\"\n";

/// A registry with an image under each of these names, tag `1`.
fn registry(names: &[&str]) -> FakeRegistry {
    let registry = FakeRegistry::start();
    for name in names {
        let image = bootable::image("amd64", &format!("file {name} 0644 '{name}'"));
        registry.put_image(name, "amd64", &image);
        registry.put_manifest(name, "1", &index(Family::Oci, &[&image]));
    }
    registry
}

pub(super) fn pod(host: &str, image: &str) -> String {
    format!(
        "kind: Pod\nmetadata: {{name: {image}}}\nspec: {{containers: [{{image: \"{host}/{image}:1\"}}]}}\n"
    )
}

/// A pack that lists `listed` and has a manifest that needs `needed`, which the
/// preset `Mode:other` replaces by `other`.
pub(super) fn write_pack(project: &Project, folder: &str, host: &str, listed: &[&str]) {
    let images: String = listed
        .iter()
        .map(|name| format!("    - image: {host}/{name}:1\n"))
        .collect();
    project.write(
        &format!("{folder}/pack.json"),
        "{\"name\": \"store\", \"displayName\": \"Store\", \"version\": \"1.0.0\", \"layer\": \"csi\", \
         \"kubeManifests\": [\"manifests/m.yaml\"]}",
    );
    project.write(
        &format!("{folder}/values.yaml"),
        &format!("pack:\n  namespace: store\n  content:\n    images:\n{images}"),
    );
    project.write(
        &format!("{folder}/presets.yaml"),
        &format!(
            "presets:\n- name: other\n  group: Mode\n  displayName: Other\n  remove: []\n  add: |\n    \
             pack: {{content: {{images: [{{image: '{host}/other:1'}}]}}}}\n"
        ),
    );
    project.write(&format!("{folder}/manifests/m.yaml"), &pod(host, "needed"));
}

const LOCK: [&str; 2] = ["lock", "profile.toml"];

pub(super) fn lock(project: &Project, arguments: &[&str]) -> Outcome {
    project.run(&[&LOCK, arguments].concat())
}

/// Whether builds render charts here: then nothing is left to accept.
pub(super) fn has_helm() -> bool {
    let has = isoforge_content::find::helm::Helm::installed().is_some();
    if has {
        isoforge_judges::skip("Helm is installed, so nothing has to be accepted");
    }
    has
}

/// A registry with these images, its host, and a project.
pub(super) fn start(names: &[&str]) -> (FakeRegistry, String, Project) {
    let registry = registry(names);
    let host = registry.host();
    (registry, host, Project::bootable())
}

/// What the ISO's installer checks and installs.
pub(super) fn installer_config(project: &Project) -> Config {
    let iso = project.path("dist/tiny-1.0.0/tiny-1.0.0.iso");
    let root = project.path("root.squashfs");
    let extract = ["-extract", "/rootfs.squashfs", root.to_str().unwrap()];
    let medium = [
        "-osirrox",
        "on",
        "-overwrite",
        "on",
        "-indev",
        iso.to_str().unwrap(),
    ];
    judge(
        "xorriso",
        "xorriso",
        &[medium.as_slice(), &extract].concat(),
    );
    let cat = [
        "-cat",
        root.to_str().unwrap(),
        "usr/lib/appliance/config.json",
    ];
    let config = judge("squashfs-tools", "unsquashfs", &cat);
    Config::parse(config.as_bytes()).unwrap()
}

/// Gives the project the chart `web` in a file, as an addon of which `more` is said.
pub(super) fn add_web(project: &Project, archive: &[u8], more: &str) {
    std::fs::write(project.path("web.tgz"), archive).unwrap();
    project.add_to_profile(&format!(
        "[[addons]]\nname = \"web\"\nversion = \"1.2.3\"\nchart = \"web.tgz\"\n{more}"
    ));
}
