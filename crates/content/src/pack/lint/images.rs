//! The list of a pack's images, and the keys of its own part of the values.

use std::collections::BTreeSet;

use super::super::problem::{Problems, Severity, nearest};
use crate::macros::{self, Answers};
use crate::yaml::{Node, Value};
use isoforge_oci::reference::Reference;

const IMAGE_KEYS: [&str; 1] = ["image"];
/// A version of Kubernetes for macros in references, which must be references
/// with any.
const SOME_KUBERNETES: &str = "1.32.3";

/// Tells the keys of a map that nobody knows.
pub(super) fn keys(
    map: &Node,
    name: &str,
    known: &[&str],
    severity: Severity,
    problems: &mut Problems,
) {
    if !matches!(map.value, Value::Map(_) | Value::Null) {
        problems.error(map, format!("'{name}' is a map, not {}", map.kind()));
    }
    for (key, value) in map.entries() {
        if !known.contains(&key.as_str()) {
            let message = format!("'{key}' is no key of '{name}'{}", nearest(key, known));
            match severity {
                Severity::Error => problems.error(value, message),
                Severity::Warning => problems.warning(value, message),
            }
        }
    }
}

/// Checks `pack.content.images` and gives its references in full.
pub(super) fn images(list: &Node, problems: &mut Problems) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if !matches!(list.value, Value::List(_) | Value::Null) {
        let problem = format!("'pack.content.images' is a list, not {}", list.kind());
        problems.error(list, problem);
    }
    for item in list.items() {
        let image = match (&item.value, item.get("image")) {
            (Value::Text(_), _) => item,
            (_, Some(image)) => image,
            (_, None) => {
                let written = item.entries().first();
                let near = written.map(|(key, _)| nearest(key, &IMAGE_KEYS));
                let near = near.unwrap_or_default();
                problems.error(item, format!("an entry must have 'image'{near}"));
                continue;
            }
        };
        keys(
            item,
            "pack.content.images",
            &IMAGE_KEYS,
            Severity::Warning,
            problems,
        );
        let Some(text) = image.text() else {
            let problem = format!("an image is a text, not {}", image.kind());
            problems.error(image, problem);
            continue;
        };
        let filled = Answers::for_kubernetes(SOME_KUBERNETES).fill(text.trim());
        if macros::has_macro(&filled) {
            problems.warning(
                image,
                format!("only a profile can answer the macro in '{text}'"),
            );
            continue;
        }
        match filled.parse::<Reference>() {
            Err(error) => problems.error(image, error.to_string()),
            Ok(reference) => {
                let last = filled.rsplit('/').next().unwrap_or_default();
                if !last.contains([':', '@']) {
                    let problem = format!("'{text}' has no tag: 'latest' moves");
                    problems.warning(image, problem);
                }
                if !found.insert(reference.to_string()) {
                    problems.warning(image, format!("'{text}' is listed twice"));
                }
            }
        }
    }
    found
}
