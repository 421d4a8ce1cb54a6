//! Whose packs, charts and manifests they are, and what lies in them.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use crate::content::chart::{Chart, Source};
use crate::content::definition::Layer;
use crate::content::find::Target;
use crate::content::macros::Answers;
use crate::content::pack::Pack;
use crate::content::{self, values};
use crate::lock;
use crate::oci::digest::Digest;
use crate::output::manifest::ComponentKind;
use crate::profile::{ContentSources, Kind, Loaded, Profile};
use crate::sources::kubernetes::component_kind;

/// Counts up when the same sources may give other images.
const SEARCH_VERSION: u32 = 1;

/// Whose packs, charts and manifests.
pub(super) struct Owner<'a> {
    pub(super) kind: Option<Kind>,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) sources: ContentSources,
    pub(super) exclude: &'a [String],
    /// The images, where the profile lists them itself.
    pub(super) listed: Option<&'a [String]>,
    /// The versions of Kubernetes that it is for.
    pub(super) kubernetes: Vec<&'a str>,
}

impl Owner<'_> {
    pub(super) fn shown(&self) -> String {
        shown(self.kind, &self.name, &self.version)
    }

    pub(super) fn is(&self, known: &lock::Component) -> bool {
        known.kind == kind(self.kind) && known.name == self.name && known.version == self.version
    }
}

/// An owner for messages.
pub(super) fn shown(kind: Option<Kind>, name: &str, version: &str) -> String {
    let kind = kind.map_or("content", Kind::key);
    format!("{kind} {name} {version}").trim_end().to_owned()
}

/// What the lock calls a kind.
pub(super) fn kind(kind: Option<Kind>) -> ComponentKind {
    kind.map_or(ComponentKind::Content, component_kind)
}

/// What an owner's sources are, read.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) packs: Vec<Pack>,
    pub(super) charts: Vec<Chart>,
    /// What messages call each, and its text.
    pub(super) manifests: Vec<(String, String)>,
}

/// Reads what lies on the disk and throws it away.
///
/// # Errors
/// Of the sources.
pub(in crate::pipeline) fn check(loaded: &Loaded) -> Result<()> {
    let profile = &loaded.profile;
    for owner in owners(profile) {
        for path in &owner.sources.packs {
            let pack = pack(path)?;
            for version in &owner.kubernetes {
                let answers = Answers::for_kubernetes(version);
                pack.compose(&owner.sources.presets, &given(&owner.sources), &answers)?;
            }
        }
        check_others(&owner.sources)?;
    }
    for path in &profile.content.sources.packs {
        pack(path)?;
    }
    check_others(&profile.content.sources)
}

fn check_others(sources: &ContentSources) -> Result<()> {
    for source in &sources.charts {
        if let Source::Path(path) = source.parse()? {
            Chart::read(content::files::Files::open(&path)?)?;
        }
    }
    for path in &sources.manifests {
        for (file, text) in manifests(path)? {
            content::find::manifests::images(&file, &text, &[])?;
        }
    }
    Ok(())
}

/// Those of the profile's components that have sources.
pub(super) fn owners(profile: &Profile) -> Vec<Owner<'_>> {
    let versions = &profile.kubernetes.versions;
    let kubernetes = versions.iter().map(|version| Owner {
        kind: Some(Kind::Kubernetes),
        name: profile.kubernetes.distribution.clone(),
        version: version.clone(),
        sources: profile.kubernetes.sources.clone(),
        exclude: &profile.kubernetes.exclude_images,
        // What is found comes beside that list.
        listed: None,
        kubernetes: vec![version.as_str()],
    });
    let components = profile.components().map(|(kind, component)| Owner {
        kind: Some(kind),
        name: component.name.clone(),
        version: component.version.clone(),
        sources: component.sources.clone(),
        exclude: &component.exclude_images,
        listed: component.images.as_deref(),
        kubernetes: versions.iter().map(String::as_str).collect(),
    });
    let all = kubernetes.chain(components);
    all.filter(|owner| !owner.sources.is_empty()).collect()
}

pub(super) fn pack(path: &Path) -> Result<Pack> {
    Ok(Pack::read(content::files::Files::open(path)?)?)
}

/// The manifests at a path: a file, or all of a folder.
pub(super) fn manifests(path: &Path) -> Result<Vec<(String, String)>> {
    match Target::open(path)? {
        Target::Manifests(texts) => Ok(texts),
        Target::Pack(_) | Target::Chart(_) => Err(content::Error::NotManifests {
            path: path.to_owned(),
        }
        .into()),
    }
}

/// The values that the profile gives.
pub(super) fn given(sources: &ContentSources) -> Value {
    values::object(Some(&sources.values))
}

/// The digest over all that decides an owner's images.
pub(super) fn digest(owner: &Owner<'_>, parts: &Parts) -> Result<Digest> {
    let packs: Vec<Digest> = parts
        .packs
        .iter()
        .map(|pack| pack.files().digest())
        .collect();
    let charts: Vec<Digest> = parts
        .charts
        .iter()
        .map(|chart| chart.files().digest())
        .collect();
    let manifests = parts.manifests.iter();
    let manifests: Vec<Digest> = manifests
        .map(|(_, text)| Digest::of(text.as_bytes()))
        .collect();
    let all = json!({
        "version": SEARCH_VERSION,
        "packs": packs,
        "charts": charts,
        "manifests": manifests,
        "values": owner.sources.values,
        "presets": owner.sources.presets,
        "exclude": owner.exclude,
        "kubernetes": owner.kubernetes,
    });
    Ok(Digest::of(&serde_json::to_vec(&all)?))
}

/// An owner's layer of the cluster definition, for the ISO's Kubernetes.
pub(super) fn layer(kind: Kind, owner: &Owner<'_>, parts: &Parts) -> Result<Layer> {
    let name = match kind {
        Kind::Kubernetes => "k8s",
        Kind::Cni => "cni",
        Kind::Csi => "csi",
        Kind::Registry | Kind::Addon => "addon",
    };
    let mut out = Layer::empty(name, &owner.name, &owner.version);
    let version = owner.kubernetes.first().copied().unwrap_or_default();
    let answers = Answers::for_kubernetes(version);
    for pack in &parts.packs {
        let composed = pack.compose(&owner.sources.presets, &given(&owner.sources), &answers)?;
        let of_pack = Layer::of_pack(pack, &composed, &answers)?;
        out = Layer {
            layer: out.layer,
            name: out.name,
            version: out.version,
            ..of_pack
        };
    }
    for chart in &parts.charts {
        out.add_chart(chart, &chart.meta.name, given(&owner.sources))?;
    }
    for (file, text) in &parts.manifests {
        let name = Path::new(file).file_stem().unwrap_or_default();
        out.add_manifest(&name.to_string_lossy(), answers.fill(text), Value::Null);
    }
    out.exclude_images = owner.exclude.to_vec();
    Ok(out)
}
