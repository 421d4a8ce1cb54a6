//! The profiles of the repository build as they are. Registries on loopback
//! stand for every upstream host, and serve images made for the test under the
//! real names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use isoforge_base::digest::Digest;
use isoforge_oci::layer::LayerCompression::{Gzip, Zstd};
use isoforge_oci::media::Family;
use serde_json::json;

use super::{Built, Project, json_of, on_iso, os, text};
use crate::support::docker_registry::DockerRegistry;
use crate::support::judge;
use crate::support::layers::{Blob, Image, index};
use crate::support::registry::FakeRegistry;

/// A profile of the repository, and what it needs from registries.
pub(crate) struct Appliance {
    pub(crate) path: PathBuf,
    /// The image of the operating system.
    os: String,
    /// Images that are laid over it.
    layers: Vec<String>,
    /// Images that the ISO carries.
    pub(crate) content: BTreeSet<String>,
}

impl Appliance {
    /// Reads the profile and the catalog on its own, to know what a build
    /// must come to.
    pub(crate) fn read(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("profiles");
        let read = |name: &str| -> toml::Table {
            let text = std::fs::read_to_string(folder.join(name)).unwrap();
            text.parse().unwrap()
        };
        let (profile, catalog) = (read(name), read("catalog.toml"));
        let version = profile["kubernetes"]["version"].as_str().unwrap();
        let fill = |text: &str| {
            text.replace("{version}", version)
                .replace("{arch}", "amd64")
        };
        let mut content = BTreeSet::new();
        for kind in ["kubernetes", "cni", "csi", "registry"] {
            let Some(part) = profile.get(kind) else {
                continue;
            };
            content.extend(images_of(kind, part, &catalog).iter().map(|i| fill(i)));
        }
        if let Some(own) = profile.get("content") {
            content.extend(strings(own, "images"));
        }
        let mut layers = vec![fill(profile["kubernetes"]["image"].as_str().unwrap())];
        for layer in list(profile.get("layers")) {
            layers.push(layer["image"].as_str().unwrap().to_owned());
        }
        Self {
            path: folder.join(name),
            os: profile["os"]["image"].as_str().unwrap().to_owned(),
            layers,
            content,
        }
    }

    /// The hosts of all its images.
    fn hosts(&self) -> BTreeSet<&str> {
        let layers = self.layers.iter().chain([&self.os]);
        let all = layers.chain(&self.content);
        all.map(|reference| Name::of(reference).host).collect()
    }
}

/// The images that a component of a profile needs.
fn images_of(kind: &str, part: &toml::Value, catalog: &toml::Table) -> Vec<String> {
    let own = strings(part, "images");
    if !own.is_empty() {
        return own;
    }
    let name = part.get("name").or(part.get("distribution")).unwrap();
    let entry = list(catalog.get(kind)).iter().find(|entry| {
        entry["name"] == *name && [&part["version"], &"*".into()].contains(&&entry["version"])
    });
    let excluded = strings(part, "exclude_images");
    let mut images = entry.map(|entry| strings(entry, "images")).unwrap();
    images.retain(|image| {
        let parts = excluded.iter().map(|glob| glob.trim_matches('*'));
        !parts.into_iter().any(|part| image.contains(part))
    });
    images
}

fn list(value: Option<&toml::Value>) -> &[toml::Value] {
    value
        .and_then(toml::Value::as_array)
        .map_or(&[], |list| list)
}

fn strings(table: &toml::Value, key: &str) -> Vec<String> {
    let strings = list(table.get(key)).iter();
    strings
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

/// The parts of a reference with host and tag.
struct Name<'a> {
    host: &'a str,
    repository: &'a str,
    tag: &'a str,
}

impl<'a> Name<'a> {
    fn of(reference: &'a str) -> Self {
        let (rest, tag) = reference.rsplit_once(':').unwrap();
        let (host, repository) = rest.split_once('/').unwrap();
        Self {
            host,
            repository,
            tag,
        }
    }
}

/// An image, and an index over it where it has one.
pub(crate) struct Served {
    root: Blob,
    images: Vec<Image>,
}

