//! Every output, byte for byte, as it was before the restructuring into crates.
//!
//! The move must not change a byte of what is built, and other tests would not
//! see it if it did: they judge outputs by what is in them. So here are the
//! digests from before it, of all that is written for each profile of the
//! repository but the demo, which needs a Debian mirror, and for two projects
//! with what those profiles do not use. All inputs are made by the tests, the
//! program 'appliance' too, so that no digest hangs on what was compiled; what a
//! tool or library of the host has a say in (Helm, grub-mkimage, liblzma) is not
//! among them.
//!
//! A digest is changed here only together with what is meant to change the
//! bytes. This module goes with version 0.2.0.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use isoforge_base::digest::Digest;
use isoforge_oci::media::Family;

use crate::packs;
use crate::support::bootable;
use crate::support::layers::index;
use crate::support::program::{Outcome, Project, files_below};
use crate::support::proxy::Proxy;
use crate::support::registry::FakeRegistry;
use crate::whole_build::appliances::{Appliance, in_place_of_hosts, upstream};
use crate::whole_build::determinism;

/// Of each file, by profile and path in the project: all of `dist`, where the
/// bundle lies beside the build's folder, and the lock.
const DIGESTS: &str = "
5418e62de2010c9fd8501c1bf81e489ba6db5142870ff3a973d4c69781da3d95 appliance-framework dist/appliance-framework-1.0.0.tar.zst
4f72335f57fd2f522c9af3f921a5b309f8f8e611d4613a343398bfcf73f2e94d appliance-framework dist/appliance-framework-1.0.0.tar.zst.sha256
6f9dccaf55fce8fcaf6057b212d084e94016da4b1d9155befe41c187bfd1c366 appliance-framework dist/appliance-framework-1.0.0/appliance-framework-1.0.0-provider.oci.tar
0aa903b9bac1ba26bc95924ef4d9e95d506b5fd5b8b8e45c221ebbdf686ec3a6 appliance-framework dist/appliance-framework-1.0.0/appliance-framework-1.0.0-provider.oci.tar.sha256
cb53c71f13801fafd501c9b95d02380c2afc4afe444ff1c11748c63694edbc73 appliance-framework dist/appliance-framework-1.0.0/appliance-framework-1.0.0.iso
f2082bdf12a8e0609ca8f3cfdc4f6d01a5e89bd0672f70b33a246bb4d3da5c9c appliance-framework dist/appliance-framework-1.0.0/appliance-framework-1.0.0.iso.sha256
a1e3a2cb28903d679fbcd959b4445d802105a85aff4e16dc2f4280ff396b1efb appliance-framework dist/appliance-framework-1.0.0/manifest.json
36c2b75c33bacea71655f04f18163962a80e6b211b09b863915ae03d62f2ab9c appliance-framework isoforge.lock
bba413fdb6eea746251a5000846dbce842b62e173149870f7abf54b4ad506519 byo-os dist/byo-os-1.0.0.tar.zst
c176f0a0c6a190c065c26e53fed096a365ea3de20978927643569862fc50775d byo-os dist/byo-os-1.0.0.tar.zst.sha256
ce872401fe7d69c4dcbd0d9286ae7c23a300ea758b87dd8ebacec316c2115738 byo-os dist/byo-os-1.0.0/byo-os-1.0.0-provider.oci.tar
220bc4c599d306e83d9ea4d743dea644253dd75464e00ec310128991f992b213 byo-os dist/byo-os-1.0.0/byo-os-1.0.0-provider.oci.tar.sha256
1a00a70447fd06c56baf63139ccbc1b592098a87c4f1dd6cd2a6f7a9d6bc58a1 byo-os dist/byo-os-1.0.0/byo-os-1.0.0.iso
c2c7afc2e16c09cd010aaf68db8cba0eecdac88c50e0b0c7935d5a858eda7536 byo-os dist/byo-os-1.0.0/byo-os-1.0.0.iso.sha256
b5e9770bf002884fcc5b70683790c76fe785f5f20f2cd4c66548cbba46c52769 byo-os dist/byo-os-1.0.0/manifest.json
39d6be9314e630b3a69c06c6939a2176180f6ca7e3a92d567c52e95e961f0729 byo-os isoforge.lock
64fb4abf535833c61add1c5632cb8f970fb2f3f1b356e17e490d8bcb00544641 every-input dist/everything-1.0.0.tar.zst
1e4d9e1e7b9f2c96cff8a0f4187660b38d6e095e5739155a7f3e839193283144 every-input dist/everything-1.0.0.tar.zst.sha256
a41cdd07aef1bec60d97a87a9e06b680d1baecda427d2b94db762ddc8a017e49 every-input dist/everything-1.0.0/everything-1.0.0-provider.oci.tar
a1c630ec8d5a7a010d7b7100886a88bdbba5ac99089ddd2faf43b3373ab42373 every-input dist/everything-1.0.0/everything-1.0.0-provider.oci.tar.sha256
3b75b102997595629e35c403396e21199046a6b4dcce3ab2fabe8a906ab96645 every-input dist/everything-1.0.0/everything-1.0.0.iso
d16d9bf45714e2f2cca813867c91e9b97ac4b54cd62910d9826a68c5c5186ae8 every-input dist/everything-1.0.0/everything-1.0.0.iso.sha256
6184703f320e79a410ece605f3628ef0afdf1535f0dde5f571a0a2f134ab01d2 every-input dist/everything-1.0.0/manifest.json
dad6333562b50dc6e4c1d3b03c87d0184cd27815fc4dcde563e70f3c80d22213 every-input isoforge.lock
5df9ea67f676ec26b49948afc70cebbbce098f0bc035124291bfc5207cb799ed management-appliance dist/management-appliance-1.0.0.tar.zst
9c3bfa816386d0599a4fd2aff812dd073e8fa4492c71b8f7299bec3e1089dc7e management-appliance dist/management-appliance-1.0.0.tar.zst.sha256
617a4a9afdd252cfe90eded08e560b93c876b43a98b6269eff00b09f152b73f3 management-appliance dist/management-appliance-1.0.0/management-appliance-1.0.0-provider.oci.tar
a7dbf242175983c0918ac0262c59156d2ff88f38399fe8dd355d5af02e017704 management-appliance dist/management-appliance-1.0.0/management-appliance-1.0.0-provider.oci.tar.sha256
9be4a41b4c02420c418d784fdc49e9d745164b2758c6eaad2eab26cf4e6c5ec0 management-appliance dist/management-appliance-1.0.0/management-appliance-1.0.0.iso
bc9d7a9c1cfa893e07ed321ec91c0601d7f18d9eac674bcf2445ce15f8ba563a management-appliance dist/management-appliance-1.0.0/management-appliance-1.0.0.iso.sha256
c0d90c8b533f475f68a1518e9be9739bb3e1f5fdfffe805a30d21f529556f61d management-appliance dist/management-appliance-1.0.0/manifest.json
06fd488db939cf010e36bcaaf6bcb40cd2a36f289f6a3603f8223f938c9e05d7 management-appliance isoforge.lock
ce43abd85b2dacadf34c2a800c345232e47620264d1ec35772835abe525319d9 minimal dist/minimal-1.0.0/manifest.json
49ae0b9def8509901188f74721f82d7abe96346f5e204e2a4c6524dc1504a3e6 minimal dist/minimal-1.0.0/minimal-1.0.0-provider.oci.tar
bf2b1c533e7b3516c285c21d2f039cf36a4e2d557a1f5b4e6ecfe504f21326ab minimal dist/minimal-1.0.0/minimal-1.0.0-provider.oci.tar.sha256
1998f90987e6ba15f837e761bae2c7c6a526cc0553e6bf40c5245cf720ec0510 minimal dist/minimal-1.0.0/minimal-1.0.0.iso
be4c6037bf55f058255370da5ad52dcbcc0bdf2fe30635ea6698ad87f58f24ca minimal dist/minimal-1.0.0/minimal-1.0.0.iso.sha256
32bfb39613b04107e8789b9c320908b83560fef89d53838a0d9df20ccd27d313 minimal isoforge.lock
bfe1cc6bbe80a9903acb19b2a7e6dd8b27a712f4c3cd70ed7882e94cecfa1d3a own-system dist/tiny-1.0.0.tar.zst
414f9f605125d64540717f09aad9c5ef87cbb0baa38f3e90f1f2dce739270c4a own-system dist/tiny-1.0.0.tar.zst.sha256
f97f81dbc077c3aead00788adbf4c2329e23728496ee30c1e0d51a9dec76c29c own-system dist/tiny-1.0.0/manifest.json
12a54a58be7f13ea0c378488cc7e00a21b095013c4494e68639fd5d8aad1ce2e own-system dist/tiny-1.0.0/tiny-1.0.0-amd64.iso
614a64ddb7c885dc5e582b3ccf007f599ebc23b9cfcfc052fc17174d7cc76e71 own-system dist/tiny-1.0.0/tiny-1.0.0-amd64.iso.sha256
f9a40c869e04acde66e623c6cbaed09f718b2c83c05e63c99ecee649a60d298d own-system dist/tiny-1.0.0/tiny-1.0.0-arm64.iso
06e1f7054d6c1e97af80acee6a3b8685255949c2b1ac6eff13b15ed4373c0a91 own-system dist/tiny-1.0.0/tiny-1.0.0-arm64.iso.sha256
4de34331b332fbc581cb4aa55b22e126a60e30d8286aac66340fca0275b4aefa own-system dist/tiny-1.0.0/tiny-1.0.0-provider.oci.tar
cd3e338aedd93759a9f3c61605507436263912930fec73a432d4b5153bd32d60 own-system dist/tiny-1.0.0/tiny-1.0.0-provider.oci.tar.sha256
cfac70871f0925a13c86b6c981d456953a5d9fb351c874a80c6b750ebb2e2aae own-system isoforge.lock
";

