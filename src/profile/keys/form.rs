//! The forms of values: each says what a value looks like, for schema and reference,
//! and reads one.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::{Context, Need, Section, Shape, Stating};
use crate::profile::check;
use crate::profile::document::{Entry, Node, Table, Value};
use crate::profile::problem::{Bad, Draft, alternatives, did_you_mean};
use crate::profile::secret::{REDACTED, SecretRef};
use crate::profile::source::Span;

/// Highest permission bits: set-user-id, set-group-id, sticky and rwx thrice.
const MAX_MODE: i64 = 0o7777;

/// A value that is read: where it is and what it is called.
#[derive(Debug, Clone)]
pub(crate) struct At<'a> {
    pub(crate) context: Context<'a>,
    /// Path of the key, as messages name it.
    path: String,
    key: Span,
    pub(crate) node: &'a Node,
    /// Whether it is an item of the key's list.
    in_list: bool,
}

impl<'a> At<'a> {
    pub(super) fn new(context: Context<'a>, path: String, entry: &'a Entry) -> Self {
        Self {
            context,
            path,
            key: entry.key,
            node: &entry.node,
            in_list: false,
        }
    }

    fn item(&self, node: &'a Node) -> Self {
        Self {
            node,
            in_list: true,
            ..self.clone()
        }
    }

    /// A value within this one, of a table that has no fixed keys.
    pub(crate) fn with(&self, node: &'a Node) -> Self {
        Self {
            node,
            ..self.clone()
        }
    }

    /// The last part of the key's path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }

    /// Whether the key is in the table `name` of the top level.
    pub(crate) fn is_in(&self, name: &str) -> bool {
        self.path.split(['.', '[']).next() == Some(name)
    }

    /// What relative paths start from.
    pub(crate) fn directory(&self) -> &'a Path {
        self.context.sources.directory(self.node.place.source)
    }

    pub(crate) fn bad(&self, bad: Bad) {
        self.context.report.bad(self.node.place, bad);
    }

    pub(crate) fn checked<T>(&self, result: Result<T, Bad>) -> Option<T> {
        result.map_err(|bad| self.bad(bad)).ok()
    }

    /// What is wrong with a URL that may have a password in it, without that URL.
    fn concealed(&self, mut bad: Bad, text: &str) -> Bad {
        self.context.report.hide(self.node.place);
        bad.message = bad.message.replace(text, REDACTED);
        bad
    }

    fn wrong_type(&self, expected: impl Into<String>) {
        let message = format!("'{}' is {}", self.path, self.node.value.describe());
        let draft = Draft::new(self.node.place, message);
        self.context.report.add(draft.expected(expected));
    }

    /// Reports at the key that its value, which is not shown, is wrong.
    fn not_shown(&self, message: String, expected: impl Into<String>, help: &str) {
        self.context.report.hide(self.node.place);
        let draft = Draft::new(self.key, message).expected(expected);
        self.context.report.add(draft.help(help.to_owned()));
    }
}

/// What a form found: nothing where the value is not of its shape, and nothing in
/// that where it was wrong and is reported.
type Found<T> = Option<Option<T>>;

