//! What a path names, and the images that it needs.

use std::path::Path;

use serde_json::Value;

use super::helm::{Helm, Release};
use super::kustomize::{self, Kustomize};
use super::standard_rules;
use super::{Images, Method, Occurrence, Rule, Unproven, kustomization, manifests, scan};
use crate as content;
use crate::Error;
use crate::chart::{self, Chart};
use crate::files::Files;
use crate::macros::{self, Answers};
use crate::pack::answers::{self, Use};
use crate::pack::{self, Composed, Pack};
use crate::values;
use isoforge_base::digest::Digest;

/// What Helm begins the reason of a failure with.
const REASON: &str = "Error: ";
/// What it begins its advice with.
const ADVICE: &str = "Use --debug";

/// How images are looked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Laid over a pack's or chart's values, in this order.
    pub values: Vec<Value>,
    /// Presets of packs that are on or, with a `-` in front, off.
    pub presets: Vec<String>,
    /// Where images are beside containers, added to the standard rules.
    pub rules: Vec<Rule>,
    /// What macros in packs and manifests are filled with.
    pub answers: Answers,
    /// The version of Kubernetes that charts are rendered for.
    pub kubernetes: Option<String>,
    /// What charts are rendered by, where that is wanted.
    pub helm: Option<Helm>,
    /// What kustomizations are built by, where that is wanted.
    pub kustomize: Option<Kustomize>,
}

impl Options {
    /// All rules that hold.
    fn all_rules(&self) -> Vec<Rule> {
        let mut rules = standard_rules();
        rules.extend(self.rules.iter().cloned());
        rules
    }

    /// A chart or manifest as it is installed under `name`.
    pub(crate) fn release<'a>(
        &'a self,
        name: &'a str,
        namespace: Option<&'a str>,
        values: &'a Value,
    ) -> Release<'a> {
        Release {
            name,
            namespace,
            values,
            kubernetes: self.kubernetes.as_deref(),
        }
    }

    fn merged_values(&self) -> Value {
        let mut merged = values::object(None);
        for over in &self.values {
            values::merge(&mut merged, over);
        }
        merged
    }
}

/// Something that images can be found in.
#[derive(Debug)]
pub enum Target {
    /// A pack.
    Pack(Box<Pack>),
    /// A chart.
    Chart(Box<Chart>),
    /// Manifests.
    Manifests(Manifests),
}

/// Manifests that were given together.
#[derive(Debug, Default)]
pub struct Manifests {
    /// Name and text of each.
    pub texts: Vec<(String, String)>,
    /// All files of their folder, where kustomizations are among them.
    pub(crate) folder: Option<Files>,
}

impl From<Vec<(String, String)>> for Manifests {
    fn from(texts: Vec<(String, String)>) -> Self {
        Self {
            texts,
            folder: None,
        }
    }
}

impl Manifests {
    /// Digest over all files of the folder, where kustomizations are among them: they
    /// may make objects of any.
    #[must_use]
    pub fn folder_digest(&self) -> Option<Digest> {
        self.folder.as_ref().map(Files::digest)
    }

    /// The images that they need.
    ///
    /// # Errors
    /// [`Error`].
    pub fn images(&self, options: &Options) -> Result<Images, Error> {
        let rules = options.all_rules();
        let (mut out, mut done) = (Images::default(), Vec::new());
        if let (Some(folder), Some(program)) = (&self.folder, &options.kustomize) {
            let built = kustomize::images(program, folder, &rules);
            out = built.images;
            done.extend(built.done.iter().map(|path| folder.name(path)));
        }
        for (file, text) in self.texts.iter().filter(|(file, _)| !done.contains(file)) {
            let text = options.answers.fill(text);
            out.extend(manifests::images(file, &text, &rules)?);
        }
        Ok(out)
    }
}

