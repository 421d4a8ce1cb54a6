//! Takes items by what they should be. What is not taken is told, what is of
//! another type is a problem; both with their places.

use super::{Remark, checks, pattern};
use crate::Error;
use isoforge_base::yaml::{Node, Value};

/// Collects what there is to say about a document.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) document: String,
    pub(super) problems: Vec<Remark>,
    /// Problems of values that can be left out alone.
    pub(super) refused: Vec<Remark>,
    pub(super) unknown: Vec<Remark>,
}

/// A map whose keys are known; each is to be taken.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    path: String,
    entries: Vec<Field<'a>>,
}

#[derive(Debug)]
struct Field<'a> {
    name: String,
    key: &'a Node,
    value: &'a Node,
    taken: bool,
}

impl Reader {
    pub(super) fn new(document: &str) -> Self {
        Self {
            document: document.to_owned(),
            problems: Vec::new(),
            refused: Vec::new(),
            unknown: Vec::new(),
        }
    }

    pub(super) fn problem(&mut self, item: &Node, message: String) {
        self.problems.push(Remark {
            document: self.document.clone(),
            line: item.line,
            column: item.column,
            message,
        });
    }

    /// Whether a value holds. One that does not is a problem of the document, but what
    /// it stands in goes on without it: that may be what lets somebody in to mend it.
    pub(super) fn holds<E: std::fmt::Display>(
        &mut self,
        item: &Node,
        path: &str,
        checked: Result<(), E>,
    ) -> bool {
        if let Err(error) = &checked {
            self.refused.push(Remark {
                document: self.document.clone(),
                line: item.line,
                column: item.column,
                message: format!("'{path}': {error}"),
            });
        }
        checked.is_ok()
    }

    /// How much was found wrong so far.
    pub(super) fn wrong(&self) -> usize {
        self.problems.len() + self.refused.len()
    }

    /// Tells that nothing is done about something.
    pub(super) fn unknown(&mut self, item: &Node, message: String) {
        self.unknown.push(Remark {
            document: self.document.clone(),
            line: item.line,
            column: item.column,
            message,
        });
    }

    fn mismatch(&mut self, item: &Node, path: &str, expected: &str) {
        let what = if path.is_empty() {
            "the file".to_owned()
        } else {
            format!("'{path}'")
        };
        let message = format!("{what} must be {expected}, not {}", item.kind());
        self.problem(item, message);
    }

    /// A map of known keys.
    pub(super) fn record<'a>(&mut self, item: &'a Node, path: &str) -> Fields<'a> {
        let entries = self.entries(item, path);
        let entries = entries.into_iter().map(|(name, key, value)| Field {
            name,
            key,
            value,
            taken: false,
        });
        Fields {
            path: path.to_owned(),
            entries: entries.collect(),
        }
    }

    /// A map of any keys.
    pub(super) fn entries<'a>(
        &mut self,
        item: &'a Node,
        path: &str,
    ) -> Vec<(String, &'a Node, &'a Node)> {
        match &item.value {
            Value::Null => Vec::new(),
            Value::Map(entries) => {
                let mut named = Vec::new();
                for (key, value) in entries {
                    match key.scalar() {
                        Some(text) => named.push((text.to_owned(), key, value)),
                        None => {
                            self.problem(key, format!("a key must be a text, not {}", key.kind()))
                        }
                    }
                }
                named
            }
            _ => {
                self.mismatch(item, path, "a map");
                Vec::new()
            }
        }
    }

    /// A map of any keys to texts, those alone that hold.
    pub(super) fn settings(
        &mut self,
        item: &Node,
        path: &str,
        check: impl Fn(&str, &str) -> Result<(), Error>,
    ) -> Vec<(String, String)> {
        let mut settings = Vec::new();
        for (name, key, value) in self.entries(item, path) {
            let text = match &value.value {
                Value::Null => Some(String::new()),
                _ => self.text(value, &below(path, &name)),
            };
            if let Some(text) = text
                && self.holds(key, path, check(&name, &text))
            {
                settings.push((name, text));
            }
        }
        settings
    }

    /// A list, with the path of each item.
    pub(super) fn list<'a>(&mut self, item: &'a Node, path: &str) -> Vec<(&'a Node, String)> {
        match &item.value {
            Value::Null => Vec::new(),
            Value::List(items) => {
                let items = items.iter().enumerate();
                items
                    .map(|(at, item)| (item, format!("{path}[{at}]")))
                    .collect()
            }
            _ => {
                self.mismatch(item, path, "a list");
                Vec::new()
            }
        }
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, item: &Node, path: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for (item, path) in self.list(item, path) {
            texts.extend(self.text(item, &path));
        }
        texts
    }

    /// A text, or a number or boolean as written.
    pub(super) fn text(&mut self, item: &Node, path: &str) -> Option<String> {
        let text = item.scalar().map(str::to_owned);
        if text.is_none() {
            self.mismatch(item, path, "a text");
        }
        text
    }

    /// A boolean, also in quotes.
    pub(super) fn flag(&mut self, item: &Node, path: &str) -> Option<bool> {
        let flag = match &item.value {
            Value::Bool(is, _) => Some(*is),
            Value::Text(text) => match text.to_lowercase().as_str() {
                "true" | "yes" | "on" => Some(true),
                "false" | "no" | "off" => Some(false),
                _ => None,
            },
            _ => None,
        };
        if flag.is_none() {
            self.mismatch(item, path, "a boolean");
        }
        flag
    }
}

