//! Kustomizations: what they make of files is not known before they are built.
//!
//! Building reads whatever a kustomization names, remote places too. So one is built
//! only where all that it reaches lies in the folder that was given, and nothing in it
//! asks for a program ([`Plan`]); the others are not proven. Where nothing builds, one
//! that only lists files of its own folder changes no image, and those files are
//! searched on their own.

use std::collections::{BTreeMap, BTreeSet};

use super::manifests::is_manifest;
use crate::files::Files;
use crate::yaml;
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
/// Settings that are built beside those; all others may run programs or fetch charts.
const BUILT: [&str; 13] = [
    "bases",
    "components",
    "configMapGenerator",
    "configurations",
    "crds",
    "generatorOptions",
    "images",
    "patches",
    "patchesJson6902",
    "patchesStrategicMerge",
    "replacements",
    "secretGenerator",
    "vars",
];
/// Settings that list files or folders.
const PLACES: [&str; 6] = [
    "resources",
    "bases",
    "components",
    "configurations",
    "crds",
    "patchesStrategicMerge",
];
/// Settings whose entries may name a file under `path`.
const WITH_PATH: [&str; 4] = ["patches", "patchesJson6902", "replacements", "openapi"];
/// Settings whose entries list files.
const GENERATORS: [&str; 2] = ["configMapGenerator", "secretGenerator"];

/// Names of a kustomization's file; in it `apiVersion` and `kind` may be left out.
const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Whether a file is called what a kustomization is, with its ending or, as the cluster
/// definition has it, without.
fn is_named_so(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    let stem = name.split(['.', ':']).next().unwrap_or(name);
    stem.eq_ignore_ascii_case("kustomization")
}

fn is_kustomization(file: &str, object: &Node) -> bool {
    let kind = object.text_at("kind");
    let api_version = object.text_at("apiVersion").unwrap_or_default();
    match kind {
        Some("Kustomization" | "Component") => api_version.starts_with(GROUP),
        Some(_) => false,
        None => is_named_so(file) && object.entries().next().is_some(),
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
        "it is a kustomization with {what}, and was not built: give its folder where kustomize or \
         kubectl is installed, or what 'kustomize build' makes of it"
    ))
}

/// Whether a text has a kustomization whose images are not certain.
pub(crate) fn has_unbuilt(file: &str, text: &str) -> bool {
    let documents = yaml::documents(text).unwrap_or_default();
    documents
        .iter()
        .any(|document| unbuilt(file, document).is_some())
}

/// Whether there are kustomizations among files.
pub(super) fn is_in(files: &Files) -> bool {
    files.iter().any(|(path, _)| folder_of(path).is_some())
}

/// The folder whose kustomization a file is; empty where it lies at the top.
fn folder_of(path: &str) -> Option<&str> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    NAMES.contains(&name).then_some(folder)
}

/// What a kustomization reaches.
#[derive(Debug, Default)]
struct Reach {
    /// Its own file and those that it names.
    files: BTreeSet<String>,
    /// Folders with kustomizations of their own.
    folders: BTreeSet<String>,
    /// Why it is not to be built.
    problem: Option<String>,
    /// Whether it is only a part of others.
    is_component: bool,
}

/// One that no other one builds upon, and all that it is made of.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The kustomization's own file.
    pub(super) file: String,
    /// Its folder; empty where that is the top.
    pub(super) folder: String,
    /// All files that it and those below it reach, theirs among them.
    pub(super) files: BTreeSet<String>,
    /// Why it is not to be built.
    pub(super) problem: Option<String>,
}

