//! Keys of the components of the cluster, of its content, and of the cluster itself.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use super::values;
use crate::profile::check;
use crate::profile::document::{Table, Value};
use crate::profile::keys::{
    At, boolean, free, inline, integer, keys, list, placed, secret_in, text,
};
use crate::profile::problem::Bad;
use isoforge_contract::machine::REGISTRY_PORT;
use isoforge_oci::reference::Reference;

/// Nodes of the largest cluster that Kubernetes is made for
/// (<https://kubernetes.io/docs/setup/best-practices/cluster-large/>).
const MAX_NODES: i64 = 5_000;
/// Highest port of a registry: the next one takes pushes.
const MAX_PORT: i64 = 65_534;
/// What the path of every macro begins with.
const MACRO_ROOT: &str = "spectro.";
/// The macro that the profile answers elsewhere.
const KUBERNETES_VERSION: &str = "spectro.system.kubernetes.version";

/// `[cni]`, `[csi]`, `[registry]` or one of `[[addons]]`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Component {
    /// Name in the catalog.
    pub name: String,
    /// Version.
    pub version: String,
    /// Images instead of the catalog's.
    pub images: Option<Vec<String>>,
    /// Globs over image references.
    pub exclude_images: Vec<String>,
    /// The port that `[registry]` listens on; of others nothing.
    pub port: Option<u16>,
    /// The address that `[registry]` listens on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<IpAddr>,
    /// Whether reading of `[registry]` takes no account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anonymous: Option<bool>,
    /// What it is made of.
    #[serde(flatten, skip_serializing_if = "ContentSources::is_empty")]
    pub sources: ContentSources,
}

keys! {
    impl Component {
        /// Name in the catalog, or any name if `images`, `pack`, `chart`, `charts`, `manifests` or `image_lists` is given.
        name = text(check::name).required(),
        /// Version, as the component's users know it.
        version = text(check::version).required(),
        /// What images it brings.
        picked = inline::<Picked>(),
        /// Of `[registry]` alone: the port that it listens on. `distribution` takes pushes on the
        /// next one.
        port = integer(1, MAX_PORT).optional(format!("`{REGISTRY_PORT}`")),
        /// Of a `[registry]` that runs on the machine: the one address of the machine that it listens
        /// on, such as `127.0.0.1`, with which no other machine reaches it.
        listen = text(check::listen_address).optional("all addresses of the machine"),
        /// Of a `[registry]` that runs on the machine: whether anyone who reaches it can read. With
        /// `false` the accounts `reader` and `pusher` can, whose passwords each machine makes.
        anonymous = boolean().optional("`true`"),
        /// A pack, as folder or archive, see [packs](packs.md). Its images are found and carried.
        pack = placed(check::path).optional(""),
        /// A Helm chart: `oci://HOST/REPOSITORY:VERSION`, `https://HOST/PATH#NAME:VERSION`, the URL of an archive, or a path. Its images are found and carried.
        chart = placed(check::url_or_path).optional(""),
        /// Several, in forms of `chart`.
        charts = list(placed(check::url_or_path)).or_empty(""),
        /// What else is given.
        given = inline::<Given>(),
    }
    one of pack, chart, charts;
    => Self {
        name,
        version,
        images: picked.images,
        exclude_images: picked.exclude_images,
        port,
        listen,
        anonymous,
        sources: given.with(pack, chart.into_iter().chain(charts).collect()),
    }
}

keys! {
    /// The images that Kubernetes or a component brings to the ISO.
    pub(crate) struct Picked {
        /// Container images for the content on the ISO, instead of the catalog's list.
        images: Option<Vec<String>> = list(placed(check::reference)).optional("the catalog's list"),
        /// Globs over image references to leave out of the list. A glob that matches none is an error.
        exclude_images: Vec<String> = list(text(check::glob)).or_empty("nothing"),
    }
}

/// Packs, charts and manifests.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct ContentSources {
    /// Packs, as folders or archives. A component has at most one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub packs: Vec<PathBuf>,
    /// Charts, in the forms of `content::chart::Source`; paths are joined.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub charts: Vec<String>,
    /// Laid over the values of pack or charts.
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    pub values: serde_json::Value,
    /// Presets of the pack that are on, or off with a `-` in front.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub presets: Vec<String>,
    /// Manifests, or folders of such.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<PathBuf>,
    /// Lists of images that are published beside them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image_lists: Vec<PathBuf>,
}

impl ContentSources {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packs.is_empty()
            && self.charts.is_empty()
            && self.manifests.is_empty()
            && self.image_lists.is_empty()
    }
}

keys! {
    /// What is laid over a pack or charts, and applied beside them.
    pub(crate) struct Given {
        /// Laid over the values of the pack, or over those of each chart.
        values: serde_json::Value = free(values).or_empty(""),
        /// Presets of the pack, as `Group:name`, that are on; off with a `-` in front.
        presets: Vec<String> = list(text(check::one_line)).or_empty(""),
        /// Manifests applied to the cluster, or folders of such. Their images are found and carried.
        manifests: Vec<PathBuf> = list(placed(check::path)).or_empty(""),
        /// Lists of images that are published beside them, one reference a line. All that they
        /// name is carried, and what was found is [compared](packs.md#lists-of-images).
        image_lists: Vec<PathBuf> = list(placed(check::path)).or_empty(""),
    }
}

