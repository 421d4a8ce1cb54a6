//! `isoforge content`.

use std::path::PathBuf;

use serde::Serialize;

use super::bundle::open;
use super::show;
use crate::cli::args::{
    Check, Content, ContentCommand, Find, Format, Global, HelmArgs, KustomizeArgs,
};
use crate::cli::report::{self, Data};
use isoforge_base::error::{Class, Failure, Result};
use isoforge_content::check;
use isoforge_content::find::helm::Helm;
use isoforge_content::find::kustomize::Kustomize;
use isoforge_content::find::{ImageList, Images, Options, Target};
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

/// What charts are rendered by.
fn helm(args: &HelmArgs) -> Option<Helm> {
    match &args.helm {
        Some(path) => Some(Helm::at(path)),
        None if args.no_helm => None,
        None => Helm::installed(),
    }
}

/// What kustomizations are built by.
fn kustomize(args: &KustomizeArgs) -> Option<Kustomize> {
    match &args.kustomize {
        Some(path) => Some(Kustomize::at(path)),
        None if args.no_kustomize => None,
        None => Kustomize::installed(),
    }
}

/// The lists as one.
fn list(paths: &[PathBuf]) -> Result<ImageList> {
    let mut all = ImageList::default();
    for path in paths {
        all.extend(ImageList::open(path)?);
    }
    Ok(all)
}

fn check(args: &Check, global: &Global) -> Result<()> {
    let progress = report::progress(global);
    progress.stage(&format!("Checking {}", args.bundle.bundle.display()));
    let bundle = open(&args.bundle)?;
    let list = list(&args.image_lists)?;
    let report = check::check(&bundle, helm(&args.helm), &list)?;
    show(args.format, &report)?;
    let path = report.path.display();
    let (message, hint) = match report.missing.first() {
        Some(first) => (
            format!("'{path}' is not complete: {} is missing", first.image),
            "build the bundle from a profile that has the pack, chart or manifest, or name the \
             image with --image",
        ),
        None if args.strict && !report.proven => (
            format!("'{path}' is not proven to be complete"),
            "install Helm, or list the images in the pack",
        ),
        None => return Ok(()),
    };
    Err(Failure::new(Class::Verification, message).with_hint(hint))
}

fn find(args: &Find, global: &Global) -> Result<()> {
    let progress = report::progress(global);
    let mut options = Options {
        presets: args.presets.clone(),
        kubernetes: args.kubernetes.clone(),
        helm: helm(&args.helm),
        kustomize: kustomize(&args.kustomize),
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
    let list = list(&args.image_lists)?;
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
    found.vouched_by(&list);
    found.take(&list);
    report::data(match args.format {
        Format::Text => Data::Text(found.to_string()),
        Format::Json => json(&found)?,
    })?;
    Ok(())
}

/// The result for programs, with whether it is certain.
fn json(found: &Images) -> Result<Data> {
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
    super::json(&report)
}
