//! Charts rendered by Helm, where it is installed.
//!
//! `helm template` asks no cluster and no network: a chart's dependencies lie in
//! it. Helm's own settings, plugins and caches stay out, so that only chart,
//! values and Helm's version decide. Test pods of charts are left out, since
//! nothing runs them.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::Error;
use crate::chart::Chart;
use crate::tarball;
use crate::yaml;
use isoforge_base::process::{self, Program};

/// Name of the program, and of Debian's package of it, which is not Debian's own.
const HELM: &str = "helm";
/// Largest output of one chart, in bytes.
const MAX_OUTPUT_BYTES: u64 = 256 * 1024 * 1024;
/// How long one chart may take.
const TIME_LIMIT: Duration = Duration::from_secs(120);
/// Namespace where a pack names none, as for Helm.
const NAMESPACE: &str = "default";

/// A chart as it is installed.
#[derive(Debug, Clone, Copy)]
pub struct Release<'a> {
    /// Name of the release.
    pub name: &'a str,
    /// Its namespace; `default` without one.
    pub namespace: Option<&'a str>,
    /// Laid over the chart's values.
    pub values: &'a Value,
    /// The version of Kubernetes, `1.32.3`; Helm's own default without one.
    pub kubernetes: Option<&'a str>,
}

/// Helm, found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Helm {
    /// Name or path of the program.
    program: String,
}

impl Helm {
    /// Helm where it is installed.
    #[must_use]
    pub fn installed() -> Option<Self> {
        process::find(HELM).map(|_| Self {
            program: HELM.to_owned(),
        })
    }

    /// The Helm at a path.
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

    /// The objects of a chart as YAML.
    ///
    /// # Errors
    /// [`Error::Helm`] where Helm is not there or refuses the chart.
    pub fn template(&self, chart: &Chart, release: Release<'_>) -> Result<String, Error> {
        let files = chart.files().iter();
        let files = files.map(|(path, bytes)| (format!("{}/{path}", chart.meta.name), bytes));
        run(&self.program, chart.place(), files.collect(), release)
    }

    /// The objects of a manifest with templates, of which `release.values` are
    /// the values; `file` is what messages call it.
    ///
    /// # Errors
    /// Like [`template`](Self::template).
    pub fn manifest(&self, file: &str, text: &str, release: Release<'_>) -> Result<String, Error> {
        let chart = "apiVersion: v2\nname: manifest\nversion: 0.0.0\n";
        let files = vec![
            ("manifest/Chart.yaml".to_owned(), chart.as_bytes()),
            (
                "manifest/templates/manifest.yaml".to_owned(),
                text.as_bytes(),
            ),
        ];
        // Of manifests nobody says a release's name, and Helm takes few letters.
        let name = "manifest";
        run(&self.program, file, files, Release { name, ..release })
    }
}

fn run(
    program: &str,
    place: &str,
    files: Vec<(String, &[u8])>,
    release: Release<'_>,
) -> Result<String, Error> {
    let failed = |source: process::Error| Error::Helm {
        chart: place.to_owned(),
        source: Box::new(source),
    };
    let output = |source: std::io::Error| {
        failed(process::Error::Output {
            program: program.to_owned(),
            source,
        })
    };
    let scratch = tempfile::tempdir().map_err(output)?;
    let archive = tarball::gzip(files.iter().map(|(path, bytes)| (path.as_str(), *bytes)));
    let chart = scratch.path().join("chart.tgz");
    let values = scratch.path().join("values.yaml");
    std::fs::write(&chart, archive.map_err(output)?).map_err(output)?;
    let text = yaml::write("the values of a chart", release.values)?;
    std::fs::write(&values, text).map_err(output)?;
    let mut helm = in_folder(Program::new(program, HELM), scratch.path())
        .args(["template", release.name])
        .arg(&chart)
        .arg("--values")
        .arg(&values)
        .args(["--namespace", release.namespace.unwrap_or(NAMESPACE)])
        .args(["--skip-tests", "--include-crds"])
        .within(TIME_LIMIT);
    if let Some(version) = release.kubernetes {
        helm = helm.args(["--kube-version", version]);
    }
    let bytes = helm.output(MAX_OUTPUT_BYTES).map_err(failed)?;
    Error::text(bytes, &format!("{place}, rendered"))
}

/// Keeps Helm's settings, plugins and caches of the user away.
fn in_folder(program: Program, folder: &Path) -> Program {
    let variables = [
        "HOME",
        "HELM_CACHE_HOME",
        "HELM_CONFIG_HOME",
        "HELM_DATA_HOME",
    ];
    let mut program = program;
    for variable in variables {
        program = program.env(variable, folder);
    }
    program
}

#[cfg(test)]
pub(crate) mod tests;