/// Profiles of the repository that are not built here, and why.
const LEFT_OUT: [(&str, &str); 2] = [
    ("catalog.toml", "no profile"),
    ("demo.toml", "made of packages"),
];

/// Name of the profile in every project.
const PROFILE: &str = "profile.toml";

/// A project that is built from nothing but a lock and a store.
struct Case<'a> {
    /// In [`DIGESTS`].
    name: &'a str,
    /// Has [`PROFILE`].
    project: &'a Project,
    /// Further arguments of every command.
    arguments: &'a [&'a str],
    environment: &'a [(&'a str, &'a str)],
    /// What goes into a bundle beside the profile's content, and whether there
    /// is one at all.
    bundle: Option<&'a [&'a str]>,
}

impl Case<'_> {
    fn run(&self, verb: &[&str], more: &[&str]) {
        let arguments = [verb, &[PROFILE], self.arguments, more].concat();
        let mut command = self.project.command(&arguments);
        command.envs(self.environment.iter().copied());
        let outcome = Outcome::of(command.output().unwrap());
        outcome.assert_exit(0);
    }

    /// Fills lock and store, over the network that `online` names.
    fn prepare(&self, online: &[&str]) {
        self.run(&["lock"], online);
        self.run(&["pull"], &[online, &["--locked"]].concat());
    }

    /// Builds, without any network, and holds what comes out to [`DIGESTS`].
    fn hold(&self) {
        const FIXED: [&str; 2] = ["--locked", "--offline"];
        self.run(&["build"], &FIXED);
        if let Some(more) = self.bundle {
            self.run(&["bundle", "build"], &[&FIXED, more].concat());
        }
        let outputs = files_below(&self.project.path("dist"));
        let outputs = outputs.iter().map(|file| format!("dist/{file}"));
        let made: BTreeMap<String, String> = outputs
            .chain(["isoforge.lock".to_owned()])
            .map(|file| {
                let bytes = std::fs::read(self.project.path(&file)).unwrap();
                (file, Digest::of(&bytes).hex())
            })
            .collect();
        assert_held(self.name, &made);
    }
}

