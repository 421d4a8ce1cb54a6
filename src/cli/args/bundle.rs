//! Arguments of `bundle`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::cache::size;
use super::{Format, LockArgs, SettingArgs};
use isoforge_oci::platform::Platform;
use isoforge_oci::reference::Reference;

/// Arguments of `bundle`.
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:\n  isoforge bundle build profiles/demo.toml --output dist\n  \
                  isoforge bundle inspect dist/demo-1.0.0.tar.zst"
)]
pub(crate) struct Bundle {
    /// What to do.
    #[command(subcommand)]
    pub command: BundleCommand,
}

/// The verbs of `bundle`.
#[derive(Debug, Subcommand)]
pub(crate) enum BundleCommand {
    /// Put the content of a profile, or images by reference, into a bundle
    Build(Box<BundleBuild>),
    /// Make a whole bundle of a delta and its base
    Apply(BundleApply),
    /// Say what is in a bundle
    Inspect(BundleInspect),
    /// Hash every blob of a bundle, and look for all that its manifests name
    Verify(BundleVerify),
    /// Say what one bundle has that another has not
    Diff(BundleDiff),
    /// Answer as a registry that can be read, on this machine alone
    Serve(BundleServe),
}

/// What a bundle is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum As {
    /// One file, NAME-VERSION.tar.zst, and its checksum
    Archive,
    /// A folder, NAME-VERSION
    Dir,
}

/// How a bundle is written.
#[derive(Debug, Args)]
pub(crate) struct FormArgs {
    /// Folder that the bundle is written to [default: dist]
    #[arg(short, long, value_name = "DIR", env = "ISOFORGE_OUTPUT")]
    pub output: Option<PathBuf>,
    /// What the bundle is written as
    #[arg(
        long = "as",
        value_name = "FORM",
        value_enum,
        default_value = "archive"
    )]
    pub form: As,
    /// Split the archive in files of at most SIZE; 4000MiB where no SIZE is
    /// given, and on a FAT file system
    #[arg(long, value_name = "SIZE", num_args = 0..=1, require_equals = true, value_parser = part_size)]
    pub split: Option<Option<u64>>,
    /// Replace an archive of the same name
    #[arg(long)]
    pub force: bool,
}

/// Arguments of `bundle build`.
#[derive(Debug, Args)]
#[command(
    disable_version_flag = true,
    after_help = "Examples:\n  isoforge bundle build profiles/demo.toml --locked\n  \
                  isoforge bundle build --name tools --version 3 --image quay.io/a/b:1 \\\n    \
                  --platform linux/amd64\n  \
                  isoforge bundle build profiles/demo.toml --since demo-1.0.0.tar.zst\n  \
                  isoforge bundle build profiles/demo.toml \\\n    \
                  --provider dist/demo-1.1.0/demo-1.1.0-provider.oci.tar"
)]
pub(crate) struct BundleBuild {
    /// The infrastructure profile (TOML) whose content goes in
    #[arg(required_unless_present_any = ["image", "provider"])]
    pub profile: Option<PathBuf>,
    /// Set a key of the profile, e.g. appliance.version=1.2.0; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "profile")]
    pub set: Vec<String>,
    /// An image that goes in; may be repeated
    #[arg(long, value_name = "REF")]
    pub image: Vec<Reference>,
    /// A platform of the images; may be repeated [default: the profile's,
    /// without a profile all]
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Vec<Platform>,
    /// A provider image's archive, from build; may be repeated
    #[arg(long, value_name = "FILE")]
    pub provider: Vec<PathBuf>,
    /// The bundle's name [default: the appliance's]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The bundle's version [default: the appliance's]
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,
    /// Write a delta: only what this bundle lacks
    #[arg(long, value_name = "OLD")]
    pub since: Option<PathBuf>,
    /// Where to, and as what.
    #[command(flatten)]
    pub form: FormArgs,
    /// Store, threads, registries.
    #[command(flatten)]
    pub settings: SettingArgs,
    /// Take along signatures, attestations and SBOMs of the images
    #[arg(long)]
    pub with_referrers: bool,
    /// How the lock is used.
    #[command(flatten)]
    pub lock: LockArgs,
    /// How the result is written to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// Arguments of `bundle apply`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  isoforge bundle apply demo-1.0.0.tar.zst demo-1.1.0.tar.zst -o whole"
)]
pub(crate) struct BundleApply {
    /// The bundle that the delta was made for
    pub base: PathBuf,
    /// The delta
    pub delta: PathBuf,
    /// Where to, and as what.
    #[command(flatten)]
    pub form: FormArgs,
    /// How the result is written to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// Which bundle.
#[derive(Debug, Args)]
pub(crate) struct BundleArgs {
    /// A bundle: a folder, an archive, a part of a split one or the folder with
    /// its parts, or an installer ISO
    pub bundle: PathBuf,
    /// The base, where the bundle is a delta
    #[arg(long, value_name = "BUNDLE")]
    pub base: Option<PathBuf>,
}

/// Arguments of `bundle inspect`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  isoforge bundle inspect demo-1.0.0.tar.zst --format json")]
pub(crate) struct BundleInspect {
    /// Which bundle.
    #[command(flatten)]
    pub bundle: BundleArgs,
    /// How the result is written to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// Arguments of `bundle verify`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  isoforge bundle verify /media/usb/demo-1.0.0.tar.zst.001")]
pub(crate) struct BundleVerify {
    /// Which bundle.
    #[command(flatten)]
    pub bundle: BundleArgs,
    /// Threads that read and hash [default: the machine's cores]
    #[arg(short, long, value_name = "N", env = "ISOFORGE_JOBS", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// How the result is written to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// Arguments of `bundle diff`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  isoforge bundle diff demo-1.0.0.tar.zst demo-1.1.0.tar.zst")]
pub(crate) struct BundleDiff {
    /// The first bundle
    pub from: PathBuf,
    /// The second bundle
    pub to: PathBuf,
    /// How the result is written to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// Arguments of `bundle serve`.
#[derive(Debug, Args)]
#[command(
    after_help = "The address is written to standard output. Images are under HOST/REPOSITORY, \
                  as in\n  skopeo copy --src-tls-verify=false \\\n    \
                  docker://127.0.0.1:5000/docker.io/calico/node:v3.29.2 dir:node\n\n\
                  Example:\n  isoforge bundle serve dist/demo-1.0.0/demo-1.0.0.iso --listen 127.0.0.1:5000"
)]
pub(crate) struct BundleServe {
    /// Which bundle.
    #[command(flatten)]
    pub bundle: BundleArgs,
    /// Address of this machine alone, and port; with port 0 the system chooses
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
}

/// At least a mebibyte: smaller parts are a slip.
fn part_size(text: &str) -> Result<u64, String> {
    const LEAST: u64 = 1 << 20;
    match size(text)? {
        bytes if bytes < LEAST => Err("a part has at least 1MiB".to_owned()),
        bytes => Ok(bytes),
    }
}
