//! `[cluster]` to its typed form.

use std::collections::BTreeMap;

use super::model::Cluster;
use super::problem::Bad;
use super::reader::Reader;
use super::schema::secret_in;
use super::value::{Node, Table, Value};

/// What the path of every macro begins with.
const MACRO_ROOT: &str = "spectro.";
/// The macro that the profile answers elsewhere.
const KUBERNETES_VERSION: &str = "spectro.system.kubernetes.version";

pub(super) fn cluster(r: &Reader<'_>) -> Cluster {
    let mut macros = BTreeMap::new();
    if let Some(table) = r.node("macros").and_then(|node| node.value.table()) {
        collect(r, "", table, &mut macros);
    }
    Cluster {
        nodes: r.integer("nodes"),
        macros,
    }
}

/// The answers of a table and of those in it: `spectro.var.x` may be written as
/// one quoted key or as a path of tables.
fn collect(r: &Reader<'_>, above: &str, table: &Table, into: &mut BTreeMap<String, String>) {
    for (key, entry) in table {
        let path = match above {
            "" => key.clone(),
            above => format!("{above}.{key}"),
        };
        let node = &entry.node;
        let found = match (&node.value, secret_in(&node.value)) {
            (Value::Table(inner), None) => {
                collect(r, &path, inner, into);
                continue;
            }
            _ => text(node).and_then(|text| macro_answer(&path, &text).map(|()| text)),
        };
        match found {
            Err(bad) => r.bad(node.place, bad),
            Ok(text) => match into.contains_key(&path) {
                true => r.bad(
                    node.place,
                    Bad::new(
                        format!("two answers to the macro '{path}'"),
                        "each path once, quoted or as tables",
                    ),
                ),
                false => {
                    into.insert(path, text);
                }
            },
        }
    }
}

/// An answer as the text that is filled in.
fn text(node: &Node) -> Result<String, Bad> {
    let expected = "text, an integer, or true or false";
    match &node.value {
        Value::Text(text) => Ok(text.clone()),
        Value::Integer(integer) => Ok(integer.to_string()),
        Value::Flag(flag) => Ok(flag.to_string()),
        other if secret_in(other).is_some() => {
            let bad = Bad::new("a secret can't be the answer to a macro", expected);
            Err(bad.help(
                "leave it out: the cluster definition lists the macro as unanswered, and it is \
                 filled where the cluster is made",
            ))
        }
        other => Err(Bad::new(
            format!("{} can't be the answer to a macro", other.describe()),
            expected,
        )),
    }
}

/// Whether `text` can be the answer to the macro `path`, which is without the
/// leading dot.
pub(crate) fn macro_answer(path: &str, text: &str) -> Result<(), Bad> {
    let fine = |c: char| c.is_alphanumeric() || "_-".contains(c);
    let word = |part: &str| !part.is_empty() && part.chars().all(fine);
    let rest = path.strip_prefix(MACRO_ROOT);
    if !rest.is_some_and(|rest| rest.split('.').all(word)) {
        let bad = Bad::new(
            format!("'{path}' is not the path of a macro"),
            "letters, digits, '_' and '-' with dots between them, such as spectro.var.site",
        );
        let dotless = path.strip_prefix('.').filter(|p| p.starts_with(MACRO_ROOT));
        return Err(match dotless {
            Some(path) => bad.help(format!("write '{path}'")),
            None => bad,
        });
    }
    if path == KUBERNETES_VERSION {
        return Err(Bad::new(
            format!("'{path}' is answered by the version of Kubernetes itself"),
            "another macro",
        ));
    }
    if text.contains("{{") {
        return Err(Bad::new(
            format!("the answer to '{path}' has a macro or template in it"),
            "text that is filled in as it is",
        ));
    }
    Ok(())
}
