//! Images in objects of Kubernetes.
//!
//! Kubernetes API reference, `PodSpec` v1 core: `containers`, `initContainers`,
//! `ephemeralContainers` with `image`, and `volumes[].image.reference`. Pod
//! specifications are looked for at any depth of any object, so that all
//! workloads, pod templates and custom resources that hold such are found alike, in
//! texts of ConfigMaps and Secrets too ([`texts`]). A CustomResourceDefinition
//! describes such and holds none.
//!
//! Operators are told by arguments, variables, annotations and settings what they are
//! to start: of those, words are judged by their look ([`words`]).

use super::path::{items, key_path};
use super::texts::{self, Text};
use super::words::{self, Look};
use super::{Images, Method, Object, Occurrence, Rule, image_value, kustomization};
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
        let opened = texts::open(document);
        let root = opened.as_ref().map_or(document, |opened| &opened.object);
        let mut walk = Walk {
            search: self,
            object: object.as_ref(),
            out,
        };
        walk.below(root, "");
        if let Some(opened) = &opened {
            opened.texts.iter().for_each(|text| walk.text(text));
        }
        if opened.as_ref().is_some_and(|opened| opened.is_cut) {
            let why = "it has texts of too many values, which were not all read";
            out.add_unproven(&self.what(object.as_ref()), why);
        }
        if let Some(why) = kustomization::unbuilt(self.file, document) {
            out.add_unproven(&self.what(object.as_ref()), &why);
        }
        self.by_rules(root, object.as_ref(), out);
    }

    /// Adds what rules lead to.
    fn by_rules(&self, root: &Node, object: Option<&Object>, out: &mut Images) {
        let kind = root.text_at("kind").unwrap_or_default();
        let api_version = root.text_at("apiVersion").unwrap_or_default();
        let mut walk = Walk {
            search: self,
            object,
            out,
        };
        for rule in self.rules {
            for (path, node) in rule.values(kind, api_version, root) {
                for (rest, text) in image_value::of_node(node) {
                    let text = words::behind_sign(&text);
                    walk.add(text, node, format!("{path}{rest}"));
                }
            }
        }
    }

    /// What an object is called where nothing in it is meant.
    fn what(&self, object: Option<&Object>) -> String {
        match object {
            Some(object) => format!("{}: {object}", self.file),
            None => self.file.to_owned(),
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
        if node.text_at("kind") == Some(DEFINITION) {
            return;
        }
        for (key, value) in node.entries() {
            let path = key_path(at, key);
            if CONTAINERS.contains(&key) {
                self.containers(value, &path);
            }
            if key == "volumes" && node.get("containers").is_some() {
                self.volumes(value, &path);
            }
            if key == "annotations" {
                self.annotations(value, &path);
                continue;
            }
            self.field(value, &path);
            self.below(value, &path);
        }
        for (path, item) in items(node, at) {
            self.field(item, &path);
            self.below(item, &path);
        }
    }

    /// A text of an object may be an image where it is nothing but a reference in full.
    fn field(&mut self, node: &Node, path: &str) {
        if let Some(text) = node.text()
            && words::look(text, false) == Some(Look::Image)
        {
            self.likely(text, node.line, path);
        }
    }

    fn annotations(&mut self, map: &Node, at: &str) {
        for (key, value) in map.entries() {
            let text = value.text().unwrap_or_default();
            self.setting(key, text, value.line, &key_path(at, key));
        }
    }

    /// A text of a ConfigMap or Secret. One that holds no objects as it is may become
    /// such: it is a template.
    fn text(&mut self, text: &Text) {
        self.setting(&text.key, &text.text, text.line, &text.path);
        let mut lines = text.text.lines().map(line_without_dash);
        if text.is_open || !lines.clone().any(|line| line.starts_with("containers:")) {
            return;
        }
        while let Some(image) = lines.find_map(|line| line.strip_prefix("image:")) {
            let image = image.trim().trim_matches(['"', '\'']);
            if !image.is_empty() {
                self.likely(image, text.line, &text.path);
            }
        }
    }

    /// A text under a key: the image that the key says it is, or one that has words
    /// which may be such.
    fn setting(&mut self, key: &str, text: &str, line: u64, path: &str) {
        let whole = text.trim();
        if words::says_image(key) && words::look(whole, true) == Some(Look::Image) {
            let place = self.place_at(line, path.to_owned());
            self.out.add(whole, place);
            return;
        }
        for (word, look) in words::of(text, false) {
            if look == Look::Image {
                self.likely(word, line, path);
            }
        }
    }

    /// The words of an argument or variable.
    fn words(&mut self, node: &Node, is_named: bool, path: &str) {
        for (word, look) in words::of(node.text().unwrap_or_default(), is_named) {
            match look {
                Look::Image => self.add(word, node, path.to_owned()),
                Look::Likely => self.likely(word, node.line, path),
            }
        }
    }

    fn likely(&mut self, text: &str, line: u64, path: &str) {
        let place = self.place_at(line, path.to_owned());
        self.out.add_likely(text, place);
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
            for key in ["command", "args"] {
                let Some(list) = container.get(key) else {
                    continue;
                };
                let mut is_named = false;
                for (path, word) in items(list, &format!("{at}.{key}")) {
                    self.words(word, is_named, &path);
                    // A flag's value may be the next word.
                    let text = word.text().unwrap_or_default();
                    is_named =
                        text.starts_with('-') && !text.contains('=') && words::says_image(text);
                }
            }
            self.variables(container, &at);
        }
    }

    fn variables(&mut self, container: &Node, at: &str) {
        let variables = container.get("env").map(Node::items).unwrap_or_default();
        for (number, variable) in variables.iter().enumerate() {
            let name = variable.text_at("name").unwrap_or_default();
            let Some(value) = variable.get("value") else {
                continue;
            };
            let path = format!("{at}.env[{number}].value");
            let mut rules = self.search.rules.iter();
            match value.text() {
                Some(text) if rules.any(|rule| rule.takes_variable(name)) => {
                    self.add(words::behind_sign(text), value, path);
                }
                _ => self.words(value, words::says_image(name), &path),
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
        self.place_at(node.line, path)
    }

    fn place_at(&self, line: u64, path: String) -> Occurrence {
        Occurrence {
            method: self.search.method,
            file: self.search.file.to_owned(),
            line: (self.search.has_lines && line > 0).then_some(line),
            object: self.object.cloned(),
            path,
        }
    }
}

fn line_without_dash(line: &str) -> &str {
    line.trim_start_matches([' ', '-'])
}
