//! A parsed cloud-config against the vocabulary.

use serde_saphyr::Spanned;

use super::node::Node;
use super::vocabulary::{CLOUD_INIT_ONLY, ROOT, STAGES, STEP, Shape};
use crate::render::error::{Error, Problem};
use crate::render::warning::Warning;

/// Largest edit distance at which a key counts as misspelt.
const NEAR: usize = 2;

/// What was found so far.
pub(super) struct Findings<'a> {
    file: &'a str,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(file: &'a str) -> Self {
        Self {
            file,
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The warnings, or all problems if there are any.
    pub(super) fn finish(mut self) -> Result<Vec<Warning>, Error> {
        if self.problems.is_empty() {
            self.warnings.sort_by_key(Warning::place);
            return Ok(self.warnings);
        }
        self.problems.sort();
        Err(Error::CloudConfig {
            problems: self.problems,
        })
    }

    /// Checks the whole file.
    pub(super) fn check(&mut self, root: &Spanned<Node>) {
        self.shape(&ROOT, root, "");
        self.users(root);
        self.install(root);
    }

    pub(super) fn surprise(&mut self, line: u64, column: u64, message: &str) {
        self.warnings.push(Warning::Surprise {
            file: self.file.to_owned(),
            line,
            column,
            message: message.to_owned(),
        });
    }

    fn surprise_at(&mut self, node: &Spanned<Node>, message: &str) {
        self.surprise(node.referenced.line(), node.referenced.column(), message);
    }

    fn problem(&mut self, node: &Spanned<Node>, message: String) {
        self.problems.push(Problem {
            file: self.file.to_owned(),
            line: node.referenced.line().max(1),
            column: node.referenced.column().max(1),
            message,
        });
    }

    fn shape(&mut self, shape: &Shape, node: &Spanned<Node>, path: &str) {
        // Readers take "nothing" as not given.
        if matches!(node.value, Node::Null) {
            return;
        }
        let Some(shape) = fitting(shape, &node.value) else {
            let what = if path.is_empty() {
                "the file".to_owned()
            } else {
                format!("'{path}'")
            };
            let mut message = format!(
                "{what} must be {}, not {}",
                expected(shape),
                node.value.kind()
            );
            if are_bare_braces(&node.value) {
                message.push_str(" (put '{{ … }}' in quotes)");
            }
            self.problem(node, message);
            return;
        };
        match (shape, &node.value) {
            (Shape::List(of), Node::List(items)) => {
                for (at, item) in items.iter().enumerate() {
                    self.shape(of, item, &format!("{path}[{at}]"));
                }
            }
            (Shape::Map(of), Node::Map(entries)) => {
                for (key, value) in entries {
                    if let Some(name) = self.key(key) {
                        self.shape(of, value, &below(path, &name));
                    }
                }
            }
            (Shape::Record(fields), Node::Map(entries)) => self.record(fields, entries, path),
            (Shape::Stages, Node::Map(entries)) => self.stages(entries, path),
            _ => {}
        }
    }

    fn record(
        &mut self,
        fields: &[(&'static str, Shape)],
        entries: &[(Spanned<Node>, Spanned<Node>)],
        path: &str,
    ) {
        for (key, value) in entries {
            let Some(name) = self.key(key) else {
                continue;
            };
            match fields.iter().find(|(known, _)| *known == name) {
                Some((_, shape)) => self.shape(shape, value, &below(path, &name)),
                None if path.is_empty() && CLOUD_INIT_ONLY.contains(&name.as_str()) => {
                    let message = format!(
                        "'{name}' is known to cloud-init, but Kairos does nothing about it"
                    );
                    self.surprise_at(key, &message);
                }
                None => {
                    let nearest = nearest(&name, fields.iter().map(|(known, _)| *known));
                    self.unknown(key, below(path, &name), nearest);
                }
            }
        }
    }

    fn stages(&mut self, entries: &[(Spanned<Node>, Spanned<Node>)], path: &str) {
        for (key, steps) in entries {
            let Some(name) = self.key(key) else {
                continue;
            };
            let stage = name
                .strip_suffix(".before")
                .or_else(|| name.strip_suffix(".after"))
                .unwrap_or(&name);
            if !STAGES.contains(&stage)
                && let Some(near) = nearest(stage, STAGES.iter().copied())
            {
                self.unknown(key, below(path, &name), Some(near));
            }
            self.shape(&Shape::List(&STEP), steps, &below(path, &name));
        }
    }

    /// The text of a key; a key of another kind is a problem (`{{ x }}` without
    /// quotes is a map within a map).
    fn key(&mut self, key: &Spanned<Node>) -> Option<String> {
        match &key.value {
            Node::Text(text) => Some(text.clone()),
            // Readers take them as written; no key that we know is one.
            Node::Number | Node::Bool(_) => None,
            other => {
                let message = format!(
                    "a key must be a text, not {}; put '{{{{ … }}}}' and the like in quotes",
                    other.kind()
                );
                self.problem(key, message);
                None
            }
        }
    }

    fn unknown(&mut self, at: &Spanned<Node>, key: String, nearest: Option<String>) {
        self.warnings.push(Warning::UnknownKey {
            file: self.file.to_owned(),
            line: at.referenced.line(),
            column: at.referenced.column(),
            key,
            nearest,
        });
    }

    fn users(&mut self, root: &Spanned<Node>) {
        let users: Vec<&Spanned<Node>> = match field(root, "users").map(|users| &users.value) {
            Some(Node::List(items)) => items.iter().collect(),
            Some(Node::Map(entries)) => entries.iter().map(|(_, user)| user).collect(),
            _ => return,
        };
        for user in users {
            if let Some(password) = field(user, "passwd")
                && let Node::Text(text) = &password.value
                && !is_hash(text)
            {
                self.surprise_at(
                    password,
                    "'passwd' is a password in plain text; use a hash (`openssl passwd -6`)",
                );
            }
        }
    }

    fn install(&mut self, root: &Spanned<Node>) {
        let Some(install) = field(root, "install") else {
            return;
        };
        let on = |name| field(install, name).filter(|f| matches!(f.value, Node::Bool(true)));
        if let (Some(_), Some(poweroff)) = (on("reboot"), on("poweroff")) {
            self.surprise_at(
                poweroff,
                "'install.reboot' and 'install.poweroff' are both on; one of them is ignored",
            );
        }
    }
}

/// `{{ x }}` without quotes: a map whose key is a map.
fn are_bare_braces(node: &Node) -> bool {
    matches!(node, Node::Map(entries)
        if entries.iter().any(|(key, _)| matches!(key.value, Node::Map(_))))
}

/// As crypt(5) writes them (`$6$…`), or an account that no password opens.
fn is_hash(password: &str) -> bool {
    password.starts_with('$') || password.starts_with('!') || password.starts_with('*')
}

pub(super) fn field<'n>(node: &'n Spanned<Node>, name: &str) -> Option<&'n Spanned<Node>> {
    let Node::Map(entries) = &node.value else {
        return None;
    };
    entries
        .iter()
        .find(|(key, _)| matches!(&key.value, Node::Text(text) if text == name))
        .map(|(_, value)| value)
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// `shape`, or that alternative of it, if the node's outermost kind fits.
fn fitting<'s>(shape: &'s Shape, node: &Node) -> Option<&'s Shape> {
    let fits = match (shape, node) {
        (Shape::Either(shapes), _) => return shapes.iter().find_map(|s| fitting(s, node)),
        (Shape::Any, _)
        | (Shape::Text, Node::Text(_) | Node::Number | Node::Bool(_))
        | (Shape::Bool, Node::Bool(_))
        | (Shape::Number, Node::Number)
        | (Shape::List(_), Node::List(_))
        | (Shape::Map(_) | Shape::Record(_) | Shape::Stages, Node::Map(_)) => true,
        (Shape::Bool, Node::Text(text)) => {
            ["true", "false", "yes", "no", "on", "off"].contains(&text.to_lowercase().as_str())
        }
        (Shape::Number, Node::Text(text)) => text.parse::<f64>().is_ok(),
        _ => false,
    };
    fits.then_some(shape)
}

fn expected(shape: &Shape) -> String {
    match shape {
        Shape::Any => "anything".to_owned(),
        Shape::Text => "a text".to_owned(),
        Shape::Bool => "a boolean".to_owned(),
        Shape::Number => "a number".to_owned(),
        Shape::List(_) => "a list".to_owned(),
        Shape::Map(_) | Shape::Record(_) | Shape::Stages => "a map".to_owned(),
        Shape::Either(shapes) => {
            let all: Vec<_> = shapes.iter().map(expected).collect();
            all.join(" or ")
        }
    }
}

fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<String> {
    known
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .min()
        .filter(|&(distance, known)| distance <= NEAR && distance < known.len())
        .map(|(_, known)| known.to_owned())
}
