//! What the objects of a bundle name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::Named;
use crate::Error;
use crate::bundle::{Bundle, Kind, Root};
use crate::chart::Chart;
use crate::definition::{Definition, Layer};
use crate::files::{Files, MAX_BYTES};
use crate::find::helm::Helm;
use crate::find::{ImageList, Options, Target, kustomization, target};
use crate::macros::Answers;
use crate::pack::Pack;
use crate::values;
use isoforge_base::digest::Digest;
use isoforge_oci::manifest::Document;

/// All that a bundle has beside images.
#[derive(Default)]
struct BundleContent {
    /// With their names.
    definitions: Vec<(String, Definition)>,
    packs: Vec<Pack>,
    charts: BTreeMap<Digest, Chart>,
    /// Names and texts.
    manifests: Vec<(String, String)>,
}

/// See [`check`](super::check).
pub(super) fn search(bundle: &Bundle, helm: Option<Helm>) -> Result<Vec<Named>, Error> {
    let content = BundleContent::read(bundle)?;
    let mut searcher = Searcher {
        content: &content,
        options: Options {
            helm,
            ..Options::default()
        },
        used_packs: BTreeSet::new(),
        used_charts: BTreeSet::new(),
        found: Vec::new(),
    };
    for (name, definition) in &content.definitions {
        searcher.options.answers = definition.answers();
        searcher.options.kubernetes = Some(definition.kubernetes.version.clone());
        for layer in &definition.layers {
            searcher.layer(name, layer)?;
        }
    }
    searcher.others()?;
    Ok(searcher.found)
}

impl BundleContent {
    fn read(bundle: &Bundle) -> Result<Self, Error> {
        let mut content = Self::default();
        for root in bundle.roots() {
            let name = root.reference.as_str();
            match root.kind {
                Kind::Definition => {
                    let definition = Definition::parse(name, &text(bundle, root)?)?;
                    content.definitions.push((name.to_owned(), definition));
                }
                Kind::Pack => {
                    let files = Files::archive(name, &bytes(bundle, root)?)?;
                    content.packs.push(Pack::read(files)?);
                }
                Kind::Chart => {
                    let bytes = bytes(bundle, root)?;
                    let chart = Chart::archive(name, &bytes)?;
                    content.charts.insert(Digest::of(&bytes), chart);
                }
                Kind::Manifest => {
                    let text = text(bundle, root)?;
                    content.manifests.push((name.to_owned(), text));
                }
                Kind::Image | Kind::Provider | Kind::Other(_) => {}
            }
        }
        Ok(content)
    }
}

/// The one file of an artifact, its digest checked.
fn bytes(bundle: &Bundle, root: &Root) -> Result<Vec<u8>, Error> {
    let format = |problem: &str| {
        let problem = format!("{} is no {}: {problem}", root.reference, root.kind);
        Error::not_bundle(bundle.path(), problem)
    };
    let missing = |digest| bundle.missing(digest, &root.reference);
    let manifest = bundle.manifest(&root.descriptor)?;
    let manifest = manifest.ok_or_else(|| missing(root.descriptor.digest))?;
    let layer = match &manifest.document {
        Document::Image(image) => image.layers.first(),
        Document::Index(_) => None,
    };
    let layer = layer.ok_or_else(|| format("it has no file"))?;
    if layer.size > MAX_BYTES {
        return Err(format("its file is too large"));
    }
    let bytes = bundle.read_blob(&layer.digest, layer.size)?;
    let bytes = bytes.ok_or_else(|| missing(layer.digest))?;
    match Digest::of(&bytes) {
        found if found != layer.digest => Err(Error::DamagedBlob {
            digest: layer.digest,
            found,
        }),
        _ => Ok(bytes),
    }
}

fn text(bundle: &Bundle, root: &Root) -> Result<String, Error> {
    Error::text(bytes(bundle, root)?, &root.reference)
}

struct Searcher<'a> {
    content: &'a BundleContent,
    options: Options,
    /// Places in the list of packs.
    used_packs: BTreeSet<usize>,
    used_charts: BTreeSet<Digest>,
    found: Vec<Named>,
}

