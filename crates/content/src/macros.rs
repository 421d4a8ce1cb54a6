//! Macros of Palette in packs: `{{ .spectro.system.kubernetes.version | substr
//! 0 4 }}`.
//!
//! Palette fills them in the text of values and manifests before it is read as
//! YAML; so does [`Answers::fill`], where it has the answer. A macro without one
//! stays as text. Templates of anything else (`{{ .Values… }}`) are left alone.

mod answers;

use std::collections::BTreeSet;

pub(crate) use answers::PACK_ROOT;
pub use answers::{Answers, KUBERNETES_VERSION};

use super::yaml;
use isoforge_base::yaml::{Dialect, Node, Refused};

/// What marks a macro of Palette.
const ROOT: &str = ".spectro.";
/// Private-use characters that stand around the number of a macro while the
/// text around it is read as YAML.
const SHIELD: (char, char) = ('\u{e000}', '\u{e001}');

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

/// Whether a text has braces of templates beside those of macros.
pub(crate) fn has_template(text: &str) -> bool {
    replace(text, |_| Some(String::new())).contains("{{")
}

/// The paths, without their leading dots, that the macros of a text name.
#[must_use]
pub fn paths(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    replace(text, |body| {
        let starts = body.match_indices(ROOT).map(|(at, _)| at + 1);
        found.extend(starts.filter_map(|at| {
            let path = body.get(at..)?;
            let end = path.find(|c: char| !(c.is_alphanumeric() || "._-".contains(c)));
            let path = path.get(..end.unwrap_or(path.len()))?;
            Some(path.trim_end_matches(['.', '-']).to_owned())
        }));
        None
    });
    found
}

/// The paths that the macros in all texts of a value name.
#[must_use]
pub fn paths_in(value: &serde_json::Value) -> BTreeSet<String> {
    use serde_json::Value;
    match value {
        Value::String(text) => paths(text),
        Value::Array(items) => items.iter().flat_map(paths_in).collect(),
        Value::Object(map) => map.values().flat_map(paths_in).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => BTreeSet::new(),
    }
}

/// Reads the first YAML document of a text in which macros may stand anywhere,
/// also where YAML would take their braces for a map. They come out as text.
///
/// # Errors
/// [`Refused`].
pub(crate) fn document(text: &str) -> Result<Node, Refused> {
    let first = documents(text)?.into_iter().next();
    Ok(first.unwrap_or_else(Node::null))
}

/// Like [`document`], all documents of the text.
///
/// # Errors
/// [`Refused`].
pub(crate) fn documents(text: &str) -> Result<Vec<Node>, Refused> {
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
/// [`Refused`].
pub(crate) fn strict(text: &str) -> Result<(), Refused> {
    isoforge_base::yaml::documents(&shielded(text).0, Dialect::KubernetesStrict).map(drop)
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

    #[test]
    fn the_paths_of_macros_are_told() {
        let text = "{{.spectro.var.a | default \"x\"}} {{- .spectro.pack.a-b.c -}} {{ .Values.x }}\n\
                    {{ if eq .spectro.system.b .spectro.var.c }}x{{ end }} {{ .spectro.d. }}";
        let found: Vec<String> = paths(text).into_iter().collect();
        assert_eq!(
            found,
            [
                "spectro.d",
                "spectro.pack.a-b.c",
                "spectro.system.b",
                "spectro.var.a",
                "spectro.var.c",
            ]
        );
        assert!(has_template(text) && !has_template("a {{ .spectro.x }} }}"));
        let values =
            serde_json::json!({"a": [1, "{{ .spectro.x }}"], "b": {"c": "{{.spectro.y}}"}});
        let found: Vec<String> = paths_in(&values).into_iter().collect();
        assert_eq!(found, ["spectro.x", "spectro.y"]);
    }
}
