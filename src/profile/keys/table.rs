//! The check of a table's names: unknown, refused and missing keys, and
//! alternatives used together.

use super::{Choice, Context, Fields, Key, Need, Shape};
use crate::profile::document::{Entry, Table};
use crate::profile::problem::{Draft, alternatives, nearest};
use crate::profile::source::Span;

pub(super) fn check(
    context: Context<'_>,
    fields: &'static Fields,
    path: &str,
    table: &Table,
    span: Span,
) {
    let check = Check {
        context,
        fields,
        path,
        table,
    };
    let misspelt: Vec<_> = table
        .iter()
        .filter_map(|(name, entry)| match fields.key(name) {
            None => check.unknown(name, entry),
            Some(key) => {
                check.refused(key, entry);
                None
            }
        })
        .collect();
    for key in &fields.keys {
        check.missing(key, span, &misspelt);
    }
    for choice in &fields.choices {
        check.choice(choice, span, &misspelt);
    }
}

struct Check<'a> {
    context: Context<'a>,
    fields: &'static Fields,
    path: &'a str,
    table: &'a Table,
}

impl Check<'_> {
    fn add(&self, draft: Draft) {
        self.context.report.add(draft);
    }

    /// Returns the key that was probably meant.
    fn unknown(&self, name: &str, entry: &Entry) -> Option<&'static str> {
        let meant = nearest(name, self.fields.keys.iter().map(|k| k.name));
        let help = meant.map(|m| format!("did you mean '{m}'?")).or_else(|| {
            let table = table_with_key(self.context.document.fields(), "", name)?;
            Some(format!("'{name}' is a key of {}", describe_table(&table)))
        });
        let usable: Vec<_> = self.fields.usable().map(|key| key.name).collect();
        let message = format!("unknown key '{name}'{}", within(self.path));
        self.add(
            Draft::new(entry.key, message)
                .expected(alternatives(&usable))
                .help(help),
        );
        meant
    }

    fn refused(&self, key: &Key, entry: &Entry) {
        let what = format!("'{}'{}", key.name, within(self.path));
        let (message, help) = match key.need {
            Need::Required | Need::Default(_) => return,
            Need::Later(with) => (
                format!("{what} is known but not supported by this version"),
                format!("it comes with {with}; leave it out until then"),
            ),
            Need::Refused(instead) => {
                // It may be a password.
                self.context.report.hide(entry.node.place);
                (format!("{what} is not accepted"), instead.to_owned())
            }
        };
        self.add(Draft::new(entry.key, message).help(help));
    }

    /// A missing key that was only misspelt is not reported again.
    fn missing(&self, key: &Key, span: Span, misspelt: &[&str]) {
        let absent = !self.table.contains_key(key.name) && !misspelt.contains(&key.name);
        if absent && matches!(key.need, Need::Required) {
            let message = format!("missing key '{}'{}", key.name, within(self.path));
            let expected = format!("'{}', {}", key.name, key.shape.describe());
            self.add(Draft::new(span, message).expected(expected));
        }
    }

    fn choice(&self, choice: &Choice, span: Span, misspelt: &[&str]) {
        let names = alternatives(choice.names);
        let mut written = choice.names.iter().filter_map(|n| self.table.get(*n));
        let first = written.next();
        if let Some(second) = written.next() {
            let message = format!("only one of {names} can be used{}", within(self.path));
            self.add(Draft::new(second.key, message));
        } else if choice.required
            && first.is_none()
            && !choice.names.iter().any(|n| misspelt.contains(n))
        {
            let message = format!("missing key {names}{}", within(self.path));
            self.add(Draft::new(span, message).expected(format!("exactly one of {names}")));
        }
    }
}

/// ` in [a.b]` for messages; nothing at the top level.
fn within(path: &str) -> String {
    match path {
        "" => String::new(),
        path => format!(" in {}", describe_table(path)),
    }
}

fn describe_table(path: &str) -> String {
    match path.strip_suffix("[]") {
        Some(path) => format!("[[{path}]]"),
        None if path.is_empty() => "the top level".to_owned(),
        None => format!("[{path}]"),
    }
}

/// The path of the key `name` in the table at `path`.
pub(crate) fn join(path: &str, name: &str) -> String {
    match path.trim_end_matches("[]") {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

/// The path of the table or tables that `key` of the table at `path` holds.
pub(crate) fn path_of(path: &str, key: &Key) -> String {
    let path = join(path, key.name);
    match key.shape {
        Shape::List(_) => format!("{path}[]"),
        _ => path,
    }
}

/// The first table, in the order of the statements, that has a key `name`.
fn table_with_key(fields: &Fields, path: &str, name: &str) -> Option<String> {
    if fields.key(name).is_some() {
        return Some(path.to_owned());
    }
    let inner = |key: &Key| table_with_key(key.shape.fields()?, &path_of(path, key), name);
    fields.keys.iter().find_map(inner)
}
