//! What can go wrong between a template and its text.

use std::fmt;
use std::io;

use isoforge_base::error::{Class, Diagnose};

/// Why something can't be rendered, or its result not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A template is malformed or uses what is not there.
    #[error("{message}\n{excerpt}")]
    Template {
        /// The template.
        file: String,
        /// Line, counted from 1.
        line: usize,
        /// Column, counted from 1.
        column: usize,
        /// What is wrong, and what would be available.
        message: String,
        /// The place, with its line and a caret.
        excerpt: String,
    },
    /// A template can't be used as a whole.
    #[error("template '{file}': {message}")]
    Engine {
        /// The template.
        file: String,
        /// What is wrong.
        message: String,
    },
    /// A template of the boot menu is wrong.
    #[error("the boot menu's template '{name}' can't be rendered")]
    BootMenu {
        /// Its name.
        name: &'static str,
        /// What and where.
        source: Box<tera::Error>,
    },
    /// The values for templates can't be represented.
    #[error("the values for templates can't be used: {problem}")]
    Context {
        /// What is wrong.
        problem: String,
    },
    /// A file that the profile names exists neither in the project nor among
    /// the defaults.
    #[error("'{path}' does not exist in {}", folder(.project))]
    Missing {
        /// The file, relative to the project.
        path: String,
        /// The project's directory.
        project: String,
    },
    /// A file can't be read.
    #[error("can't read '{path}'")]
    Read {
        /// The file, relative to the project.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A template or cloud-config is not UTF-8.
    #[error("'{path}' is not UTF-8 text (first at byte {offset})")]
    NotUtf8 {
        /// The file.
        path: String,
        /// The first byte that is none.
        offset: usize,
    },
    /// A cloud-config can't be what its readers need.
    #[error("{}", Lines(.problems))]
    CloudConfig {
        /// All that is wrong, in the order of the text.
        problems: Vec<Problem>,
    },
}

/// Something wrong at a place of a cloud-config.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, or the template that was rendered.
    pub file: String,
    /// Line, counted from 1.
    pub line: u64,
    /// Column, counted from 1.
    pub column: u64,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file, self.line, self.column, self.message
        )
    }
}

struct Lines<'a>(&'a [Problem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// A project's directory, quoted; that of a profile named without one is the
/// current.
fn folder(project: &str) -> String {
    if project.is_empty() {
        "the current directory".to_owned()
    } else {
        format!("'{project}'")
    }
}

impl Diagnose for Error {
    fn class(&self) -> Class {
        match self {
            Self::Read { .. } => Class::Io,
            _ => Class::Profile,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Template { message, .. } if message.contains("not defined") => Some(
                "set it in the profile ([vars] for values of your own), or let the template ask \
                 with `is defined` or `default(value=...)`"
                    .to_owned(),
            ),
            Self::Missing { .. } => Some(
                "paths are relative to the profile; `isoforge init` writes the default templates \
                 and overlays"
                    .to_owned(),
            ),
            Self::CloudConfig { .. } => Some(
                "positions are in the rendered text; values in a template go through the filter \
                 `yaml`"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}