/// The content image `reference`: by turns an OCI image, one of Docker's, and
/// an index over two platforms.
fn content_image(number: usize, reference: &str) -> Served {
    let mut layer = format!("file app 0755 '{reference}'");
    if reference.contains("/zot-linux-amd64:") {
        // The registry of the machine comes out of it.
        layer.push_str("\nfile usr/local/bin/zot-linux-amd64 0755 'zot'");
    }
    let image = |family, platform| Image::new(family, platform, &[(&layer, Gzip)]);
    let images = match number % 3 {
        0 => vec![image(Family::Oci, "linux/amd64")],
        1 => vec![image(Family::Docker, "linux/amd64")],
        _ => vec![
            image(Family::Oci, "linux/amd64"),
            image(Family::Oci, "linux/arm64"),
        ],
    };
    let root = match images.as_slice() {
        [only] => only.manifest.clone(),
        several => index(Family::Oci, &several.iter().collect::<Vec<_>>()),
    };
    Served { root, images }
}

/// What every image has that a profile lays over the system: something for each
/// filter, and something for none.
const LAYER: &str = "
    file etc/unwanted 0644 'x'
    file opt/cni/bin/bridge 0755 'bridge'
    file usr/bin/kubelet 0755 'kubelet'
    file usr/lib/firmware/card 0644 'card'
    file usr/lib/modules/6.1.0-test/build/Makefile 0644 'x'
    file usr/lib/modules/6.1.0-test/card.ko 0644 'card'
    file usr/lib/systemd/system/kubelet.service 0644 '[Unit]'";

/// What all upstream hosts serve.
pub(crate) fn upstream(appliance: &Appliance) -> BTreeMap<String, Served> {
    let mut served = BTreeMap::new();
    let mut one = |reference: &str, image: Image| {
        let root = image.manifest.clone();
        let images = vec![image];
        served.insert(reference.to_owned(), Served { root, images });
    };
    one(&appliance.os, os("amd64"));
    for layer in &appliance.layers {
        let layers = [(LAYER, Zstd)];
        one(layer, Image::new(Family::Oci, "linux/amd64", &layers));
    }
    for (number, reference) in appliance.content.iter().enumerate() {
        served.insert(reference.clone(), content_image(number, reference));
    }
    served
}

fn serve(registry: &FakeRegistry, name: &Name<'_>, served: &Served) {
    let repository = format!("{}/{}", name.host, name.repository);
    for image in &served.images {
        registry.put_image(&repository, name.tag, image);
    }
    registry.put_manifest(&repository, name.tag, &served.root);
}

/// Writes an image as skopeo's `dir:` has it, which takes manifests of every
/// type as they are; its `oci:` passes over Docker's.
fn write_dir(folder: &Path, served: &Served) {
    std::fs::create_dir_all(folder).unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    put("version", b"Directory Transport Version: 1.1\n");
    put("manifest.json", &served.root.bytes);
    for image in &served.images {
        let name = format!("{}.manifest.json", image.manifest.digest().hex());
        put(&name, &image.manifest.bytes);
        for blob in image.blobs() {
            put(&blob.digest().hex(), &blob.bytes);
        }
    }
}

fn push(registry: &DockerRegistry, project: &Project, name: &Name<'_>, served: &Served) {
    let folder = project.path("pushed").join(served.root.digest().hex());
    write_dir(&folder, served);
    let from = format!("dir:{}", folder.display());
    let Name {
        host,
        repository,
        tag,
    } = name;
    let to = format!("docker://{}/{host}/{repository}:{tag}", registry.host);
    let mut arguments = vec!["copy", "-q", "--all", "--preserve-digests"];
    arguments.extend(["--dest-tls-verify=false", &from, &to]);
    judge("skopeo", "skopeo", &arguments);
}

/// Asserts that the ISO carries what the registries serve, and nothing else.
fn assert_content(built: &Built, appliance: &Appliance, served: &BTreeMap<String, Served>) {
    let index = on_iso(&built.iso(), "/isoforge/content/index.json");
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    let carried: BTreeMap<String, String> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let name = &entry["annotations"]["org.opencontainers.image.ref.name"];
            (text(name), text(&entry["digest"]))
        })
        .collect();
    let wanted: BTreeMap<String, String> = appliance
        .content
        .iter()
        .map(|name| (name.clone(), served[name].root.digest().to_string()))
        .collect();
    assert_eq!(carried, wanted);
}

