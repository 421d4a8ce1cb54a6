//! What moved between two locks, input by input.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::Lock;
use super::model::{Archive, Bootstrap, Chart, Component, CoreImage, File, Image, Input, Package};
use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Failure, Result};

/// One input that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Drift {
    /// The input, in the profile's words.
    pub input: String,
    /// What became of it.
    #[serde(flatten)]
    pub change: Change,
}

/// What became of an input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// The lock does not have it.
    New,
    /// Only the lock has it.
    Gone,
    /// It is another.
    Moved {
        /// Which property of the input, where it has several.
        #[serde(skip_serializing_if = "Option::is_none")]
        property: Option<String>,
        /// In the lock.
        from: String,
        /// Now.
        to: String,
    },
}

/// Inputs that moved are an error, where the lock at `path` may not change.
///
/// # Errors
/// There are such inputs; all of them are in it.
pub fn refuse(path: &Path, drifts: &[Drift]) -> Result<()> {
    if drifts.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = drifts.iter().map(|drift| format!("  {drift}")).collect();
    let (path, lines) = (path.display(), lines.join("\n"));
    let message = format!("the lock file '{path}' is out of date:\n{lines}");
    Err(Failure::new(Class::LockDrift, message)
        .with_hint("where these changes are meant, run `isoforge lock` and commit the file"))
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.input)?;
        match &self.change {
            Change::New => f.write_str("new, not in the lock"),
            Change::Gone => f.write_str("gone, only in the lock"),
            Change::Moved {
                property: Some(property),
                from,
                to,
            } => write!(f, "{property} moved from {from} to {to}"),
            Change::Moved {
                property: None,
                from,
                to,
            } => write!(f, "{from} → {to}"),
        }
    }
}

/// Everything that moved from `old` to `new`, by section of the lock, sorted
/// within each.
#[must_use]
pub fn compare(old: &Lock, new: &Lock) -> Vec<Drift> {
    let mut drifts = compare_project(old, new);
    components(old, new, &mut drifts);
    let drift = &mut drifts;
    let reference = |image: &Image| image.reference.clone();
    section(&old.images, &new.images, reference, drift, image);
    let source = |chart: &Chart| chart.source.clone();
    section(
        &old.charts,
        &new.charts,
        source,
        drift,
        |name, old, new, d| {
            digest(name, &old.digest, &new.digest, d);
        },
    );
    let url = |file: &File| file.url.clone();
    section(&old.files, &new.files, url, drift, |name, old, new, d| {
        digest(name, &old.digest, &new.digest, d);
    });
    let path = |archive: &Archive| archive.path.clone();
    section(&old.archives, &new.archives, path, drift, archive);
    let made = |made: &Bootstrap| format!("bootstrap for {}", made.arch);
    section(&old.bootstraps, &new.bootstraps, made, drift, bootstrap);
    let core = |core: &CoreImage| format!("GRUB core image for {}", core.purpose());
    section(&old.core_images, &new.core_images, core, drift, core_image);
    if old.time != new.time {
        let text = |lock: &Lock| format!("{} ({})", lock.time.epoch, lock.time.source);
        push_moved(&mut drifts, "time stamp", None, text(old), text(new));
    }
    drifts
}

/// What moved of the project's own files and flags; needs nothing but the disk.
#[must_use]
pub fn compare_project(old: &Lock, new: &Lock) -> Vec<Drift> {
    let mut drifts = Vec::new();
    if old.profile != new.profile {
        let names = (old.profile.clone(), new.profile.clone());
        push_moved(&mut drifts, "profile", Some("name"), names.0, names.1);
    }
    if old.flags != new.flags {
        let text = |lock: &Lock| match lock.flags.set.as_slice() {
            [] => "none".to_owned(),
            set => format!("'{}'", set.join("' '")),
        };
        push_moved(&mut drifts, "--set", None, text(old), text(new));
    }
    let path = |input: &Input| input.path.clone();
    section(
        &old.project,
        &new.project,
        path,
        &mut drifts,
        |name, old, new, d| {
            digest(name, &old.digest, &new.digest, d);
        },
    );
    // What no single file explains: a value that came by another way, or a lock
    // that was edited.
    if drifts.is_empty() && old.profile_digest != new.profile_digest {
        let digests = (old.profile_digest, new.profile_digest);
        push_moved(
            &mut drifts,
            "profile",
            Some("merged values"),
            digests.0,
            digests.1,
        );
    }
    if drifts.is_empty() && old.inputs != new.inputs {
        push_moved(&mut drifts, "inputs", None, old.inputs, new.inputs);
    }
    drifts
}

/// Compares the entries of a section, which `key` tells apart; of two with the same key
/// the last counts.
fn section<V>(
    old: &[V],
    new: &[V],
    key: impl Fn(&V) -> String,
    drifts: &mut Vec<Drift>,
    differ: impl Fn(&str, &V, &V, &mut Vec<Drift>),
) {
    let old = old.iter().map(|entry| (key(entry), entry)).collect();
    let new = new.iter().map(|entry| (key(entry), entry)).collect();
    pairs(&old, &new, drifts, differ);
}

fn push_moved(
    drifts: &mut Vec<Drift>,
    input: &str,
    property: Option<&str>,
    from: impl ToString,
    to: impl ToString,
) {
    drifts.push(Drift {
        input: input.to_owned(),
        change: Change::Moved {
            property: property.map(str::to_owned),
            from: from.to_string(),
            to: to.to_string(),
        },
    });
}

