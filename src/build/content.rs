//! Packs, charts and manifests of a profile: read, searched for images, and put
//! together to the cluster definition.
//!
//! Invariant: what the lock has is not searched again as long as all that it was
//! found in is the same. So one lock gives one list of images, on a machine with
//! Helm and on one without.

mod complete;
mod owner;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::session::Session;
use super::{Upgrade, convert};
use crate::inputs::Inputs;
use crate::lock::{self, InputKind, Lock};
use crate::profile::{ContentSources, FoundImages, ImageMethod, Kind, Loaded, Profile};
use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Failure, Result};
use isoforge_base::progress::Progress;
use isoforge_content as content;
use isoforge_content::artifacts;
use isoforge_content::chart::{self, Chart, Source};
use isoforge_content::definition::{Definition, Kubernetes};
use isoforge_content::find::helm::Helm;
use isoforge_content::find::kustomize::Kustomize;
use isoforge_content::find::{ImageList, Images, Method, Options};
use isoforge_content::macros;
use isoforge_oci::artifact::Artifact;
use isoforge_oci::reference::Reference;
pub(super) use owner::check;
use owner::{
    MacroAnswers, Owner, ReadSources, digest, given, layer, manifests, named, owners, pack, unmet,
};

fn indent(reasons: &[String]) -> String {
    reasons.iter().map(|r| format!("\n    {r}")).collect()
}

/// What a search works with.
struct Means<'a> {
    profile: &'a Profile,
    session: &'a Session<'a>,
    /// Take what nobody can prove.
    accept_scan: bool,
}

/// What was found in all packs, charts and manifests of a profile.
#[derive(Debug, Default)]
pub(super) struct Searched {
    /// Images by component.
    pub(super) found: Vec<FoundImages>,
    /// Digests of what they were found in, in the same order.
    pub(super) digests: Vec<Digest>,
    /// Files and folders of the disk.
    pub(super) inputs: Vec<(InputKind, PathBuf, Digest)>,
    /// Charts from elsewhere.
    pub(super) charts: Vec<lock::Chart>,
    /// What is to run on the cluster; nothing where nobody says so.
    pub(super) definition: Option<Definition>,
    /// Packs and charts, what `[content]` carries, and the definition.
    pub(super) artifacts: Vec<Artifact>,
    /// What packs miss of each other, each a sentence.
    pub(super) unmet: Vec<String>,
    /// Of components whose images the profile lists, what their objects name.
    listed: Vec<Listed>,
}

/// What the objects of a component name whose images the profile lists.
#[derive(Debug)]
struct Listed {
    owner: String,
    exclude: Vec<String>,
    images: Images,
}

impl Searched {
    /// Whose packs, charts and manifests are not as a lock has them.
    pub(super) fn not_in(&self, lock: Option<&Lock>) -> Vec<String> {
        let all = self.found.iter().zip(&self.digests);
        let moved = all.filter(|(found, digest)| {
            let mut known = lock.iter().flat_map(|lock| &lock.components);
            !known.any(|known| {
                known.searched == Some(**digest)
                    && known.kind == owner::kind(found.kind)
                    && (&known.name, &known.version) == (&found.name, &found.version)
            })
        });
        moved
            .map(|(found, _)| owner::shown(found.kind, &found.name, &found.version))
            .collect()
    }
}

/// Finds what packs, charts and manifests of the profile need, and with that all that
/// goes in. Of what `old` has found in the same sources the images are taken, unless
/// `upgrade` says otherwise.
///
/// # Errors
/// Of the sources; [`NotProven`], [`NotComplete`].
pub(super) fn find(
    session: &Session<'_>,
    loaded: &Loaded,
    accept_scan: bool,
    old: Option<&Lock>,
    upgrade: &Upgrade,
) -> Result<(Searched, Inputs)> {
    owner::in_project(loaded)?;
    let means = Means {
        profile: &loaded.profile,
        session,
        accept_scan,
    };
    let searched = search(&means, old, upgrade)?;
    let inputs = Inputs::of(loaded, &searched.found)?;
    complete::check(&inputs, &searched, session.progress)?;
    Ok((searched, inputs))
}

