//! Images by the look of a chart's values, where nothing better is at hand.
//!
//! What looks like an image: a map of `repository` with `tag`, `digest` or
//! `registry`; a text under `image`, under a key that ends with `Image`, or
//! below `images`. A map that says `enabled: false` is passed over, as are
//! subcharts whose condition does. A tag that is missing is taken to be the
//! chart's `appVersion`, the common default.
//!
//! All of it is a guess: a template may put together anything else.

use serde_json::Value;

use super::path::key_path;
use super::{Images, Method, Occurrence, image_value};
use crate::chart::Chart;
use crate::values;
use isoforge_oci::reference::Reference;

/// Keys that only maps of images have beside `repository`.
const IMAGE_KEYS: [&str; 6] = [
    "tag",
    "digest",
    "sha",
    "registry",
    "pullPolicy",
    "imagePullPolicy",
];
/// Keys of a tag beside the text of an image without one.
const TAG_KEYS: [&str; 4] = ["tag", "imageTag", "image_tag", "version"];

/// What a chart's values look like with `given` laid over its defaults,
/// subcharts included.
pub(super) fn chart(chart: &Chart, given: &Value) -> Images {
    let mut out = Images::default();
    let merged = values::coalesce(chart.values(), given);
    with_subcharts(chart, &merged, "", &mut out);
    out
}

fn with_subcharts(chart: &Chart, merged: &Value, at: &str, out: &mut Images) {
    let file = format!("{}: values.yaml", chart.place());
    let mut scan = Scan {
        file: &file,
        app_version: chart.meta.app_version.as_deref(),
        registry: values::get(merged, "global.imageRegistry")
            .or_else(|| values::get(merged, "global.image.registry"))
            .and_then(Value::as_str)
            .filter(|registry| !registry.is_empty()),
        out,
    };
    let subcharts = chart.subcharts_with(merged);
    let own = merged.as_object().into_iter().flatten();
    for (key, value) in own.filter(|(key, _)| chart.subchart(key).is_none()) {
        scan.entry(merged, key, value, &key_path(at, key));
    }
    for (key, subchart, given) in subcharts {
        let merged = values::coalesce(subchart.values(), &given);
        with_subcharts(subchart, &merged, &key_path(at, &key), out);
    }
}

struct Scan<'a> {
    file: &'a str,
    app_version: Option<&'a str>,
    /// Stands for the registry of all images.
    registry: Option<&'a str>,
    out: &'a mut Images,
}

impl Scan<'_> {
    fn entry(&mut self, parent: &Value, key: &str, value: &Value, at: &str) {
        match value {
            Value::Object(map) => {
                if map.get("enabled") == Some(&Value::Bool(false)) {
                    return;
                }
                if self.is_image(key, value) {
                    self.joined(value, at);
                }
                for (inner, below) in map {
                    // What lies below `images` goes by that key.
                    let name = match (key, below) {
                        ("images", Value::String(_)) => key,
                        _ => inner,
                    };
                    self.entry(value, name, below, &key_path(at, inner));
                }
            }
            Value::Array(items) => {
                for (number, item) in items.iter().enumerate() {
                    // An item has no key of its own: it goes by its list's.
                    self.entry(parent, key, item, &format!("{at}[{number}]"));
                }
            }
            Value::String(text) => self.text(parent, key, text, at),
            _ => {}
        }
    }

    fn is_image(&self, key: &str, map: &Value) -> bool {
        let has = |key: &str| map.get(key).is_some();
        let is_named = is_image_key(key);
        (has("repository") && (is_named || IMAGE_KEYS.iter().any(|key| has(key))))
            || (is_named && has("name") && has("tag"))
    }

    fn joined(&mut self, map: &Value, at: &str) {
        let mut map = map.clone();
        if let (Some(registry), Some(map)) = (self.registry, map.as_object_mut()) {
            map.insert("registry".to_owned(), registry.into());
        }
        if let Some(text) = image_value::joined(&map, self.app_version) {
            self.add(&text, at);
        }
    }

    fn text(&mut self, parent: &Value, key: &str, text: &str, at: &str) {
        if !is_image_key(key) || text.is_empty() || text.contains(char::is_whitespace) {
            return;
        }
        let last = text.rsplit('/').next().unwrap_or(text);
        let has_tag = last.contains([':', '@']);
        if key == "image" && !has_tag {
            let tag = TAG_KEYS.iter().find_map(|key| match parent.get(key)? {
                Value::String(tag) if !tag.is_empty() => Some(tag.clone()),
                Value::Number(tag) => Some(tag.to_string()),
                _ => None,
            });
            let tag = tag.or_else(|| self.app_version.map(str::to_owned));
            return match tag {
                Some(tag) => self.add(&format!("{text}:{tag}"), at),
                None => self.add(text, at),
            };
        }
        if has_tag || text.contains('/') {
            self.add(text, at);
        }
    }

    /// Adds what is a reference; what only looked like one is no finding.
    fn add(&mut self, text: &str, at: &str) {
        if text.parse::<Reference>().is_err() && !text.contains("{{") {
            return;
        }
        let place = Occurrence {
            method: Method::Scan,
            file: self.file.to_owned(),
            line: None,
            object: None,
            path: at.to_owned(),
        };
        self.out.add(text, place);
    }
}

fn is_image_key(key: &str) -> bool {
    matches!(key, "image" | "images") || key.ends_with("Image") || key.ends_with("_image")
}

/// The lines of a templated manifest that name images, with the values that are
/// plainly put in (`{{ .Values.a.b }}`) filled.
pub(super) fn manifest(file: &str, text: &str, given: &Value) -> Images {
    let mut out = Images::default();
    for (number, line) in (1_u64..).zip(text.lines()) {
        let line = line.trim_start_matches([' ', '-']);
        let Some(image) = line.strip_prefix("image:") else {
            continue;
        };
        let image = fill(image.trim(), given);
        let image = image.split(" #").next().unwrap_or_default();
        let image = image.trim().trim_matches(['"', '\'']);
        let place = Occurrence {
            method: Method::Scan,
            file: file.to_owned(),
            line: Some(number),
            object: None,
            path: "image".to_owned(),
        };
        out.add(image, place);
    }
    out
}

/// The text with each `{{ .Values.a.b }}` filled that there is a text for.
fn fill(text: &str, given: &Value) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((body, after)) = after.split_once("}}") else {
            out.push_str("{{");
            rest = after;
            continue;
        };
        let path = body.trim_matches(['-', ' ']);
        let path = path.split('|').next().unwrap_or_default().trim();
        let value = path
            .strip_prefix(".Values.")
            .and_then(|path| values::get(given, path));
        match value {
            Some(Value::String(text)) => out.push_str(text),
            Some(Value::Number(number)) => out.push_str(&number.to_string()),
            _ => out.push_str(&format!("{{{{{body}}}}}")),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
