//! Keys of a catalog.

use super::cluster::{EXCLUDE, FILE, INCLUDE};
use super::{SCHEMA_VERSION, key, plain};
use crate::profile::schema::Need::{Default, Required};
use crate::profile::schema::Shape::{Flag, Integer, Tables, Text, Texts};
use crate::profile::schema::{Choice, Fields, Key};

/// A catalog.
pub(crate) static CATALOG: Fields = plain(&[
    key(
        "schema",
        Integer {
            min: SCHEMA_VERSION,
            max: SCHEMA_VERSION,
        },
        Required,
        "Version of this format.",
    ),
    key(
        "kubernetes",
        Tables(&KUBERNETES_ENTRY),
        Default(""),
        "Kubernetes distributions.",
    ),
    key("cni", Tables(&COMPONENT_ENTRY), Default(""), "Networks."),
    key("csi", Tables(&COMPONENT_ENTRY), Default(""), "Storage."),
    key(
        "registry",
        Tables(&COMPONENT_ENTRY),
        Default(""),
        "Registries.",
    ),
    key(
        "addons",
        Tables(&COMPONENT_ENTRY),
        Default(""),
        "Further components.",
    ),
]);

pub(super) const ENTRY_NAME: Key = key("name", Text, Required, "Name that a profile uses.");

pub(super) const ENTRY_VERSION: Key = key(
    "version",
    Text,
    Required,
    "Version that the entry is for, or a glob such as `1.32.*`; an exact version wins.",
);

pub(super) const ENTRY_SOURCE: Key = key(
    "source",
    Text,
    Required,
    "Public address where these facts come from.",
);

pub(super) const ENTRY_FIPS: Key = key(
    "fips",
    Flag,
    Default("`false`"),
    "The entry is the FIPS variant.",
);

pub(super) const ENTRY_IMAGES: Key = key(
    "images",
    Texts,
    Default(""),
    "Container images that the component needs. `{version}` and `{arch}` are filled in.",
);

pub(super) static KUBERNETES_ENTRY: Fields = plain(&[
    ENTRY_NAME,
    ENTRY_VERSION,
    ENTRY_SOURCE,
    ENTRY_FIPS,
    ENTRY_IMAGES,
    key("image", Text, Default(""), "An image laid as a layer."),
    INCLUDE,
    EXCLUDE,
    key("packages", Texts, Default(""), "Debian packages."),
    key(
        "files",
        Tables(&FILE),
        Default(""),
        "Files by URL and digest.",
    ),
    key(
        "required_from_user",
        Text,
        Default(""),
        "What the profile must name itself, because there is no public source or no known digest.",
    ),
]);

pub(super) static COMPONENT_ENTRY: Fields = Fields {
    keys: &[
        ENTRY_NAME,
        ENTRY_VERSION,
        ENTRY_SOURCE,
        ENTRY_FIPS,
        ENTRY_IMAGES,
        key(
            "pack",
            Text,
            Default(""),
            "The pack that the component is, unless the profile says what it is made of. Its images are found. `{version}` is filled in.",
        ),
        key(
            "chart",
            Text,
            Default(""),
            "The same with a chart, in a form of a component's `chart`.",
        ),
        key(
            "manifests",
            Texts,
            Default(""),
            "The same with manifests, or folders of such.",
        ),
        key(
            "required_from_user",
            Text,
            Default(""),
            "What the profile must name itself, because there is no public source.",
        ),
    ],
    choices: &[Choice {
        names: &["images", "pack", "chart", "manifests"],
        required: false,
    }],
};
