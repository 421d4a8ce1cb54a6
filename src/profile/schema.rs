//! The shape of a TOML document as data, and the check of a document against
//! it. The one table of keys ([`super::keys`]) drives this check, the merge of
//! alternatives, the suggestions for misspelt keys and the reference document.

use super::problem::{Draft, Report, alternatives, did_you_mean, nearest};
use super::source::{Place, Sources};
use super::value::{Node, Table, Value};

/// The keys of one table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields {
    pub(crate) keys: &'static [Key],
    /// Keys that exclude each other.
    pub(crate) choices: &'static [Choice],
}

/// Keys of which at most one is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice {
    pub(crate) names: &'static [&'static str],
    /// Then exactly one.
    pub(crate) required: bool,
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) need: Need,
    /// What it means, in one or two sentences of Markdown.
    pub(crate) help: &'static str,
}

/// Whether a key has to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Need {
    /// Yes.
    Required,
    /// No; without it this holds, as Markdown. Empty: nothing.
    Default(&'static str),
    /// It must not be: a later version acts on it. The text completes "it
    /// comes with …".
    Later(&'static str),
    /// It must not be, for good: the text says what to do instead.
    Refused(&'static str),
}

/// What a key's value looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    Text,
    /// A string, or a table of these keys.
    TextOr(&'static Fields),
    Flag,
    Integer {
        min: i64,
        max: i64,
    },
    /// Bytes: an integer, or a string with the suffix K, M or G (powers of 1,024).
    Size,
    /// File permissions: a string of octal digits or an integer.
    Mode,
    Texts,
    /// A string or an array of strings.
    OneOrMore,
    /// One of these words.
    Word(&'static [&'static str]),
    /// An array of these words.
    Words(&'static [&'static str]),
    /// `{ env = "NAME" }` or `{ file = "PATH" }`.
    Secret,
    /// A password's hash, as crypt(5) has it.
    PasswordHash,
    Table(&'static Fields),
    Tables(&'static Fields),
    /// A table whose keys the user names, each a table of these keys.
    Named(&'static Fields),
    /// A table of any content.
    Free,
}

impl Shape {
    /// The type as messages and the reference name it.
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Text => "a string".to_owned(),
            Self::TextOr(_) => "a string or a table".to_owned(),
            Self::PasswordHash => "a password's hash, such as \"$6$…\"".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Integer { min, max } if min == max => format!("the integer {min}"),
            Self::Integer { min, max: i64::MAX } => format!("an integer of at least {min}"),
            Self::Integer { min, max } => format!("an integer from {min} to {max}"),
            Self::Size => "a number of bytes, such as 262144 or \"256K\"".to_owned(),
            Self::Mode => "permissions in octal, such as \"0755\"".to_owned(),
            Self::Texts => "an array of strings".to_owned(),
            Self::OneOrMore => "a string or an array of strings".to_owned(),
            Self::Word(words) => alternatives(words),
            Self::Words(words) => format!("an array of {}", alternatives(words)),
            Self::Secret => "{ env = \"NAME\" } or { file = \"PATH\" }".to_owned(),
            Self::Table(_) | Self::Named(_) | Self::Free => "a table".to_owned(),
            Self::Tables(_) => "an array of tables".to_owned(),
        }
    }

    /// The keys of the table or tables, if it has a fixed set of them.
    pub(crate) fn fields(self) -> Option<&'static Fields> {
        match self {
            Self::Table(fields)
            | Self::TextOr(fields)
            | Self::Tables(fields)
            | Self::Named(fields) => Some(fields),
            _ => None,
        }
    }
}

impl Fields {
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|k| k.name == name)
    }

    /// The names that a document may use.
    fn usable(&self) -> Vec<&'static str> {
        self.keys
            .iter()
            .filter(|k| matches!(k.need, Need::Required | Need::Default(_)))
            .map(|k| k.name)
            .collect()
    }
}

/// Checks `table` against `root` and reports unknown, refused and missing
/// keys, wrong types and words, and alternatives used together.
pub(crate) fn check(
    root: &'static Fields,
    table: &Table,
    place: Place,
    sources: &mut Sources,
    report: &Report,
) {
    Checker {
        root,
        sources,
        report,
    }
    .table(root, "", table, place);
}

