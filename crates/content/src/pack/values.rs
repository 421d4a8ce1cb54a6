//! The values of a pack, composed.

use serde_json::Value;

use crate::values;

/// Values of a pack with its presets and the user's values.
#[derive(Debug, Clone, PartialEq)]
pub struct Composed {
    values: Value,
    presets: Vec<String>,
}

impl Composed {
    pub(super) fn new(values: Value, presets: Vec<String>) -> Self {
        Self { values, presets }
    }

    /// All of them.
    #[must_use]
    pub fn values(&self) -> &Value {
        &self.values
    }

    /// The presets that are on, as `Group:name`.
    #[must_use]
    pub fn presets(&self) -> &[String] {
        &self.presets
    }

    fn pack(&self, key: &str) -> Option<&Value> {
        self.values.get("pack")?.get(key)
    }

    /// The namespace of its objects, where it says one.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        let text = self.pack("namespace")?.as_str()?;
        (!text.is_empty()).then_some(text)
    }

    /// The name under which a chart is installed.
    pub(crate) fn release_name<'a>(&'a self, chart: &'a str) -> &'a str {
        self.pack("releaseNameOverride")
            .and_then(|map| map.get(chart)?.as_str())
            .filter(|name| !name.is_empty())
            .unwrap_or(chart)
    }

    pub(crate) fn chart_values(&self, chart: &str) -> Value {
        values::object(self.values.get("charts").and_then(|map| map.get(chart)))
    }

    pub(crate) fn manifest_values(&self, manifest: &str) -> Value {
        let map = self.values.get("manifests");
        values::object(map.and_then(|map| map.get(manifest)))
    }

    /// The images that it lists (`pack.content.images`), as they stand there.
    #[must_use]
    pub fn declared(&self) -> Vec<String> {
        let list = self
            .pack("content")
            .and_then(|content| content.get("images"));
        let items = list.and_then(Value::as_array).into_iter().flatten();
        items
            .filter_map(|item| match item {
                Value::String(text) => Some(text.clone()),
                other => Some(other.get("image")?.as_str()?.to_owned()),
            })
            .collect()
    }
}
