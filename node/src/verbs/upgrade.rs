//! Upgrades to another provider image.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use isoforge::oci::platform::Platform;
use isoforge::output::space::HostFileSystems;
use isoforge::util::process::Program;

use super::output::{self, Format};
use super::registries::Registries;
use crate::upgrade::machine::{Machine, small};
use crate::upgrade::state::Mounted;
use crate::upgrade::{Options, Site, make_slot, run as upgrade};

/// Upgrades to another provider image
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    step: Option<Step>,
    /// Where the provider image is: a folder or an archive in OCI layout, or a
    /// reference in a registry
    #[arg(long, value_name = "SOURCE", required = true)]
    from: Option<String>,
    /// Which of several images
    #[arg(long)]
    tag: Option<String>,
    /// Architecture of the image, where it is not this machine's
    #[arg(long)]
    arch: Option<String>,
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

/// The verb.
///
/// # Errors
/// What went wrong, outermost first.
pub fn run(args: &Args) -> Result<()> {
    if let Some(Step::MakeSlot { request }) = &args.step {
        let request = serde_json::from_slice(&small(request)?)?;
        let made = make_slot::run(&request, &output::progress())?;
        return output::data(Format::Json, &made, "");
    }
    let machine = Machine::this();
    let outcome = upgrade(
        Site {
            machine: &machine,
            volume: &mut Mounted(machine.state.clone()),
            room: &HostFileSystems,
            progress: &output::progress(),
        },
        &options(args)?,
    )?;
    let kubernetes = outcome
        .kubernetes
        .as_ref()
        .map_or_else(String::new, |version| format!(" with Kubernetes {version}"));
    let next = if args.reboot {
        "The machine reboots into it."
    } else {
        "Reboot to try it."
    };
    let text = format!(
        "Version {}{kubernetes} is in slot {}. {next} It counts as good once its checks hold; else the machine goes back to this version by itself.\n",
        outcome.to, outcome.slot
    );
    output::data(args.format, &outcome, &text)?;
    if args.reboot {
        Program::new("systemctl", "systemd")
            .arg("reboot")
            .output(4096)?;
    }
    Ok(())
}

fn options(args: &Args) -> Result<Options> {
    let arch = args.arch.as_deref().unwrap_or(std::env::consts::ARCH);
    Ok(Options {
        from: args.from.clone().context("--from SOURCE is missing")?,
        tag: args.tag.clone(),
        platform: Platform::linux(arch),
        registries: args.registries.config(),
        jobs: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
    })
}
