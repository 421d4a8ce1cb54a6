//! What is built: an appliance with a network, a registry and their images, and
//! bundles for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::images::{Images, PROGRAM};
use crate::demo;
use crate::install::Lab;
use crate::install::access::{Access, USER};
use crate::install::systems::{NAME, System, put};
use crate::program;
use crate::qemu::scratch;
use crate::sh;

/// What Calico 3.29.2 needs.
pub(super) const CALICO: &[&str] = &[CNI, "docker.io/calico/kube-controllers:v3.29.2", NODE];

/// The one of them that is pulled as the kubelet does.
pub(super) const CNI: &str = "docker.io/calico/cni:v3.29.2";

/// The one of them that a container is made of.
pub(super) const NODE: &str = "docker.io/calico/node:v3.29.2";

/// An image that comes by a bundle.
pub(super) const FURTHER: &str = "quay.io/e2e/further:1.0";

/// Another one of that bundle, which takes its time.
pub(super) const LARGE: &str = "quay.io/e2e/large:1.0";
const LARGE_LAYERS: u64 = 10;

/// A pack that somebody pushes.
pub(super) const PACK: &str = "e2e-pack";
pub(super) const PACK_TAG: &str = "pushed";

/// An image that comes with the upgrade.
const NEWER: &str = "quay.io/e2e/newer:2.0";

/// Names Zot's program, whose source is in no package registry.
const ZOT: &str = "ISOFORGE_TEST_ZOT";

/// Version of the appliance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edition {
    First,
    Second,
    /// Another appliance, of flavor `kairos` but without Kairos.
    KairosLive,
    /// Kairos itself.
    KairosInstalled,
    /// Its next version.
    KairosUpgrade,
}

impl Edition {
    pub(super) fn version(self) -> &'static str {
        match self {
            Self::First => "1.0.0",
            Self::Second => "2.0.0",
            Self::KairosLive => "3.0.0",
            Self::KairosInstalled => "4.0.0",
            Self::KairosUpgrade => "5.0.0",
        }
    }
}

/// The registry of the profile.
struct Program {
    name: &'static str,
    version: &'static str,
    image: &'static str,
    path: &'static str,
    file: PathBuf,
    push_port: u16,
}

impl Program {
    fn find() -> Self {
        match std::env::var_os(ZOT).filter(|path| !path.is_empty()) {
            Some(path) => Self {
                name: "zot",
                version: "0.1.67",
                image: "ghcr.io/project-zot/zot-linux-amd64:v2.1.2",
                path: "/usr/local/bin/zot-linux-amd64",
                file: path.into(),
                push_port: 30003,
            },
            None => {
                println!("{ZOT} names no Zot: the registry is distribution, filled over HTTP");
                Self {
                    name: "distribution",
                    version: "2.8.3",
                    image: "docker.io/library/registry:2.8.3",
                    path: "/bin/registry",
                    file: "/usr/bin/docker-registry".into(),
                    push_port: 30004,
                }
            }
        }
    }
}

/// A live system whose console is root's: nothing in it makes accounts.
const AUTOLOGIN_PATH: &str = "etc/systemd/system/serial-getty@ttyS0.service.d/autologin.conf";
const AUTOLOGIN: &str = "[Service]\nExecStart=\n\
    ExecStart=-/sbin/agetty --autologin root --keep-baud 115200 %I $TERM\n";

/// What makes the demo's profile one of flavor `kairos`. Kairos itself is in no
/// package registry, and only its agent would read the account.
fn kairos(hash: &str) -> String {
    format!(
        "\n[appliance]\nname = \"{NAME}\"\nversion = \"{}\"\n\n[os]\nflavor = \"kairos\"\n\n\
         [overlays]\nrootfs = [\"overlay\"]\n\n[[vars.users]]\nname = \"kairos\"\n\
         passwd = \"{hash}\"\ngroups = [\"admin\"]\n",
        Edition::KairosLive.version()
    )
}

/// A profile on the root file system `archive`, which has Kairos in it.
fn on_kairos(edition: Edition, archive: &Path, access: &Access, argument: &str) -> String {
    format!(
        "schema = 1\n\n[appliance]\nname = \"{NAME}\"\nversion = \"{}\"\n\n[os]\n\
         flavor = \"kairos\"\ndistribution = \"debian\"\nversion = \"13\"\n\
         rootfs = {archive:?}\n\n[kubernetes]\ndistribution = \"e2e\"\n\
         version = \"1.32.3\"\nlayers = [{{ folder = \"kubernetes\" }}]\n\n\
         [[vars.users]]\nname = \"{USER}\"\npasswd = \"{}\"\ngroups = [\"admin\"]\n\
         ssh_keys = [\"{}\"]\n\n[boot]\n\
         cmdline = [\"console=ttyS0,115200n8\", \"{argument}\"]\n\n[install]\n\
         mode = \"unattended\"\nafter = \"poweroff\"\n",
        edition.version(),
        access.hash,
        access.public
    )
}

/// Profiles, and what they are made of.
pub(super) struct Project {
    folder: PathBuf,
    images: Images,
    /// The port of the machine that takes pushes.
    pub(super) push_port: u16,
}

