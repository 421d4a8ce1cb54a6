//! Values of charts and packs: nested maps that are laid over each other, as
//! Helm does it: maps are merged, anything else is replaced.

use std::path::Path;

use serde_json::{Map, Value};

use super::{Error, yaml};

/// Reads values from a file of YAML or JSON. A file with nothing in it gives no
/// values.
///
/// # Errors
/// [`Error::Read`], [`Error::NotText`], and [`Error::Syntax`] where it is no map.
pub fn read(path: &Path) -> Result<Value, Error> {
    let name = path.display().to_string();
    let text = super::read_text(path)?;
    let node = yaml::document(&text).map_err(|refused| Error::syntax(&name, refused))?;
    match node.to_json() {
        Value::Null => Ok(object(None)),
        map @ Value::Object(_) => Ok(map),
        _ => Err(Error::Syntax {
            file: name,
            line: node.line,
            column: node.column,
            problem: format!("values are a map, not {}", node.kind()),
        }),
    }
}

/// Lays `over` over `base`. Where both are maps their entries are merged; else
/// `over` replaces `base`. A null replaces too and stays, since it is how Helm
/// is told to leave out a chart's default.
pub fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                match base.get_mut(key) {
                    Some(there) => merge(there, value),
                    None => {
                        base.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (base, over) => *base = over.clone(),
    }
}

/// Like [`merge`], as a chart's defaults are laid under its values: an entry
/// that is null in the values is left out.
pub(crate) fn coalesce(defaults: &Value, values: &Value) -> Value {
    let mut merged = defaults.clone();
    merge(&mut merged, values);
    drop_nulls(&mut merged, values);
    merged
}

/// Takes out of `merged` what `values` says is null.
fn drop_nulls(merged: &mut Value, values: &Value) {
    let (Value::Object(merged), Value::Object(values)) = (merged, values) else {
        return;
    };
    for (key, value) in values {
        if value.is_null() {
            merged.shift_remove(key);
        } else if let Some(there) = merged.get_mut(key) {
            drop_nulls(there, value);
        }
    }
}

/// What lies at a path of keys parted by dots. A key may have dots itself: the
/// longest that is there is taken.
#[must_use]
pub fn get<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    if path.is_empty() {
        return Some(value);
    }
    let map = value.as_object()?;
    splits(path).find_map(|(key, rest)| get(map.get(key)?, rest))
}

/// Takes out what lies at a path, written as for [`get`]. Gives whether it was
/// there.
pub fn remove(value: &mut Value, path: &str) -> bool {
    let Some(map) = value.as_object_mut() else {
        return false;
    };
    splits(path).any(|(key, rest)| match rest {
        "" => map.shift_remove(key).is_some(),
        rest => map.get_mut(key).is_some_and(|value| remove(value, rest)),
    })
}

/// All ways to part a path in a key and the rest, the longest key first.
fn splits(path: &str) -> impl Iterator<Item = (&str, &str)> {
    let dots = path.rmatch_indices('.');
    let parted = dots.filter_map(|(at, _)| Some((path.get(..at)?, path.get(at + 1..)?)));
    std::iter::once((path, "")).chain(parted)
}

/// The map of values, an empty one where there is none.
#[must_use]
pub fn object(value: Option<&Value>) -> Value {
    match value {
        Some(Value::Object(map)) => Value::Object(map.clone()),
        _ => Value::Object(Map::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn maps_are_merged_and_all_else_replaced() {
        let mut base = json!({"a": {"x": 1, "y": [1, 2]}, "b": 1});
        merge(
            &mut base,
            &json!({"a": {"y": [3], "z": null}, "b": {"c": 1}, "d": 2}),
        );
        assert_eq!(
            base,
            json!({"a": {"x": 1, "y": [3], "z": null}, "b": {"c": 1}, "d": 2})
        );
    }

    #[test]
    fn a_null_leaves_out_a_default() {
        let defaults = json!({"a": {"x": 1, "y": null}, "b": 1});
        let merged = coalesce(&defaults, &json!({"a": {"x": null}, "b": null, "c": null}));
        assert_eq!(merged, json!({"a": {"y": null}}));
    }

    #[test]
    fn paths_take_the_longest_key() {
        let mut value = json!({"a": {"b": 1, "b.c": {"d": 2}, "e": 3}});
        assert_eq!(get(&value, "a.b.c.d"), Some(&json!(2)));
        assert_eq!(get(&value, "a.b"), Some(&json!(1)));
        assert_eq!(get(&value, "a.x"), None);
        assert!(remove(&mut value, "a.b.c"));
        assert!(remove(&mut value, "a.e"));
        assert!(!remove(&mut value, "a.e.f"));
        assert!(!remove(&mut value, "a.nothing"));
        assert_eq!(value, json!({"a": {"b": 1}}));
    }
}
