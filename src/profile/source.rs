//! The texts that a profile was read from, and places in them.

use std::path::{Path, PathBuf};

use super::problem::{Excerpt, Location};
use super::secret::REDACTED;

/// Most characters of a line that are shown before the mark, and from there on.
const MAX_HEAD_CHARS: usize = 120;
const MAX_LINE_CHARS: usize = 200;

/// A range of bytes in one of [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) source: usize,
    pub(crate) start: usize,
    /// First byte after the range; a range that ends at 0 means the whole source.
    pub(crate) end: usize,
}

impl Span {
    pub(crate) fn whole(source: usize) -> Self {
        Self {
            source,
            start: 0,
            end: 0,
        }
    }

    pub(crate) fn new(source: usize, span: std::ops::Range<usize>) -> Self {
        Self {
            source,
            start: span.start,
            end: span.end,
        }
    }
}

/// Where a text came from.
#[derive(Debug, Clone)]
enum Name {
    File(PathBuf),
    /// The n-th `--set`, counted from 1.
    Argument(usize),
}

#[derive(Debug, Clone)]
struct Source {
    name: Name,
    text: String,
}

/// All texts in the order of reading: the entry file first, then what it
/// extends, then the `--set` arguments, then catalogs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    list: Vec<Source>,
}

impl Sources {
    pub(crate) fn add_file(&mut self, path: &Path, text: String) -> usize {
        self.add(Name::File(path.to_owned()), text)
    }

    pub(crate) fn add_argument(&mut self, number: usize, text: String) -> usize {
        self.add(Name::Argument(number), text)
    }

    fn add(&mut self, name: Name, text: String) -> usize {
        self.list.push(Source { name, text });
        self.list.len() - 1
    }

    /// The directory that relative paths written in `source` start from: that
    /// of the file, or the current one for an argument.
    pub(crate) fn directory(&self, source: usize) -> &Path {
        match self.list.get(source).map(|s| &s.name) {
            Some(Name::File(path)) => path.parent().unwrap_or(Path::new("")),
            _ => Path::new(""),
        }
    }

    /// `place` as people read it, without the texts at `secrets`.
    pub(crate) fn location(&self, place: Span, secrets: &[Span]) -> Option<Location> {
        let source = self.list.get(place.source)?;
        let origin = match &source.name {
            Name::File(path) => path.display().to_string(),
            Name::Argument(n) => format!("--set argument {n}"),
        };
        let excerpt = (place.end > 0).then(|| {
            let (line, excerpt) = excerpt(&source.text, place, secrets);
            Excerpt {
                line: matches!(source.name, Name::File(_)).then_some(line),
                ..excerpt
            }
        });
        Some(Location { origin, excerpt })
    }
}

/// The line's number, counted from 1, and the excerpt without it.
fn excerpt(text: &str, place: Span, secrets: &[Span]) -> (usize, Excerpt) {
    let start = floor_boundary(text, place.start);
    let (before, after) = text.split_at_checked(start).unwrap_or((text, ""));
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    let line_end = after.find('\n').map_or(text.len(), |i| start + i);
    let end = floor_boundary(text, place.end.clamp(start, line_end));
    let part = |from, to| text.get(from..to).unwrap_or_default();
    let hidden = |from, to| without(secrets, place.source, from, part(from, to));
    let (head, marked, tail) = (
        hidden(line_start, start),
        hidden(start, end),
        hidden(end, line_end),
    );
    let (indent, head) = clip_head(&head);
    let excerpt = Excerpt {
        line: None,
        column: part(line_start, start).chars().count() + 1,
        indent,
        width: marked.chars().count().clamp(1, MAX_LINE_CHARS),
        text: printable(&format!("{head}{marked}{tail}"), indent),
    };
    (before.matches('\n').count() + 1, excerpt)
}

/// `line`, which starts at byte `offset` of its source, without the secrets in it.
fn without(secrets: &[Span], source: usize, offset: usize, line: &str) -> String {
    let mut spans: Vec<_> = secrets
        .iter()
        .filter(|s| s.source == source && s.end > offset && s.start < offset + line.len())
        .map(|s| {
            (
                s.start.saturating_sub(offset),
                (s.end - offset).min(line.len()),
            )
        })
        .collect();
    spans.sort_unstable();
    spans.dedup();
    let mut shown = String::new();
    let mut at = 0;
    for (start, end) in spans {
        shown.push_str(line.get(at..start).unwrap_or_default());
        shown.push_str(REDACTED);
        at = at.max(end);
    }
    shown.push_str(line.get(at..).unwrap_or_default());
    shown
}

/// `head` and its length in characters; of a long one the end.
fn clip_head(head: &str) -> (usize, String) {
    let count = head.chars().count();
    if count <= MAX_HEAD_CHARS {
        return (count, head.to_owned());
    }
    let end: String = head.chars().skip(count - MAX_HEAD_CHARS).collect();
    (MAX_HEAD_CHARS + 1, format!("…{end}"))
}

/// `line` without control characters, cut behind `indent` where it is long.
fn printable(line: &str, indent: usize) -> String {
    let line = line.trim_end();
    let limit = indent + MAX_LINE_CHARS;
    let mut shown: String = line
        .chars()
        .take(limit)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if line.chars().nth(limit).is_some() {
        shown.push('…');
    }
    shown
}

/// The character boundary at or before byte `at`.
fn floor_boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at)
        .rev()
        .find(|&i| text.is_char_boundary(i))
        .unwrap_or(0)
}