/// A table that is a secret: its one key is `env` or `file`.
pub(crate) fn secret_in(value: &Value) -> Option<(&'static str, &Node)> {
    let table = value.table().filter(|t| t.len() == 1)?;
    ["env", "file"].into_iter().find_map(|name| {
        let node = &table.get(name)?.node;
        matches!(node.value, Value::Text(_)).then_some((name, node))
    })
}

struct Checker<'a> {
    root: &'static Fields,
    sources: &'a mut Sources,
    report: &'a Report,
}

impl Checker<'_> {
    fn table(&mut self, fields: &'static Fields, path: &str, table: &Table, place: Place) {
        let mut misspelt = Vec::new();
        for (name, entry) in table {
            match fields.key(name) {
                None => misspelt.extend(self.unknown(fields, path, name, entry.key)),
                Some(key) => match key.need {
                    Need::Later(with) => {
                        let what = format!("'{name}'{}", within(path));
                        self.report.add(later(entry.key, &what, with));
                    }
                    Need::Refused(instead) => {
                        // It may be a password.
                        self.sources.hide(entry.node.place);
                        self.report.add(
                            Draft::new(
                                entry.key,
                                format!("'{name}'{} is not accepted", within(path)),
                            )
                            .help(instead.to_owned()),
                        );
                    }
                    Need::Required | Need::Default(_) => {
                        self.value(key, &join(path, name), &entry.node, entry.key);
                    }
                },
            }
        }
        self.missing(fields, path, table, place, &misspelt);
    }

    /// Returns the key that was probably meant.
    fn unknown(
        &self,
        fields: &'static Fields,
        path: &str,
        name: &str,
        place: Place,
    ) -> Option<&'static str> {
        let meant = nearest(name, fields.keys.iter().map(|k| k.name));
        let help = meant.map(|m| format!("did you mean '{m}'?")).or_else(|| {
            let table = table_with_key(self.root, "", name)?;
            Some(format!("'{name}' is a key of {}", describe_table(&table)))
        });
        let message = format!("unknown key '{name}'{}", within(path));
        self.report.add(
            Draft::new(place, message)
                .expected(alternatives(&fields.usable()))
                .help(help),
        );
        meant
    }

    /// A missing key that was only misspelt is not reported again.
    fn missing(
        &self,
        fields: &'static Fields,
        path: &str,
        table: &Table,
        place: Place,
        misspelt: &[&str],
    ) {
        for key in fields.keys {
            let absent = !table.contains_key(key.name) && !misspelt.contains(&key.name);
            if absent && matches!(key.need, Need::Required) {
                let message = format!("missing key '{}'{}", key.name, within(path));
                let expected = format!("'{}', {}", key.name, key.shape.describe());
                self.report
                    .add(Draft::new(place, message).expected(expected));
            }
        }
        for choice in fields.choices {
            let written: Vec<_> = choice.names.iter().filter_map(|n| table.get(*n)).collect();
            let names = alternatives(choice.names);
            if let Some(second) = written.get(1) {
                let message = format!("only one of {names} can be used{}", within(path));
                self.report.add(Draft::new(second.key, message));
            } else if choice.required
                && written.is_empty()
                && !choice.names.iter().any(|n| misspelt.contains(n))
            {
                let message = format!("missing key {names}{}", within(path));
                self.report
                    .add(Draft::new(place, message).expected(format!("exactly one of {names}")));
            }
        }
    }

    fn value(&mut self, key: &Key, path: &str, node: &Node, key_place: Place) {
        match (key.shape, &node.value) {
            (Shape::Text | Shape::TextOr(_), Value::Text(_))
            | (Shape::Flag, Value::Flag(_))
            | (Shape::Size | Shape::Mode, Value::Text(_) | Value::Integer(_))
            | (Shape::OneOrMore, Value::Text(_))
            | (Shape::Free, Value::Table(_)) => {}
            (Shape::PasswordHash, Value::Text(text)) => {
                if !super::parse_machine::is_password_hash(text) {
                    self.no_hash(path, node, key_place);
                }
            }
            (Shape::Integer { min, max }, Value::Integer(i)) if (min..=max).contains(i) => {}
            (Shape::Integer { .. }, Value::Integer(i)) => self.report.add(
                Draft::new(node.place, format!("'{path}' can't be {i}"))
                    .expected(key.shape.describe()),
            ),
            (Shape::Word(words), Value::Text(text)) => self.word(path, text, words, node.place),
            (Shape::Texts | Shape::OneOrMore | Shape::Words(_), Value::List(list)) => {
                self.texts(key, path, list);
            }
            (Shape::Secret, value) => {
                if secret_in(value).is_none() {
                    self.plain_secret(path, node, key_place);
                }
            }
            (Shape::Table(fields) | Shape::TextOr(fields), Value::Table(table)) => {
                self.table(fields, path, table, node.place);
            }
            (Shape::Named(fields), Value::Table(named)) => {
                for (name, entry) in named {
                    let path = format!("{path}.\"{name}\"");
                    match &entry.node.value {
                        Value::Table(table) => self.table(fields, &path, table, entry.node.place),
                        other => self.wrong_type(&path, other, "a table", entry.node.place),
                    }
                }
            }
            (Shape::Tables(fields), Value::List(list)) => {
                for item in list {
                    match &item.value {
                        Value::Table(table) => {
                            self.table(fields, &format!("{path}[]"), table, item.place);
                        }
                        other => self.wrong_type(path, other, "a table", item.place),
                    }
                }
            }
            (shape, other) => self.wrong_type(path, other, &shape.describe(), node.place),
        }
    }

    fn texts(&self, key: &Key, path: &str, list: &[Node]) {
        for item in list {
            match (&item.value, key.shape) {
                (Value::Text(text), Shape::Words(words)) => {
                    self.word(path, text, words, item.place);
                }
                (Value::Text(_), _) => {}
                (other, _) => self.wrong_type(path, other, "a string", item.place),
            }
        }
    }

    fn word(&self, path: &str, text: &str, words: &'static [&'static str], place: Place) {
        if !words.contains(&text) {
            self.report.add(
                Draft::new(place, format!("'{path}' can't be '{text}'"))
                    .expected(alternatives(words))
                    .help(did_you_mean(text, words.iter().copied())),
            );
        }
    }

    fn wrong_type(&self, path: &str, found: &Value, expected: &str, place: Place) {
        self.report
            .add(Draft::new(place, format!("'{path}' is {}", found.describe())).expected(expected));
    }

    /// What was written instead of a hash may be the password: it is not shown.
    fn no_hash(&mut self, path: &str, node: &Node, key: Place) {
        self.sources.hide(node.place);
        self.report.add(
            Draft::new(key, format!("'{path}' is not a password's hash"))
                .expected("a hash as crypt(5) has it, such as \"$6$…\"")
                .help("`openssl passwd -6` makes one".to_owned()),
        );
    }

    /// What was written instead of a reference to a secret is not shown.
    fn plain_secret(&mut self, path: &str, node: &Node, key: Place) {
        self.sources.hide(node.place);
        let message = match node.value {
            Value::Table(_) => format!("'{path}' does not say where the secret is"),
            _ => format!("'{path}' is a secret and can't be written in the profile"),
        };
        self.report.add(
            Draft::new(key, message)
                .expected(Shape::Secret.describe())
                .help("put the value into an environment variable or a file of its own".to_owned()),
        );
    }
}

fn later(place: Place, what: &str, with: &str) -> Draft {
    Draft::new(
        place,
        format!("{what} is known but not supported by this version"),
    )
    .help(format!("it comes with {with}; leave it out until then"))
}

/// ` in [a.b]` for messages; nothing at the top level.
fn within(path: &str) -> String {
    if path.is_empty() {
        return String::new();
    }
    format!(" in {}", describe_table(path))
}

fn describe_table(path: &str) -> String {
    match path.strip_suffix("[]") {
        Some(path) => format!("[[{path}]]"),
        None if path.is_empty() => "the top level".to_owned(),
        None => format!("[{path}]"),
    }
}

fn join(path: &str, name: &str) -> String {
    match path.trim_end_matches("[]") {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

/// The first table, in the order of the key table, that has a key `name`.
fn table_with_key(fields: &'static Fields, path: &str, name: &str) -> Option<String> {
    if fields.key(name).is_some() {
        return Some(path.to_owned());
    }
    fields.keys.iter().find_map(|key| {
        let inner = key.shape.fields()?;
        let suffix = if matches!(key.shape, Shape::Tables(_)) {
            "[]"
        } else {
            ""
        };
        table_with_key(inner, &format!("{}{suffix}", join(path, key.name)), name)
    })
}