/// Walks two sorted maps: what only one has, and what `differ` finds in what
/// both have.
fn pairs<V>(
    old: &BTreeMap<String, &V>,
    new: &BTreeMap<String, &V>,
    drifts: &mut Vec<Drift>,
    differ: impl Fn(&str, &V, &V, &mut Vec<Drift>),
) {
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let change = match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) => {
                differ(name, old, new, drifts);
                continue;
            }
            (None, _) => Change::New,
            (_, None) => Change::Gone,
        };
        drifts.push(Drift {
            input: name.clone(),
            change,
        });
    }
}

fn digest(name: &str, old: &Digest, new: &Digest, drifts: &mut Vec<Drift>) {
    if old != new {
        push_moved(drifts, name, None, old, new);
    }
}

fn components(old: &Lock, new: &Lock, drifts: &mut Vec<Drift>) {
    let named = |c: &Component| format!("{} {} {}", c.kind, c.name, c.version);
    section(
        &old.components,
        &new.components,
        named,
        drifts,
        |name, old, new, drifts| {
            let before = drifts.len();
            if old.method != new.method {
                let methods = (old.method, new.method);
                let property = Some("source of its images");
                push_moved(drifts, name, property, methods.0, methods.1);
            }
            let text = |c: &Component| match c.images.as_slice() {
                [] => "none".to_owned(),
                images => images.join(", "),
            };
            if old.images != new.images {
                push_moved(drifts, name, Some("list of images"), text(old), text(new));
            }
            if drifts.len() == before && old.searched != new.searched {
                let text =
                    |c: &Component| c.searched.map_or("nothing".to_owned(), |d| d.to_string());
                let property = Some("what its images are found in");
                push_moved(drifts, name, property, text(old), text(new));
            }
        },
    );
}

fn manifests(image: &Image) -> BTreeMap<String, &Digest> {
    let manifests = image.manifests.iter();
    manifests
        .map(|(arch, digest)| (arch.clone(), digest))
        .collect()
}

fn packages(made: &Bootstrap) -> BTreeMap<String, &Package> {
    let named = made.packages.iter();
    let named = named.map(|(name, package)| (format!("package {name}"), package));
    named.collect()
}

/// The manifests say it all, unless the index alone is another.
fn image(name: &str, old: &Image, new: &Image, drifts: &mut Vec<Drift>) {
    let before = drifts.len();
    let (mut inner, old_digests, new_digests) = (Vec::new(), manifests(old), manifests(new));
    pairs(&old_digests, &new_digests, &mut inner, digest);
    for drift in inner {
        let property = format!("manifest for {}", drift.input);
        match drift.change {
            Change::Moved { from, to, .. } => {
                push_moved(drifts, name, Some(&property), from, to);
            }
            change => drifts.push(Drift {
                input: format!("{name} {property}"),
                change,
            }),
        }
    }
    let text = |index: Option<Digest>| index.map_or("none".to_owned(), |d| d.to_string());
    if drifts.len() == before && old.index != new.index {
        push_moved(
            drifts,
            name,
            Some("index"),
            text(old.index),
            text(new.index),
        );
    }
    if drifts.len() == before && old.roles != new.roles {
        let text = |image: &Image| format!("{:?}", image.roles).to_lowercase();
        push_moved(drifts, name, Some("use"), text(old), text(new));
    }
}

fn archive(name: &str, old: &Archive, new: &Archive, drifts: &mut Vec<Drift>) {
    if old.digest != new.digest {
        push_moved(drifts, name, None, old.digest, new.digest);
    } else if old.size != new.size {
        push_moved(drifts, name, Some("size"), old.size, new.size);
    } else if old.layer != new.layer {
        let layers = (old.layer.digest, new.layer.digest);
        push_moved(drifts, name, Some("layer"), layers.0, layers.1);
    } else if old != new {
        let text = |archive: &Archive| format!("{:?}", archive.roles).to_lowercase();
        push_moved(drifts, name, Some("use"), text(old), text(new));
    }
}

/// Another layer is named by its packages, and by its digest where all packages
/// are the same.
fn bootstrap(name: &str, old: &Bootstrap, new: &Bootstrap, drifts: &mut Vec<Drift>) {
    let before = drifts.len();
    if old.spec != new.spec {
        push_moved(drifts, name, Some("what is asked for"), old.spec, new.spec);
    }
    pairs(
        &packages(old),
        &packages(new),
        drifts,
        |name, old, new, drifts| {
            if old.version != new.version {
                push_moved(drifts, name, None, &old.version, &new.version);
            } else if let (Some(old_file), Some(new_file)) = (old.digest, new.digest)
                && old_file != new_file
            {
                let property = format!("file of {}", old.version);
                push_moved(drifts, name, Some(&property), old_file, new_file);
            }
        },
    );
    if drifts.len() == before && old.layer != new.layer {
        push_moved(drifts, name, Some("layer"), old.layer, new.layer);
    }
}

fn core_image(name: &str, old: &CoreImage, new: &CoreImage, drifts: &mut Vec<Drift>) {
    if old.digest != new.digest {
        let text = |core: &CoreImage| format!("{} ({})", core.digest, core.made_by);
        push_moved(drifts, name, None, text(old), text(new));
    } else if old.key != new.key {
        push_moved(drifts, name, Some("what it is made of"), old.key, new.key);
    }
}
