//! The cloud-config: rendered or taken as it is, and checked either way.
//!
//! Sources: the cloud-config that Kairos reads (the SDK's schema and yip's
//! steps) and the `stylus` section of CanvOS user-data. Kairos itself ignores
//! what it does not know, so a slip of the pen shows only on the machine; here
//! it is a warning with its place. Wrong types, duplicate keys and a missing
//! header are errors: the file would be rejected or ignored as a whole.
//!
//! The text is never written back from its parsed form. An untyped YAML reader
//! takes `0644` for a number and `yes` for a boolean; what is not a template
//! is passed through byte for byte.

mod admin;
mod check;
mod kairos;
mod vocabulary;

use super::TEMPLATE_SUFFIX;
use super::context::Context;
use super::engine::Engine;
use super::project::Project;
use super::secrets::Secrets;
use isoforge_base::error::{Class, Failure, Result};
use isoforge_base::yaml::{self, Dialect, Node};
use isoforge_contract::cloud::{Document, MAX_BYTES, Remark, foreign};
use isoforge_contract::machine::Flavor;

/// First lines by which the readers know such a file.
const HEADERS: [&str; 3] = ["#cloud-config", "#kairos-config", "#node-config"];
/// In how many lines Kairos looks for it.
const KAIROS_HEADER_LINES: usize = 9;
/// Where the ISO has it, for messages.
const PLACE: &str = "/config.yaml on the ISO";

/// A cloud-config that its readers will accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CloudConfig {
    pub text: String,
    /// What the user should know about it.
    pub warnings: Vec<String>,
    /// Whether Kairos's installer takes it: it wants a user in the group
    /// `admin`, or `install.nousers`.
    pub has_admin: bool,
}

/// Loads `path` of the project: a file ending in `.tera` is rendered, any other
/// taken unchanged. Both are checked, in flavor `appliance` by the reader that the
/// machine has ([`Document`]).
///
/// # Errors
/// Those of reading and rendering, and all that is wrong with the text.
pub(crate) fn load(
    project: &Project,
    path: &str,
    engine: &Engine,
    context: &Context,
    secrets: &Secrets,
    flavor: Flavor,
) -> Result<CloudConfig> {
    let source = project.read_text(path)?;
    let is_template = path.ends_with(TEMPLATE_SUFFIX);
    let text = if is_template {
        engine.render(path, &source, context)?
    } else {
        source
    };
    let checked =
        checked(path, &text, flavor).map_err(|refusal| refused(&refusal, secrets, is_template))?;
    let mut warnings = checked.warnings;
    warnings.extend(secrets.in_plain_text(&text, PLACE));
    Ok(CloudConfig {
        text,
        warnings,
        has_admin: checked.has_admin,
    })
}

/// A cloud-config can't be what its readers need. What is said of a rendered text may
/// quote it, and it may hold secrets.
fn refused(refusal: &Refusal, secrets: &Secrets, is_template: bool) -> Failure {
    let redacted = refusal.problems.iter().map(|problem| Remark {
        message: secrets.redact(&problem.message),
        ..problem.clone()
    });
    let lines: Vec<String> = redacted.map(|problem| problem.to_string()).collect();
    let failure = Failure::new(Class::Profile, lines.join("\n"));
    match refusal.hint {
        Some(hint) => failure.with_hint(hint),
        None if is_template => failure.with_hint(
            "positions are in the rendered text; values in a template go through the filter `yaml`",
        ),
        None => failure,
    }
}

/// All that is wrong with a text.
#[derive(Debug)]
struct Refusal {
    problems: Vec<Remark>,
    /// What to do about it, where it is one thing.
    hint: Option<&'static str>,
}

impl From<Vec<Remark>> for Refusal {
    fn from(problems: Vec<Remark>) -> Self {
        Self {
            problems,
            hint: None,
        }
    }
}

/// What a check gives.
struct Checked {
    warnings: Vec<String>,
    has_admin: bool,
}

/// Checks a cloud-config's text; `file` is its name in messages.
fn checked(file: &str, text: &str, flavor: Flavor) -> Result<Checked, Refusal> {
    let fail = |line, column, message: String| {
        Refusal::from(vec![Remark {
            document: file.to_owned(),
            line,
            column,
            message,
        }])
    };
    if text.len() > MAX_BYTES {
        let message = format!(
            "{} bytes, where readers take {MAX_BYTES} at most",
            text.len()
        );
        return Err(fail(1, 1, message));
    }
    if flavor == Flavor::Kairos && text.starts_with('\u{feff}') {
        let message = "it begins with a byte order mark: Kairos finds no header behind it, and \
            ignores the file";
        return Err(Refusal {
            hint: Some("save it as UTF-8 without a byte order mark"),
            ..fail(1, 1, message.to_owned())
        });
    }
    if !has_header(text, flavor) {
        let message = format!(
            "the first comment lines must hold one of {}, or the file is ignored",
            HEADERS.join(", ")
        );
        return Err(Refusal {
            hint: Some("write '#cloud-config' as the first line"),
            ..fail(1, 1, message)
        });
    }
    let documents = yaml::documents(text, Dialect::CloudConfig)
        .map_err(|e| fail(e.line, e.column, e.problem))?;
    let nothing = Node::null();
    let root = documents.first().unwrap_or(&nothing);
    let mut found = check::Findings::new(file);
    if documents.len() > 1 {
        found.surprise(
            1,
            1,
            "readers take the first of its YAML documents and ignore the others",
        );
    }
    found.check(root);
    match flavor {
        Flavor::Appliance => found.as_executed(root, Document::read(file, text, &documents)),
        Flavor::Kairos => {
            found.as_kairos_reads(root);
            for remark in foreign(file, text, root) {
                found.surprise(remark.line, remark.column, &remark.message);
            }
        }
    }
    Ok(Checked {
        warnings: found.finish()?,
        has_admin: admin::is_there(root),
    })
}

/// Readers look for the header in the comment lines at the top; Kairos's in the first of
/// them only.
fn has_header(text: &str, flavor: Flavor) -> bool {
    let within = match flavor {
        Flavor::Kairos => KAIROS_HEADER_LINES,
        Flavor::Appliance => usize::MAX,
    };
    text.trim_start_matches('\u{feff}')
        .lines()
        .take(within)
        .take_while(|line| line.starts_with('#') || line.trim().is_empty())
        .any(|line| HEADERS.contains(&line.trim_end()))
}

#[cfg(test)]
mod tests;
