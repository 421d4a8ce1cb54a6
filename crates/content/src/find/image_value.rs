//! Images as values hold them: one text, or its parts in a map.

use serde_json::Value;

use isoforge_base::yaml::Node;

/// Keys of a map's repository, most exact first.
const REPOSITORY_KEYS: [&str; 2] = ["repository", "name"];

/// The references that a value gives, with the path below it: a text, a list of
/// texts, or a map of parts.
pub(super) fn of_node(node: &Node) -> Vec<(String, String)> {
    if !node.items().is_empty() {
        let items = node.items().iter().enumerate();
        return items
            .filter_map(|(at, item)| Some((format!("[{at}]"), item.text()?.to_owned())))
            .collect();
    }
    let text = node.text().map(str::to_owned);
    let text = text.or_else(|| joined(&node.to_json(), None));
    text.map(|text| (String::new(), text)).into_iter().collect()
}

/// The reference that a map of parts gives; `otherwise` is the tag where it has
/// neither tag nor digest.
pub(super) fn joined(map: &Value, otherwise: Option<&str>) -> Option<String> {
    let repository = REPOSITORY_KEYS.iter().find_map(|key| part(map, key))?;
    let mut text = match part(map, "registry") {
        // Some write the host in both.
        Some(registry) if !repository.starts_with(&format!("{registry}/")) => {
            format!("{}/{repository}", registry.trim_end_matches('/'))
        }
        _ => repository,
    };
    let tag = part(map, "tag");
    let digest = ["digest", "sha"]
        .iter()
        .find_map(|key| part(map, key))
        .map(|digest| match digest.contains(':') {
            true => digest,
            false => format!("sha256:{digest}"),
        });
    let last = text.rsplit('/').next().unwrap_or_default();
    if !last.contains([':', '@']) {
        match (&tag, &digest, otherwise) {
            (Some(tag), ..) => text = format!("{text}:{tag}"),
            (None, None, Some(tag)) => text = format!("{text}:{tag}"),
            _ => {}
        }
    }
    match digest {
        Some(digest) if !text.contains('@') => Some(format!("{text}@{digest}")),
        _ => Some(text),
    }
}

/// A part that is a text or number and not empty.
fn part(map: &Value, key: &str) -> Option<String> {
    let text = match map.get(key)? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}
