//! Whole builds with the program itself, of an operating system that is a few
//! lines of text: small enough to be built many times over, complete enough
//! for every check that isoforge makes of an image.

pub(crate) mod appliances;
mod architectures;
pub(crate) mod determinism;
mod incremental;
mod kubernetes;
mod locked;
mod network;
mod provider_image;
mod root_file_system;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use isoforge_base::digest::Digest;
use isoforge_oci::layer::LayerCompression;
use isoforge_oci::media::Family;
use serde_json::Value;

use crate::support::bootable::{self, KERNEL_RELEASE};
use crate::support::judge;
use crate::support::layers::{Image, write_layout};
use crate::support::program::{self, Outcome};

/// `created` of the images that [`Image`] makes, `2024-05-01T10:00:00Z`.
const IMAGE_TIME: u64 = 1_714_557_600;

/// A folder with a profile and all that it names, and a store of its own.
pub(crate) struct Project {
    pub(crate) program: program::Project,
}

impl Project {
    fn new() -> Self {
        Self {
            program: program::Project::empty(),
        }
    }

    /// With the small operating system as `oci:os:v1`.
    fn with_os() -> Self {
        let project = Self::new();
        project.layout("os", &os("amd64"));
        project
    }

    /// With Kubernetes from a folder too, and [`SMALL`] over both.
    fn small() -> Self {
        let project = Self::with_os();
        project.write("kubernetes/usr/bin/kubelet", "kubelet");
        project.write("profile.toml", SMALL);
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.program.path(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// An OCI layout of one image, tagged `v1`.
    fn layout(&self, name: &str, image: &Image) {
        write_layout(&self.path(name), &[("v1", &image.manifest)], &[image]);
    }

    /// Builds `profile`, which must succeed.
    fn build(&self, profile: &str, arguments: &[&str]) -> Built {
        let fixed = ["build", profile, "--format", "json", "--progress", "json"];
        let outcome = self.program.run(&[&fixed, arguments].concat());
        Built::of(&outcome, &self.path(""))
    }

    /// `isoforge inspect`, which must find nothing wrong.
    fn inspect(&self, path: &Path) -> Value {
        let path = path.to_str().unwrap();
        let outcome = self.program.run(&["inspect", path, "--format", "json"]);
        outcome.assert_exit(0);
        let report = outcome.json();
        assert_eq!(report["problems"], serde_json::json!([]), "{path}");
        report
    }
}

/// A build that was made.
struct Built {
    /// `dist/<name>-<version>`.
    folder: PathBuf,
    /// What `--format json` printed.
    summary: Value,
    /// What `--progress json` printed, one event a line.
    events: Vec<Value>,
}

impl Built {
    fn of(outcome: &Outcome, project: &Path) -> Self {
        outcome.assert_exit(0);
        let summary = outcome.json();
        Self {
            folder: project.join(summary["folder"].as_str().unwrap()),
            summary,
            events: outcome
                .stderr
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
        }
    }

    /// The output whose name ends so.
    fn file(&self, ending: &str) -> PathBuf {
        let names = self.names();
        let name = names.iter().find(|name| name.ends_with(ending));
        let name = name.unwrap_or_else(|| panic!("no {ending} among {names:?}"));
        self.folder.join(name)
    }

    fn iso(&self) -> PathBuf {
        self.file(".iso")
    }

    /// Names in the output folder, sorted.
    fn names(&self) -> Vec<String> {
        names(&self.folder)
    }

    fn manifest(&self) -> Value {
        json_of(&self.folder.join("manifest.json"))
    }

    /// Digest of the ISO's root file system for `arch`.
    fn squashfs(&self, arch: &str) -> String {
        let manifest = self.manifest();
        text(&manifest["architectures"][arch]["squashfs"]["digest"])
    }

    /// The digests of all files of the output folder, by name.
    fn digests(&self) -> BTreeMap<String, Digest> {
        self.names()
            .into_iter()
            .map(|name| {
                let bytes = std::fs::read(self.folder.join(&name)).unwrap();
                (name, Digest::of(&bytes))
            })
            .collect()
    }

    /// What tasks the build had.
    fn tasks(&self) -> Vec<String> {
        self.events
            .iter()
            .filter(|event| event["event"] == "start")
            .map(|event| text(&event["label"]))
            .collect()
    }
}

/// The small operating system for `arch` in two layers: [`bootable::os_layer`],
/// and what makes a Kairos Ubuntu of it.
fn os(arch: &str) -> Image {
    let layers = [
        (bootable::os_layer(arch), LayerCompression::Gzip),
        (kairos_layer(arch), LayerCompression::Gzip),
    ];
    let layers: Vec<_> = layers.iter().map(|(text, c)| (text.as_str(), *c)).collect();
    Image::new(Family::Oci, &format!("linux/{arch}"), &layers)
}

/// Kairos's installer and links, a kernel for FIPS mode, and a file of every
/// kind that there is.
fn kairos_layer(arch: &str) -> String {
    let efi = if arch == "amd64" { "x64" } else { "aa64" };
    let fips = "var/lib/dracut/hooks/pre-pivot/01-fips-noboot.sh";
    let initrd = bootable::initrd_line(&[bootable::LIVE_INITRD, &[fips]].concat());
    let hmac = "5a".repeat(64);
    format!(
        "{initrd}
         file boot/.vmlinuz-{KERNEL_RELEASE}.hmac 0644 '{hmac}  /boot/vmlinuz\\n'
         file boot/config-{KERNEL_RELEASE} 0644 'CONFIG_CRYPTO_FIPS=y\\n'
         link boot/vmlinuz vmlinuz-{KERNEL_RELEASE}
         file usr/lib/os-release 0644 'ID=ubuntu\\nVERSION_ID=\"22.04\"\\n'
         file usr/bin/kairos-agent 0755 '#!/bin/sh\\n'
         fill usr/lib/shim/mm{efi}.efi 0644 mok*1000
         file usr/lib/modules/{KERNEL_RELEASE}/modules.dep 0644 ''
         link lib usr/lib
         link bin usr/bin
         file etc/shadow 0640 'root:*:19000::::::\\n' gid=42 mtime=1700000000
         dir tmp 1777
         file usr/bin/ping 4755 'ping' xattr.user.note=text
         fill usr/bin/large 0755 large*100000
         hard usr/bin/also-large usr/bin/large
         whiteout usr/share/data
         fifo usr/pipe 0600
         char usr/null 0666 1:3"
    )
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A file of an ISO, as isoinfo reads it.
fn on_iso(iso: &Path, path: &str) -> Vec<u8> {
    let output = Command::new("isoinfo")
        .args(["-i", iso.to_str().unwrap(), "-R", "-x", path])
        .output()
        .expect("isoinfo can't be run; the Debian package genisoimage has it ('cargo xtask setup' installs it)");
    assert!(output.status.success(), "{path}");
    assert!(!output.stdout.is_empty(), "{path} is not on the ISO");
    output.stdout
}

/// A profile of the small operating system with Kubernetes from a folder.
const SMALL: &str = r#"
schema = 1
[appliance]
name = "small"
version = "1.0.0"
[os]
flavor = "kairos"
distribution = "ubuntu"
version = "22.04"
image = "oci:os:v1"
[kubernetes]
distribution = "text"
version = "1.32.3"
layers = [{ folder = "kubernetes" }]
[vars]
users = [{ name = "admin" }]
[provider]
repository = "registry.example/edge/small"
"#;

impl Project {
    /// The ISO's root file system as a file.
    fn squashfs_file(&self, iso: &Path) -> PathBuf {
        let name = format!("{}.squashfs", iso.file_name().unwrap().to_str().unwrap());
        self.write(&name, on_iso(iso, "/rootfs.squashfs"));
        self.path(&name)
    }

    /// What unsquashfs lists of the ISO's root file system, owners as numbers
    /// and times in UTC.
    fn squashfs_listing(&self, built: &Built) -> String {
        let file = self.squashfs_file(&built.iso());
        let arguments = ["-UTC", "-lln", "-d", "", file.to_str().unwrap()];
        let listing = judge("squashfs-tools", "unsquashfs", &arguments);
        listing
            .lines()
            .map(|line| format!("{}\n", line.trim_end()))
            .collect()
    }
}
