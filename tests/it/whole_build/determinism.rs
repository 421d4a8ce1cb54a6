//! Equal inputs give equal bytes, whatever the machine; and the one time that
//! everything has comes from the inputs.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use isoforge_base::digest::Digest;
use isoforge_oci::layer::LayerCompression::{Gzip, Zstd};
use serde_json::json;

use super::{Built, IMAGE_TIME, Project, on_iso, text};
use crate::support::bootable;
use crate::support::layers::{Image, compress, tar_layer};
use crate::support::program::Outcome;
use crate::support::registry::FakeRegistry;

/// The newest member of the vendor's archive; newer than [`IMAGE_TIME`].
const ARCHIVE_TIME: u64 = 1_800_000_000;

/// What two machines may differ in.
struct Machine {
    umask: &'static str,
    jobs: &'static str,
    time_zone: &'static str,
    locale: &'static str,
    /// Seconds by which local files are younger than 2020.
    age: u64,
    home: &'static str,
    /// The program is started in the profile's folder, else in `/` with
    /// absolute paths.
    beside_profile: bool,
}

const ONE: Machine = Machine {
    umask: "022",
    jobs: "1",
    time_zone: "UTC",
    locale: "C",
    age: 0,
    home: "home/a",
    beside_profile: true,
};

const OTHER: Machine = Machine {
    umask: "077",
    jobs: "2",
    time_zone: "Pacific/Kiritimati",
    locale: "de_DE.UTF-8",
    age: 100_000_000,
    home: "elsewhere/some-user",
    beside_profile: false,
};

/// A file that the profile has by URL.
const PROGRAM: &[u8] = b"kubeadm";

/// Every kind of input that a profile can have, but for a bootstrap.
const PROFILE: &str = r#"
schema = 1
[appliance]
name = "everything"
version = "1.0.0"
[os]
flavor = "kairos"
distribution = "ubuntu"
version = "22.04"
image = "oci:os:v1"
[kubernetes]
distribution = "text"
versions = ["1.32.3", "1.31.7"]
image = "registry.example/edge/kubernetes:{version}"
include = ["usr/bin/*"]
[[layers]]
folder = "drivers"
[[layers]]
archive = "vendor.tar.gz"
[cni]
name = "net"
version = "2"
images = ["registry.example/net/node:2"]
[content]
images = ["registry.example/app:1"]
[vars]
greeting = "hello"
token = { env = "TOKEN" }
[cloud_config]
template = "cloud-config.yaml.tera"
[overlays]
rootfs = ["rootfs"]
iso = ["iso"]
[output]
block_size = "64K"
"#;

/// The project of [`PROFILE`], which names `url` as the address of `downloads`.
pub(crate) fn project(registry: &FakeRegistry, downloads: &FakeRegistry, url: &str) -> Project {
    let project = Project::with_os();
    downloads.put_blob("files", PROGRAM);
    let digest = Digest::of(PROGRAM);
    let file = format!(
        "[[kubernetes.files]]\nurl = \"{url}/v2/files/blobs/{digest}\"\nsha256 = \"{}\"\npath = \"/usr/bin/kubeadm\"\n",
        digest.hex()
    );
    project.write("profile.toml", format!("{PROFILE}{file}"));
    // The same system as an archive, in a profile elsewhere: the key replaces
    // that of the image.
    project.write(
        "variants/archive.toml",
        "extends = \"../profile.toml\"\n[os]\nrootfs = \"os.tar.zst\"\n",
    );
    project.write(
        "variants/os.tar.zst",
        compress(&tar_layer(&bootable::os_layer("amd64")), Zstd),
    );
    let vendor = format!("file opt/vendor/tool 0755 'tool' uid=7 mtime={ARCHIVE_TIME}");
    project.write("vendor.tar.gz", compress(&tar_layer(&vendor), Gzip));
    project.write("drivers/usr/lib/modules/6.1.0/extra.ko", "module");
    project.write("drivers/empty/keep", "");
    project.write("rootfs/etc/greeting.tera", "{{ vars.greeting }}\n");
    project.write("rootfs/etc/motd", "text\n");
    project.write(
        "rootfs.toml",
        "[[attributes]]\npaths = [\"etc/motd\"]\nmode = \"0600\"\nowner = \"1:2\"\n",
    );
    project.write("iso/docs/README.tera", "{{ appliance.name }}\n");
    project.write("iso/empty.bin", [0; 3000]);
    project.write(
        "cloud-config.yaml.tera",
        "#cloud-config\nhostname: {{ vars.greeting | yaml }}\ninstall:\n  auto: false\n  nousers: true\n",
    );
    for version in ["1.32.3", "1.31.7"] {
        let programs =
            format!("fill usr/bin/kubelet 0755 {version}*100000\nfile etc/unwanted 0644 'x'");
        let image = Image::simple(&[&programs]);
        registry.put_image("edge/kubernetes", version, &image);
    }
    for (repository, tag) in [("net/node", "2"), ("app", "1")] {
        let layer = format!("file {repository} 0755 '{tag}'");
        registry.put_image(repository, tag, &Image::simple(&[&layer]));
    }
    project
}

