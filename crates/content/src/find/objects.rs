//! Images in objects of Kubernetes.
//!
//! Kubernetes API reference, `PodSpec` v1 core: `containers`, `initContainers`,
//! `ephemeralContainers` with `image`, and `volumes[].image.reference`. Pod
//! specifications are looked for at any depth of any object, so that all
//! workloads, pod templates and custom resources that hold such are found alike.
//! A CustomResourceDefinition describes such and holds none.

use super::path::{items, key_path};
use super::{Images, Method, Object, Occurrence, Rule, image_value};
use isoforge_base::yaml::{Node, Value};

const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];
/// Describes custom resources, pod templates in them too.
const DEFINITION: &str = "CustomResourceDefinition";

/// What is searched, and for what.
pub(super) struct Search<'a> {
    pub(super) method: Method,
    pub(super) file: &'a str,
    /// Whether lines are those of the file.
    pub(super) has_lines: bool,
    pub(super) rules: &'a [Rule],
}

impl Search<'_> {
    /// Adds the images of a document: an object, or a list of such.
    pub(super) fn document(&self, document: &Node, out: &mut Images) {
        if matches!(document.value, Value::List(_)) {
            for item in document.items() {
                self.document(item, out);
            }
            return;
        }
        let kind = document.text_at("kind").unwrap_or_default();
        if kind.ends_with("List")
            && let Some(items) = document.get("items")
        {
            for item in items.items() {
                self.document(item, out);
            }
            return;
        }
        let object = object(document);
        let mut walk = Walk {
            search: self,
            object: object.as_ref(),
            out,
        };
        if kind != DEFINITION {
            walk.below(document, "");
        }
        let api_version = document.text_at("apiVersion").unwrap_or_default();
        for rule in self.rules {
            for (path, node) in rule.values(kind, api_version, document) {
                for (rest, text) in image_value::of_node(node) {
                    walk.add(&text, node, format!("{path}{rest}"));
                }
            }
        }
    }
}

/// The name of an object.
fn object(document: &Node) -> Option<Object> {
    let kind = document.text_at("kind")?.to_owned();
    let meta = document.get("metadata");
    let text = |key: &str| Some(meta?.text_at(key)?.to_owned());
    Some(Object {
        kind,
        namespace: text("namespace").filter(|namespace| !namespace.is_empty()),
        name: text("name")
            .or_else(|| text("generateName"))
            .unwrap_or_else(|| "?".to_owned()),
    })
}

struct Walk<'a> {
    search: &'a Search<'a>,
    object: Option<&'a Object>,
    out: &'a mut Images,
}

impl Walk<'_> {
    fn below(&mut self, node: &Node, at: &str) {
        for (key, value) in node.entries() {
            let path = key_path(at, key);
            if CONTAINERS.contains(&key) {
                self.containers(value, &path);
            }
            if key == "volumes" && node.get("containers").is_some() {
                self.volumes(value, &path);
            }
            self.below(value, &path);
        }
        for (path, item) in items(node, at) {
            self.below(item, &path);
        }
    }

    fn containers(&mut self, list: &Node, at: &str) {
        for (at, container) in items(list, at) {
            if let Some(image) = container.get("image") {
                match &image.value {
                    Value::Text(text) => self.add(text, image, format!("{at}.image")),
                    // `image: 1` is refused by the cluster, and `image:` means
                    // that something fills it in.
                    Value::Null => {}
                    _ => {
                        let place = self.place(image, format!("{at}.image"));
                        let problem = format!("it is {}, not a text", image.kind());
                        let text = image.to_json().to_string();
                        self.out.add_unresolved(&text, problem, place);
                    }
                }
            }
            let variables = container.get("env").map(Node::items).unwrap_or_default();
            for (number, variable) in variables.iter().enumerate() {
                let name = variable.text_at("name");
                let takes = |name| {
                    self.search
                        .rules
                        .iter()
                        .any(|rule| rule.takes_variable(name))
                };
                if name.is_some_and(takes)
                    && let Some(value) = variable.get("value")
                    && let Some(text) = value.text()
                {
                    self.add(text, value, format!("{at}.env[{number}].value"));
                }
            }
        }
    }

    fn volumes(&mut self, list: &Node, at: &str) {
        for (at, volume) in items(list, at) {
            let reference = volume.get("image").and_then(|image| image.get("reference"));
            if let Some(reference) = reference
                && let Some(text) = reference.text()
            {
                self.add(text, reference, format!("{at}.image.reference"));
            }
        }
    }

    fn add(&mut self, text: &str, node: &Node, path: String) {
        let place = self.place(node, path);
        self.out.add(text, place);
    }

    fn place(&self, node: &Node, path: String) -> Occurrence {
        Occurrence {
            method: self.search.method,
            file: self.search.file.to_owned(),
            line: (self.search.has_lines && node.line > 0).then_some(node.line),
            object: self.object.cloned(),
            path,
        }
    }
}
