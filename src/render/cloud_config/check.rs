//! A parsed cloud-config against the vocabulary.

use isoforge_base::yaml::{Node, Value};

use super::kairos;
use super::vocabulary::{ROOT, STEP, Shape, is_cloud_init_only, stages};
use isoforge_contract::cloud::{Document, Remark};

/// Largest edit distance at which a key counts as misspelt.
const NEAR: usize = 2;

/// What was found so far.
pub(super) struct Findings<'a> {
    file: &'a str,
    problems: Vec<Remark>,
    warnings: Vec<Remark>,
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
    pub(super) fn finish(mut self) -> Result<Vec<String>, Vec<Remark>> {
        if self.problems.is_empty() {
            self.warnings.sort_by_key(place);
            return Ok(self.warnings.iter().map(Remark::to_string).collect());
        }
        self.problems.sort();
        Err(self.problems)
    }

    /// Checks the whole file.
    pub(super) fn check(&mut self, root: &Node) {
        self.shape(&ROOT, root, "");
        self.passwords(root);
        self.install(root);
        self.permissions(root);
    }

    /// Adds what Kairos's own reader refuses, where nothing was said of a place.
    pub(super) fn as_kairos_reads(&mut self, root: &Node) {
        for (node, message) in kairos::refusals(root) {
            let at = (node.line, node.column);
            if self.problems.iter().all(|p| place(p) != at) {
                self.problem(node, message);
            }
        }
    }

    /// Adds what the machine's own reader says, where nothing was said of a place. The
    /// agent of the central management has a reader of its own for `stylus`.
    pub(super) fn as_executed(&mut self, root: &Node, read: (Document, Vec<Remark>)) {
        let (document, problems) = read;
        for problem in problems {
            if self.problems.iter().all(|p| place(p) != place(&problem)) {
                self.problems.push(problem);
            }
        }
        let stylus = root.get("stylus").map(|node| (node.line, node.column));
        for remark in document.unknown() {
            let is_known = self.warnings.iter().any(|w| place(w) == place(remark));
            if !is_known && stylus != Some(place(remark)) {
                self.surprise(remark.line, remark.column, &remark.message);
            }
        }
    }

    pub(super) fn surprise(&mut self, line: u64, column: u64, message: &str) {
        self.warnings
            .push(self.remark(line, column, message.to_owned()));
    }

    fn surprise_at(&mut self, node: &Node, message: &str) {
        self.surprise(node.line, node.column, message);
    }

    fn problem(&mut self, node: &Node, message: String) {
        let problem = self.remark(node.line.max(1), node.column.max(1), message);
        self.problems.push(problem);
    }

    fn remark(&self, line: u64, column: u64, message: String) -> Remark {
        Remark {
            document: self.file.to_owned(),
            line,
            column,
            message,
        }
    }

    fn shape(&mut self, shape: &Shape, node: &Node, path: &str) {
        // Readers take "nothing" as not given.
        if matches!(node.value, Value::Null) {
            return;
        }
        let Some(shape) = fitting(shape, node) else {
            let what = if path.is_empty() {
                "the file".to_owned()
            } else {
                format!("'{path}'")
            };
            let mut message = format!("{what} must be {}, not {}", expected(shape), node.kind());
            if are_bare_braces(node) {
                message.push_str(" (put '{{ … }}' in quotes)");
            }
            self.problem(node, message);
            return;
        };
        match (shape, &node.value) {
            (Shape::List(of), Value::List(items)) => {
                for (at, item) in items.iter().enumerate() {
                    self.shape(of, item, &format!("{path}[{at}]"));
                }
            }
            (Shape::Map(of), Value::Map(entries)) => {
                for (key, value) in entries {
                    if let Some(name) = self.key(key) {
                        self.shape(of, value, &below(path, &name));
                    }
                }
            }
            (Shape::Record(fields), Value::Map(entries)) => self.record(fields, entries, path),
            (Shape::Stages, Value::Map(entries)) => self.stages(entries, path),
            _ => {}
        }
    }

    fn record(&mut self, fields: &[(&'static str, Shape)], entries: &[(Node, Node)], path: &str) {
        for (key, value) in entries {
            let Some(name) = self.key(key) else {
                continue;
            };
            match fields.iter().find(|(known, _)| *known == name) {
                Some((_, shape)) => self.shape(shape, value, &below(path, &name)),
                None if path.is_empty() && is_cloud_init_only(&name) => {
                    let message = format!(
                        "'{name}' is known to cloud-init, but Kairos does nothing about it"
                    );
                    self.surprise_at(key, &message);
                }
                None => {
                    let nearest = nearest(&name, fields.iter().map(|(known, _)| *known));
                    self.unknown(key, &below(path, &name), nearest);
                }
            }
        }
    }

    fn stages(&mut self, entries: &[(Node, Node)], path: &str) {
        for (key, steps) in entries {
            let Some(name) = self.key(key) else {
                continue;
            };
            let stage = name
                .strip_suffix(".before")
                .or_else(|| name.strip_suffix(".after"))
                .unwrap_or(&name);
            if stages().all(|known| known != stage)
                && let Some(near) = nearest(stage, stages())
            {
                self.unknown(key, &below(path, &name), Some(near));
            }
            self.shape(&Shape::List(&STEP), steps, &below(path, &name));
        }
    }

    /// The text of a key; a key of another kind is a problem (`{{ x }}` without
    /// quotes is a map within a map).
    fn key(&mut self, key: &Node) -> Option<String> {
        match &key.value {
            Value::Text(text) => Some(text.clone()),
            // Readers take them as written; no key that we know is one.
            Value::Number(..) | Value::Bool(..) => None,
            _ => {
                let message = format!(
                    "a key must be a text, not {}; put '{{{{ … }}}}' and the like in quotes",
                    key.kind()
                );
                self.problem(key, message);
                None
            }
        }
    }

    fn unknown(&mut self, at: &Node, key: &str, nearest: Option<String>) {
        let meant = nearest.map_or_else(String::new, |near| format!("; is '{near}' meant?"));
        self.surprise_at(at, &format!("nothing is known to act on '{key}'{meant}"));
    }

    /// Tells passwords in plain text, wherever accounts stand: at the root, in the steps of
    /// stages, and for the agent of the central management.
    fn passwords(&mut self, root: &Node) {
        let site = root.get("stylus").and_then(|stylus| stylus.get("site"));
        let holders = std::iter::once(root).chain(site).chain(steps(root));
        for users in holders.filter_map(|holder| holder.get("users")) {
            let named = users.pairs().iter().map(|(_, user)| user);
            for user in users.items().iter().chain(named) {
                for key in ["passwd", "plain_text_passwd"] {
                    if let Some(password) = user.get(key)
                        && password.scalar().is_some_and(is_plain)
                    {
                        let message = format!(
                            "'{key}' is a password in plain text; use a hash (`openssl passwd -6`)"
                        );
                        self.surprise_at(password, &message);
                    }
                }
            }
        }
    }

    /// Tells permissions that are read in two ways, or seldom as they are meant: a number
    /// without a leading zero is decimal, except for Kairos in `write_files`.
    fn permissions(&mut self, root: &Node) {
        let own = root.get("write_files").into_iter();
        let in_steps = steps(root)
            .flat_map(|step| [step.get("files"), step.get("directories")])
            .flatten();
        let lists = own
            .map(|list| (list, true))
            .chain(in_steps.map(|list| (list, false)));
        let files = lists.flat_map(|(list, is_own)| list.items().iter().map(move |f| (f, is_own)));
        for (file, is_own) in files {
            let Some(permissions) = file.get("permissions") else {
                continue;
            };
            let Value::Number(number, text) = &permissions.value else {
                continue;
            };
            let Some(value) = number.as_u64().filter(|_| !text.starts_with('0')) else {
                continue;
            };
            let is_octal = text.len() <= 4 && text.chars().all(|c| ('0'..='7').contains(&c));
            if is_own && is_octal {
                let message = format!(
                    "'permissions: {text}' is octal for Kairos and the number, {value:04o}, for others; write \"0{text}\" or \"{value:04o}\""
                );
                self.surprise_at(permissions, &message);
            } else if is_octal && value > 0o777 {
                let message = format!(
                    "'permissions: {text}' is the number, {value:04o} in octal; write 0{text} if that is meant"
                );
                self.surprise_at(permissions, &message);
            }
        }
    }

    fn install(&mut self, root: &Node) {
        let Some(install) = root.get("install") else {
            return;
        };
        let on = |name| {
            install
                .get(name)
                .filter(|f| matches!(f.value, Value::Bool(true, _)))
        };
        if let (Some(_), Some(poweroff)) = (on("reboot"), on("poweroff")) {
            self.surprise_at(
                poweroff,
                "'install.reboot' and 'install.poweroff' are both on; one of them is ignored",
            );
        }
    }
}

/// Line and column.
fn place(remark: &Remark) -> (u64, u64) {
    (remark.line, remark.column)
}

/// `{{ x }}` without quotes: a map whose key is a map.
fn are_bare_braces(node: &Node) -> bool {
    let keys = node.pairs().iter().map(|(key, _)| &key.value);
    keys.into_iter().any(|key| matches!(key, Value::Map(_)))
}

/// Whether it is neither as crypt(5) writes them (`$6$…`), nor an account that no password
/// opens.
fn is_plain(password: &str) -> bool {
    !password.is_empty() && !password.starts_with(['$', '!', '*'])
}

/// The steps of all stages.
fn steps(root: &Node) -> impl Iterator<Item = &Node> {
    let stages = root.get("stages").map_or(&[] as &[_], Node::pairs);
    stages.iter().flat_map(|(_, steps)| steps.items())
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
    let fits = match (shape, &node.value) {
        (Shape::Either(shapes), _) => return shapes.iter().find_map(|s| fitting(s, node)),
        (Shape::Any, _)
        | (Shape::Text, Value::Text(_) | Value::Number(..) | Value::Bool(..))
        | (Shape::Bool, Value::Bool(..))
        | (Shape::Number, Value::Number(..))
        | (Shape::List(_), Value::List(_))
        | (Shape::Map(_) | Shape::Record(_) | Shape::Stages, Value::Map(_)) => true,
        (Shape::Bool, Value::Text(text)) => {
            ["true", "false", "yes", "no", "on", "off"].contains(&text.to_lowercase().as_str())
        }
        (Shape::Number, Value::Text(text)) => text.parse::<f64>().is_ok(),
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
