//! From the checked tree to the typed [`Profile`].
//!
//! A value that is missing or wrong was reported; what stands in its place is
//! never seen, because a profile with problems is not handed out.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use super::leaf;
use super::model::{
    Appliance, Boot, Bootstrap, CloudConfig, Component, Content, ContentSources, FileSpec,
    Kubernetes, LayerSource, LayerSpec, Limits, Mode, Os, OsSource, Output, Overlays, Profile,
    Provider, Registration, Var,
};
use super::placeholder::{self, PathTemplate, Target};
use super::problem::Bad;
use super::reader::Reader;
use super::schema::secret_in;
use super::secret::SecretRef;
use super::value::{Node, Value, to_json};
use super::{parse_cluster, parse_machine};
use isoforge_base::digest::Digest;
use isoforge_contract::arch::Arch;
use isoforge_contract::machine::{Firmware, Flavor};
use isoforge_oci::layer::LayerCompression;
use isoforge_oci::registry::{HostConfig, Secret};

/// Block size of the SquashFS where none is given.
const BLOCK_SIZE: u32 = 256 << 10;
/// Permissions of a file by URL: it is nearly always a program.
const FILE_MODE: u32 = 0o755;
/// Time until the menu's default is booted.
const MENU_TIMEOUT_SECONDS: u32 = 5;
/// The set of packages that mmdebstrap begins with.
const BOOTSTRAP_VARIANT: &str = "minbase";

const ARCH: &[&str] = &["arch"];
const ARCH_AND_VERSION: &[&str] = &["version", "arch"];

pub(crate) fn profile(root: &Reader<'_>) -> Profile {
    let appliance = appliance(&root.table("appliance"));
    let versions = versions(&root.table("kubernetes"));
    let targets = targets(&appliance.arch, &versions);
    let provider = root.table("provider");
    let provider = Provider {
        repository: provider
            .parsed("repository", leaf::repository)
            .unwrap_or_else(|| appliance.name.clone()),
        push: provider.flag("push").unwrap_or_default(),
    };
    Profile {
        registration: root
            .has("registration")
            .then(|| registration(&root.table("registration"))),
        os: os(&root.table("os"), &targets),
        kubernetes: kubernetes(&root.table("kubernetes"), versions.clone(), &targets),
        layers: layers(root, ARCH, &targets),
        cni: component_at(root, "cni", &targets),
        csi: component_at(root, "csi", &targets),
        registry: component_at(root, "registry", &targets),
        addons: root
            .tables("addons")
            .iter()
            .map(|r| component(r, &targets))
            .collect(),
        cluster: parse_cluster::cluster(&root.table("cluster")),
        vars: vars(root),
        cloud_config: cloud_config(&root.table("cloud_config")),
        overlays: Overlays {
            rootfs: root.table("overlays").paths("rootfs"),
            iso: root.table("overlays").paths("iso"),
        },
        boot: boot(&root.table("boot")),
        install: parse_machine::install(&root.table("install")),
        state: parse_machine::state(&root.table("state")),
        health: parse_machine::health(&root.table("health")),
        hardening: root
            .has("hardening")
            .then(|| parse_machine::hardening(&root.table("hardening"))),
        provider,
        content: Content {
            images: references(&root.table("content"), "images", &targets),
            sources: ContentSources {
                packs: root.table("content").paths("packs"),
                ..content_sources(&root.table("content"))
            },
        },
        registries: registries(root),
        output: output(&root.table("output")),
        limits: limits(&root.table("limits")),
        appliance,
    }
}

fn appliance(r: &Reader<'_>) -> Appliance {
    let mut arch: Vec<Arch> = r
        .parsed_list("arch", |text| Ok(Arch::from_name(text)))
        .into_iter()
        .flatten()
        .collect();
    if arch.is_empty() {
        if let Some(node) = r
            .node("arch")
            .filter(|n| n.value.list().is_some_and(<[_]>::is_empty))
        {
            r.bad(
                node.place,
                Bad::new("the list of architectures is empty", "at least one"),
            );
        }
        arch.push(Arch::Amd64);
    }
    Appliance {
        name: r.parsed("name", leaf::name).unwrap_or_default(),
        version: r.parsed("version", leaf::version).unwrap_or_default(),
        arch,
        mode: match r.text("mode") {
            Some("central") => Mode::Central,
            _ => Mode::Local,
        },
    }
}

