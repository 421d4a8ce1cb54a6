//! `isoforge content`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::bundle::{open, show};
use crate::cli::args::{Check, Content, ContentCommand, Find, Format, Global};
use crate::cli::report;
use isoforge_base::error::{Class, Diagnose, Result};
use isoforge_content::check::{self, Report};
use isoforge_content::find::helm::Helm;
use isoforge_content::find::{Images, Options, Target};
use isoforge_content::macros::Answers;
use isoforge_content::values;

/// Version of the JSON.
const SCHEMA: u32 = 1;

pub(in crate::cli) fn run(args: &Content, global: &Global) -> Result<()> {
    match &args.command {
        ContentCommand::Find(args) => find(args, global),
        ContentCommand::Check(args) => check(args, global),
    }
}

/// A bundle lacks images, or nobody can say that it does not; the report tells
/// all of it.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum Incomplete {
    /// An image is missing.
    #[error("'{}' is not complete: {first} is missing", path.display())]
    Missing {
        /// The bundle.
        path: PathBuf,
        /// The first image.
        first: String,
    },
    /// `--strict`, and something is not proven.
    #[error("'{}' is not proven to be complete", path.display())]
    NotProven {
        /// The bundle.
        path: PathBuf,
    },
}

impl Diagnose for Incomplete {
    fn class(&self) -> Class {
        Class::Verification
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::Missing { .. } => {
                    "build the bundle from a profile that has the pack, chart or manifest, or \
                     name the image with --image"
                }
                Self::NotProven { .. } => "install Helm, or list the images in the pack",
            }
            .to_owned(),
        )
    }
}

impl Incomplete {
    /// What is wrong with the bundle, if anything is.
    fn of(report: &Report, strict: bool) -> Option<Self> {
        let path = report.path.clone();
        match report.missing.first() {
            Some(first) => Some(Self::Missing {
                path,
                first: first.image.clone(),
            }),
            None if strict && !report.proven => Some(Self::NotProven { path }),
            None => None,
        }
    }
}

/// What charts are rendered by.
fn helm(given: Option<&Path>, without: bool) -> Option<Helm> {
    match (given, without) {
        (Some(path), _) => Some(Helm::at(path)),
        (None, true) => None,
        (None, false) => Helm::installed(),
    }
}

fn check(args: &Check, global: &Global) -> Result<()> {
    let progress = report::progress(global);
    progress.stage(&format!("Checking {}", args.bundle.bundle.display()));
    let bundle = open(&args.bundle)?;
    let report = check::check(&bundle, helm(args.helm.as_deref(), args.no_helm))?;
    show(args.format, &report)?;
    match Incomplete::of(&report, args.strict) {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

fn find(args: &Find, global: &Global) -> Result<()> {
    let progress = report::progress(global);
    let mut options = Options {
        presets: args.presets.clone(),
        kubernetes: args.kubernetes.clone(),
        helm: helm(args.helm.as_deref(), args.no_helm),
        ..Options::default()
    };
    if let Some(version) = &args.kubernetes {
        options.answers = Answers::for_kubernetes(version);
    }
    options.answers.extend(args.macros.iter().cloned());
    for path in &args.values {
        options.values.push(values::read(path)?);
    }
    for rule in &args.at {
        options.rules.push(rule.parse()?);
    }
    let targets: Vec<(&PathBuf, Target)> = args
        .paths
        .iter()
        .map(|path| Ok((path, Target::open(path)?)))
        .collect::<Result<_>>()?;
    Target::answer_each_other(targets.iter().map(|(_, target)| target), &mut options)?;
    let mut found = Images::default();
    for (path, target) in &targets {
        progress.stage(&format!("Searching {}", path.display()));
        found.extend(target.images(&options)?);
    }
    report::data(&match args.format {
        Format::Text => found.to_string(),
        Format::Json => json(&found)?,
    })?;
    Ok(())
}

/// The result for programs, with whether it is certain.
fn json(found: &Images) -> Result<String> {
    #[derive(Serialize)]
    struct Report<'a> {
        schema: u32,
        proven: bool,
        #[serde(flatten)]
        found: &'a Images,
    }
    let report = Report {
        schema: SCHEMA,
        proven: found.is_proven(),
        found,
    };
    Ok(format!("{}\n", serde_json::to_string_pretty(&report)?))
}
