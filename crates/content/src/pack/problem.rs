//! What is wrong with a pack, with its place.

use std::fmt;

use serde::Serialize;

use crate::Error;
use isoforge_base::shown::Line;
use isoforge_base::yaml::Node;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The pack does not do what it is to do.
    Error,
    /// It works, and is likely not what was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// A problem of a pack.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// Its line, from 1, where the problem has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The column, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
}

impl Problem {
    /// `file:line:column: message`, for where the severity is said before.
    #[must_use]
    pub fn without_severity(&self) -> String {
        format!("{}: {}", self.place(), self.message)
    }

    fn place(&self) -> String {
        let numbers = [self.line, self.column].into_iter().flatten();
        numbers.fold(self.file.clone(), |place, number| {
            format!("{place}:{number}")
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, message) = (Line(self.place()), Line(&self.message));
        write!(f, "{place}: {}: {message}", self.severity)
    }
}

/// Collects the problems of a file.
#[derive(Debug)]
pub(super) struct Problems {
    file: String,
    pub(super) list: Vec<Problem>,
}

impl Problems {
    pub(super) fn of(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            list: Vec::new(),
        }
    }

    pub(super) fn error(&mut self, at: &Node, message: impl Into<String>) {
        self.add(Severity::Error, at, message.into());
    }

    pub(super) fn warning(&mut self, at: &Node, message: impl Into<String>) {
        self.add(Severity::Warning, at, message.into());
    }

    /// A value of another kind than `what` says, as in `'presets' is a list, not`.
    pub(super) fn unfit(&mut self, at: &Node, what: &str) {
        self.error(at, format!("{what} {}", at.kind()));
    }

    /// Warns of the keys of a map that are not `known`; `whose` they are, as in
    /// `a pack`.
    pub(super) fn unknown_keys(&mut self, map: &Node, known: &[&str], whose: &str) {
        for (key, value) in map.entries() {
            if !known.contains(&key) {
                let near = nearest(key, known);
                self.warning(value, format!("'{key}' is no key of {whose}{near}"));
            }
        }
    }

    fn add(&mut self, severity: Severity, at: &Node, message: String) {
        let known = |number: u64| (number > 0).then_some(number);
        self.list.push(Problem {
            file: self.file.clone(),
            line: known(at.line),
            column: known(at.column),
            severity,
            message,
        });
    }

    /// A problem of the file as a whole.
    pub(super) fn whole(&mut self, severity: Severity, message: impl Into<String>) {
        self.add(severity, &Node::null(), message.into());
    }

    /// A failure that hinders reading the file.
    pub(super) fn failed(&mut self, error: &Error) {
        let (line, column, message) = match error {
            Error::Syntax {
                line,
                column,
                problem,
                ..
            } => (Some(*line), Some(*column), problem.clone()),
            other => (None, None, other.to_string()),
        };
        self.list.push(Problem {
            file: self.file.clone(),
            line,
            column,
            severity: Severity::Error,
            message,
        });
    }

    /// The first error as one that ends the work.
    pub(super) fn first_error(&self) -> Error {
        let mut errors = self.list.iter();
        let first = errors.find(|problem| problem.severity == Severity::Error);
        Error::Syntax {
            file: self.file.clone(),
            line: first.and_then(|problem| problem.line).unwrap_or(1),
            column: first.and_then(|problem| problem.column).unwrap_or(1),
            problem: first.map_or_else(
                || "it is malformed".to_owned(),
                |problem| problem.message.clone(),
            ),
        }
    }
}

/// `; did you mean 'image'?` where a known name is near.
pub(super) fn nearest(name: &str, known: &[&str]) -> String {
    const NEAR: f64 = 0.8;
    let near = known
        .iter()
        .map(|other| (strsim::jaro_winkler(name, other), other))
        .filter(|(similarity, _)| *similarity >= NEAR)
        .max_by(|(one, _), (other, _)| one.total_cmp(other));
    match near {
        Some((_, other)) => format!("; did you mean '{other}'?"),
        None => String::new(),
    }
}
