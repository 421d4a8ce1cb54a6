//! Kustomizations built by kustomize, or by the one in kubectl, where either is
//! installed.
//!
//! It sees a copy of the files that the kustomization reaches, and nothing else: no
//! `PATH`, so neither git nor Helm nor plugins, no settings of the user, and for HTTP a
//! proxy that is not there. Its time and output are limited.

use std::path::Path;
use std::time::Duration;

use super::kustomization::{self, Plan};
use super::{Images, Method, Rule, manifests};
use crate::Error;
use crate::files::Files;
use isoforge_base::process::{self, Program};

/// Largest output of one kustomization, in bytes.
const MAX_OUTPUT_BYTES: u64 = 256 * 1024 * 1024;
/// How long one may take.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// Where no proxy is: port 1 is kept for a service of old.
const NO_PROXY: &str = "http://127.0.0.1:1";
/// Kubernetes' own client, which has kustomize in it.
const KUBECTL: &str = "kubectl";

/// A program that builds kustomizations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kustomize {
    /// Name or path of the program.
    program: String,
}

impl Kustomize {
    /// The one that is installed.
    #[must_use]
    pub fn installed() -> Option<Self> {
        let names = ["kustomize", KUBECTL];
        let name = names.iter().find(|name| process::find(name).is_some())?;
        Some(Self {
            program: (*name).to_owned(),
        })
    }

    /// The one at a path; a `kubectl` by its name.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        let path = path.display().to_string();
        Self {
            // A name with a slash is a path.
            program: match path.contains('/') {
                true => path,
                false => format!("./{path}"),
            },
        }
    }

    /// The verb that builds.
    fn verb(&self) -> &'static str {
        let name = self.program.rsplit('/').next();
        match name.is_some_and(|name| name.starts_with(KUBECTL)) {
            true => "kustomize",
            false => "build",
        }
    }

    /// The objects that a kustomization gives, as YAML.
    ///
    /// # Errors
    /// [`Error::Kustomize`].
    fn build(&self, files: &Files, plan: &Plan) -> Result<String, Error> {
        let place = files.name(&plan.file);
        let failed = |source: process::Error| Error::Kustomize {
            place: place.clone(),
            source: Box::new(source),
        };
        let output = |source: std::io::Error| {
            failed(process::Error::Output {
                program: self.program.clone(),
                source,
            })
        };
        let scratch = tempfile::tempdir().map_err(output)?;
        let (home, copy) = (scratch.path().join("home"), scratch.path().join("files"));
        std::fs::create_dir(&home).map_err(output)?;
        for path in &plan.files {
            let to = copy.join(path);
            let above = to.parent().unwrap_or(&copy);
            std::fs::create_dir_all(above).map_err(output)?;
            std::fs::write(&to, files.get(path).unwrap_or_default()).map_err(output)?;
        }
        let mut program = Program::new(&self.program, KUBECTL)
            .arg(self.verb())
            .arg(copy.join(&plan.folder))
            .within(TIME_LIMIT);
        for variable in ["PATH", "HOME", "XDG_CONFIG_HOME", "TMPDIR"] {
            program = program.env(variable, &home);
        }
        for variable in ["HTTP_PROXY", "HTTPS_PROXY"] {
            program = program.env(variable, NO_PROXY);
        }
        let bytes = program.output(MAX_OUTPUT_BYTES).map_err(failed)?;
        Error::text(bytes, &format!("{place}, built"))
    }
}

/// What kustomizations gave.
pub(super) struct Built {
    /// The images of what they make, and which were not built.
    pub(super) images: Images,
    /// Files of which nothing more is to be said.
    pub(super) done: Vec<String>,
}

/// Builds the kustomizations among files and searches what they make. Of one that can't
/// be built its files are left to be searched on their own.
pub(super) fn images(with: &Kustomize, files: &Files, rules: &[Rule]) -> Built {
    let mut out = Built {
        images: Images::default(),
        done: Vec::new(),
    };
    for plan in kustomization::plans(files) {
        let file = files.name(&plan.file);
        let built = match &plan.problem {
            Some(problem) => Err(problem.clone()),
            None => with
                .build(files, &plan)
                .and_then(|text| manifests::made(Method::Manifests, &file, &text, rules))
                .map_err(|error| reason(&error)),
        };
        match built {
            Ok(images) => {
                out.images.extend(images);
                out.done.extend(plan.files);
            }
            Err(why) => {
                let why = format!("it is a kustomization that was not built: {why}");
                out.images.add_unproven(&file, &why);
                out.done.push(plan.file);
            }
        }
    }
    out
}

/// Why building gave nothing, in one line.
fn reason(error: &Error) -> String {
    let Error::Kustomize { source, .. } = error else {
        return error.to_string();
    };
    let said = source.to_string();
    let last = said
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty());
    let last = last.unwrap_or_default();
    // kubectl logs it, with the time and its number before.
    let logged = last
        .split_once(" err=\"")
        .map(|(_, said)| said.trim_end_matches('"'));
    let last = logged.unwrap_or(last);
    last.strip_prefix("Error: ").unwrap_or(last).to_owned()
}