type Read<T> = Box<dyn Fn(&At<'_>) -> Found<T>>;

type Show<T> = Box<dyn Fn(&T) -> String>;

/// How the value of a key is written and read.
pub(crate) struct Form<T> {
    shape: Shape,
    read: Read<T>,
    /// A value as TOML says it, where that is not as serde says it.
    show: Option<Show<T>>,
}

impl<T: 'static> Form<T> {
    fn new(shape: Shape, read: impl Fn(&At<'_>) -> Found<T> + 'static) -> Self {
        Self {
            shape,
            read: Box::new(read),
            show: None,
        }
    }

    fn shown(self, show: impl Fn(&T) -> String + 'static) -> Self {
        let show = Some(Box::new(show) as Box<_>);
        Self { show, ..self }
    }

    /// The value; none where it is wrong, which is then reported.
    pub(crate) fn read(&self, at: &At<'_>) -> Option<T> {
        (self.read)(at).unwrap_or_else(|| {
            at.wrong_type(match (&self.shape, at.in_list) {
                (Shape::Word(_), true) => Shape::Text.describe(),
                (shape, _) => shape.describe(),
            });
            None
        })
    }

    /// The value that `change` makes of the one that was read.
    pub(crate) fn map<U: 'static>(self, change: fn(T) -> U) -> Form<U> {
        let read = self.read;
        Form::new(self.shape, move |at| Some(read(at)?.map(change)))
    }

    /// The key must be written.
    pub(crate) fn required(self) -> Stating<T>
    where
        T: Default,
    {
        self.required_else(T::default())
    }

    /// The key must be written; `stand_in` is seen by nobody.
    pub(crate) fn required_else(self, stand_in: T) -> Stating<T> {
        self.end(Need::Required, stand_in, |value| value)
    }

    /// Without the key `value` holds, and the reference shows it.
    pub(crate) fn or(self, value: T) -> Stating<T>
    where
        T: Serialize,
    {
        let shown = match &self.show {
            Some(show) => show(&value),
            None => as_toml(serde_json::to_value(&value).unwrap_or_default()),
        };
        self.end(Need::Default(format!("`{shown}`")), value, |value| value)
    }

    /// Without the key there is none, which means `this`.
    pub(crate) fn optional(self, this: impl Into<String>) -> Stating<Option<T>> {
        self.end(Need::Default(this.into()), None, Some)
    }

    /// Without the key it is empty, which means `this`.
    pub(crate) fn or_empty(self, this: impl Into<String>) -> Stating<T>
    where
        T: Default,
    {
        self.end(Need::Default(this.into()), T::default(), |value| value)
    }

    /// Without the table its keys have their defaults.
    pub(crate) fn with_defaults(self) -> Stating<T>
    where
        T: Section,
    {
        self.end(Need::Default(String::new()), T::absent(), |value| value)
    }

    fn end<V: 'static>(self, need: Need, absent: V, present: fn(T) -> V) -> Stating<V> {
        Stating {
            shape: self.shape.clone(),
            need,
            absent,
            read: Box::new(move |at| self.read(at).map(present)),
        }
    }
}

fn as_toml(value: serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text,
        serde_json::Value::Array(items) => {
            let items: Vec<_> = items.iter().map(ToString::to_string).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

/// A text in the form that `parse` knows.
pub(crate) fn text<T: 'static>(parse: fn(&str) -> Result<T, Bad>) -> Form<T> {
    placed_by(move |text, _| parse(text))
}

/// A text whose form depends on where it is written.
pub(crate) fn placed<T: 'static>(parse: fn(&str, &At<'_>) -> Result<T, Bad>) -> Form<T> {
    placed_by(parse)
}

fn placed_by<T: 'static>(parse: impl Fn(&str, &At<'_>) -> Result<T, Bad> + 'static) -> Form<T> {
    Form::new(Shape::Text, move |at| {
        let text = at.node.value.text()?;
        Some(at.checked(
            parse(text, at).map_err(|bad| match check::names_user(text) {
                true => at.concealed(bad, text),
                false => bad,
            }),
        ))
    })
}

/// One of the values that `words` stand for.
pub(crate) fn one_of<T: Clone + PartialEq + 'static>(words: &[(&'static str, T)]) -> Form<T> {
    let names: Vec<_> = words.iter().map(|(word, _)| *word).collect();
    let (words, shape) = (words.to_vec(), Shape::Word(names.clone()));
    let known = words.clone();
    Form::new(shape, move |at| {
        let text = at.node.value.text()?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let draft = Draft::new(at.node.place, format!("'{}' can't be '{text}'", at.path))
                .expected(alternatives(&names))
                .help(did_you_mean(text, names.iter().copied()));
            at.context.report.add(draft);
        }
        Some(found.map(|(_, value)| value.clone()))
    })
    .shown(move |value| {
        let word = known.iter().find(|(_, known)| known == value);
        word.map_or("", |(word, _)| word).to_owned()
    })
}