fn versions(r: &Reader<'_>) -> Vec<String> {
    let mut versions = r.parsed_list("versions", leaf::kubernetes_version);
    versions.extend(r.parsed("version", leaf::kubernetes_version));
    if let Some(node) = r
        .node("versions")
        .filter(|n| n.value.list().is_some_and(<[_]>::is_empty))
    {
        r.bad(
            node.place,
            Bad::new("the list of versions is empty", "at least one version"),
        );
    }
    versions
}

/// Every combination that texts with placeholders have to be right for. A
/// missing version was reported; the form of the texts is checked all the same.
fn targets<'a>(arch: &[Arch], versions: &'a [String]) -> Vec<Target<'a>> {
    let all = |version: &'a str| arch.iter().map(move |&arch| Target { arch, version });
    match versions {
        [] => all("1.0.0").collect(),
        some => some.iter().flat_map(|v| all(v)).collect(),
    }
}

fn registration(r: &Reader<'_>) -> Registration {
    Registration {
        endpoint: r.parsed("endpoint", leaf::endpoint).unwrap_or_default(),
        token: r
            .secret("token")
            .unwrap_or_else(|| SecretRef::Env(String::new())),
    }
}

fn os(r: &Reader<'_>, targets: &[Target<'_>]) -> Os {
    let image = r
        .image_template("image", ARCH, targets)
        .map(OsSource::Image);
    let rootfs = r.path_template("rootfs", ARCH).map(OsSource::Rootfs);
    let bootstrap = r
        .has("bootstrap")
        .then(|| OsSource::Bootstrap(bootstrap(&r.table("bootstrap"))));
    Os {
        flavor: match r.text("flavor") {
            Some("appliance") => Flavor::Appliance,
            _ => Flavor::Kairos,
        },
        distribution: r.parsed("distribution", leaf::name).unwrap_or_default(),
        version: r.parsed("version", leaf::version).unwrap_or_default(),
        source: image.or(rootfs).or(bootstrap).unwrap_or_else(|| {
            OsSource::Rootfs(PathTemplate {
                text: String::new(),
                directory: Default::default(),
            })
        }),
        fips: r.flag("fips").unwrap_or(false),
    }
}

fn bootstrap(r: &Reader<'_>) -> Bootstrap {
    let mut components = r.parsed_list("components", leaf::suite);
    if components.is_empty() {
        components.push("main".to_owned());
    }
    Bootstrap {
        suite: r.parsed("suite", leaf::suite).unwrap_or_default(),
        packages: r.parsed_list("packages", leaf::package),
        mirror: r.parsed_list("mirror", leaf::one_line),
        components,
        keyring: r.path("keyring"),
        variant: r.text("variant").unwrap_or(BOOTSTRAP_VARIANT).to_owned(),
    }
}

fn kubernetes(r: &Reader<'_>, versions: Vec<String>, targets: &[Target<'_>]) -> Kubernetes {
    let known = ARCH_AND_VERSION;
    let several = versions.len() > 1;
    let mut specs = Vec::new();
    if let Some(image) = r.image_template("image", known, targets) {
        one_for_several(r, "image", several);
        specs.push(layer(r, LayerSource::Image(image)));
    }
    if let Some(archive) = r.path_template("archive", known) {
        one_for_several(r, "archive", several);
        specs.push(layer(r, LayerSource::Archive(archive)));
    }
    specs.extend(layers(r, known, targets));
    Kubernetes {
        distribution: r.parsed("distribution", leaf::name).unwrap_or_default(),
        layers: specs,
        packages: r.parsed_list("packages", leaf::package),
        files: r
            .tables("files")
            .iter()
            .filter_map(|f| file(f, targets))
            .collect(),
        images: r.has("images").then(|| references(r, "images", targets)),
        exclude_images: r.parsed_list("exclude_images", leaf::glob),
        sources: content_sources(r),
        versions,
    }
}

/// One image or archive can't be several versions.
fn one_for_several(r: &Reader<'_>, name: &str, several: bool) {
    let Some(node) = r.node(name) else { return };
    let fixed = node.value.text().is_some_and(|t| !t.contains("{version}"));
    if several && fixed {
        let message = format!("one {name} for several versions of Kubernetes");
        r.bad(
            node.place,
            Bad::new(message, "the placeholder {version} in it"),
        );
    }
}