/// Asserts that each image on the ISO is complete for its platform, to the
/// byte. Those with OCI's media types, skopeo must be able to copy.
fn assert_usable(project: &Project, built: &Built) {
    let folder = project.path("content");
    let (iso, to) = (built.iso(), folder.to_str().unwrap());
    let iso = iso.to_str().unwrap();
    let mut arguments = vec!["-osirrox", "on", "-indev", iso];
    arguments.extend(["-extract", "/isoforge/content", to]);
    judge("xorriso", "xorriso", &arguments);
    let copy = format!("dir:{}", project.path("copy").display());
    let index = json_of(&folder.join("index.json"));
    let entries = index["manifests"].as_array().unwrap();
    for entry in entries
        .iter()
        .filter(|entry| text(&entry["mediaType"]).contains(".oci."))
    {
        let name = text(&entry["annotations"]["org.opencontainers.image.ref.name"]);
        let from = format!("oci:{to}:{name}");
        let arguments = ["copy", "-q", "--override-arch=amd64", &from, &copy];
        judge("skopeo", "skopeo", &arguments);
    }
    let blobs = folder.join("blobs/sha256");
    for name in super::names(&blobs) {
        let bytes = std::fs::read(blobs.join(&name)).unwrap();
        assert_eq!(Digest::of(&bytes).hex(), name);
    }
}

/// A registry in place of all hosts, and the flags that name it.
pub(crate) fn in_place_of_hosts(
    appliance: &Appliance,
    served: &BTreeMap<String, Served>,
) -> (FakeRegistry, Vec<String>) {
    let registry = FakeRegistry::start();
    for (reference, image) in served {
        serve(&registry, &Name::of(reference), image);
    }
    let mirrors = appliance.hosts().into_iter().flat_map(|host| {
        let mirror = format!("{host}={}/{host}", registry.host());
        ["--mirror".to_owned(), mirror]
    });
    let mirrors = mirrors.collect();
    (registry, mirrors)
}

/// Builds with one registry in place of all hosts, named by flags.
fn build(name: &str) -> (Project, Built, Appliance, BTreeMap<String, Served>) {
    let appliance = Appliance::read(name);
    let served = upstream(&appliance);
    let (_registry, mirrors) = in_place_of_hosts(&appliance, &served);
    let project = Project::new();
    // The repository's profiles get no locks from their tests.
    let mut arguments = vec!["--lock".to_owned(), "isoforge.lock".to_owned()];
    arguments.extend(mirrors);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let built = project.build(appliance.path.to_str().unwrap(), &arguments);
    (project, built, appliance, served)
}

#[test]
fn the_management_appliance_builds_unedited() {
    let appliance = Appliance::read("management-appliance.toml");
    assert_eq!(appliance.content.len(), 21);
    let served = upstream(&appliance);
    let project = Project::new();
    // quay.io is a real registry, named in the settings file; all others are
    // one that is named by flags.
    let real = DockerRegistry::start(&project.path(""), false);
    let fake = FakeRegistry::start();
    for (reference, image) in &served {
        let name = Name::of(reference);
        match name.host {
            "quay.io" => push(&real, &project, &name, image),
            _ => serve(&fake, &name, image),
        }
    }
    let settings = format!(
        "[registries.\"quay.io\"]\nmirror = \"{}/quay.io\"\n",
        real.host
    );
    project.write("isoforge.toml", settings);
    let mut arguments: Vec<String> = ["--config", "isoforge.toml", "--lock", "isoforge.lock"]
        .map(str::to_owned)
        .into();
    for host in appliance
        .hosts()
        .into_iter()
        .filter(|host| *host != "quay.io")
    {
        arguments.push("--mirror".to_owned());
        arguments.push(format!("{host}={}/{host}", fake.host()));
    }
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let built = project.build(appliance.path.to_str().unwrap(), &arguments);

    assert_content(&built, &appliance, &served);
    assert_usable(&project, &built);
    let menu = String::from_utf8(on_iso(&built.iso(), "/boot/grub2/grub.cfg")).unwrap();
    for wanted in [
        "--id install ",
        "--id unattended ",
        "install-mode-interactive",
        "set default=install",
    ] {
        assert!(menu.contains(wanted), "{wanted}: {menu}");
    }
    assert_components(&project, &built);
    assert_provider(&project, &built, &served[&appliance.os].images[0]);

    assert_pushed(&project, &built, &real);
    // From here on there is no registry.
    drop((real, fake));
    let mut again = arguments.clone();
    again.extend(["--locked", "--offline", "--output", "again"]);
    let second = project.build(appliance.path.to_str().unwrap(), &again);
    assert_eq!(second.names(), built.names());
    for name in built.names() {
        let read = |folder: &Path| Digest::of(&std::fs::read(folder.join(&name)).unwrap());
        assert_eq!(read(&second.folder), read(&built.folder), "{name}");
    }
}

