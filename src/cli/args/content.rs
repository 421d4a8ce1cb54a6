//! Arguments of the commands on content: packs, charts, manifests.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{BundleArgs, Format, SettingArgs};
use crate::profile;

/// Arguments of `content`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  isoforge content find calico.yaml\n  \
                  isoforge content find packs/piraeus --preset 'Size:large' --format json\n  \
                  isoforge content check dist/demo-1.0.0.tar.zst")]
pub(crate) struct Content {
    /// What of the content.
    #[command(subcommand)]
    pub command: ContentCommand,
}

/// The verbs of `content`.
#[derive(Debug, Subcommand)]
pub(crate) enum ContentCommand {
    /// List the images that packs, charts and manifests need, and where each
    /// was found
    Find(Find),
    /// Prove that a bundle has every image that the objects in it name
    Check(Check),
}

/// What charts are rendered by.
#[derive(Debug, Args)]
pub(crate) struct HelmArgs {
    /// Render charts with this Helm [default: the installed one, if any]
    #[arg(long, value_name = "FILE", conflicts_with = "no_helm")]
    pub helm: Option<PathBuf>,
    /// Render no charts: look at their values alone
    #[arg(long)]
    pub no_helm: bool,
}

/// What kustomizations are built by.
#[derive(Debug, Args)]
pub(crate) struct KustomizeArgs {
    /// Build kustomizations with this kustomize or kubectl [default: the installed one, if any]
    #[arg(long, value_name = "FILE", conflicts_with = "no_kustomize")]
    pub kustomize: Option<PathBuf>,
    /// Build no kustomizations
    #[arg(long)]
    pub no_kustomize: bool,
}

/// Arguments of `content check`.
#[derive(Debug, Args)]
#[command(
    after_help = "Searched are the cluster definition's layers with their values, then the \
                  packs,\ncharts and manifests beside them. The exit code is 5 where an image \
                  is missing.\nWhat only a chart's values look like, and what could not be \
                  rendered, is not\nproven.\n\nExamples:\n  isoforge content check \
                  dist/demo-1.0.0/demo-1.0.0.iso\n  isoforge content check \
                  demo-1.0.0.tar.zst --strict --format json"
)]
pub(crate) struct Check {
    /// Which bundle.
    #[command(flatten)]
    pub bundle: BundleArgs,
    /// Also fail (exit code 5) where something is not proven
    #[arg(long)]
    pub strict: bool,
    /// Every image of this list must be there too, one reference a line; may be
    /// repeated
    #[arg(long = "image-list", value_name = "FILE")]
    pub image_lists: Vec<PathBuf>,
    /// What renders charts.
    #[command(flatten)]
    pub helm: HelmArgs,
    /// How the result is written to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// Arguments of `content find`.
#[derive(Debug, Args)]
#[command(
    after_help = "How an image was found:\n  pack       the pack lists it\n  manifests  an \
                  object of a manifest names it\n  helm       an object that Helm rendered from \
                  a chart names it\n  scan       a chart's values look like it: a guess\n  \
                  list       a list that is published beside them names it\n\n\
                  Places beside the containers of pods are given as KIND: PATH or env: NAME:\n  \
                  --at 'Widget.example.com: spec.components[*].image'\n  --at 'env: *_IMAGE'\n\n\
                  Examples:\n  isoforge content find calico.yaml\n  isoforge content find \
                  packs/piraeus --preset 'Size:large' --kubernetes 1.32.3\n  isoforge content \
                  find zot-0.1.67.tgz --values mine.yaml --format json\n  isoforge content \
                  find rook/deploy/ --image-list rook/images.txt"
)]
pub(crate) struct Find {
    /// Packs and charts, as folder or archive; manifests, or folders of such
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Lay the values of a YAML file over those of packs and charts; may be
    /// repeated
    #[arg(long, value_name = "FILE")]
    pub values: Vec<PathBuf>,
    /// Switch a preset of a pack on, or off with a '-' in front; may be
    /// repeated
    #[arg(long = "preset", value_name = "GROUP:NAME", allow_hyphen_values = true)]
    pub presets: Vec<String>,
    /// Look for images there too; may be repeated
    #[arg(long, value_name = "RULE")]
    pub at: Vec<String>,
    /// Compare with a list that is published beside them, such as images.txt, and
    /// take what it names; may be repeated
    #[arg(long = "image-list", value_name = "FILE")]
    pub image_lists: Vec<PathBuf>,
    /// Version of Kubernetes, for macros and charts
    #[arg(long, value_name = "VERSION")]
    pub kubernetes: Option<String>,
    /// Fill a macro of packs, such as spectro.var.site=lab; may be repeated
    #[arg(long = "macro", value_name = "PATH=TEXT", value_parser = macro_answer)]
    pub macros: Vec<(String, String)>,
    /// What renders charts.
    #[command(flatten)]
    pub helm: HelmArgs,
    /// What builds kustomizations.
    #[command(flatten)]
    pub kustomize: KustomizeArgs,
    /// How the result is written to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// `spectro.var.site=lab`.
fn macro_answer(text: &str) -> Result<(String, String), String> {
    let (path, answer) = text.split_once('=').ok_or("it has no '='")?;
    match profile::macro_answer(path, answer) {
        Ok(()) => Ok((path.to_owned(), answer.to_owned())),
        Err(bad) => Err(format!("{}; expected {}", bad.message, bad.expected)),
    }
}

/// Arguments of `pack`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  isoforge pack init packs/shop\n  isoforge pack lint packs/*\n  \
                  isoforge pack build packs/shop -o shop.tar.gz\n  \
                  isoforge pack push packs/shop registry.example/packs/shop:1.0.0"
)]
pub(crate) struct Pack {
    /// What with packs.
    #[command(subcommand)]
    pub command: PackCommand,
}

