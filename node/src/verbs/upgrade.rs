//! Upgrades to another provider image.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};
use isoforge_base::output::space::HostFileSystems;
use isoforge_base::process::Program;
use isoforge_oci::platform::Platform;

use serde::Serialize;

use super::content;
use super::output::{self, Format};
use super::registries::Registries;
use crate::content::locate::locate;
use crate::content::source::{Kind, Source};
use crate::upgrade::machine::{Machine, small};
use crate::upgrade::state::Mounted;
use crate::upgrade::{Options, Outcome, Site, bundle, check, make_slot, run as upgrade};

/// Upgrades to another provider image
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    step: Option<Step>,
    /// Where the provider image is: a folder or an archive in OCI layout, or a
    /// reference in a registry
    #[arg(long, value_name = "SOURCE", required_unless_present = "bundle")]
    from: Option<String>,
    /// A bundle with a provider image and content: a folder, an archive, the first
    /// part of one, an ISO, or the device of a medium that one lies on. Its content
    /// comes into this machine's registry before the system is upgraded
    #[arg(long, value_name = "BUNDLE", conflicts_with = "from")]
    bundle: Option<PathBuf>,
    /// Which of several images
    #[arg(long)]
    tag: Option<String>,
    /// Architecture of the image, where it is not this machine's
    #[arg(long)]
    arch: Option<String>,
    /// Take an image though its version is older than the one that runs
    #[arg(long)]
    allow_downgrade: bool,
    #[command(flatten)]
    registries: Registries,
    /// Reboot into the new system when it is written
    #[arg(long)]
    reboot: bool,
    /// How the outcome is told
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Debug, clap::Subcommand)]
enum Step {
    /// Make the files of a slot; asked by the program that is installed
    #[command(hide = true)]
    MakeSlot {
        /// What to make, as JSON
        #[arg(long)]
        request: PathBuf,
    },
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if let Some(Step::MakeSlot { request }) = &args.step {
        let request = serde_json::from_slice(&small(request)?)?;
        let made = make_slot::run(&request, &output::progress())?;
        return output::data(Format::Json, &made, "");
    }
    let machine = Machine::this();
    let mut options = options(args)?;
    let located = args.bundle.as_deref().map(locate).transpose()?;
    let (source, medium) = match located {
        Some(located) => (
            Some(Arc::new(located.bundle) as Arc<dyn Source>),
            located.medium,
        ),
        None => (None, None),
    };
    options.bundle = source;
    let content = match &options.bundle {
        Some(source) => take_content(&machine, source, &options)?,
        None => None,
    };
    let outcome = upgrade(
        Site {
            machine: &machine,
            volume: &mut Mounted(machine.state.clone()),
            room: &HostFileSystems,
            progress: &output::progress(),
        },
        &options,
    )?;
    drop(options);
    drop(medium);
    let kubernetes = outcome
        .kubernetes
        .as_ref()
        .map_or_else(String::new, |version| format!(" with Kubernetes {version}"));
    let next = if args.reboot {
        "The machine reboots into it."
    } else {
        "Reboot to try it."
    };
    let mut text = content.as_ref().map_or_else(String::new, content::text);
    text.push_str(&format!(
        "Version {}{kubernetes} is in slot {}. {next} It counts as good once its checks hold; else the machine goes back to this version by itself.\n",
        outcome.to, outcome.slot
    ));
    output::data(args.format, &Report { content, outcome }, &text)?;
    if args.reboot {
        Program::new("systemctl", "systemd")
            .arg("reboot")
            .output(4096)?;
    }
    Ok(())
}

/// What an upgrade tells.
#[derive(Serialize)]
struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<content::Outcome>,
    #[serde(flatten)]
    outcome: Outcome,
}

/// Takes the content of a bundle into this machine's registry, once it is known that
/// the machine can be upgraded, and to the system in it.
fn take_content(
    machine: &Machine,
    source: &Arc<dyn Source>,
    options: &Options,
) -> Result<Option<content::Outcome>> {
    if !bundle::has_system(source.as_ref()) {
        bail!(
            "{} carries no system; 'appliance content import' takes its content",
            source.name()
        );
    }
    check(machine, options)?;
    if source
        .roots()
        .iter()
        .all(|root| root.kind == Kind::Provider)
    {
        return Ok(None);
    }
    let Some(registry) = machine.config()?.registry else {
        output::say("This machine has no registry; the bundle's content is left out.");
        return Ok(None);
    };
    let how = content::ImportOptions {
        check: false,
        replace: false,
    };
    content::import_here(source, &registry, how, &output::progress()).map(Some)
}

fn options(args: &Args) -> Result<Options> {
    let arch = args.arch.as_deref().unwrap_or(std::env::consts::ARCH);
    Ok(Options {
        from: match (&args.from, &args.bundle) {
            (Some(from), _) => from.clone(),
            (None, Some(bundle)) => bundle.display().to_string(),
            (None, None) => bail!("--from SOURCE or --bundle BUNDLE is missing"),
        },
        bundle: None,
        tag: args.tag.clone(),
        downgrade: args.allow_downgrade,
        platform: Platform::linux(arch),
        registries: args.registries.config(),
        jobs: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
    })
}
