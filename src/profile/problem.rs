//! What is wrong with a profile: every problem with its place, what was
//! expected and what may have been meant.

use std::cell::RefCell;
use std::fmt;

use serde::Serialize;

use super::source::{Sources, Span};
use isoforge_base::error::{Class, Diagnose};

/// Longest message, expectation or help that is shown; what is longer repeats a
/// value of the user's.
const MAX_SHOWN_CHARS: usize = 600;

/// A line of a file or an argument, and the part of it that is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Excerpt {
    /// Counted from 1; `None` in an argument, which has but one.
    pub line: Option<usize>,
    /// Counted from 1, in characters of the source.
    pub column: usize,
    /// Characters of `text` before the marked part.
    pub indent: usize,
    /// Length of the marked part in characters, at least 1.
    pub width: usize,
    /// The line, of a long one the part around the mark, with plain-text
    /// secrets and control characters replaced.
    pub text: String,
}

/// Where a problem is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Location {
    /// The file's path as it was opened, or `--set argument N`.
    pub origin: String,
    /// The place in it; `None` where the whole file is meant.
    pub excerpt: Option<Excerpt>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What is wrong, in one line.
    pub message: String,
    /// Where.
    pub location: Option<Location>,
    /// What would have been right.
    pub expected: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
}

impl fmt::Display for Problem {
    /// In the form that Rust's compiler made known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        let mut gutter = 1;
        if let Some(location) = &self.location {
            gutter = location.write(f)?;
        }
        if let Some(expected) = &self.expected {
            write!(f, "\n{:gutter$} = expected {expected}", "")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n{:gutter$} = help: {help}", "")?;
        }
        Ok(())
    }
}

impl Location {
    /// Writes the place and returns the width of the line number's column.
    fn write(&self, f: &mut fmt::Formatter<'_>) -> Result<usize, fmt::Error> {
        let Some(excerpt) = &self.excerpt else {
            write!(f, "\n --> {}", self.origin)?;
            return Ok(1);
        };
        let number = excerpt.line.map(|n| n.to_string()).unwrap_or_default();
        let gutter = number.len().max(1);
        let place = match excerpt.line {
            Some(line) => format!("{}:{line}:{}", self.origin, excerpt.column),
            None => format!("{}, column {}", self.origin, excerpt.column),
        };
        let text = &excerpt.text;
        let (indent, width) = (excerpt.indent, excerpt.width);
        write!(f, "\n{:gutter$}--> {place}\n{:gutter$} |", "", "")?;
        write!(f, "\n{number:gutter$} | {text}")?;
        write!(f, "\n{:gutter$} | {:indent$}{:^<width$}", "", "", "^")?;
        Ok(gutter)
    }
}

/// All that is wrong, in the order of the sources; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The problems, at least one.
    #[must_use]
    pub fn list(&self) -> &[Problem] {
        &self.0
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            write!(f, "{problem}\n\n")?;
        }
        match self.0.len() {
            1 => f.write_str("1 problem in the profile"),
            n => write!(f, "{n} problems in the profile"),
        }
    }
}

impl std::error::Error for Problems {}

impl Diagnose for Problems {
    fn class(&self) -> Class {
        Class::Profile
    }
}

/// A text that is not of the form that its key wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bad {
    pub(crate) message: String,
    pub(crate) expected: String,
    pub(crate) help: Option<String>,
}

impl Bad {
    pub(crate) fn new(message: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            expected: expected.into(),
            help: None,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A problem that is being described; see [`Report::add`].
#[derive(Debug)]
pub(crate) struct Draft {
    place: Span,
    problem: Problem,
}

impl Draft {
    pub(crate) fn new(place: Span, message: impl Into<String>) -> Self {
        Self {
            place,
            problem: Problem {
                message: message.into(),
                location: None,
                expected: None,
                help: None,
            },
        }
    }

    pub(crate) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.problem.expected = Some(expected.into());
        self
    }

    pub(crate) fn help(mut self, help: impl Into<Option<String>>) -> Self {
        self.problem.help = help.into();
        self
    }
}

/// Collects problems while a profile is read.
#[derive(Debug, Default)]
pub(crate) struct Report {
    drafts: RefCell<Vec<Draft>>,
    hidden: RefCell<Vec<Span>>,
}

impl Report {
    pub(crate) fn add(&self, draft: Draft) {
        self.drafts.borrow_mut().push(draft);
    }

    pub(crate) fn bad(&self, place: Span, bad: Bad) {
        self.add(
            Draft::new(place, bad.message)
                .expected(bad.expected)
                .help(bad.help),
        );
    }

    /// The text at `span` is not shown with any problem.
    pub(crate) fn hide(&self, span: Span) {
        self.hidden.borrow_mut().push(span);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.drafts.borrow().is_empty()
    }

    /// The problems with their places looked up; `Ok` when there is none.
    pub(crate) fn finish(self, sources: &Sources) -> Result<(), Problems> {
        let (mut drafts, hidden) = (self.drafts.into_inner(), self.hidden.into_inner());
        drafts.sort_by(|a, b| {
            let key = |d: &Draft| (d.place.source, d.place.start);
            key(a).cmp(&key(b))
        });
        let mut problems = Vec::<Problem>::new();
        for Draft { place, problem } in drafts {
            let problem = Problem {
                message: shown(problem.message),
                location: sources.location(place, &hidden),
                expected: problem.expected.map(shown),
                help: problem.help.map(shown),
            };
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(Problems(problems))
    }
}

/// `text` fit for one line of a terminal: without control characters and not
/// longer than anyone reads.
fn shown(text: String) -> String {
    if text.len() <= MAX_SHOWN_CHARS && !text.contains(char::is_control) {
        return text;
    }
    let mut chars = text.chars();
    let mut shown: String = chars
        .by_ref()
        .take(MAX_SHOWN_CHARS)
        .flat_map(|c| match c.is_control() {
            true => c.escape_default().collect::<Vec<_>>(),
            false => vec![c],
        })
        .collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

/// The candidate that `word` was most likely meant to be, if one is near.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|c| (strsim::damerau_levenshtein(word, c), c))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, c)| c)
}

/// `did you mean '…'?` for the nearest candidate.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(word, candidates).map(|c| format!("did you mean '{c}'?"))
}

/// `'a', 'b' or 'c'`.
pub(crate) fn alternatives(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|n| format!("'{n}'")).collect();
    match quoted.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
    }
}