impl Given {
    pub(super) fn with(self, pack: Option<PathBuf>, charts: Vec<String>) -> ContentSources {
        ContentSources {
            packs: pack.into_iter().collect(),
            charts,
            values: self.values,
            presets: self.presets,
            manifests: self.manifests,
            image_lists: self.image_lists,
        }
    }
}

/// `[content]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Content {
    /// References with the placeholder `{arch}`.
    pub images: Vec<String>,
    /// What else is carried, and its images.
    #[serde(flatten, skip_serializing_if = "ContentSources::is_empty")]
    pub sources: ContentSources,
}

keys! {
    impl Content {
        /// References of images to carry. `{arch}` stands for the architecture.
        images = list(placed(check::reference)).or_empty(""),
        /// Packs to carry with their images, as folders or archives.
        packs = list(placed(check::path)).or_empty(""),
        /// Charts to carry with their images, in forms of `chart` of a component.
        charts = list(placed(check::url_or_path)).or_empty(""),
        /// Manifests to carry, or folders of such, and their images.
        manifests = list(placed(check::path)).or_empty(""),
        /// Lists of images that are published beside them, one reference a line. All that they
        /// name is carried, and what was found is [compared](packs.md#lists-of-images).
        image_lists = list(placed(check::path)).or_empty(""),
    }
    => Self {
        images,
        sources: ContentSources { packs, charts, manifests, image_lists, ..ContentSources::default() },
    }
}

/// An image that the ISO carries, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct ContentImage {
    /// The image.
    pub reference: Reference,
    /// Such as `cni calico 3.29.2`, or `content` for the profile's own list.
    pub needed_by: String,
}

keys! {
    /// `[cluster]`.
    #[derive(Default, Eq)]
    pub struct Cluster {
        /// How many machines the cluster has. Packs that need more end the build.
        nodes: Option<u32> = integer(1, MAX_NODES).optional("not known"),
        /// Answers to macros of packs, by their paths without the leading dot, such as
        /// `spectro.var.site`: text, an integer, or true or false. They go into the cluster
        /// definition as they are, so no secrets. See [packs](packs.md#macros).
        macros: BTreeMap<String, String> = free(macros).or_empty("nothing"),
    }
}

impl Cluster {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn macros(table: &Table, at: &At<'_>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    answers("", table, at, &mut found);
    found
}

/// The answers of a table and of those in it: `spectro.var.x` may be written as
/// one quoted key or as a path of tables.
fn answers(above: &str, table: &Table, at: &At<'_>, into: &mut BTreeMap<String, String>) {
    for (key, entry) in table {
        let path = match above {
            "" => key.clone(),
            above => format!("{above}.{key}"),
        };
        let at = at.with(&entry.node);
        if let (Value::Table(inner), None) = (&at.node.value, secret_in(&at.node.value)) {
            answers(&path, inner, &at, into);
            continue;
        }
        let answer = answer(&at.node.value).and_then(|text| {
            macro_answer(&path, &text)?;
            match into.contains_key(&path) {
                true => Err(Bad::new(
                    format!("two answers to the macro '{path}'"),
                    "each path once, quoted or as tables",
                )),
                false => Ok(text),
            }
        });
        if let Some(text) = at.checked(answer) {
            into.insert(path, text);
        }
    }
}

/// An answer as the text that is filled in.
fn answer(value: &Value) -> Result<String, Bad> {
    let expected = "text, an integer, or true or false";
    match value {
        Value::Text(text) => Ok(text.clone()),
        Value::Integer(integer) => Ok(integer.to_string()),
        Value::Flag(flag) => Ok(flag.to_string()),
        other if secret_in(other).is_some() => {
            let bad = Bad::new("a secret can't be the answer to a macro", expected);
            Err(bad.help(
                "leave it out: the cluster definition lists the macro as unanswered, and it is \
                 filled where the cluster is made",
            ))
        }
        other => Err(Bad::new(
            format!("{} can't be the answer to a macro", other.describe()),
            expected,
        )),
    }
}

/// Whether `text` can be the answer to the macro `path`, which is without the
/// leading dot.
pub(crate) fn macro_answer(path: &str, text: &str) -> Result<(), Bad> {
    let fine = |c: char| c.is_alphanumeric() || "_-".contains(c);
    let word = |part: &str| !part.is_empty() && part.chars().all(fine);
    let rest = path.strip_prefix(MACRO_ROOT);
    if !rest.is_some_and(|rest| rest.split('.').all(word)) {
        let bad = Bad::new(
            format!("'{path}' is not the path of a macro"),
            "letters, digits, '_' and '-' with dots between them, such as spectro.var.site",
        );
        let dotless = path.strip_prefix('.').filter(|p| p.starts_with(MACRO_ROOT));
        return Err(match dotless {
            Some(path) => bad.help(format!("write '{path}'")),
            None => bad,
        });
    }
    if path == KUBERNETES_VERSION {
        return Err(Bad::new(
            format!("'{path}' is answered by the version of Kubernetes itself"),
            "another macro",
        ));
    }
    if text.contains("{{") {
        return Err(Bad::new(
            format!("the answer to '{path}' has a macro or template in it"),
            "text that is filled in as it is",
        ));
    }
    Ok(())
}
