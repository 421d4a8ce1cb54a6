//! Whose packs, charts and manifests they are, and what lies in them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use isoforge_base::error::{Class, Failure, Result};
use serde_json::{Value, json};

use crate::lock;
use crate::profile::{ContentSources, Kind, Loaded, Profile};
use crate::render::Project;
use crate::sources::kubernetes::component_kind;
use isoforge_base::digest::Digest;
use isoforge_content as content;
use isoforge_content::chart::{Chart, Source};
use isoforge_content::definition::Layer;
use isoforge_content::find::{ImageList, Manifests, Target};
use isoforge_content::macros::{self, Answers};
use isoforge_content::pack::answers::Use;
use isoforge_content::pack::dependencies::KUBERNETES;
use isoforge_content::pack::{self, Pack};
use isoforge_content::values;
use isoforge_contract::manifest::ComponentKind;

/// Counts up when the same sources may give other images.
const SEARCH_VERSION: u32 = 2;

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

    /// Whether it is a list of images and nothing else.
    pub(super) fn is_list(&self) -> bool {
        let sources = &self.sources;
        sources.packs.is_empty() && sources.charts.is_empty() && sources.manifests.is_empty()
    }

    pub(super) fn is(&self, known: &lock::Component) -> bool {
        known.kind == kind(self.kind) && known.name == self.name && known.version == self.version
    }
}

/// An owner for messages.
pub(super) fn shown(kind: Option<Kind>, name: &str, version: &str) -> String {
    let kind = self::kind(kind);
    format!("{kind} {name} {version}").trim_end().to_owned()
}

/// What the lock calls a kind.
pub(super) fn kind(kind: Option<Kind>) -> ComponentKind {
    kind.map_or(ComponentKind::Content, component_kind)
}

/// What an owner's sources are, read.
#[derive(Default)]
pub(super) struct ReadSources {
    pub(super) packs: Vec<Pack>,
    pub(super) charts: Vec<Chart>,
    /// What messages call each, and its text.
    pub(super) manifests: Vec<(String, String)>,
    /// The same as they were given together, to be searched.
    pub(super) sets: Vec<Manifests>,
    /// What the lists name.
    pub(super) list: ImageList,
}

/// Reads what lies on the disk and throws it away.
///
/// # Errors
/// Of the sources.
pub(in crate::build) fn check(loaded: &Loaded) -> Result<()> {
    in_project(loaded)?;
    let profile = &loaded.profile;
    let mut read = Vec::new();
    for owner in owners(profile) {
        let packs = owner.sources.packs.iter().map(|path| pack(path));
        let parts = ReadSources {
            packs: packs.collect::<Result<_>>()?,
            ..ReadSources::default()
        };
        check_others(&owner.sources)?;
        read.push((owner, parts));
    }
    let answers = MacroAnswers::of(profile, &read)?;
    for (owner, parts) in &read {
        for version in &owner.kubernetes {
            for pack in &parts.packs {
                let given = given(&owner.sources);
                pack.compose(&owner.sources.presets, &given, &answers.to(version))?;
            }
        }
    }
    for path in &profile.content.sources.packs {
        pack(path)?;
    }
    check_others(&profile.content.sources)
}

fn check_others(sources: &ContentSources) -> Result<()> {
    for source in &sources.charts {
        if let Source::Path(path) = source.parse()? {
            Chart::open(&path)?;
        }
    }
    for path in &sources.manifests {
        for (file, text) in &manifests(path)?.texts {
            content::find::manifests::images(file, text, &[])?;
        }
    }
    for path in &sources.image_lists {
        ImageList::open(path)?;
    }
    Ok(())
}

/// That no link of the project leads elsewhere on the way to packs, charts and manifests.
///
/// # Errors
/// One does.
pub(super) fn in_project(loaded: &Loaded) -> Result<()> {
    let profile = &loaded.profile;
    let owners = owners(profile);
    let all = owners.iter().map(|owner| &owner.sources);
    let mut paths: Vec<PathBuf> = Vec::new();
    for sources in all.chain([&profile.content.sources]) {
        let own = sources.packs.iter().chain(&sources.manifests);
        paths.extend(own.chain(&sources.image_lists).cloned());
        for chart in &sources.charts {
            if let Source::Path(path) = chart.parse()? {
                paths.push(path);
            }
        }
    }
    let own = loaded.profile_files().first();
    let folder = own.and_then(|file| file.path.parent());
    Project::new(folder.unwrap_or(Path::new(""))).holds(paths.iter().map(PathBuf::as_path))
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
    Ok(Pack::open(path)?)
}

/// The manifests at a path: a file, or all of a folder.
pub(super) fn manifests(path: &Path) -> Result<Manifests> {
    match Target::open(path)? {
        Target::Manifests(manifests) => Ok(manifests),
        Target::Pack(_) | Target::Chart(_) => {
            let path = path.display();
            let text = format!("'{path}' is a pack or chart, where manifests are meant");
            Err(Failure::new(Class::Profile, text))
        }
    }
}