/// One of `words` itself.
pub(crate) fn names(words: &[&'static str]) -> Form<String> {
    let words = words.iter().map(|word| (*word, (*word).to_owned()));
    one_of(&words.collect::<Vec<_>>())
}

/// True or false.
pub(crate) fn boolean() -> Form<bool> {
    Form::new(Shape::Flag, |at| match at.node.value {
        Value::Flag(flag) => Some(Some(flag)),
        _ => None,
    })
}

/// An integer that `T` holds, from `min` to `max`.
pub(crate) fn integer<T: TryFrom<i64> + 'static>(min: i64, max: i64) -> Form<T> {
    let shape = Shape::Integer { min, max };
    let expected = shape.describe();
    Form::new(shape, move |at| {
        let Value::Integer(i) = at.node.value else {
            return None;
        };
        let fits = (min..=max).contains(&i);
        if !fits {
            let message = format!("'{}' can't be {i}", at.path);
            at.bad(Bad::new(message, &expected));
        }
        Some(T::try_from(i).ok().filter(|_| fits))
    })
}

/// A number of bytes, of which `check` knows more.
pub(crate) fn bytes<T: Copy + Into<u64> + 'static>(
    check: fn(u64, &At<'_>) -> Result<T, Bad>,
) -> Form<T> {
    Form::new(Shape::Size, move |at| {
        let size = match &at.node.value {
            Value::Text(text) => check::size(text),
            Value::Integer(i) => check::size(&i.to_string()),
            _ => return None,
        };
        Some(at.checked(size.and_then(|size| check(size, at))))
    })
    .shown(|value| {
        let bytes: u64 = (*value).into();
        let units = [(1 << 30, 'G'), (1 << 20, 'M'), (1 << 10, 'K')];
        let unit = units
            .into_iter()
            .find(|(unit, _)| bytes.is_multiple_of(*unit));
        unit.map_or(bytes.to_string(), |(unit, name)| {
            format!("{}{name}", bytes / unit)
        })
    })
}

/// Permissions of a file: octal digits, or the integer.
pub(crate) fn permissions() -> Form<u32> {
    Form::new(Shape::Mode, |at| {
        let (mode, written) = match &at.node.value {
            Value::Text(text) => (i64::from_str_radix(text, 8).ok(), text.clone()),
            Value::Integer(i) => (Some(*i), i.to_string()),
            _ => return None,
        };
        let mode = mode.filter(|mode| *mode <= MAX_MODE);
        let mode = mode.and_then(|mode| mode.try_into().ok());
        Some(at.checked(mode.ok_or_else(|| {
            Bad::new(
                format!("'{written}' is not a file mode"),
                "octal permissions such as \"0755\" or 0o755",
            )
        })))
    })
    .shown(|mode| format!("\"{mode:04o}\""))
}

/// An array of what `form` reads.
pub(crate) fn list<T: 'static>(form: Form<T>) -> Form<Vec<T>> {
    let shape = Shape::List(Box::new(form.shape.clone()));
    items(shape, form)
}

/// The same, in which a single text counts as an array.
pub(crate) fn one_or_more<T: 'static>(form: Form<T>) -> Form<Vec<T>> {
    items(Shape::OneOrMore, form)
}

fn items<T: 'static>(shape: Shape, form: Form<T>) -> Form<Vec<T>> {
    let expected = shape.describe();
    let one = matches!(shape, Shape::OneOrMore);
    Form::new(shape, move |at| {
        let nodes = match &at.node.value {
            Value::List(nodes) => nodes.as_slice(),
            Value::Text(_) if one => std::slice::from_ref(at.node),
            _ => {
                at.wrong_type(&expected);
                &[]
            }
        };
        let read = nodes.iter().filter_map(|node| form.read(&at.item(node)));
        Some(Some(read.collect()))
    })
}

impl<T: 'static> Form<Vec<T>> {
    /// The list must not be empty where it is written.
    pub(crate) fn filled(self, message: &'static str, expected: &'static str) -> Self {
        let read = self.read;
        Self::new(self.shape, move |at| match &at.node.value {
            Value::List(nodes) if nodes.is_empty() => {
                at.bad(Bad::new(message, expected));
                Some(None)
            }
            _ => read(at),
        })
    }
}

