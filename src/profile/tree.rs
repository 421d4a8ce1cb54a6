//! Looking up places in a merged tree.

use super::source::Place;
use super::value::{Node, Table, Value};

/// The place of the value at `path`, keys and list indexes parted by dots. If
/// there is none: that of the nearest table or list above it.
pub(crate) fn place(table: &Table, path: &str) -> Place {
    let mut parts = path.split('.');
    let first = parts.next().and_then(|name| table.get(name));
    let Some(entry) = first else {
        return Place::whole(0);
    };
    let mut node = &entry.node;
    for part in parts {
        match step(node, part) {
            Some(next) => node = next,
            None => break,
        }
    }
    node.place
}

/// Whether there is a value at `table_key.key`.
pub(crate) fn has(table: &Table, table_key: &str, key: &str) -> bool {
    table
        .get(table_key)
        .and_then(|e| e.node.value.table())
        .is_some_and(|t| t.contains_key(key))
}

fn step<'a>(node: &'a Node, part: &str) -> Option<&'a Node> {
    match &node.value {
        Value::Table(table) => table.get(part).map(|e| &e.node),
        Value::List(list) => list.get(part.parse::<usize>().ok()?),
        _ => None,
    }
}