impl Searcher<'_> {
    /// A layer of the cluster definition `name`.
    fn layer(&mut self, name: &str, layer: &Layer) -> Result<(), Error> {
        let mut named = Named {
            exclude: layer.exclude_images.clone(),
            ..Named::default()
        };
        let namespace = layer.namespace.as_deref();
        let (mut charts, mut manifests) = (BTreeSet::new(), BTreeSet::new());
        for (number, pack) in self.content.packs.iter().enumerate() {
            if !is_of(pack, layer, &self.options.answers)? {
                continue;
            }
            self.used_packs.insert(number);
            for (_, chart) in pack.charts() {
                charts.insert(chart.digest()?);
            }
            manifests.extend(pack.manifests().iter().map(|one| one.name.as_str()));
            let (presets, given) = presets_and_values(pack, layer, &self.options.answers)?;
            let composed = pack.compose(&presets, &given, &self.options.answers)?;
            let images = target::in_pack(pack, &composed, &self.options)?;
            named.images.extend(images);
        }
        for chart in &layer.charts {
            self.used_charts.insert(chart.digest);
            let Some(found) = self.content.charts.get(&chart.digest) else {
                let failure = Error::unfit(format!(
                    "there is no chart {} {} ({}), which {name}: {} names",
                    chart.name, chart.version, chart.digest, layer.name
                ));
                let hint = "build the bundle again, from a profile that has the chart";
                return Err(failure.with_hint(hint).into());
            };
            if charts.contains(&chart.digest) {
                continue;
            }
            let values = values::object(Some(&chart.values));
            let release = self.options.release(&chart.release, namespace, &values);
            let images = target::in_chart(found, release, false, &self.options);
            named.images.extend(images);
        }
        for manifest in &layer.manifests {
            if manifests.contains(manifest.name.as_str()) {
                continue;
            }
            let file = format!("{name}: {}/{}", layer.name, manifest.name);
            let values = values::object(Some(&manifest.values));
            let release = self.options.release(&manifest.name, namespace, &values);
            let text = &manifest.content;
            let images = target::in_manifest(&file, text, release, false, &self.options)?;
            named.images.extend(images);
            named.is_kustomized |= kustomization::has_unbuilt(&file, text);
        }
        let mut list = ImageList::default();
        for image in &layer.listed_images {
            list.extend(ImageList::parse(name, image)?);
        }
        named.images.vouched_by(&list);
        named.images.take(&list);
        self.found.push(named);
        Ok(())
    }

    /// What no definition uses, as it is.
    fn others(&mut self) -> Result<(), Error> {
        let mut named = Named::default();
        for (number, pack) in self.content.packs.iter().enumerate() {
            for (_, chart) in pack.charts() {
                self.used_charts.insert(chart.digest()?);
            }
            if self.used_packs.contains(&number) {
                continue;
            }
            named
                .images
                .extend(target::in_pack_alone(pack, &self.options)?);
        }
        for (digest, chart) in &self.content.charts {
            if !self.used_charts.contains(digest) {
                let images = target::in_plain_chart(chart, &self.options);
                named.images.extend(images);
            }
        }
        let manifests = &self.content.manifests;
        named.is_kustomized = manifests
            .iter()
            .any(|(file, text)| kustomization::has_unbuilt(file, text));
        let manifests = Target::Manifests(manifests.clone().into());
        named.images.extend(manifests.images(&self.options)?);
        self.found.push(named);
        Ok(())
    }
}

/// Whether a layer was made of a pack: it has all its charts and manifests.
fn is_of(pack: &Pack, layer: &Layer, answers: &Answers) -> Result<bool, Error> {
    for (_, chart) in pack.charts() {
        let digest = chart.digest()?;
        if !layer.charts.iter().any(|one| one.digest == digest) {
            return Ok(false);
        }
    }
    let manifests = pack.manifests().iter();
    let mut manifests = manifests.map(|one| (&one.name, answers.fill(&one.text)));
    let has_all = manifests.all(|(name, text)| {
        let mut there = layer.manifests.iter();
        there.any(|one| one.name == *name && one.content.trim_end() == text.trim_end())
    });
    let is_empty = pack.charts().is_empty() && pack.manifests().is_empty();
    let meta = &pack.meta;
    let same_name = (&meta.name, &meta.version) == (&layer.name, &layer.version);
    Ok(has_all && (!is_empty || same_name))
}

/// The presets and values by which a pack gives the layer that was made of it.
fn presets_and_values(
    pack: &Pack,
    layer: &Layer,
    answers: &Answers,
) -> Result<(Vec<String>, Value), Error> {
    let default = pack.compose(&[], &values::object(None), answers)?;
    let default = default.presets();
    let known = pack.presets().all().iter();
    let presets = known.map(|preset| preset.full_name()).filter_map(|name| {
        match (layer.presets.contains(&name), default.contains(&name)) {
            (true, false) => Some(name),
            (false, true) => Some(format!("-{name}")),
            _ => None,
        }
    });
    let (mut charts, mut releases, mut manifests) = (Map::new(), Map::new(), Map::new());
    for (name, chart) in pack.charts() {
        let digest = chart.digest()?;
        if let Some(one) = layer.charts.iter().find(|one| one.digest == digest) {
            charts.insert(name.clone(), values::object(Some(&one.values)));
            releases.insert(name.clone(), json!(one.release));
        }
    }
    for one in layer.manifests.iter().filter(|one| !one.values.is_null()) {
        manifests.insert(one.name.clone(), one.values.clone());
    }
    let mut own = json!({ "releaseNameOverride": releases });
    if let (Some(map), Some(namespace)) = (own.as_object_mut(), &layer.namespace) {
        map.insert("namespace".to_owned(), json!(namespace));
    }
    let given = json!({ "pack": own, "charts": charts, "manifests": manifests });
    Ok((presets.collect(), given))
}
