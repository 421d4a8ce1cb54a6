//! Keys of the appliance: its system, its configuration, its boot and its outputs.

use std::path::PathBuf;

use serde::Serializer;

use crate::profile::check;
use crate::profile::keys::{
    boolean, bytes, inline, integer, keys, list, names, one_of, one_or_more, placed, secret, table,
    text,
};
use crate::profile::placeholder::{ImageTemplate, PathTemplate};
use crate::profile::secret::SecretRef;
use isoforge_contract::arch::Arch;
use isoforge_contract::machine::{Firmware, Flavor};
use isoforge_formats::squashfs::Compressor;
use isoforge_oci::layer::LayerCompression;

keys! {
    /// `[appliance]`.
    #[derive(Eq)]
    pub struct Appliance {
        /// Lower-case letters, digits and single `.`, `_`, `-` between them; in the names of all
        /// outputs.
        name: String = text(check::name).required(),
        /// Letters, digits, `.`, `_`, `-`, `+`; in the names of all outputs.
        version: String = text(check::version).required(),
        /// One ISO is made for each.
        arch: Vec<Arch> = list(super::architecture())
            .filled("the list of architectures is empty", "at least one")
            .or(vec![Arch::Amd64]),
        /// Whether machines are managed by themselves or register with a central service.
        mode: Mode = one_of(&[("local", Mode::Local), ("central", Mode::Central)]).or(Mode::Local),
    }
}

/// Who manages the machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// They themselves.
    Local,
    /// A central service that they register with.
    Central,
}

keys! {
    /// `[registration]`.
    #[derive(Eq)]
    pub struct Registration {
        /// Address of the central service: a host name or an https URL.
        endpoint: String = text(check::endpoint).required(),
        /// The registration token.
        token: SecretRef = secret().required_else(SecretRef::Env(String::new())),
    }
}

keys! {
    /// `[os]`.
    #[derive(Eq)]
    pub struct Os {
        /// `kairos`: the image brings its installer. `appliance`: isoforge's own layout.
        flavor: Flavor = one_of(&[("kairos", Flavor::Kairos), ("appliance", Flavor::Appliance)])
            .required_else(Flavor::Kairos),
        /// Such as `ubuntu` or `debian`; for labels.
        distribution: String = text(check::name).required(),
        /// The distribution's version; for labels.
        version: String = text(check::version).required(),
        /// Where it comes from.
        source: OsSource = inline(),
        /// Adds `fips=1` to the kernel command line, checks the image for FIPS mode and takes FIPS
        /// variants from the catalog.
        fips: bool = boolean().or(false),
    }
}

/// Where the operating system comes from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OsSource {
    /// An OCI image.
    Image(ImageTemplate),
    /// A root file system archive.
    Rootfs(PathTemplate),
    /// Made from packages.
    Bootstrap(Bootstrap),
}

keys! {
    impl OsSource {
        /// An image: a registry reference, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]` or
        /// `docker-archive:FILE[:TAG]`. `{arch}` stands for the architecture.
        image = placed(check::image).optional(""),
        /// A root file system archive: tar, plain or with gzip, zstd or xz. `{arch}` stands for the
        /// architecture.
        rootfs = placed(check::path_template).optional(""),
        /// A Debian-like system made from packages, with mmdebstrap.
        bootstrap = table().optional(""),
    }
    exactly one of image, rootfs, bootstrap;
    => image
        .map(Self::Image)
        .or(rootfs.map(Self::Rootfs))
        .or(bootstrap.map(Self::Bootstrap))
        .unwrap_or(Self::Rootfs(PathTemplate::default()))
}

keys! {
    /// `os.bootstrap`.
    #[derive(Eq)]
    pub struct Bootstrap {
        /// The release's code name, such as `trixie`.
        suite: String = text(check::suite).required(),
        /// Packages beside the variant's own.
        packages: Vec<String> = list(text(check::package)).or_empty(""),
        /// URLs of archives, or whole lines in the one-line format of sources.list.
        mirror: Vec<String> = one_or_more(text(check::archive_line)).or_empty("Debian's mirror"),
        /// Components of the archive.
        components: Vec<String> = list(text(check::suite)).or(vec!["main".to_owned()]),
        /// Keyring that the archive is signed with.
        keyring: Option<PathBuf> = placed(check::path).optional("the host's"),
        /// mmdebstrap's name of the set of packages to begin with.
        variant: String = names(&[
            "essential", "apt", "required", "minbase", "buildd", "important", "standard",
        ])
        .or("minbase".to_owned()),
    }
}