impl Target {
    /// Finds out what lies at `path` and reads it.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Unknown`] where it is nothing of the three.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let is_file = path.is_file();
        if is_file && manifests::is_manifest(&name) {
            let texts = vec![(name.clone(), content::read_text(path)?)];
            return Ok(Self::Manifests(texts.into()));
        }
        let files = match Files::open(path) {
            Err(Error::Archive { .. }) if is_file && !looks_like_archive(&name) => {
                let path = path.to_owned();
                return Err(Error::Unknown(path));
            }
            files => files?,
        };
        let files = files.rooted_at(pack::FILE).rooted_at(chart::FILE);
        if files.get(pack::FILE).is_some() {
            return Ok(Self::Pack(Box::new(Pack::read(files)?)));
        }
        if files.get(chart::FILE).is_some() {
            return Ok(Self::Chart(Box::new(Chart::read(files)?)));
        }
        let inside = files.iter().find_map(|(path, _)| {
            let (folder, file) = path.rsplit_once('/')?;
            [pack::FILE, chart::FILE].contains(&file).then_some(folder)
        });
        if let Some(inside) = inside {
            let path = path.display();
            let text = format!("'{path}' holds packs or charts ({inside}); name each");
            return Err(Error::asked(text).into());
        }
        let paths = files.iter().map(|(path, _)| path);
        let found = paths.filter(|path| manifests::is_manifest(path));
        let texts: Result<Vec<_>, Error> = found
            .map(|path| {
                let text = files.text(path)?.unwrap_or_default().to_owned();
                Ok((files.name(path), text))
            })
            .collect();
        match texts? {
            texts if texts.is_empty() => Err(Error::Unknown(path.to_owned())),
            texts => Ok(Self::Manifests(Manifests {
                texts,
                folder: kustomization::is_in(&files).then_some(files),
            })),
        }
    }

    /// Adds to the answers of `options` what the values of packs answer each
    /// other.
    ///
    /// # Errors
    /// [`Error`].
    pub fn answer_each_other<'a>(
        targets: impl Iterator<Item = &'a Self>,
        options: &mut Options,
    ) -> Result<(), Error> {
        let values = options.merged_values();
        let packs = targets.filter_map(|target| match target {
            Self::Pack(pack) => Some(Use {
                pack,
                presets: &options.presets,
                values: &values,
            }),
            Self::Chart(_) | Self::Manifests(_) => None,
        });
        let packs: Vec<_> = packs.collect();
        answers::answer(&mut options.answers, &packs)
    }

    /// The images that it needs.
    ///
    /// # Errors
    /// [`Error`].
    pub fn images(&self, options: &Options) -> Result<Images, Error> {
        match self {
            Self::Pack(pack) => in_pack_alone(pack, options),
            Self::Chart(chart) => Ok(in_plain_chart(chart, options)),
            Self::Manifests(manifests) => manifests.images(options),
        }
    }
}

fn looks_like_archive(name: &str) -> bool {
    let endings = [".tgz", ".tar", ".tar.gz", ".tar.zst"];
    endings.iter().any(|ending| name.ends_with(ending))
}

/// The images of a chart of no pack.
#[must_use]
pub fn in_plain_chart(chart: &Chart, options: &Options) -> Images {
    let values = options.answers.fill_values(&options.merged_values());
    let release = options.release(&chart.meta.name, None, &values);
    in_chart(chart, release, false, options)
}

/// The images of a pack with the presets and values of `options`; macros that go
/// to its own values are filled.
///
/// # Errors
/// [`Error`].
pub fn in_pack_alone(pack: &Pack, options: &Options) -> Result<Images, Error> {
    let values = options.merged_values();
    let mut options = options.clone();
    let alone = Use {
        pack,
        presets: &options.presets,
        values: &values,
    };
    answers::answer(&mut options.answers, &[alone])?;
    let composed = pack.compose(&options.presets, &values, &options.answers)?;
    in_pack(pack, &composed, &options)
}

/// The images of a pack whose values are `composed`.
///
/// # Errors
/// [`Error`].
pub(crate) fn in_pack(
    pack: &Pack,
    composed: &Composed,
    options: &Options,
) -> Result<Images, Error> {
    let mut out = Images::default();
    let declared = composed.declared();
    let is_declared = !declared.is_empty();
    for (number, image) in declared.iter().enumerate() {
        let place = Occurrence {
            method: Method::Pack,
            file: pack.files().name(pack::VALUES_FILE),
            line: pack.line_of_image(number, image),
            object: None,
            path: format!("pack.content.images[{number}].image"),
        };
        out.add(image, place);
    }
    let mut options = options.clone();
    options
        .rules
        .extend(pack.isoforge_toml().rules.iter().cloned());
    for manifest in pack.manifests() {
        let text = options.answers.fill(&manifest.text);
        let values = composed.manifest_values(&manifest.name);
        let release = options.release(&manifest.name, composed.namespace(), &values);
        let file = pack.files().name(&manifest.path);
        out.extend(in_manifest(&file, &text, release, is_declared, &options)?);
    }
    for (name, chart) in pack.charts() {
        let values = composed.chart_values(name);
        let release = options.release(composed.release_name(name), composed.namespace(), &values);
        out.extend(in_chart(chart, release, is_declared, &options));
    }
    Ok(out)
}