/// Builds in a folder, with a store and at a registry of its own.
fn build_on(
    machine: &Machine,
    profile: &str,
    downloads: &FakeRegistry,
    epoch: Option<&str>,
) -> (Project, Built) {
    let registry = FakeRegistry::start();
    let project = project(&registry, downloads, &downloads.url());
    age(&project.path(""), machine);
    let mirror = format!("registry.example={}", registry.host());
    let mut command = Command::new("sh");
    command
        .args(["-c", "umask \"$1\" && shift && exec \"$@\"", "sh"])
        .args([machine.umask, env!("CARGO_BIN_EXE_isoforge")])
        .args(["build", "--mirror", &mirror])
        .args(["--jobs", machine.jobs])
        .args(["--format", "json", "--progress", "json"]);
    project.program.prepare(&mut command);
    command
        .env_remove("ISOFORGE_CACHE_DIR")
        .env("HOME", project.path(machine.home))
        .env("TZ", machine.time_zone)
        .env("LC_ALL", machine.locale)
        .env("TOKEN", "not-shown");
    if machine.beside_profile {
        command.arg(profile);
    } else {
        command.current_dir("/").arg(project.path(profile));
        command.arg("--output").arg(project.path("dist"));
    }
    if let Some(epoch) = epoch {
        command.env("SOURCE_DATE_EPOCH", epoch);
    }
    let outcome = Outcome::of(command.output().unwrap());
    let built = Built::of(&outcome, &project.path(""));
    (project, built)
}

/// Gives everything below `folder` other times, and the modes that a checkout
/// under the machine's umask has.
fn age(folder: &Path, machine: &Machine) {
    use std::os::unix::fs::PermissionsExt as _;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800 + machine.age);
    let umask = u32::from_str_radix(machine.umask, 8).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mode = if path.is_dir() {
            age(&path, machine);
            0o777
        } else {
            0o666
        };
        let permissions = std::fs::Permissions::from_mode(mode & !umask);
        std::fs::set_permissions(&path, permissions).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        file.set_modified(time).unwrap();
    }
}

fn assert_same_everywhere(profile: &str) {
    let downloads = FakeRegistry::start();
    let (_first, one) = build_on(&ONE, profile, &downloads, None);
    let (_second, other) = build_on(&OTHER, profile, &downloads, None);
    assert_eq!(
        one.names(),
        [
            "everything-1.0.0-provider.oci.tar",
            "everything-1.0.0-provider.oci.tar.sha256",
            "everything-1.0.0.iso",
            "everything-1.0.0.iso.sha256",
            "manifest.json",
        ]
    );
    assert_eq!(one.digests(), other.digests());
    let embedded = on_iso(&one.iso(), "/isoforge/manifest.json");
    assert_eq!(
        Digest::of(&embedded),
        Digest::of(&on_iso(&other.iso(), "/isoforge/manifest.json"))
    );
    let embedded: serde_json::Value = serde_json::from_slice(&embedded).unwrap();
    assert_eq!(
        text(&embedded["architectures"]["amd64"]["squashfs"]["digest"]),
        one.squashfs("amd64")
    );
    assert_every_input_is_told(&embedded["architectures"]["amd64"], profile);
    let epoch = json!({ "seconds": ARCHIVE_TIME, "source": "archive" });
    assert_eq!(one.summary["epoch"], epoch);
    assert_eq!(embedded["epoch"], epoch);
}

/// Asserts that the manifest has a digest of each thing that went in.
fn assert_every_input_is_told(record: &serde_json::Value, profile: &str) {
    let told = |list: &str, name: &str| -> Vec<String> {
        let list = record[list].as_array().unwrap().iter();
        let told = list.map(|one| {
            let digests = ["digest", "manifest", "index"].map(|key| &one[key]);
            assert!(digests.iter().any(|digest| digest.is_string()), "{one}");
            format!("{} {}", text(&one["role"]), text(&one[name]))
        });
        told.collect()
    };
    let files = told("files", "name");
    for wanted in [
        "layer drivers",
        "layer vendor.tar.gz",
        "overlay cloud-config.yaml.tera",
        "overlay iso",
        "overlay overlays/base",
        "overlay rootfs",
    ] {
        // What another profile brings lies beside that one.
        let found = files.iter().any(|file| file.replace("../", "") == wanted);
        assert!(found, "{wanted}: {files:?}");
    }
    let images = told("images", "reference");
    let os = match profile {
        "profile.toml" => images.iter().any(|image| image == "os oci:os:v1"),
        _ => files.iter().any(|file| file == "os os.tar.zst"),
    };
    assert!(os, "{images:?} {files:?}");
    for wanted in [
        "content registry.example/app:1",
        "content registry.example/net/node:2",
        "kubernetes registry.example/edge/kubernetes:1.32.3",
        "kubernetes registry.example/edge/kubernetes:1.31.7",
    ] {
        assert!(
            images.iter().any(|image| image == wanted),
            "{wanted}: {images:?}"
        );
    }
}

#[test]
fn two_machines_give_the_same_bytes() {
    assert_same_everywhere("profile.toml");
}

#[test]
fn two_machines_give_the_same_bytes_of_an_archive() {
    assert_same_everywhere("variants/archive.toml");
}

#[test]
fn the_time_is_that_of_source_date_epoch() {
    let (project, built) = build_on(
        &OTHER,
        "profile.toml",
        &FakeRegistry::start(),
        Some("1600000000"),
    );
    assert_eq!(
        built.summary["epoch"],
        json!({ "seconds": 1_600_000_000, "source": "source-date-epoch" })
    );
    let report = project.inspect(&built.iso());
    assert_eq!(report["created"], "2020091312264000");
}

#[test]
fn the_time_is_that_of_the_newest_image() {
    let project = Project::small();
    let built = project.build("profile.toml", &[]);
    assert_eq!(
        built.summary["epoch"],
        json!({ "seconds": IMAGE_TIME, "source": "image" })
    );
    let report = project.inspect(&built.iso());
    assert_eq!(report["created"], "2024050110000000");
}