/// Reads and searches all packs, charts and manifests of the profile. Of what
/// `old` has found in the same sources the images are taken, unless `upgrade`
/// says otherwise.
///
/// # Errors
/// Of the sources; [`NotProven`].
fn search(with: &Means<'_>, old: Option<&Lock>, upgrade: &Upgrade) -> Result<Searched> {
    let profile = with.profile;
    let mut searcher = Searcher {
        with,
        old,
        upgrade,
        out: Searched::default(),
    };
    let mut definition = Definition::new(
        &profile.appliance.name,
        &profile.appliance.version,
        Kubernetes {
            distribution: profile.kubernetes.distribution.clone(),
            version: profile.iso_version().to_owned(),
        },
    );
    let mut read = Vec::new();
    for owner in owners(profile) {
        let parts = searcher.read(&owner.name, &owner.sources)?;
        read.push((owner, parts));
    }
    searcher.out.unmet = unmet(profile, &read);
    let known = MacroAnswers::of(profile, &read)?;
    let answers = known.to(profile.iso_version());
    definition.macros.clone_from(&profile.cluster.macros);
    for (owner, parts) in &read {
        with.session
            .progress
            .detail(format!("searching {} for images", owner.shown()));
        if let Some(kind) = owner.kind
            && (kind != Kind::Kubernetes || owner.version == profile.iso_version())
        {
            definition.add(layer(kind, owner, parts, &answers)?);
            definition.macros.extend(answers.to(&named(owner, parts)?));
        }
        searcher.owner(owner, parts, &known)?;
    }
    searcher.content_section(&profile.content.sources, &known)?;
    let mut out = searcher.out;
    if !definition.layers.is_empty() || !definition.macros.is_empty() {
        tell_unanswered(&definition, with.session.progress);
        out.artifacts.push(artifacts::of_definition(&definition)?);
        out.definition = Some(definition);
    }
    Ok(out)
}

/// Tells which macros are left.
fn tell_unanswered(definition: &Definition, progress: &Progress) {
    if definition.unanswered.is_empty() {
        return;
    }
    let unanswered: Vec<&str> = definition.unanswered.iter().map(String::as_str).collect();
    progress.note(format!(
        "left to be answered where the cluster is made: {}",
        unanswered.join(", ")
    ));
}

struct Searcher<'a> {
    with: &'a Means<'a>,
    old: Option<&'a Lock>,
    upgrade: &'a Upgrade,
    out: Searched,
}