/// The verbs of `pack`.
#[derive(Debug, Subcommand)]
pub(crate) enum PackCommand {
    /// Write a new pack to start from
    Init(PackInit),
    /// Say every problem of packs, with file and place
    Lint(PackLint),
    /// Put a pack into one archive
    Build(PackBuild),
    /// Push a pack to a registry, as an OCI artifact
    Push(PackPush),
}

/// Arguments of `pack init`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  isoforge pack init packs/shop")]
pub(crate) struct PackInit {
    /// Folder to write to; it must be empty or not exist. The pack gets its
    /// name
    pub directory: PathBuf,
}

/// Arguments of `pack lint`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  isoforge pack lint packs/* --format json\n\nThe exit code is 2 where \
                  there are errors; warnings leave it 0."
)]
pub(crate) struct PackLint {
    /// Packs, as folders or archives
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// How the result is written to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// Arguments of `pack build`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  isoforge pack build packs/shop -o dist/shop.tar.gz")]
pub(crate) struct PackBuild {
    /// The pack's folder
    pub directory: PathBuf,
    /// The archive to write [default: NAME-VERSION.tar.gz]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Arguments of `pack push`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  isoforge pack push packs/shop registry.example/packs/shop\n\nClients \
                  of artifacts fetch it: oras pull registry.example/packs/shop:1.0.0"
)]
pub(crate) struct PackPush {
    /// The pack, as folder or archive
    pub path: PathBuf,
    /// Where to [default tag: the pack's version]
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pub to: String,
    /// Ask the registry what it lacks, and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Store [default: isoforge in the user's cache folder]
    #[arg(long, value_name = "DIR", env = "ISOFORGE_CACHE_DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Talk to HOST without TLS; may be repeated
    #[arg(long, value_name = "HOST")]
    pub plain_http: Vec<String>,
    /// How the result is written to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

impl PackPush {
    /// The settings that the flags say.
    #[must_use]
    pub(crate) fn settings(&self) -> SettingArgs {
        SettingArgs {
            cache_dir: self.cache_dir.clone(),
            plain_http: self.plain_http.clone(),
            ..SettingArgs::default()
        }
    }
}