/// The kustomizations that are to be built.
pub(super) fn plans(files: &Files) -> Vec<Plan> {
    let all: BTreeMap<&str, (&str, Reach)> = files
        .iter()
        .filter_map(|(path, _)| {
            let folder = folder_of(path)?;
            Some((folder, (path, reach(files, folder, path))))
        })
        .collect();
    let below: BTreeSet<&str> = all
        .values()
        .flat_map(|(_, reach)| reach.folders.iter().map(String::as_str))
        .collect();
    let tops = all
        .iter()
        .filter(|(folder, (_, reach))| !reach.is_component && !below.contains(**folder));
    tops.map(|(folder, (file, _))| {
        let mut plan = Plan {
            file: (*file).to_owned(),
            folder: (*folder).to_owned(),
            ..Plan::default()
        };
        let (mut open, mut seen) = (vec![*folder], BTreeSet::new());
        while let Some(folder) = open.pop() {
            if !seen.insert(folder) {
                continue;
            }
            let Some((_, reach)) = all.get(folder) else {
                continue;
            };
            plan.files.extend(reach.files.iter().cloned());
            plan.problem = plan.problem.take().or_else(|| reach.problem.clone());
            open.extend(reach.folders.iter().map(String::as_str));
        }
        plan
    })
    .collect()
}

/// What the kustomization `file` in `folder` reaches.
fn reach(files: &Files, folder: &str, file: &str) -> Reach {
    let mut out = Reach::default();
    out.files.insert(file.to_owned());
    let text = files.text(file).ok().flatten().unwrap_or_default();
    let document = match yaml::documents(text) {
        Ok(mut documents) if documents.len() == 1 => documents.pop(),
        _ => None,
    };
    let Some(document) = document else {
        out.problem = Some("it is not one document of YAML".to_owned());
        return out;
    };
    out.is_component = document.text_at("kind") == Some("Component");
    for (key, value) in document.entries() {
        if !HARMLESS.contains(&key) && !BUILT.contains(&key) {
            out.problem = Some(format!(
                "'{key}' may run programs or fetch, and is not built"
            ));
            return out;
        }
        for place in places(key, value) {
            match target(files, folder, place) {
                Some(Place::File(path)) => out.files.insert(path),
                Some(Place::Folder(path)) => out.folders.insert(path),
                None => {
                    let text = "is not in the folder that was searched";
                    out.problem = Some(format!("it names '{place}', which {text}"));
                    return out;
                }
            };
        }
    }
    out
}

/// The files and folders that an entry of a kustomization names.
fn places<'a>(key: &str, value: &'a Node) -> Vec<&'a str> {
    let texts = |node: &'a Node| -> Vec<&'a str> {
        let lone = node.text();
        let items = node.items().iter().filter_map(Node::text);
        // A patch may stand there itself.
        let all = lone.into_iter().chain(items);
        all.filter(|text| !text.trim().contains('\n')).collect()
    };
    let each = || std::iter::once(value).chain(value.items());
    if PLACES.contains(&key) {
        return texts(value);
    }
    if WITH_PATH.contains(&key) {
        let named = each().filter_map(|one| one.get("path"));
        return named.chain([value]).flat_map(texts).collect();
    }
    if GENERATORS.contains(&key) {
        let lists = each().flat_map(|one| {
            let lists = ["files", "envs", "env"].map(|list| one.get(list));
            lists.into_iter().flatten()
        });
        let all = lists.flat_map(texts);
        // `key=path`
        return all
            .map(|text| text.split_once('=').map_or(text, |(_, path)| path))
            .collect();
    }
    Vec::new()
}

/// What is named among the files.
enum Place {
    File(String),
    /// One with a kustomization in it.
    Folder(String),
}

fn target(files: &Files, folder: &str, named: &str) -> Option<Place> {
    if named.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in named.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    if files.get(&path).is_some() {
        return Some(Place::File(path));
    }
    let within = |name: &&str| match path.as_str() {
        "" => (*name).to_owned(),
        path => format!("{path}/{name}"),
    };
    let has_one = NAMES.iter().any(|name| files.get(&within(name)).is_some());
    has_one.then_some(Place::Folder(path))
}

#[cfg(test)]
mod tests;