/// The digests of [`DIGESTS`] by profile and file.
fn recorded() -> BTreeMap<&'static str, BTreeMap<String, String>> {
    let mut recorded: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for line in DIGESTS.lines().filter(|line| !line.is_empty()) {
        let words: Vec<_> = line.split(' ').collect();
        let [digest, name, file] = words[..] else {
            panic!("digest, profile and file are wanted: {line}");
        };
        let files = recorded.entry(name).or_default();
        let before = files.insert(file.to_owned(), digest.to_owned());
        assert_eq!(before, None, "{name}: {file} is recorded twice");
    }
    recorded
}

/// Panics with every file of the profile `name` that is not what it was.
#[track_caller]
fn assert_held(name: &str, made: &BTreeMap<String, String>) {
    let recorded = recorded().remove(name).unwrap_or_default();
    let files: BTreeSet<_> = recorded.keys().chain(made.keys()).collect();
    let differ: Vec<String> = files
        .into_iter()
        .filter(|file| recorded.get(*file) != made.get(*file))
        .map(|file| {
            let digest = |of: &BTreeMap<String, String>| {
                of.get(file)
                    .map_or("none".to_owned(), |hex| format!("sha256:{hex}"))
            };
            let (before, now) = (digest(&recorded), digest(made));
            format!("{name}: {file}\n  recorded {before}\n  made     {now}\n")
        })
        .collect();
    let rows: String = made
        .iter()
        .map(|(file, hex)| format!("{hex} {name} {file}\n"))
        .collect();
    assert!(
        differ.is_empty(),
        "outputs are no longer the bytes that they were:\n{}\nall that was made:\n{rows}",
        differ.concat()
    );
}