impl Searcher<'_> {
    /// Whether what the lock says of `name` is looked for anew.
    fn anew(&self, name: &str) -> bool {
        match self.upgrade {
            Upgrade::None => false,
            Upgrade::All => true,
            Upgrade::One(wanted) => wanted == name,
        }
    }

    /// Reads the sources of the component `owner`.
    fn read(&mut self, owner: &str, sources: &ContentSources) -> Result<ReadSources> {
        let mut parts = ReadSources::default();
        for path in &sources.packs {
            let pack = pack(path)?;
            let digest = pack.files().digest();
            let input = (InputKind::Pack, path.clone(), digest);
            self.out.inputs.push(input);
            self.out.artifacts.push(artifacts::of_pack(&pack)?);
            // Each on its own too: the definition names charts by digest.
            for (_, chart) in pack.charts() {
                self.out.artifacts.push(artifacts::of_chart(chart)?);
            }
            parts.packs.push(pack);
        }
        for text in &sources.charts {
            let chart = self.chart(owner, text)?;
            self.out.artifacts.push(artifacts::of_chart(&chart)?);
            parts.charts.push(chart);
        }
        for path in &sources.manifests {
            let set = manifests(path)?;
            for (file, text) in &set.texts {
                let digest = Digest::of(text.as_bytes());
                let input = (InputKind::Manifest, PathBuf::from(file), digest);
                self.out.inputs.push(input);
                parts.manifests.push((file.clone(), text.clone()));
            }
            parts.sets.push(set);
        }
        parts.list = self.lists(&sources.image_lists)?;
        Ok(parts)
    }

    /// The lists of images at these paths, as one.
    fn lists(&mut self, paths: &[PathBuf]) -> Result<ImageList> {
        let mut all = ImageList::default();
        for path in paths {
            let list = ImageList::open(path)?;
            let input = (InputKind::ImageList, path.clone(), list.digest());
            self.out.inputs.push(input);
            all.extend(list);
        }
        Ok(all)
    }

    /// A chart, as the lock pins it.
    fn chart(&mut self, owner: &str, text: &str) -> Result<Chart> {
        let source: Source = text.parse()?;
        let name = source.to_string();
        let pinned = self.old.and_then(|old| old.chart(&name));
        let pinned = pinned.filter(|_| !self.anew(&name) && !self.anew(owner));
        let asked = match (&source, pinned) {
            (Source::Path(_), _) | (_, None) => source.clone(),
            (_, Some(pinned)) if source.digest().is_none() => source.clone().pinned(pinned.digest),
            _ => source.clone(),
        };
        let fetched = chart::fetch(
            &self.with.session.client,
            &asked,
            Path::new(""),
            &self.with.session.store,
            convert::threads(self.with.session.settings),
            self.with.session.progress,
        )?;
        match source {
            Source::Path(path) => {
                let digest = fetched.chart.files().digest();
                self.out.inputs.push((InputKind::Chart, path, digest));
            }
            _ => self.out.charts.push(lock::Chart {
                source: name,
                digest: fetched.digest,
            }),
        }
        Ok(fetched.chart)
    }

    /// What `[content]` carries, each on its own.
    fn content_section(&mut self, sources: &ContentSources, known: &MacroAnswers) -> Result<()> {
        let profile = self.with.profile;
        let empty = ContentSources::default;
        let packs = sources.packs.iter().map(|path| ContentSources {
            packs: vec![path.clone()],
            ..empty()
        });
        let charts = sources.charts.iter().map(|chart| ContentSources {
            charts: vec![chart.clone()],
            ..empty()
        });
        let manifests = sources.manifests.iter().map(|path| ContentSources {
            manifests: vec![path.clone()],
            ..empty()
        });
        let lists = sources.image_lists.iter().map(|path| ContentSources {
            image_lists: vec![path.clone()],
            ..empty()
        });
        let each: Vec<_> = packs.chain(charts).chain(manifests).chain(lists).collect();
        let mut listed = ImageList::default();
        for path in &sources.image_lists {
            listed.extend(ImageList::open(path)?);
        }
        let mut named = Vec::new();
        for sources in each {
            let mut parts = self.read("", &sources)?;
            // The lists speak of all that stands beside them.
            if parts.list.is_empty() {
                parts.list = listed.clone();
            }
            for (file, text) in &parts.manifests {
                let artifact = artifacts::of_manifest(file, text);
                self.out.artifacts.push(artifact);
            }
            let (name, version) = match (parts.packs.first(), parts.charts.first()) {
                (Some(pack), _) => (pack.meta.name.clone(), pack.meta.version.clone()),
                (_, Some(chart)) => (chart.meta.name.clone(), chart.meta.version.clone()),
                _ => {
                    let path = sources.manifests.iter().chain(&sources.image_lists).next();
                    let name = path.and_then(|path| path.file_name());
                    let name = name.unwrap_or_default().to_string_lossy();
                    (name.into_owned(), String::new())
                }
            };
            let owner = Owner {
                kind: None,
                name,
                version,
                sources,
                exclude: &[],
                listed: None,
                kubernetes: profile
                    .kubernetes
                    .versions
                    .iter()
                    .map(String::as_str)
                    .collect(),
            };
            self.owner(&owner, &parts, known)?;
            if !owner.is_list() {
                let found = self.out.found.last().into_iter();
                named.extend(found.flat_map(|found| found.images.clone()));
            }
        }
        self.tell_only_listed("content", &listed.beside(named.iter()));
        Ok(())
    }

    /// The images of an owner, from the lock or found.
    fn owner(
        &mut self,
        owner: &Owner<'_>,
        parts: &ReadSources,
        known: &MacroAnswers,
    ) -> Result<()> {
        let digest = digest(owner, parts, known)?;
        // The lock has the profile's list, not what the objects name.
        let locked = self
            .old
            .filter(|_| owner.listed.is_none())
            .and_then(|old| old.components.iter().find(|locked| owner.is(locked)))
            .filter(|locked| locked.searched == Some(digest) && !self.anew(&owner.name));
        let (method, images) = match locked {
            Some(locked) => (locked.method, locked.images.clone()),
            None => self.find(owner, parts, known)?,
        };
        self.out.digests.push(digest);
        self.out.found.push(FoundImages {
            kind: owner.kind,
            name: owner.name.clone(),
            version: owner.version.clone(),
            method,
            images,
        });
        Ok(())
    }

    fn find(
        &mut self,
        owner: &Owner<'_>,
        parts: &ReadSources,
        known: &MacroAnswers,
    ) -> Result<(ImageMethod, Vec<String>)> {
        let mut found = Images::default();
        for version in &owner.kubernetes {
            let options = Options {
                values: vec![given(&owner.sources)],
                presets: owner.sources.presets.clone(),
                rules: Vec::new(),
                answers: known.to(version),
                kubernetes: (!version.is_empty()).then(|| (*version).to_owned()),
                helm: Helm::installed(),
                kustomize: Kustomize::installed(),
            };
            for pack in &parts.packs {
                found.extend(content::find::in_pack_alone(pack, &options)?);
            }
            for chart in &parts.charts {
                found.extend(content::find::in_plain_chart(chart, &options));
            }
            for set in &parts.sets {
                found.extend(set.images(&options)?);
            }
        }
        self.compare(owner, &parts.list, &mut found);
        self.tell_likely(owner, &found);
        if let Some(listed) = owner.listed {
            let mut images: Vec<String> = found.images.keys().cloned().collect();
            images.extend_from_slice(listed);
            self.warn_of_unused(owner, &images);
            self.out.listed.push(Listed {
                owner: owner.shown(),
                exclude: owner.exclude.to_vec(),
                images: found,
            });
            return Ok((ImageMethod::Profile, listed.to_vec()));
        }
        let method = self.method(owner, &found)?;
        let images: Vec<String> = found.images.into_keys().collect();
        self.warn_of_unused(owner, &images);
        Ok((method, images))
    }

    /// Compares what was found with what lists name, and takes the latter along. Lists of
    /// `[content]` are carried on their own.
    fn compare(&self, owner: &Owner<'_>, list: &ImageList, found: &mut Images) {
        found.vouched_by(list);
        if owner.kind.is_some() || owner.is_list() {
            found.take(list);
        }
        if owner.kind.is_some() {
            let only: Vec<String> = found.only_listed.iter().cloned().collect();
            self.tell_only_listed(&owner.shown(), &only);
        }
        let unlisted: Vec<String> = found.unlisted.iter().cloned().collect();
        if !unlisted.is_empty() {
            self.with.session.progress.warn(format!(
                "these images of {} stand in none of its lists, which may be of another version; \
                 those that objects name are carried all the same:{}",
                owner.shown(),
                indent(&unlisted)
            ));
        }
    }

    fn tell_only_listed(&self, owner: &str, only: &[String]) {
        if !only.is_empty() {
            self.with.session.progress.note(format!(
                "these images of {owner} stand in its lists alone, and are carried:{}",
                indent(only)
            ));
        }
    }

    /// Tells of words that may be images, but for those that the profile carries.
    fn tell_likely(&self, owner: &Owner<'_>, found: &Images) {
        let carried = owner.listed.unwrap_or_default();
        let carried = carried.iter().chain(&self.with.profile.content.images);
        let carried: BTreeSet<String> = carried
            .filter_map(|image| image.parse::<Reference>().ok())
            .map(|image| image.to_string())
            .collect();
        let is_carried = |image: String| carried.contains(&image);
        let likely = found.may_be.iter();
        let likely = likely.filter(|likely| !likely.reference().is_some_and(is_carried));
        let lines: Vec<String> = likely
            .map(|likely| format!("{}: '{}'", likely.place, likely.text))
            .collect();
        if !lines.is_empty() {
            self.with.session.progress.warn(format!(
                "these words of {} may be images, which are not carried unless [content] images \
                 lists them:{}",
                owner.shown(),
                indent(&lines)
            ));
        }
    }

    fn warn_of_unused(&self, owner: &Owner<'_>, images: &[String]) {
        for glob in owner.exclude {
            if !crate::profile::matches_any(glob, images) {
                let owner = owner.shown();
                self.with.session.progress.warn(format!(
                    "'{glob}' of exclude_images matches none of the images of {owner}"
                ));
            }
        }
    }

    /// How sure the images are; not sure enough is an error unless it was
    /// accepted.
    fn method(&self, owner: &Owner<'_>, found: &Images) -> Result<ImageMethod> {
        if found.is_proven() {
            let weakest = found.methods().into_iter().next_back();
            return Ok(match weakest {
                None | Some(Method::Pack) => ImageMethod::Pack,
                Some(Method::List) => ImageMethod::List,
                Some(Method::Manifests) => ImageMethod::Manifests,
                Some(Method::Helm) => ImageMethod::Helm,
                Some(Method::Scan) => ImageMethod::Scan,
            });
        }
        let unproven = found.unproven.iter();
        let mut reasons: Vec<String> = unproven
            .map(|one| format!("{}: {}", one.what, one.why))
            .collect();
        reasons.extend(
            found
                .unresolved
                .iter()
                .map(|text| format!("{}: '{}': {}", text.place, text.text, text.problem)),
        );
        let mut unresolved = found.unresolved.iter();
        let message = format!(
            "the images of {} are not certain:{}",
            owner.shown(),
            indent(&reasons)
        );
        if self.with.accept_scan {
            self.with.session.progress.warn(message);
            return Ok(ImageMethod::Scan);
        }
        let hint = match unresolved.any(|text| macros::has_macro(&text.text)) {
            true => {
                "answer the macro under [cluster.macros], list the images in the pack or with \
                 'images' in the profile, or take what was found with --accept-scan"
            }
            false => {
                "install Helm (for a kustomization, kustomize or kubectl), list the images in the \
                 pack, with 'images' in the profile or by 'image_lists', or take what was found \
                 with --accept-scan"
            }
        };
        Err(Failure::new(Class::Profile, message).with_hint(hint))
    }
}
