//! Reading a profile with what it extends, and the merge of the files and of
//! the `--set` arguments into one tree.

use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::document::{self, Entry, Node, Table, Value};
use super::keys::{Fields, Section, Shape, secret_in};
use super::model::Profile;
use super::problem::{Bad, Draft, Report};
use super::source::{Sources, Span};

use super::{FileRead, SetOverride};
use isoforge_base::digest::Digest;

/// Longest chain of `extends`.
const MAX_CHAIN: usize = 16;
/// Largest profile or catalog; real ones have a few kilobytes.
pub(crate) const MAX_FILE_BYTES: usize = 1 << 20;
/// A key with this in front appends to the base's list.
pub(crate) const APPEND: char = '+';

/// Reads files and remembers them.
pub(crate) struct Loader<'a> {
    pub(crate) read: &'a dyn Fn(&Path) -> io::Result<String>,
    pub(crate) sources: Sources,
    pub(crate) files: Vec<FileRead>,
}

impl Loader<'_> {
    /// Reads and parses one file. `wanted_by` is the place that names it.
    pub(crate) fn file(
        &mut self,
        path: &Path,
        wanted_by: Option<Span>,
        report: &Report,
    ) -> Option<(usize, Table)> {
        let text = match (self.read)(path) {
            Ok(text) if text.len() > MAX_FILE_BYTES => Err(format!(
                "{} has {} bytes, more than the {MAX_FILE_BYTES} allowed",
                path.display(),
                text.len()
            )),
            Ok(text) => Ok(text),
            Err(error) => Err(format!(
                "{} can't be read: {}",
                path.display(),
                cause(&error)
            )),
        };
        match text {
            Ok(text) => {
                self.files.push(FileRead {
                    path: path.to_owned(),
                    digest: Digest::of(text.as_bytes()),
                });
                let source = self.sources.add_file(path, text.clone());
                Some((source, document::parse(source, &text, report)))
            }
            Err(message) => {
                let place = wanted_by
                    .unwrap_or_else(|| Span::whole(self.sources.add_file(path, String::new())));
                report.add(Draft::new(place, message));
                None
            }
        }
    }

    /// The entry file merged over all that it extends.
    pub(crate) fn chain(&mut self, entry: &Path, report: &Report) -> Table {
        let mut tables = Vec::new();
        let mut seen = BTreeSet::new();
        let mut next = Some((entry.to_owned(), None));
        while let Some((path, wanted_by)) = next.take() {
            if let Some(place) = wanted_by
                && let Some(message) = self.refuse_chain(&path, &seen)
            {
                report.add(Draft::new(place, message));
                break;
            }
            seen.insert(normalized(&path));
            let Some((source, table)) = self.file(&path, wanted_by, report) else {
                break;
            };
            if let Some(Node { place, value }) = table.get("extends").map(|e| &e.node) {
                match value {
                    Value::Text(text) => {
                        let base = self.sources.directory(source).join(text);
                        next = Some((base, Some(*place)));
                    }
                    other => report.bad(
                        *place,
                        Bad::new(format!("'extends' is {}", other.describe()), "a string"),
                    ),
                }
            }
            tables.push(table);
        }
        let mut merged = Table::new();
        for mut table in tables.into_iter().rev() {
            // What it extends was followed; the merged profile extends nothing.
            table.remove("extends");
            merge(&mut merged, table, Some(Profile::fields()), report);
        }
        merged
    }

    fn refuse_chain(&self, path: &Path, seen: &BTreeSet<PathBuf>) -> Option<String> {
        if seen.contains(&normalized(path)) {
            let chain: Vec<_> = self
                .files
                .iter()
                .map(|f| f.path.display().to_string())
                .collect();
            return Some(format!(
                "profiles extend each other in a circle: {} -> {}",
                chain.join(" -> "),
                path.display()
            ));
        }
        (seen.len() >= MAX_CHAIN)
            .then(|| format!("more than {MAX_CHAIN} profiles extend each other"))
    }

    /// Merges the `--set` arguments over `table`; a later one wins.
    pub(crate) fn overrides(&mut self, table: &mut Table, sets: &[SetOverride], report: &Report) {
        let mut all = Table::new();
        for (number, set) in (1..).zip(sets) {
            let source = self.sources.add_argument(number, set.0.clone());
            match parse_override(source, &set.0, report) {
                Ok((keys, _)) if is_extends(&keys) => {
                    let place = Span::new(source, 0..set.0.len());
                    let bad = Bad::new("'extends' can't be set", "'extends' in a profile only");
                    report.bad(place, bad);
                }
                Ok((keys, node)) => insert(&mut all, &keys, node),
                Err(bad) => report.bad(Span::new(source, 0..set.0.len().max(1)), bad),
            }
        }
        merge(table, all, Some(Profile::fields()), report);
    }
}

/// The message of the error without the path that `fs_err` puts in front: the
/// caller names the path already.
fn cause(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    }
}