/// Builds a profile of the repository as it is.
fn hold_profile(name: &str) {
    let appliance = Appliance::read(&format!("{name}.toml"));
    let (registry, mirrors) = in_place_of_hosts(&appliance, &upstream(&appliance));
    let project = Project::empty();
    // The lock lies beside it, and the repository gets none.
    std::fs::copy(&appliance.path, project.path(PROFILE)).unwrap();
    let bundle: &[&str] = &[];
    let case = Case {
        name,
        project: &project,
        arguments: &[],
        environment: &[],
        bundle: (!appliance.content.is_empty()).then_some(bundle),
    };
    let mirrors: Vec<_> = mirrors.iter().map(String::as_str).collect();
    case.prepare(&mirrors);
    drop(registry);
    case.hold();
}

#[test]
fn the_smallest_profile_is_what_it_was() {
    hold_profile("minimal");
}

#[test]
fn an_own_operating_system_is_what_it_was() {
    hold_profile("byo-os");
}

#[test]
fn the_framework_with_fips_is_what_it_was() {
    hold_profile("appliance-framework");
}

#[test]
fn the_management_appliance_is_what_it_was() {
    hold_profile("management-appliance");
}

/// Flavor Kairos with several versions of Kubernetes, a file by URL, archives,
/// folders, overlays and templates.
#[test]
fn every_kind_of_input_gives_what_it_gave() {
    // The profile names it, so no port can stand there.
    const URL: &str = "http://files.example";
    let (registry, downloads, proxy) =
        (FakeRegistry::start(), FakeRegistry::start(), Proxy::start());
    proxy.knows("files.example:80", &downloads.host());
    let project = determinism::project(&registry, &downloads, URL);
    let through = format!("http://{}", proxy.host());
    let case = Case {
        name: "every-input",
        project: &project.program,
        arguments: &["--set", "output.compression=gzip:6"],
        environment: &[("TOKEN", "not-shown"), ("HTTP_PROXY", &through)],
        bundle: Some(&[
            "--provider",
            "dist/everything-1.0.0/everything-1.0.0-provider.oci.tar",
        ]),
    };
    let mirror = format!("registry.example={}", registry.host());
    case.prepare(&["--mirror", &mirror]);
    assert_eq!(proxy.asked().len(), 1, "{:?}", proxy.asked());
    drop((registry, downloads, proxy));
    case.hold();
}

/// Appended to the profile of [`bootable::profile`]: what the flavor 'appliance'
/// can be told, and content of every kind.
const OWN_SYSTEM: &str = r#"
[hardening]
profile = "stig"
except = ["UBTU-22-291010"]

[registry]
name = "distribution"
version = "2.8.3"
port = 5443
images = ["registry.example/registry:2.8.3"]