/// A table with the keys of `T`.
pub(crate) fn table<T: Section>() -> Form<T> {
    Form::new(Shape::Table(T::fields()), |at| {
        let Some(table) = at.node.value.table() else {
            at.wrong_type("a table");
            return Some(Some(T::absent()));
        };
        let path = match at.in_list {
            true => format!("{}[]", at.path),
            false => at.path.clone(),
        };
        Some(Some(at.context.read(&path, table, at.node.place)))
    })
}

/// A table that must be written.
pub(crate) fn required_table<T: Section>() -> Stating<T> {
    table().required_else(T::absent())
}

/// A table without which there is none of `T`.
pub(crate) fn optional_table<T: Section>() -> Stating<Option<T>> {
    table().optional("")
}

/// A table with the keys of `T` for each name, which `check` knows the form of.
pub(crate) fn named<T: Section>(
    check: fn(&str) -> Result<String, Bad>,
) -> Form<BTreeMap<String, T>> {
    Form::new(Shape::Named(T::fields()), move |at| {
        let entries = at.node.value.table()?.iter();
        let read = entries.filter_map(|(name, entry)| {
            if let Err(bad) = check(name) {
                at.context.report.bad(entry.key, bad);
            }
            let at = At::new(at.context, format!("{}.\"{name}\"", at.path), entry);
            Some((name.clone(), table().read(&at)?))
        });
        Some(Some(read.collect()))
    })
}

/// A table of any content, which `read` knows the meaning of.
pub(crate) fn free<T: 'static>(read: fn(&Table, &At<'_>) -> T) -> Form<T> {
    Form::new(Shape::Free, move |at| {
        Some(Some(read(at.node.value.table()?, at)))
    })
}

/// A text, or a table with the keys of `T`.
pub(crate) fn text_or_table<T: Section, V: 'static>(
    text: fn(&str) -> Result<V, Bad>,
    table: fn(T, &At<'_>) -> V,
) -> Form<V> {
    Form::new(Shape::TextOr(T::fields()), move |at| match &at.node.value {
        Value::Text(said) => Some(at.checked(text(said))),
        other => {
            let read = at.context.read(&at.path, other.table()?, at.node.place);
            Some(Some(table(read, at)))
        }
    })
}

/// A password's hash as crypt(5) has it.
pub(crate) fn password_hash() -> Form<String> {
    Form::new(Shape::PasswordHash, |at| {
        let hash = at.node.value.text()?;
        let fine = check::is_password_hash(hash);
        if !fine {
            // What was written instead may be the password.
            at.not_shown(
                format!("'{}' is not a password's hash", at.path),
                "a hash as crypt(5) has it, such as \"$6$…\"",
                "`openssl passwd -6` makes one",
            );
        }
        Some(fine.then(|| hash.to_owned()))
    })
}

/// Where a secret is.
pub(crate) fn secret() -> Form<SecretRef> {
    Form::new(Shape::Secret, |at| {
        let Some((kind, node)) = secret_in(&at.node.value) else {
            let path = &at.path;
            let message = match at.node.value {
                Value::Table(_) => format!("'{path}' does not say where the secret is"),
                _ => format!("'{path}' is a secret and can't be written in the profile"),
            };
            at.not_shown(
                message,
                Shape::Secret.describe(),
                "put the value into an environment variable or a file of its own",
            );
            return Some(None);
        };
        let at = at.item(node);
        Some(match kind {
            "env" => text(check::variable).read(&at).map(SecretRef::Env),
            _ => placed(check::path).read(&at).map(SecretRef::File),
        })
    })
}

/// A table that is a secret: its one key is `env` or `file`.
pub(crate) fn secret_in(value: &Value) -> Option<(&'static str, &Node)> {
    let table = value.table().filter(|t| t.len() == 1)?;
    ["env", "file"].into_iter().find_map(|name| {
        let node = &table.get(name)?.node;
        matches!(node.value, Value::Text(_)).then_some((name, node))
    })
}
