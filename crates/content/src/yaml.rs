//! YAML and JSON as Kubernetes and Helm read them, and writing it.

use isoforge_base::error::{Class, Failure};
use isoforge_base::yaml::{Dialect, Node, Refused, documents as read};

use super::Error;

/// The documents of a text, without empty ones.
pub(crate) fn documents(text: &str) -> Result<Vec<Node>, Refused> {
    let mut nodes = read(text, Dialect::Kubernetes)?;
    nodes.retain(|node| !node.is_null());
    Ok(nodes)
}

/// The first document of a text; nothing where it has none.
pub(crate) fn document(text: &str) -> Result<Node, Refused> {
    let first = documents(text)?.into_iter().next();
    Ok(first.unwrap_or_else(Node::null))
}

/// The YAML of a value, keys in its order; `what` says what it is.
pub(crate) fn write(what: &str, value: &impl serde::Serialize) -> Result<String, Error> {
    let options = serde_saphyr::ser_options! {
        // A folded text would break the lines of a script or a key.
        folded_wrap_chars: usize::MAX,
    };
    serde_saphyr::to_string_with_options(value, options).map_err(|error| {
        let text = format!("{what} can't be written as YAML: {error}");
        Failure::new(Class::Bug, text).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_the_same() {
        let value = serde_json::json!({
            "z": "yes", "a": "1.10", "multi": "one\n two\n\nthree\n", "list": [{"x": null}, []],
            "long": "word ".repeat(60), "macro": "{{ .spectro.x }}", "number": 1.5, "": "#"
        });
        let text = write("a test", &value).unwrap();
        assert_eq!(document(&text).unwrap().to_json(), value);
    }
}