/// The images of a manifest, which may have templates in it.
///
/// # Errors
/// [`Error`].
pub(crate) fn in_manifest(
    file: &str,
    text: &str,
    release: Release<'_>,
    is_declared: bool,
    options: &Options,
) -> Result<Images, Error> {
    let rules = options.all_rules();
    let plain = manifests::images(file, text, &rules);
    if !text.contains("{{") {
        return plain;
    }
    if let Ok(images) = plain {
        let mut unresolved = images.unresolved.iter();
        // Braces may stand in a text alone, as they do in descriptions; and a macro
        // without an answer is nothing that Helm has.
        let is_plain = !unresolved.any(|text| text.text.contains("{{"));
        if is_plain || (!is_declared && !macros::has_template(text)) {
            return Ok(images);
        }
    }
    let text_of = |helm: &Helm| helm.manifest(file, text, release);
    match rendered(file, options, text_of) {
        Ok(images) => Ok(images),
        Err(_) if is_declared => Ok(Images::default()),
        Err(why) => {
            let why = why.unwrap_or_else(|| "was not rendered by Helm".to_owned());
            let why = format!("it has templates, and {why}");
            let images = scan::manifest(file, text, release.values);
            Ok(guessed(images, file, why))
        }
    }
}

/// The images of a chart; with `is_declared` a pack lists them.
pub(crate) fn in_chart(
    chart: &Chart,
    release: Release<'_>,
    is_declared: bool,
    options: &Options,
) -> Images {
    if chart.meta.is_library {
        return Images::default();
    }
    match rendered(chart.place(), options, |helm| helm.template(chart, release)) {
        Ok(images) => images,
        Err(_) if is_declared => Images::default(),
        Err(why) => {
            let unsaid = "it was not rendered by Helm, only its values were looked at";
            let why = why.unwrap_or_else(|| unsaid.to_owned());
            let images = scan::chart(chart, release.values);
            guessed(images, chart.place(), why)
        }
    }
}

/// The images of what Helm renders; else why there are none, where there is a Helm.
fn rendered(
    place: &str,
    options: &Options,
    text: impl FnOnce(&Helm) -> Result<String, Error>,
) -> Result<Images, Option<String>> {
    let helm = options.helm.as_ref().ok_or(None)?;
    text(helm)
        .and_then(|text| manifests::rendered(place, &text, &options.all_rules()))
        .map_err(|error| Some(reason(&error)))
}

/// What a scan found, and why that is not certain.
fn guessed(mut images: Images, what: &str, why: String) -> Images {
    let what = what.to_owned();
    images.unproven.insert(Unproven { what, why });
    images
}

/// Why rendering gave nothing, in one line.
fn reason(error: &Error) -> String {
    let Error::Helm { source, .. } = error else {
        return error.to_string();
    };
    format!("Helm can't render it: {}", said(&source.to_string()))
}

/// The reason in what Helm says, without the advice behind it. A line that ends
/// with a colon goes on in the next one: charts begin their own words on a new line.
fn said(message: &str) -> String {
    let lines = message.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with(ADVICE));
    let mut all: Vec<&str> = lines.collect();
    if let Some(at) = all.iter().position(|line| line.starts_with(REASON)) {
        all.drain(..at);
    } else if let Some(last) = all.pop() {
        // It is so long that only its end was kept.
        all = vec![last];
    }
    let ends = |line: &&str| !line.ends_with(':');
    let end = all.iter().position(ends).map_or(all.len(), |at| at + 1);
    all.truncate(end);
    let text = all.join(" ");
    text.strip_prefix(REASON).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::said;

    #[test]
    fn a_reason_is_one_line() {
        for (message, reason) in [
            (
                "'helm' failed: exit status: 1\n  level=INFO\n  Error: a is wrong\n\n  Use --debug flag",
                "a is wrong",
            ),
            (
                "'helm' failed\n  Error: at (x:1:2):\n  VALUES VALIDATION:\n  web: no password\n  See y",
                "at (x:1:2): VALUES VALIDATION: web: no password",
            ),
            (
                "failed\n  3) the end of much\n\n  Use --debug flag",
                "3) the end of much",
            ),
            ("Error: nothing:\nUse --debug flag", "nothing:"),
            ("", ""),
        ] {
            assert_eq!(said(message), reason);
        }
    }
}
