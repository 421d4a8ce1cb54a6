//! Kustomizations: what they make of files is not known before they are built.
//!
//! Nothing is built here, since building reads whatever it names, remote places too.
//! One that only lists files of its own folder changes no image, and those files are
//! searched on their own.

use super::manifests::is_manifest;
use isoforge_base::yaml::Node;

const GROUP: &str = "kustomize.config.k8s.io/";
/// Settings that change no image and add none.
const HARMLESS: [&str; 14] = [
    "apiVersion",
    "kind",
    "metadata",
    "resources",
    "namespace",
    "namePrefix",
    "nameSuffix",
    "labels",
    "commonLabels",
    "commonAnnotations",
    "sortOptions",
    "buildMetadata",
    "replicas",
    "openapi",
];

/// Names of a kustomization's file; in it `apiVersion` and `kind` may be left out.
const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

fn is_kustomization(file: &str, object: &Node) -> bool {
    let kind = object.text_at("kind");
    let api_version = object.text_at("apiVersion").unwrap_or_default();
    match kind {
        Some("Kustomization" | "Component") => api_version.starts_with(GROUP),
        Some(_) => false,
        None => {
            let name = file.rsplit('/').next().unwrap_or(file);
            NAMES.contains(&name) && object.entries().next().is_some()
        }
    }
}

/// Why the images of a kustomization are not certain; nothing where they are, or
/// where the object of `file` is none.
pub(super) fn unbuilt(file: &str, object: &Node) -> Option<String> {
    if !is_kustomization(file, object) {
        return None;
    }
    let mut keys = object.entries().map(|(key, _)| key);
    let resources = object.get("resources").map(Node::items).unwrap_or_default();
    let mut names = resources.iter().map(|one| one.text().unwrap_or_default());
    let is_file = |name: &str| is_manifest(name) && !name.contains(['/', ':', '?']);
    let what = match keys.find(|key| !HARMLESS.contains(key)) {
        Some(key) => format!("'{key}'"),
        None => {
            let other = names.find(|name| !is_file(name))?;
            format!("the resource '{other}'")
        }
    };
    Some(format!(
        "it is a kustomization with {what}, and was not built: give what 'kustomize build' \
         makes of it"
    ))
}