impl<'a> Fields<'a> {
    /// Takes a key's value; none where it is not given, or given as nothing.
    pub(super) fn take(&mut self, name: &str) -> Option<&'a Node> {
        let field = self.entries.iter_mut().find(|field| field.name == name)?;
        field.taken = true;
        Some(field.value).filter(|value| value.value != Value::Null)
    }

    /// The path of a key in it.
    pub(super) fn path(&self, name: &str) -> String {
        below(&self.path, name)
    }

    pub(super) fn text(&mut self, reader: &mut Reader, name: &str) -> Option<String> {
        let item = self.take(name)?;
        reader.text(item, &self.path(name))
    }

    pub(super) fn flag(&mut self, reader: &mut Reader, name: &str) -> Option<bool> {
        let item = self.take(name)?;
        reader.flag(item, &self.path(name))
    }

    pub(super) fn texts(&mut self, reader: &mut Reader, name: &str) -> Vec<String> {
        let path = self.path(name);
        self.take(name)
            .map(|item| reader.texts(item, &path))
            .unwrap_or_default()
    }

    pub(super) fn settings(
        &mut self,
        reader: &mut Reader,
        name: &str,
        check: impl Fn(&str, &str) -> Result<(), Error>,
    ) -> Vec<(String, String)> {
        let path = self.path(name);
        self.take(name)
            .map(|item| reader.settings(item, &path, check))
            .unwrap_or_default()
    }

    /// A host's name; patterns in it count as what they stand for.
    pub(super) fn hostname(&mut self, reader: &mut Reader, name: &str) -> Option<String> {
        let item = self.take(name)?;
        let path = self.path(name);
        let text = reader.text(item, &path)?;
        let filled = pattern::fill(&text, &pattern::Facts::example());
        let checked = checks::check_hostname(&filled).map_err(|_| Error::HostName(text.clone()));
        reader.holds(item, &path, checked).then_some(text)
    }

    pub(super) fn list(&mut self, reader: &mut Reader, name: &str) -> Vec<(&'a Node, String)> {
        let path = self.path(name);
        self.take(name)
            .map(|item| reader.list(item, &path))
            .unwrap_or_default()
    }

    /// Tells each key that nothing took.
    pub(super) fn finish(self, reader: &mut Reader) {
        for field in &self.entries {
            if !field.taken {
                let path = below(&self.path, &field.name);
                reader.unknown(field.key, format!("nothing here acts on '{path}'"));
            }
        }
    }
}

pub(super) fn below(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