/// `path` without `.` and with `a/..` taken out, to see whether two are one.
fn normalized(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(out.components().next_back(), Some(Component::Normal(_))) =>
            {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// The keys before the `=` with their places, and the value.
type Override = (Vec<(String, Span)>, Node);

fn parse_override(source: usize, text: &str, report: &Report) -> Result<Override, Bad> {
    let expected = "key.path=value, such as appliance.version=2.0.0";
    // In a quoted key '=' is no separator; hosts of registries have to be quoted.
    let mut quoted = false;
    let equals = text
        .char_indices()
        .find(|&(_, c)| {
            quoted ^= c == '"';
            c == '=' && !quoted
        })
        .map(|(i, _)| i)
        .ok_or_else(|| Bad::new(format!("'{text}' sets nothing"), expected))?;
    let (path, value) = text.split_at_checked(equals).unwrap_or((text, ""));
    let value = value.get(1..).unwrap_or_default();
    let keys = split_path(source, path)
        .ok_or_else(|| Bad::new(format!("'{path}' is not the path of a key"), expected))?;
    let offset = equals + 1;
    let text = Node {
        place: Span::new(source, offset..text.len().max(offset + 1)),
        value: Value::Text(value.to_owned()),
    };
    let node = match document::parse_value(source, value, offset, report) {
        Some(node) if !(is_scalar(&node.value) && wants_text(&keys)) => node,
        _ => text,
    };
    Ok((keys, node))
}

fn is_extends(keys: &[(String, Span)]) -> bool {
    keys.first()
        .is_some_and(|(name, _)| name.trim_start_matches(APPEND) == "extends")
}

fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::Text(_) | Value::List(_) | Value::Table(_))
}

/// Whether the key at `path` is a string in every case: then `2.0` is no float.
fn wants_text(path: &[(String, Span)]) -> bool {
    let mut fields = Profile::fields();
    let mut shape: Option<&Shape> = None;
    for (name, _) in path {
        match (shape, fields.key(name)) {
            // The name of a registry's host is no key of the table.
            (Some(Shape::Named(_)), _) => shape = None,
            (_, Some(key)) => {
                shape = Some(&key.shape);
                fields = key.shape.fields().unwrap_or(fields);
            }
            (_, None) => return false,
        }
    }
    matches!(
        shape,
        Some(Shape::Text | Shape::TextOr(_) | Shape::Word(_) | Shape::OneOrMore)
    )
}

/// Parts at dots; a part in double quotes keeps its dots.
fn split_path(source: usize, path: &str) -> Option<Vec<(String, Span)>> {
    let mut keys = Vec::new();
    let mut at = 0;
    let mut rest = path;
    loop {
        let (key, used, tail) = if let Some(inner) = rest.strip_prefix('"') {
            let (key, tail) = inner.split_once('"')?;
            (key, key.len() + 2, tail)
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            let (key, tail) = rest.split_at_checked(end)?;
            (key, end, tail)
        };
        if key.trim().is_empty() || key.contains('"') {
            return None;
        }
        keys.push((key.trim().to_owned(), Span::new(source, at..at + used)));
        at += used + 1;
        match tail.strip_prefix('.') {
            Some(more) => rest = more,
            None if tail.is_empty() => return Some(keys),
            None => return None,
        }
    }
}

fn insert(table: &mut Table, keys: &[(String, Span)], node: Node) {
    let Some(((name, key), rest)) = keys.split_first() else {
        return;
    };
    if rest.is_empty() {
        table.insert(name.clone(), Entry { key: *key, node });
        return;
    }
    let entry = table.entry(name.clone()).or_insert_with(|| Entry {
        key: *key,
        node: Node {
            place: *key,
            value: Value::Table(Table::new()),
        },
    });
    if !matches!(entry.node.value, Value::Table(_)) {
        entry.node.value = Value::Table(Table::new());
    }
    if let Value::Table(inner) = &mut entry.node.value {
        insert(inner, rest, node);
    }
}

/// Merges `over` into `base`. `fields` is the key table of the two where it is
/// known: in it, a key that excludes others takes theirs away from the base.
pub(crate) fn merge(base: &mut Table, over: Table, fields: Option<&Fields>, report: &Report) {
    for choice in fields.into_iter().flat_map(|f| &f.choices) {
        if choice.names.iter().any(|n| over.contains_key(*n)) {
            for name in choice.names {
                if !over.contains_key(*name) {
                    base.remove(*name);
                }
            }
        }
    }
    // '+' sorts before letters: appended lists wait until plain ones replaced.
    let (appended, plain): (Vec<_>, Vec<_>) = over
        .into_iter()
        .partition(|(name, _)| name.starts_with(APPEND));
    for (name, entry) in plain {
        let inner = fields
            .and_then(|f| f.key(&name))
            .and_then(|k| k.shape.fields());
        merge_entry(base, name, entry, inner, report);
    }
    for (name, entry) in appended {
        let name = name.trim_start_matches(APPEND).to_owned();
        append(base, name, entry, report);
    }
}

fn merge_entry(
    base: &mut Table,
    name: String,
    entry: Entry,
    fields: Option<&Fields>,
    report: &Report,
) {
    let secret = secret_in(&entry.node.value).is_some();
    let value = match entry.node.value {
        Value::Table(over) => {
            let under = base.remove(&name).map(|old| old.node.value);
            let under = under.filter(|under| !secret && secret_in(under).is_none());
            // Also merged into nothing, so that '+' is understood in it too.
            let mut table = match under {
                Some(Value::Table(table)) => table,
                _ => Table::new(),
            };
            merge(&mut table, over, fields, report);
            Value::Table(table)
        }
        value => value,
    };
    let place = entry.node.place;
    let node = Node { place, value };
    base.insert(name, Entry { node, ..entry });
}

fn append(base: &mut Table, name: String, entry: Entry, report: &Report) {
    let Value::List(added) = entry.node.value else {
        let message = format!("'{APPEND}{name}' is {}", entry.node.value.describe());
        report.bad(
            entry.node.place,
            Bad::new(message, "an array, which is appended"),
        );
        return;
    };
    match base.get_mut(&name).map(|e| &mut e.node.value) {
        Some(Value::List(list)) => list.extend(added),
        Some(other) => {
            let message = format!("'{name}' of the base is {}", other.describe());
            report.bad(entry.key, Bad::new(message, "an array, to append to"));
        }
        None => {
            let node = Node {
                place: entry.node.place,
                value: Value::List(added),
            };
            base.insert(name, Entry { node, ..entry });
        }
    }
}