/// The provider image goes to a real registry, where skopeo finds its digest.
fn assert_pushed(project: &Project, built: &Built, registry: &DockerRegistry) {
    let to = format!("{}/edge/ubuntu", registry.host);
    let folder = built.folder.to_str().unwrap();
    let pushed = project
        .program
        .run(&["push", folder, "--to", &to, "--format", "json"]);
    pushed.assert_exit(0);
    let digest = text(&pushed.json()["images"][0]["digest"]);
    let there = judge(
        "skopeo",
        "skopeo",
        &[
            "inspect",
            "--raw",
            "--tls-verify=false",
            &format!("docker://{to}:pxk-e-1.32.3-1.0.0"),
        ],
    );
    assert_eq!(Digest::of(there.as_bytes()).to_string(), digest);
}

fn assert_components(project: &Project, built: &Built) {
    let report = project.inspect(&built.iso());
    let components: Vec<_> = report["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            format!(
                "{} {} {}",
                text(&one["kind"]),
                text(&one["name"]),
                text(&one["version"])
            )
        })
        .collect();
    for wanted in [
        "os ubuntu 22.04",
        "kernel linux 6.1.0-test",
        "kubernetes pxk-e 1.32.3",
        "cni calico 3.29.2",
        "csi piraeus 2.8.1",
        "registry zot 0.1.67",
    ] {
        let found = components.iter().any(|one| one == wanted);
        assert!(found, "{wanted}: {components:?}");
    }
}

fn assert_provider(project: &Project, built: &Built, base: &Image) {
    assert_eq!(
        built.summary["provider_images"],
        json!(["registry.example/edge/ubuntu:pxk-e-1.32.3-1.0.0"])
    );
    let report = project.inspect(&built.file("-provider.oci.tar"));
    let images = report["images"].as_array().unwrap();
    assert_eq!(images.len(), 1);
    assert_eq!(images[0]["name"], "pxk-e-1.32.3-1.0.0");
    let layers = images[0]["platforms"][0]["layers"].as_array().unwrap();
    let digests: Vec<_> = layers.iter().map(|layer| text(&layer["digest"])).collect();
    let base: Vec<_> = base.layers.iter().map(|b| b.digest().to_string()).collect();
    assert!(
        digests.len() > base.len() && digests.starts_with(&base),
        "{digests:?}"
    );
    let labels = &images[0]["platforms"][0]["labels"];
    assert_eq!(
        text(&labels["io.isoforge.squashfs.digest"]),
        built.squashfs("amd64")
    );
}

#[test]
fn the_framework_with_fips_builds_unedited() {
    let (_project, built, appliance, served) = build("appliance-framework.toml");
    assert_eq!(appliance.content.len(), 19);
    assert_content(&built, &appliance, &served);
    let menu = String::from_utf8(on_iso(&built.iso(), "/boot/grub2/grub.cfg")).unwrap();
    assert!(
        menu.contains("set default=unattended") && menu.contains("fips=1"),
        "{menu}"
    );
}

#[test]
fn an_own_operating_system_builds_unedited() {
    let (project, built, appliance, served) = build("byo-os.toml");
    assert_content(&built, &appliance, &served);
    let listing = project.squashfs_listing(&built);
    let has = |path: &str| listing.contains(&format!(" {path}\n"));
    for wanted in [
        "/usr/bin/kubelet",
        "/opt/cni/bin/bridge",
        "/usr/lib/firmware/card",
    ] {
        assert!(has(wanted), "{wanted}: {listing}");
    }
    for filtered in ["/etc/unwanted", "/usr/lib/modules/6.1.0-test/build"] {
        assert!(!has(filtered), "{filtered}: {listing}");
    }
    // The program that every such system gets installs it.
    let menu = String::from_utf8(on_iso(&built.iso(), "/boot/grub2/grub.cfg")).unwrap();
    assert!(
        menu.contains("set default=install\n") && menu.contains("--id install "),
        "{menu}"
    );
}

#[test]
fn the_smallest_profile_builds_unedited() {
    let (project, built, appliance, _) = build("minimal.toml");
    assert!(appliance.content.is_empty());
    let manifest = json_of(&built.folder.join("manifest.json"));
    assert_eq!(
        manifest["appliance"],
        json!({ "name": "minimal", "version": "1.0.0" })
    );
    project.inspect(&built.folder);
}