[csi]
name = "store"
version = "1.0.0"
pack = "packs/store"

[[addons]]
name = "web"
version = "1.2.3"
chart = "web.tgz"
images = ["registry.example/web:1"]

[cluster]
nodes = 3
[cluster.macros]
spectro.var.mirror = "registry.example"

[content]
images = ["registry.example/tool:1"]
manifests = ["manifests"]

[vars]
users = [{ name = "admin", ssh_keys = ["ssh-ed25519 AAAA somebody"] }]

[install]
mode = "unattended"
device = "auto"
[install.partitions]
esp = "128M"
[[install.partitions.extra]]
label = "data"
size = "1G"
mount = "/var/data"
[install.require]
cpus = 2

[state]
directories = ["/usr/local/kept"]

[health]
checks = ["true"]
units = ["rescue.target"]

[overlays]
rootfs = ["rootfs"]
iso = ["iso"]

[output]
block_size = "64K"
layer_compression = "zstd"
"#;

/// Flavor 'appliance' for two architectures, hardened, with a registry, packs,
/// charts, manifests and a cluster definition.
#[test]
fn an_own_system_with_all_content_is_what_it_was() {
    let registry = FakeRegistry::start();
    for name in ["registry:2.8.3", "web:1", "needed:1", "applied:1", "tool:1"] {
        let (repository, tag) = name.split_once(':').unwrap();
        let images = ["amd64", "arm64"].map(|arch| {
            let layer = format!("file bin/{repository} 0755 '{name} for {arch}'");
            bootable::image(arch, &layer)
        });
        for (arch, image) in ["amd64", "arm64"].iter().zip(&images) {
            registry.put_image(repository, arch, image);
        }
        let both = index(Family::Oci, &images.each_ref());
        registry.put_manifest(repository, tag, &both);
    }
    let project = Project::bootable_for(&["amd64", "arm64"]);
    project.add_to_profile(OWN_SYSTEM);
    write_content(&project);
    let case = Case {
        name: "own-system",
        project: &project,
        arguments: &[],
        environment: &[],
        bundle: Some(&["--provider", "dist/tiny-1.0.0/tiny-1.0.0-provider.oci.tar"]),
    };
    let mirror = format!("registry.example={}", registry.host());
    case.prepare(&["--mirror", &mirror]);
    drop(registry);
    case.hold();
}

/// What [`OWN_SYSTEM`] names.
fn write_content(project: &Project) {
    let pod = |image: &str| {
        format!(
            "kind: Pod\nmetadata: {{name: x}}\nspec: {{containers: [{{image: \"{image}\"}}]}}\n"
        )
    };
    project.write(
        "packs/store/pack.json",
        r#"{"name": "store", "displayName": "Store", "version": "1.0.0", "layer": "csi",
            "kubeManifests": ["manifests/m.yaml"]}"#,
    );
    project.write("packs/store/values.yaml", "pack: {namespace: store}\n");
    let needed = pod("{{ .spectro.var.mirror }}/needed:1");
    project.write("packs/store/manifests/m.yaml", &needed);
    let applied = pod("registry.example/applied:1");
    project.write("manifests/applied.yaml", &applied);
    // Without templates: with Helm on the machine or without, it is the same.
    let chart = packs::chart("web", "1.2.3", "replicas: 1\n");
    std::fs::write(project.path("web.tgz"), chart).unwrap();
    project.write("rootfs/etc/greeting.tera", "{{ appliance.name }}\n");
    project.write("iso/docs/README.tera", "{{ appliance.version }}\n");
}

/// A profile that is new has no digests, and that is not passed over.
#[test]
fn every_profile_has_digests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    let recorded = recorded();
    for file in files_below(&folder) {
        let Some(name) = file.strip_suffix(".toml") else {
            continue;
        };
        let left_out = LEFT_OUT.iter().any(|(left_out, _)| *left_out == file);
        assert_ne!(recorded.contains_key(name), left_out, "{file}");
    }
    for name in ["every-input", "own-system"] {
        assert!(recorded.contains_key(name), "{name}");
    }
}
