//! Macros of Palette in packs: `{{ .spectro.system.kubernetes.version | substr
//! 0 4 }}`.
//!
//! Palette fills them in the text of values and manifests before it is read as
//! YAML; so does [`Answers::fill`], where it has the answer. A macro without one
//! stays as text. Templates of anything else (`{{ .Values… }}`) are left alone.
//!
//! Functions: `substr FROM TO`, `trimPrefix X`, `trimSuffix X`, `replace A B`,
//! `default X`, `quote`, `squote`, `trim`, `lower`, `upper`, with the meaning
//! that Helm's templates give them.

use std::collections::BTreeMap;

use super::yaml::{self, Node, SyntaxError};

/// What marks a macro of Palette.
const ROOT: &str = ".spectro.";
/// The version of Kubernetes.
const KUBERNETES_VERSION: &str = "spectro.system.kubernetes.version";
/// Private-use characters that stand around the number of a macro while the
/// text around it is read as YAML.
const SHIELD: (char, char) = ('\u{e000}', '\u{e001}');

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

    /// The text with every macro filled that there is an answer for.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        replace(text, |body| self.answer(body))
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

/// The text with each macro replaced for which `with` gives something; it gets
/// what stands between the braces.
fn replace(text: &str, mut with: impl FnMut(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let body = after.split_once("}}").map(|(body, _)| body);
        let macro_body = body.filter(|body| body.contains(ROOT) && !body.contains(['\n', '{']));
        match macro_body {
            Some(body) => {
                match with(body) {
                    Some(filled) => out.push_str(&filled),
                    None => {
                        out.push_str("{{");
                        out.push_str(body);
                        out.push_str("}}");
                    }
                }
                rest = after.get(body.len() + 2..).unwrap_or_default();
            }
            None => {
                out.push_str("{{");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Whether a text has a macro of Palette in it.
#[must_use]
pub fn has_macro(text: &str) -> bool {
    let mut found = false;
    replace(text, |_| {
        found = true;
        None
    });
    found
}

/// Reads the first YAML document of a text in which macros may stand anywhere,
/// also where YAML would take their braces for a map. They come out as text.
///
/// # Errors
/// [`SyntaxError`].
pub fn document(text: &str) -> Result<Node, SyntaxError> {
    let (text, macros) = shielded(text);
    let mut node = yaml::document(&text)?;
    restore(&mut node, &macros);
    Ok(node)
}

/// Like [`document`], all documents of the text.
///
/// # Errors
/// [`SyntaxError`].
pub fn documents(text: &str) -> Result<Vec<Node>, SyntaxError> {
    let (text, macros) = shielded(text);
    let mut nodes = yaml::documents(&text)?;
    for node in &mut nodes {
        restore(node, &macros);
    }
    Ok(nodes)
}

/// Like [`document`]; a key that is there twice is an error.
///
/// # Errors
/// [`SyntaxError`].
pub fn strict(text: &str) -> Result<(), SyntaxError> {
    yaml::strict(&shielded(text).0).map(drop)
}

fn shielded(text: &str) -> (String, Vec<String>) {
    let mut macros = Vec::new();
    let text = replace(text, |body| {
        macros.push(format!("{{{{{body}}}}}"));
        Some(format!("{}{}{}", SHIELD.0, macros.len() - 1, SHIELD.1))
    });
    (text, macros)
}

fn restore(node: &mut Node, macros: &[String]) {
    if macros.is_empty() {
        return;
    }
    node.map_texts(&|text| {
        if text.contains(SHIELD.0) {
            *text = unshielded(text, macros);
        }
    });
}

fn unshielded(text: &str, macros: &[String]) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(SHIELD.0) {
        out.push_str(before);
        let parts = after.split_once(SHIELD.1);
        let known = parts.and_then(|(number, after)| {
            let number: usize = number.parse().ok()?;
            Some((macros.get(number)?, after))
        });
        match known {
            Some((text, after)) => {
                out.push_str(text);
                rest = after;
            }
            None => {
                out.push(SHIELD.0);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_macro_survives_wherever_it_stands_in_yaml() {
        let text = "a: {{ .spectro.a }}\nb: \"x {{ .spectro.b | default \"y\" }}\"\n\
                    c: |\n  {{ .spectro.c }}\n{{ .spectro.d }}: 1\ne: '{{ .Values.e }}'\n";
        let json = document(text).unwrap().to_json();
        assert_eq!(
            json,
            serde_json::json!({
                "a": "{{ .spectro.a }}",
                "b": "x {{ .spectro.b | default \"y\" }}",
                "c": "{{ .spectro.c }}\n",
                "{{ .spectro.d }}": 1,
                "e": "{{ .Values.e }}",
            })
        );
    }
}
