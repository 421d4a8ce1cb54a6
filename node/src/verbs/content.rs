//! The content of this machine's registry.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use isoforge_base::error::Class;
use isoforge_base::human;
use isoforge_base::interrupt;
use isoforge_base::output::space::HostFileSystems;
use isoforge_base::progress::Progress;
use isoforge_contract::machine::{REGISTRY_PROGRAM_PATH, Registry, RegistryKind};
use serde::Serialize;

use super::output::{self, Format};
use super::registries::Registries;
use super::registry::{prepare, say_changed, this_registry};
use crate::content::commit::Unit;
use crate::content::images::Images;
use crate::content::locate::{Located, locate};
use crate::content::source::Source;
use crate::content::storage::Storage;
use crate::content::zot::{self, Existing};
use crate::content::{collect, distribution, export, inspect, into_registry, push, verify};
use crate::registry::RegistryPaths;
use isoforge_base::shown::Line;

/// Content of this machine's registry: images, packs and charts
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, clap::Subcommand)]
enum Step {
    /// Take in a bundle
    ///
    /// What is there already is not copied again; an import that was cut off goes
    /// on where it was.
    Import(Import),
    /// Show what the registry holds
    List {
        /// How it is told
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Hash all of it, and name what is damaged or missing
    Verify {
        /// How it is told
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Write images into a new folder, which is a bundle
    Export {
        /// The folder, which must not be there
        target: PathBuf,
        /// Images, by the names that 'list' shows; without any, all
        #[arg(long, value_name = "NAME")]
        image: Vec<String>,
        /// How the outcome is told
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Remove what no tag leads to
    Gc {
        /// Also what came in the last hour: nobody may be pushing
        #[arg(long)]
        all: bool,
        /// How the outcome is told
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
}

#[derive(Debug, clap::Args)]
struct Import {
    /// The bundle: a folder, an archive, the first part of one, an ISO, or the
    /// device of a medium that one lies on
    source: PathBuf,
    /// Another registry than this machine's, as 'registry.example/appliance'
    #[arg(long, value_name = "REGISTRY")]
    to: Option<String>,
    /// Take it though a different bundle of this name and version was imported
    #[arg(long)]
    replace: bool,
    /// Hash what is there already, and replace what is damaged
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    registries: Registries,
    /// How the outcome is told
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.step {
        Step::Import(args) => import(args),
        Step::List { format } => {
            let listing = inspect::list(images()?.as_ref())?;
            output::data(*format, &listing, &listing.text())
        }
        Step::Verify { format } => {
            let verified = verify::verify(images()?.as_ref(), &output::progress())?;
            output::data(*format, &verified, &verified.text())?;
            if !verified.damage.is_empty() {
                bail!("the content is damaged; import its bundle again with --check");
            }
            Ok(())
        }
        Step::Export {
            target,
            image,
            format,
        } => {
            let images = images()?;
            let exported = export::export(images.as_ref(), target, image, &output::progress())?;
            let text = format!(
                "{} exported to {}\n",
                human::count(exported.images.len(), "image"),
                target.display()
            );
            output::data(*format, &exported, &text)
        }
        Step::Gc { all, format } => gc(*all, *format),
    }
}

/// What this machine's registry has.
fn images() -> Result<Box<dyn Images>> {
    let registry = this_registry()?;
    let storage = RegistryPaths::this(&registry).storage();
    Ok(match registry.name {
        RegistryKind::Zot => Box::new(Storage::open(&storage)?),
        RegistryKind::Distribution => Box::new(distribution::Storage::new(&storage)),
    })
}

fn unit(registry: &Registry) -> Unit {
    Unit {
        address: registry.own_address(),
    }
}

/// What an import tells.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Outcome {
    Stored(zot::Report),
    Pushed(push::Report),
}

fn import(args: &Import) -> Result<()> {
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let progress = output::progress();
    let Located {
        bundle,
        path: _,
        medium,
    } = locate(&args.source)?;
    let source: Arc<dyn Source> = Arc::new(bundle);
    let outcome = match &args.to {
        Some(to) => Outcome::Pushed(push::push(
            &source,
            &push::Options {
                to: to.clone(),
                registries: args.registries.config(),
                threads,
            },
            &progress,
        )?),
        None => {
            let how = ImportOptions {
                check: args.check,
                replace: args.replace,
            };
            import_here(&source, &this_registry()?, how, &progress)?
        }
    };
    drop(source);
    drop(medium);
    output::data(args.format, &outcome, &text(&outcome))
}

/// How a bundle is taken into the registry of this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct ImportOptions {
    pub(super) check: bool,
    pub(super) replace: bool,
}

/// Into the registry of this machine.
pub(super) fn import_here(
    source: &Arc<dyn Source>,
    registry: &Registry,
    how: ImportOptions,
    progress: &Progress,
) -> Result<Outcome> {
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    interrupt::watch(interrupted)?;
    let places = RegistryPaths::this(registry);
    // Its keys and its account may be missing where it never ran.
    prepare(registry, &places)?;
    let outcome = match registry.name {
        RegistryKind::Zot => {
            let options = zot::Options {
                existing: match how.check {
                    true => Existing::Check,
                    false => Existing::Trust,
                },
                replace: how.replace,
                service: &unit(registry),
                room: &HostFileSystems,
            };
            Outcome::Stored(zot::import(
                &places.storage(),
                source.as_ref(),
                &options,
                progress,
            )?)
        }
        RegistryKind::Distribution => Outcome::Pushed(into_registry::import(
            source,
            registry,
            &places,
            how.replace,
            threads,
            progress,
        )?),
    };
    // Container runtimes look here for upstreams that are new.
    say_changed(&prepare(registry, &places)?);
    Ok(outcome)
}

/// Ends the process, at a moment when the registry does not stand still.
fn interrupted() {
    output::say("interrupted: what was imported stays, and the next import goes on from there");
    std::process::exit(Class::Interrupted.exit_code().into());
}

/// For people.
pub(super) fn text(outcome: &Outcome) -> String {
    let (images, providers, more) = match outcome {
        Outcome::Stored(report) => {
            let filled = &report.filled;
            let mut more = format!(
                "{} copied ({}), {} there before\n",
                human::count(filled.copied, "blob"),
                human::size(filled.copied_bytes),
                filled.there
            );
            for moved in &report.moved {
                more.push_str(&format!(
                    "{} was {} before\n",
                    Line(&moved.image),
                    moved.from
                ));
            }
            (report.images.len(), &report.providers, more)
        }
        Outcome::Pushed(report) => (report.images.len(), &report.providers, String::new()),
    };
    let images = human::count(images, "image");
    let mut text = format!("{images} in the registry\n{more}");
    for provider in providers {
        text.push_str(&format!(
            "{} is a system, which no registry gets\n",
            Line(provider)
        ));
    }
    text
}

fn gc(all: bool, format: Format) -> Result<()> {
    let registry = this_registry()?;
    interrupt::watch(interrupted)?;
    let places = RegistryPaths::this(&registry);
    let storage = places.storage();
    match registry.name {
        RegistryKind::Zot => {
            let storage = Storage::open_to_write(&storage)?;
            let collected = collect::collect(&storage, &unit(&registry), all)?;
            // Of a host nothing may be left.
            say_changed(&prepare(&registry, &places)?);
            output::data(format, &collected, &collected.text())
        }
        RegistryKind::Distribution => {
            if format == Format::Json {
                bail!("distribution tells what it removed as text alone");
            }
            let program = Path::new("/").join(REGISTRY_PROGRAM_PATH);
            let settings = places.run.join("push.json");
            let said = distribution::collect(&program, &settings, &storage, &unit(&registry))?;
            output::data(format, &(), &String::from_utf8_lossy(&said))
        }
    }
}
