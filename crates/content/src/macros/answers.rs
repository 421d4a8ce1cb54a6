//! What macros are filled with.
//!
//! Functions: `substr FROM TO`, `trimPrefix X`, `trimSuffix X`, `replace A B`,
//! `default X`, `quote`, `squote`, `trim`, `lower`, `upper`, with the meaning
//! that Helm's templates give them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::replace;

/// The version of Kubernetes.
pub const KUBERNETES_VERSION: &str = "spectro.system.kubernetes.version";
/// What paths begin with that go to the values of a pack; its name follows.
pub(crate) const PACK_ROOT: &str = "spectro.pack.";

/// The answers that are known, by path without the leading dot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers(BTreeMap<String, String>);

impl Answers {
    /// With the version of Kubernetes, `1.32.3`.
    #[must_use]
    pub fn for_kubernetes(version: &str) -> Self {
        let mut answers = Self::default();
        answers.set(KUBERNETES_VERSION, version);
        answers
    }

    /// Adds an answer; `path` is without the leading dot.
    pub fn set(&mut self, path: &str, value: &str) {
        self.0.insert(path.to_owned(), value.to_owned());
    }

    /// The answer to `path`, which is without the leading dot.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// Those to the paths in `named`, without the version of Kubernetes.
    #[must_use]
    pub fn to(&self, named: &BTreeSet<String>) -> BTreeMap<String, String> {
        let mut these = self.0.clone();
        these.retain(|path, _| path != KUBERNETES_VERSION && named.contains(path));
        these
    }

    /// The text with every macro filled that there is an answer for.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        replace(text, |body| self.answer(body))
    }

    /// The values with the macros of every text in them filled; keys stay.
    #[must_use]
    pub fn fill_values(&self, values: &Value) -> Value {
        match values {
            Value::String(text) => Value::String(self.fill(text)),
            Value::Array(items) => items.iter().map(|item| self.fill_values(item)).collect(),
            Value::Object(map) => {
                let entries = map.iter();
                let filled = entries.map(|(key, value)| (key.clone(), self.fill_values(value)));
                Value::Object(filled.collect())
            }
            other => other.clone(),
        }
    }

    /// What a macro gives, without its braces.
    fn answer(&self, body: &str) -> Option<String> {
        let body = body.trim_start_matches('-').trim_end_matches('-');
        let mut stages = split_outside_quotes(body, '|').into_iter();
        let path = stages.next()?.trim().strip_prefix('.')?.to_owned();
        let mut value = self.0.get(&path).cloned();
        for stage in stages {
            let words = words(&stage)?;
            value = apply(&words, value)?;
        }
        value
    }
}

impl Extend<(String, String)> for Answers {
    fn extend<T: IntoIterator<Item = (String, String)>>(&mut self, answers: T) {
        self.0.extend(answers);
    }
}

/// Applies one function of a macro. `Some(None)` is a value that is still
/// missing, `None` a function that is not known.
fn apply(words: &[String], value: Option<String>) -> Option<Option<String>> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let ["default", other] = words.as_slice() {
        let value = value.filter(|value| !value.is_empty());
        return Some(Some(value.unwrap_or_else(|| (*other).to_owned())));
    }
    let Some(value) = value else {
        return Some(None);
    };
    Some(Some(match words.as_slice() {
        ["quote"] => format!("{value:?}"),
        ["squote"] => format!("'{value}'"),
        ["trim"] => value.trim().to_owned(),
        ["lower"] => value.to_lowercase(),
        ["upper"] => value.to_uppercase(),
        ["toString"] => value,
        ["trimPrefix", prefix] => value.strip_prefix(prefix).unwrap_or(&value).to_owned(),
        ["trimSuffix", suffix] => value.strip_suffix(suffix).unwrap_or(&value).to_owned(),
        ["replace", from, to] => value.replace(from, to),
        ["substr", from, to] => {
            let from: usize = from.parse().ok()?;
            let to: i64 = to.parse().ok()?;
            let all = value.chars().count();
            let to = usize::try_from(to).unwrap_or(all).min(all);
            value.chars().take(to).skip(from).collect()
        }
        _ => return None,
    }))
}

/// The words of a function's call; quotes around one are taken off.
fn words(stage: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    for word in split_outside_quotes(stage.trim(), ' ') {
        let word = word.trim();
        if word.is_empty() {
            continue;
        }
        let quoted = ['"', '\'', '`'].iter().find_map(|quote| {
            word.strip_prefix(*quote)
                .and_then(|rest| rest.strip_suffix(*quote))
        });
        found.push(quoted.unwrap_or(word).to_owned());
    }
    (!found.is_empty()).then_some(found)
}

fn split_outside_quotes(text: &str, separator: char) -> Vec<String> {
    let (mut parts, mut part, mut quote) = (Vec::new(), String::new(), None);
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None if c == separator => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    parts.push(part);
    parts
}

#[cfg(test)]
mod tests {
    use super::super::has_macro;
    use super::*;

    #[test]
    fn what_is_known_is_filled_and_the_rest_stays() {
        let answers = Answers::for_kubernetes("1.32.3");
        for (text, filled) in [
            (
                "v{{ .spectro.system.kubernetes.version | substr 0 4 }}!",
                "v1.32!",
            ),
            ("{{.spectro.system.kubernetes.version}}", "1.32.3"),
            ("{{- .spectro.system.kubernetes.version -}}", "1.32.3"),
            (
                "{{ .spectro.system.kubernetes.version | replace \".\" \"|\" | quote }}",
                "\"1|32|3\"",
            ),
            ("{{ .spectro.var.X | default \"none\" | upper }}", "NONE"),
            (
                "{{ .spectro.system.kubernetes.version | trimPrefix `1.` | substr 0 -1 }}",
                "32.3",
            ),
            (
                "{{ .spectro.var.X | quote }}",
                "{{ .spectro.var.X | quote }}",
            ),
            (
                "{{ .spectro.system.kubernetes.version | sha256sum }}",
                "{{ .spectro.system.kubernetes.version | sha256sum }}",
            ),
            ("{{ .Values.x }} {{", "{{ .Values.x }} {{"),
            (
                "{{`{{`}} {{.spectro.system.kubernetes.version}}",
                "{{`{{`}} 1.32.3",
            ),
        ] {
            assert_eq!(answers.fill(text), filled, "{text}");
        }
        assert!(has_macro("a {{ .spectro.x }}") && !has_macro("{{ .Values.spectro }}"));
    }
}