/// `[cloud_config]`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CloudConfig {
    /// The built-in template.
    Builtin,
    /// A template.
    Template(PathBuf),
    /// A finished file, taken unchanged.
    File(PathBuf),
}

keys! {
    impl CloudConfig {
        /// A Tera template.
        template = placed(check::path).optional("the built-in template"),
        /// A finished `#cloud-config`, taken unchanged; an existing CanvOS `user-data` for instance.
        file = placed(check::path).optional(""),
    }
    one of template, file;
    => template
        .map(Self::Template)
        .or(file.map(Self::File))
        .unwrap_or(Self::Builtin)
}

keys! {
    /// `[overlays]`.
    #[derive(Eq)]
    pub struct Overlays {
        /// Directories laid over the root file system, in this order.
        rootfs: Vec<PathBuf> = list(placed(check::path)).or_empty(""),
        /// Directories laid over the ISO's own tree, in this order.
        iso: Vec<PathBuf> = list(placed(check::path)).or_empty(""),
    }
}

keys! {
    /// `[boot]`.
    #[derive(Eq)]
    pub struct Boot {
        /// Firmware that the ISO boots under. BIOS concerns amd64 only.
        firmware: Vec<Firmware> = list(one_of(&[("bios", Firmware::Bios), ("uefi", Firmware::Uefi)]))
            .filled("the list of firmware is empty", "'bios', 'uefi' or both")
            .map(super::each_once)
            .or(vec![Firmware::Bios, Firmware::Uefi]),
        /// Arguments added to the end of the kernel command line, of the ISO and of the installed
        /// system, each an element of its own.
        cmdline: Vec<String> = list(text(check::kernel_argument)).or_empty(""),
        /// Seconds until the menu's default is booted.
        timeout_seconds as "timeout": u32 = integer(0, 3600).or(5),
        /// Title of the menu's entries.
        title: Option<String> = text(check::one_line).optional("name and version"),
        /// The password of GRUB's user `root`: who has it edits menu entries and uses GRUB's shell,
        /// on the ISO and on the installed disk, and nobody else does. Entries start without it, but
        /// for those that give a root shell. At least 8 characters of ASCII. Its hash is on every
        /// medium and disk; what it protects is in `docs/security.md`.
        #[serde(skip_serializing_if = "Option::is_none")]
        password: Option<SecretRef> = secret().optional("anybody at the console may edit entries"),
    }
}

keys! {
    /// `[provider]`.
    #[derive(Eq)]
    pub struct Provider {
        /// Repository of the provider image, such as `registry.example/edge/ubuntu`. Its tag is
        /// `{kubernetes.distribution}-{kubernetes.version}-{appliance.version}`, `+` as `_`; what the
        /// profile does not say is left out.
        repository: String = text(check::repository).or_empty("the appliance's name"),
        /// Whether a build that makes the provider image also pushes it to `repository`, which then
        /// begins with a registry's host. `isoforge push` does the same later.
        push: bool = boolean().or(false),
    }
}

keys! {
    /// `[output]`.
    #[derive(Eq)]
    pub struct Output {
        /// Of the SquashFS: `zstd[:1-22]`, `gzip[:1-9]` or `xz`.
        #[serde(serialize_with = "as_text")]
        compression: Compressor = text(check::compression).or_empty(format!("`{}`", Compressor::default())),
        /// Of the SquashFS: a power of two from 4K to 1M.
        block_size: u32 = bytes(check::block_size).or(256 << 10),
        /// Of the layers that isoforge makes for the provider image; some readers refuse zstd.
        layer_compression: LayerCompression =
            one_of(&[("gzip", LayerCompression::Gzip), ("zstd", LayerCompression::Zstd)])
                .or(LayerCompression::Gzip),
    }
}

/// As the profile writes it.
fn as_text<S: Serializer>(value: &Compressor, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

keys! {
    /// `[limits]`; what is not written is isoforge's own.
    #[derive(Copy, Eq)]
    pub struct Limits {
        /// Entries of a layer.
        entries: Option<u64> = integer(1, i64::MAX).optional("isoforge's"),
        /// Bytes of a path.
        path_length: Option<u64> = integer(1, 65_535).optional("isoforge's"),
        /// Bytes of a layer once decompressed.
        layer_bytes: Option<u64> = bytes(check::any_size).optional("isoforge's"),
        /// Bytes that one compressed byte may become.
        ratio: Option<u64> = integer(1, i64::MAX).optional("isoforge's"),
    }
}