/// The list `layers` of `r`.
fn layers(r: &Reader<'_>, known: &[&str], targets: &[Target<'_>]) -> Vec<LayerSpec> {
    r.tables("layers")
        .iter()
        .filter_map(|r| {
            let image = r
                .image_template("image", known, targets)
                .map(LayerSource::Image);
            let archive = r.path_template("archive", known).map(LayerSource::Archive);
            let folder = r.path_template("folder", known).map(LayerSource::Folder);
            Some(layer(r, image.or(archive).or(folder)?))
        })
        .collect()
}

fn layer(r: &Reader<'_>, source: LayerSource) -> LayerSpec {
    let goes = r.parsed_list("for", |text| Ok(text.to_owned()));
    if let Some(node) = r.node("for").filter(|_| goes.is_empty()) {
        r.bad(
            node.place,
            Bad::new("the layer is for nothing", "'iso', 'provider' or both"),
        );
    }
    let is_for = |what: &str| goes.is_empty() || goes.iter().any(|g| g == what);
    LayerSpec {
        source,
        include: r.parsed_list("include", leaf::glob),
        exclude: r.parsed_list("exclude", leaf::glob),
        iso: is_for("iso"),
        provider: is_for("provider"),
        arch: r.text("arch").and_then(Arch::from_name),
    }
}

pub(crate) fn file(r: &Reader<'_>, targets: &[Target<'_>]) -> Option<FileSpec> {
    let arch = r.text("arch").and_then(Arch::from_name);
    let url = r.parsed("url", |text| {
        let url = leaf::url(text)?;
        one_digest(&url, arch, targets)?;
        Ok(url)
    });
    let path = r.parsed("path", leaf::root_path);
    let sha256 = r.parsed("sha256", leaf::sha256);
    let mode = match r.has("mode") {
        true => r.mode("mode"),
        false => Some(FILE_MODE),
    };
    Some(FileSpec {
        url: url?,
        sha256: sha256.unwrap_or_else(|| Digest::of(b"")),
        path: path?,
        mode: mode?,
        arch,
    })
}

/// A file has one digest, so its URL has to name one file.
fn one_digest(url: &str, arch: Option<Arch>, targets: &[Target<'_>]) -> Result<(), Bad> {
    let wanted = targets.iter().filter(|t| arch.is_none_or(|a| a == t.arch));
    let mut urls: Vec<_> = wanted.map(|t| t.fill(url)).collect();
    urls.sort();
    urls.dedup();
    if urls.len() < 2 {
        return Ok(());
    }
    Err(Bad::new(
        format!(
            "one digest for the {} files that this URL names",
            urls.len()
        ),
        "a file of its own for each architecture and version",
    )
    .help("write one [[kubernetes.files]] with 'arch' for each"))
}

/// The texts of references that are right for every target.
fn references(r: &Reader<'_>, name: &str, targets: &[Target<'_>]) -> Vec<String> {
    r.parsed_list(name, |text| {
        placeholder::reference(text, ARCH_AND_VERSION, targets)?;
        Ok(text.to_owned())
    })
}

fn component_at(root: &Reader<'_>, name: &str, targets: &[Target<'_>]) -> Option<Component> {
    root.has(name)
        .then(|| component(&root.table(name), targets))
}

fn component(r: &Reader<'_>, targets: &[Target<'_>]) -> Component {
    Component {
        name: r.parsed("name", leaf::name).unwrap_or_default(),
        version: r.parsed("version", leaf::version).unwrap_or_default(),
        images: r.has("images").then(|| {
            r.parsed_list("images", |text| {
                placeholder::reference(text, ARCH, targets)?;
                Ok(text.to_owned())
            })
        }),
        exclude_images: r.parsed_list("exclude_images", leaf::glob),
        port: r.integer("port"),
        sources: content_sources(r),
    }
}

fn content_sources(r: &Reader<'_>) -> ContentSources {
    let values = r.node("values").and_then(|node| node.value.table());
    ContentSources {
        packs: r.path("pack").into_iter().collect(),
        charts: [r.places("chart"), r.places("charts")].concat(),
        values: values.map(to_json).unwrap_or_default(),
        presets: r.parsed_list("presets", leaf::one_line),
        manifests: r.paths("manifests"),
    }
}

fn vars(root: &Reader<'_>) -> BTreeMap<String, Var> {
    let table = root.node("vars").and_then(|n| n.value.table());
    table
        .into_iter()
        .flatten()
        .map(|(name, entry)| (name.clone(), var(root, &entry.node)))
        .collect()
}