impl Project {
    /// Pushes the images and writes the profiles.
    pub(super) fn prepare(lab: &Lab) -> Result<Self> {
        let folder = std::path::absolute(scratch("content-project")?)?;
        sh::empty_folder(&folder)?;
        let images = Images::start(&folder)?;
        let registry = Program::find();
        images.push(registry.image, &registry.file, registry.path)?;
        let tool = program::appliance()?;
        for image in CALICO.iter().chain(&[FURTHER, NEWER]) {
            images.push(image, &tool, PROGRAM)?;
        }
        images.push_large(LARGE, LARGE_LAYERS)?;
        let this = Self {
            folder,
            images,
            push_port: registry.push_port,
        };
        for (edition, system) in [
            (Edition::First, System::First),
            (Edition::Second, System::Second),
        ] {
            let text = this.profile(&lab.systems.profile(system), &registry);
            put(&this.of(edition).join("profile.toml"), &text)?;
        }
        let demo = std::path::absolute(demo::PROFILE)?;
        let text = this.profile(&demo, &registry) + &kairos(&lab.access.hash);
        let folder = this.of(Edition::KairosLive);
        put(&folder.join("profile.toml"), &text)?;
        put(&folder.join("overlay").join(AUTOLOGIN_PATH), AUTOLOGIN)?;
        Ok(this)
    }

    /// Adds the profiles on a root file system with Kairos.
    pub(super) fn add_kairos(&self, lab: &Lab, archive: &Path, argument: &str) -> Result<()> {
        let registry = Program::find();
        for edition in [Edition::KairosInstalled, Edition::KairosUpgrade] {
            let folder = self.of(edition);
            let base = folder.join("base.toml");
            put(&base, &on_kairos(edition, archive, &lab.access, argument))?;
            put(&folder.join("kubernetes/usr/bin/kubelet"), "#!/bin/sh\n")?;
            put(
                &folder.join("profile.toml"),
                &self.profile(&base, &registry),
            )?;
        }
        Ok(())
    }

    fn of(&self, edition: Edition) -> PathBuf {
        self.folder.join(edition.version())
    }

    fn profile(&self, base: &Path, registry: &Program) -> String {
        let mut text = format!(
            "extends = {base:?}\n\n[cni]\nname = \"calico\"\nversion = \"3.29.2\"\n\n\
             [registry]\nname = \"{}\"\nversion = \"{}\"\n",
            registry.name, registry.version
        );
        text.push_str(&self.mirrors());
        text
    }

    /// Where upstream hosts are, in the words of profile and settings.
    fn mirrors(&self) -> String {
        let table = |host: &str| {
            let mirror = self.images.mirror(host);
            format!("\n[registries.\"{host}\"]\nmirrors = [\"{mirror}\"]\n")
        };
        ["docker.io", "ghcr.io", "quay.io"].map(table).concat()
    }

    /// Builds; the store makes the second time cheap.
    fn build(&self, edition: Edition, only: &str) -> Result<PathBuf> {
        let folder = self.of(edition);
        let out = folder.join(only);
        demo::build_profile(&folder.join("profile.toml"), only, &out)?;
        Ok(out.join(format!("{NAME}-{}", edition.version())))
    }

    pub(super) fn iso(&self, edition: Edition) -> Result<PathBuf> {
        demo::iso_in(&self.build(edition, "iso")?)
    }

    /// The digest of an image by the lock of the first edition.
    pub(super) fn locked(&self, image: &str) -> Result<String> {
        let lock = std::fs::read_to_string(self.of(Edition::First).join("isoforge.lock"))?;
        let entry = lock
            .split("\n[[")
            .find(|entry| entry.contains(&format!("reference = \"{image}\"")))
            .with_context(|| format!("the lock does not name {image}:\n{lock}"))?;
        let digest = entry
            .split('"')
            .find(|word| word.starts_with("sha256:"))
            .context("no digest")?;
        Ok(digest.to_owned())
    }

    /// The digest of an image upstream.
    pub(super) fn digest(&self, image: &str) -> Result<String> {
        self.images.digest(image)
    }

    /// A bundle with these images.
    pub(super) fn bundle(&self, images: &[&str]) -> Result<PathBuf> {
        let words = images.iter().flat_map(|image| ["--image", *image]);
        self.make_bundle("further", &words.map(OsString::from).collect::<Vec<_>>())
    }

    /// The archive of an edition's provider image.
    pub(super) fn provider(&self, edition: Edition) -> Result<PathBuf> {
        demo::provider_in(&self.build(edition, "provider")?)
    }

    /// A bundle with the second edition's system and one more image.
    pub(super) fn upgrade_bundle(&self) -> Result<PathBuf> {
        let provider = self.provider(Edition::Second)?;
        let words = [
            "--image".into(),
            NEWER.into(),
            "--provider".into(),
            provider.into(),
        ];
        self.make_bundle("upgrade", &words)
    }

    /// The reference of a pack in the registry that the images are in.
    pub(super) fn pack(&self) -> Result<String> {
        let folder = self.folder.join(PACK);
        let mut init = sh::command([sh::isoforge()]);
        sh::output(init.args(["pack", "init", "--quiet"]).arg(&folder))?;
        let to = format!("{}/packs/{PACK}", self.images.address());
        let mut push = sh::command([sh::isoforge()]);
        push.args(["pack", "push", "--quiet"]).arg(&folder);
        sh::output(push.arg(format!("{to}:{PACK_TAG}")))?;
        Ok(format!("{to}:{PACK_TAG}"))
    }

    fn make_bundle(&self, name: &str, words: &[OsString]) -> Result<PathBuf> {
        let out = self.folder.join("bundles");
        let settings = self.folder.join("isoforge.toml");
        std::fs::write(&settings, self.mirrors())?;
        let mut make = sh::command([sh::isoforge()]);
        make.args(["bundle", "build", "--name", name, "--version", "1"]);
        make.args(words)
            .args(["--platform", "linux/amd64", "--quiet"]);
        make.arg("--config").arg(settings).arg("--output").arg(&out);
        sh::run(&mut make)?;
        let file = out.join(format!("{name}-1.tar.zst"));
        ensure!(file.is_file(), "{} is missing", file.display());
        Ok(file)
    }
}