/// What packs of the profile's components miss of each other.
pub(super) fn unmet(profile: &Profile, read: &[(Owner<'_>, ReadSources)]) -> Vec<String> {
    let packs = read.iter().flat_map(|(_, parts)| &parts.packs);
    let mut there: Vec<(&str, &str)> = packs
        .map(|pack| (pack.meta.name.as_str(), pack.meta.version.as_str()))
        .collect();
    let components = profile.components();
    there.extend(components.map(|(_, it)| (it.name.as_str(), it.version.as_str())));
    let mut unmet = BTreeSet::new();
    for version in &profile.kubernetes.versions {
        let kubernetes = (!version.is_empty()).then_some((KUBERNETES, version.as_str()));
        let there: Vec<_> = kubernetes.iter().chain(&there).copied().collect();
        for pack in read.iter().flat_map(|(_, parts)| &parts.packs) {
            let meta = &pack.meta;
            let unmet_here = meta.dependencies.iter().filter_map(|one| one.unmet(&there));
            unmet.extend(unmet_here.map(|why| format!("{} {} {why}", meta.name, meta.version)));
        }
    }
    unmet.into_iter().collect()
}

/// What macros are filled with, by version of Kubernetes.
pub(super) struct MacroAnswers(BTreeMap<String, Answers>);

impl MacroAnswers {
    /// What the profile answers, and what the packs of its components answer each
    /// other.
    ///
    /// # Errors
    /// Of the packs.
    pub(super) fn of(profile: &Profile, read: &[(Owner<'_>, ReadSources)]) -> Result<Self> {
        let mut all = BTreeMap::new();
        for version in &profile.kubernetes.versions {
            let mut answers = match version.as_str() {
                "" => Answers::default(),
                version => Answers::for_kubernetes(version),
            };
            answers.extend(profile.cluster.macros.clone());
            let read = read.iter();
            let of_version = read.filter(|(owner, _)| owner.kubernetes.contains(&version.as_str()));
            let of_version: Vec<_> = of_version
                .map(|(owner, parts)| (owner, parts, given(&owner.sources)))
                .collect();
            let uses = of_version
                .iter()
                .flat_map(|(owner, parts, values)| uses(owner, parts, values));
            pack::answers::answer(&mut answers, &uses.collect::<Vec<_>>())?;
            all.insert(version.clone(), answers);
        }
        Ok(Self(all))
    }

    /// Those for a version of Kubernetes of the profile.
    pub(super) fn to(&self, version: &str) -> Answers {
        self.0.get(version).cloned().unwrap_or_default()
    }
}

/// The packs of an owner as it uses them.
fn uses<'a>(
    owner: &'a Owner<'_>,
    parts: &'a ReadSources,
    values: &'a Value,
) -> impl Iterator<Item = Use<'a>> {
    parts.packs.iter().map(move |pack| Use {
        pack,
        presets: &owner.sources.presets,
        values,
    })
}

/// The paths of macros in all that is an owner's.
pub(super) fn named(owner: &Owner<'_>, parts: &ReadSources) -> Result<BTreeSet<String>> {
    let values = given(&owner.sources);
    let mut named = macros::paths_in(&values);
    for pack in uses(owner, parts, &values) {
        named.extend(pack.named()?);
    }
    for (_, text) in &parts.manifests {
        named.extend(macros::paths(text));
    }
    Ok(named)
}

/// The values that the profile gives.
pub(super) fn given(sources: &ContentSources) -> Value {
    values::object(Some(&sources.values))
}

/// The digest over all that decides an owner's images.
pub(super) fn digest(
    owner: &Owner<'_>,
    parts: &ReadSources,
    known: &MacroAnswers,
) -> Result<Digest> {
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
    let mut all = json!({
        "version": SEARCH_VERSION,
        "packs": packs,
        "charts": charts,
        "manifests": manifests,
        "values": owner.sources.values,
        "presets": owner.sources.presets,
        "exclude": owner.exclude,
        "kubernetes": owner.kubernetes,
    });
    let sets = parts.sets.iter();
    let folders: Vec<Digest> = sets.filter_map(Manifests::folder_digest).collect();
    let list: Vec<String> = parts.list.references().collect();
    let beside = [("folders", json!(folders)), ("list", json!(list))];
    let beside = beside.into_iter().filter(|(_, value)| *value != json!([]));
    if let Some(all) = all.as_object_mut() {
        all.extend(beside.map(|(key, value)| (key.to_owned(), value)));
    }
    let named = named(owner, parts)?;
    let versions = owner.kubernetes.iter();
    let answers: BTreeMap<_, _> = versions
        .map(|version| (*version, known.to(version).to(&named)))
        .filter(|(_, answers)| !answers.is_empty())
        .collect();
    if let Some(all) = all.as_object_mut().filter(|_| !answers.is_empty()) {
        all.insert("macros".to_owned(), json!(answers));
    }
    Ok(Digest::of(&serde_json::to_vec(&all)?))
}

/// An owner's layer of the cluster definition, for the ISO's Kubernetes.
pub(super) fn layer(
    kind: Kind,
    owner: &Owner<'_>,
    parts: &ReadSources,
    answers: &Answers,
) -> Result<Layer> {
    let name = match kind {
        Kind::Kubernetes => "k8s",
        Kind::Cni => "cni",
        Kind::Csi => "csi",
        Kind::Registry | Kind::Addon => "addon",
    };
    let mut out = Layer::empty(name, &owner.name, &owner.version);
    let given = given(&owner.sources);
    for pack in &parts.packs {
        let composed = pack.compose(&owner.sources.presets, &given, answers)?;
        let of_pack = Layer::of_pack(pack, &composed, answers)?;
        out = Layer {
            layer: out.layer,
            name: out.name,
            version: out.version,
            ..of_pack
        };
    }
    for chart in &parts.charts {
        out.add_chart(chart, &chart.meta.name, answers.fill_values(&given))?;
    }
    for (file, text) in &parts.manifests {
        let name = Path::new(file).file_stem().unwrap_or_default();
        out.add_manifest(&name.to_string_lossy(), answers.fill(text), Value::Null);
    }
    out.exclude_images = owner.exclude.to_vec();
    out.listed_images = parts.list.references().collect();
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_leaves_the_version_of_kubernetes_to_itself() {
        let answered = crate::profile::macro_answer(macros::KUBERNETES_VERSION, "1.0.0");
        assert!(answered.is_err());
    }
}