fn var(r: &Reader<'_>, node: &Node) -> Var {
    match &node.value {
        Value::Text(text) | Value::Datetime(text) => Var::Text(text.clone()),
        Value::Integer(i) => Var::Integer(*i),
        Value::Float(f) => {
            if !f.is_finite() {
                r.bad(
                    node.place,
                    Bad::new("not a finite number", "a number that JSON can say"),
                );
            }
            Var::Float(*f)
        }
        Value::Flag(flag) => Var::Flag(*flag),
        Value::List(list) => Var::List(list.iter().map(|n| var(r, n)).collect()),
        Value::Table(table) => match secret_in(&node.value).and_then(|_| r.secret_of(node)) {
            Some(secret) => Var::Secret(secret),
            None => Var::Table(
                table
                    .iter()
                    .map(|(name, entry)| (name.clone(), var(r, &entry.node)))
                    .collect(),
            ),
        },
    }
}

fn cloud_config(r: &Reader<'_>) -> CloudConfig {
    let template = r.path("template").map(CloudConfig::Template);
    let file = r.path("file").map(CloudConfig::File);
    template.or(file).unwrap_or(CloudConfig::Builtin)
}

fn boot(r: &Reader<'_>) -> Boot {
    let words = r.parsed_list("firmware", |text| Ok(text.to_owned()));
    let named = |word: &str| words.is_empty() || words.iter().any(|w| w == word);
    if let Some(node) = r
        .node("firmware")
        .filter(|n| n.value.list().is_some_and(<[_]>::is_empty))
    {
        r.bad(
            node.place,
            Bad::new("the list of firmware is empty", "'bios', 'uefi' or both"),
        );
    }
    let all = [(Firmware::Bios, "bios"), (Firmware::Uefi, "uefi")];
    Boot {
        firmware: all
            .into_iter()
            .filter(|(_, word)| named(word))
            .map(|(firmware, _)| firmware)
            .collect(),
        cmdline: r.parsed_list("cmdline", leaf::kernel_argument),
        timeout_seconds: r.integer("timeout").unwrap_or(MENU_TIMEOUT_SECONDS),
        title: r.parsed("title", leaf::one_line),
    }
}

fn registries(root: &Reader<'_>) -> BTreeMap<String, HostConfig> {
    let table = root.node("registries").and_then(|n| n.value.table());
    let mut hosts = BTreeMap::new();
    for (host, entry) in table.into_iter().flatten() {
        if let Err(bad) = leaf::registry_host(host) {
            root.bad(entry.key, bad);
        }
        let settings = root.table("registries").table(host);
        hosts.insert(host.clone(), registry_host(&settings));
    }
    hosts
}

fn registry_host(r: &Reader<'_>) -> HostConfig {
    let mirrors = ["mirror", "mirrors"].into_iter().find(|name| r.has(name));
    if let Some(node) = r.node("client_key").filter(|_| !r.has("client_cert")) {
        r.bad(
            node.place,
            Bad::new(
                "'client_key' without 'client_cert'",
                "the file with the certificate that the key is for, as 'client_cert'",
            ),
        );
    }
    HostConfig {
        mirrors: mirrors.map(|name| r.parsed_list(name, leaf::mirror)),
        fallback: r.flag("fallback"),
        plain_http: r.flag("plain_http"),
        ca: r.path("ca"),
        client_cert: r.path("client_cert"),
        client_key: r.path("client_key"),
        proxy: r.parsed("proxy", leaf::proxy).map(Secret::new),
        max_connections: r.integer("max_connections").and_then(NonZeroU32::new),
    }
}

fn output(r: &Reader<'_>) -> Output {
    Output {
        compression: r
            .parsed("compression", leaf::compression)
            .unwrap_or_default(),
        block_size: r.block_size("block_size").unwrap_or(BLOCK_SIZE),
        layer_compression: match r.text("layer_compression") {
            Some("zstd") => LayerCompression::Zstd,
            _ => LayerCompression::Gzip,
        },
    }
}

fn limits(r: &Reader<'_>) -> Limits {
    Limits {
        entries: r.integer("entries"),
        path_length: r.integer("path_length"),
        layer_bytes: r.size("layer_bytes"),
        ratio: r.integer("ratio"),
    }
}
