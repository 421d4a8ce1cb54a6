//! The list of a pack's images, and the keys of its own part of the values.

use std::collections::BTreeSet;

use super::super::problem::{Problems, nearest};
use crate::macros::{self, Answers};
use isoforge_base::yaml::{Node, Value};
use isoforge_oci::reference::Reference;

const IMAGE_KEYS: [&str; 1] = ["image"];
/// A version of Kubernetes for macros in references, which must be references
/// with any.
const SOME_KUBERNETES: &str = "1.32.3";

/// Tells the keys of a map that nobody knows, and where it is no map.
pub(super) fn keys(map: &Node, name: &str, known: &[&str], problems: &mut Problems) {
    if !matches!(map.value, Value::Map(_) | Value::Null) {
        problems.unfit(map, &format!("'{name}' is a map, not"));
    }
    problems.unknown_keys(map, known, &format!("'{name}'"));
}

/// Checks `pack.content.images` and gives its references in full.
pub(super) fn images(list: &Node, problems: &mut Problems) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if !matches!(list.value, Value::List(_) | Value::Null) {
        problems.unfit(list, "'pack.content.images' is a list, not");
    }
    for item in list.items() {
        let image = match (&item.value, item.get("image")) {
            (Value::Text(_), _) => item,
            (_, Some(image)) => image,
            (_, None) => {
                let written = item.entries().next();
                let near = written.map(|(key, _)| nearest(key, &IMAGE_KEYS));
                let near = near.unwrap_or_default();
                problems.error(item, format!("an entry must have 'image'{near}"));
                continue;
            }
        };
        keys(item, "pack.content.images", &IMAGE_KEYS, problems);
        let Some(text) = image.text() else {
            problems.unfit(image, "an image is a text, not");
            continue;
        };
        let filled = Answers::for_kubernetes(SOME_KUBERNETES).fill(text.trim());
        if macros::has_macro(&filled) {
            let problem = format!("only a profile can answer the macro in '{text}'");
            problems.warning(image, problem);
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
