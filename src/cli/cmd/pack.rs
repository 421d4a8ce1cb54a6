//! `isoforge pack`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use crate::build::{self, PackPushRequest};
use crate::cli::args::{
    Format, Global, Pack, PackBuild, PackCommand, PackInit, PackLint, PackPush,
};
use crate::cli::report::{self, Data};
use crate::cli::settings::Settings;
use isoforge_base::error::{Class, Failure, Result};
use isoforge_base::human::count;
use isoforge_base::output;
use isoforge_content::pack::{self, Problem, Severity};

/// Version of the JSON.
const SCHEMA: u32 = 1;

pub(in crate::cli) fn run(args: &Pack, global: &Global) -> Result<()> {
    match &args.command {
        PackCommand::Init(args) => init(args, global),
        PackCommand::Lint(args) => lint(args, global),
        PackCommand::Build(args) => build(args, global),
        PackCommand::Push(args) => push(args, global),
    }
}

fn init(args: &PackInit, global: &Global) -> Result<()> {
    pack::init(&args.directory)?;
    let place = args.directory.display();
    report::progress(global).note(format!("next: isoforge pack lint {place}"));
    report::data(format!("{}\n", args.directory.join(pack::FILE).display()))?;
    Ok(())
}

/// What is said of one pack.
#[derive(Serialize)]
struct Linted {
    path: PathBuf,
    problems: Vec<Problem>,
}

impl Linted {
    fn errors(&self) -> usize {
        let errors = self.problems.iter();
        errors
            .filter(|problem| problem.severity == Severity::Error)
            .count()
    }
}

fn lint(args: &PackLint, global: &Global) -> Result<()> {
    let progress = report::progress(global);
    let linted: Vec<Linted> = args
        .paths
        .iter()
        .map(|path| {
            progress.detail(format!("checking {}", path.display()));
            Linted {
                path: path.clone(),
                problems: pack::lint(path),
            }
        })
        .collect();
    let errors: usize = linted.iter().map(Linted::errors).sum();
    let problems: usize = linted.iter().map(|linted| linted.problems.len()).sum();
    report::data(match args.format {
        Format::Text => Data::Text(text(&linted, errors, problems)?),
        Format::Json => {
            let report = serde_json::json!({"schema": SCHEMA, "packs": linted});
            super::json(&report)?
        }
    })?;
    if errors == 0 {
        return Ok(());
    }
    let faulty = linted.iter().filter(|linted| linted.errors() > 0).count();
    let (errors, packs) = (count(errors, "error"), count(linted.len(), "pack"));
    let message = format!("{errors} in {faulty} of {packs}");
    Err(Failure::new(Class::Profile, message))
}

fn text(linted: &[Linted], errors: usize, problems: usize) -> Result<String> {
    let mut text = String::new();
    for problem in linted.iter().flat_map(|linted| &linted.problems) {
        writeln!(text, "{problem}")?;
    }
    writeln!(
        text,
        "{}: {}, {}",
        count(linted.len(), "pack"),
        count(errors, "error"),
        count(problems - errors, "warning"),
    )?;
    Ok(text)
}

fn build(args: &PackBuild, global: &Global) -> Result<()> {
    let progress = report::progress(global);
    let built = pack::build(&args.directory)?;
    for warning in &built.warnings {
        progress.warn(warning.without_severity());
    }
    let path = match &args.output {
        Some(path) => path.clone(),
        None => PathBuf::from(built.file_name()),
    };
    output::replace_with(&path, |file| -> Result<(), output::Error> {
        file.write_all(&built.archive)?;
        Ok(())
    })?;
    report::data(format!("{}\n", path.display()))?;
    Ok(())
}

fn push(args: &PackPush, global: &Global) -> Result<()> {
    super::stop_on_interrupt("interrupted: what was pushed stays, and is not sent again")?;
    let progress = report::progress(global);
    let built = pack::build(&args.path)?;
    for warning in &built.warnings {
        progress.warn(warning.without_severity());
    }
    let request = PackPushRequest {
        built: &built,
        to: &args.to.parse()?,
        dry_run: args.dry_run,
        settings: Settings::load(global, &args.settings(), None)?.build_settings(false),
    };
    let pushed = build::push_pack(&request, &progress)?;
    super::show(args.format, &pushed)
}
