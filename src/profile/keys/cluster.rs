//! Keys of layers, of Kubernetes and of the components of the cluster.

use super::system::ARCHITECTURES;
use super::{key, plain};
use crate::profile::schema::Need::{Default, Required};
use crate::profile::schema::Shape::{Free, Integer, Mode, Tables, Text, Texts, Word, Words};
use crate::profile::schema::{Choice, Fields, Key};

pub(super) const INCLUDE: Key = key(
    "include",
    Texts,
    Default("everything"),
    "Globs over paths in the layer; only what matches is laid. `*` stays within a name, `**` goes over several, and a directory stands for all below it.",
);

pub(super) const EXCLUDE: Key = key(
    "exclude",
    Texts,
    Default("nothing"),
    "Globs over paths in the layer; what matches is left out.",
);

pub(super) const ONLY_ARCH: Key = key(
    "arch",
    Word(ARCHITECTURES),
    Default("every architecture"),
    "Only for this architecture.",
);

pub(super) const IMAGES: Key = key(
    "images",
    Texts,
    Default("the catalog's list"),
    "Container images for the content on the ISO, instead of the catalog's list.",
);

pub(super) const EXCLUDE_IMAGES: Key = key(
    "exclude_images",
    Texts,
    Default("nothing"),
    "Globs over image references to leave out of the list. A glob that matches none is an error.",
);

pub(super) static KUBERNETES: Fields = Fields {
    keys: &[
        key(
            "distribution",
            Text,
            Required,
            "`pxk-e`, `kubeadm`, `k3s`, `rke2`, `debian`, or any name if a source is given.",
        ),
        key(
            "version",
            Text,
            Default(""),
            "Such as `1.32.3` or `1.32.3+k3s1`.",
        ),
        key(
            "versions",
            Texts,
            Default(""),
            "Several: one provider image each. The ISO installs the first.",
        ),
        key(
            "image",
            Text,
            Default(""),
            "An image laid as a layer, in a form of `os.image`. `{version}` and `{arch}` stand for \
             the version (`+` as `_`) and the architecture.",
        ),
        key(
            "archive",
            Text,
            Default(""),
            "A tar archive laid as a layer. `{version}` and `{arch}` as in `image`.",
        ),
        INCLUDE,
        EXCLUDE,
        key(
            "layers",
            Tables(&KUBERNETES_LAYER),
            Default(""),
            "Further layers, in this order.",
        ),
        key(
            "packages",
            Texts,
            Default(""),
            "Debian packages; only where the system is made by `os.bootstrap`.",
        ),
        key(
            "files",
            Tables(&FILE),
            Default(""),
            "Files by URL and digest.",
        ),
        IMAGES,
        EXCLUDE_IMAGES,
        PACK,
        VALUES,
        PRESETS,
        MANIFESTS,
    ],
    choices: &[Choice {
        names: &["version", "versions"],
        required: true,
    }],
};

pub(super) const SOURCE: Choice = Choice {
    names: &["image", "archive", "folder"],
    required: true,
};

pub(super) const LAYER_IMAGE: Key = key(
    "image",
    Text,
    Default(""),
    "An image, in a form of `os.image`.",
);

pub(super) const LAYER_ARCHIVE: Key = key(
    "archive",
    Text,
    Default(""),
    "A tar archive, plain or with gzip, zstd or xz.",
);

pub(super) const LAYER_FOLDER: Key = key("folder", Text, Default(""), "A directory.");

pub(super) static LAYER: Fields = Fields {
    keys: &[
        LAYER_IMAGE,
        LAYER_ARCHIVE,
        LAYER_FOLDER,
        INCLUDE,
        EXCLUDE,
        key(
            "for",
            Words(&["iso", "provider"]),
            Default("`[\"iso\", \"provider\"]`"),
            "What the layer goes into: the ISO's root, the provider image, or both.",
        ),
        ONLY_ARCH,
    ],
    choices: &[SOURCE],
};

pub(super) static KUBERNETES_LAYER: Fields = Fields {
    keys: &[
        LAYER_IMAGE,
        LAYER_ARCHIVE,
        LAYER_FOLDER,
        INCLUDE,
        EXCLUDE,
        ONLY_ARCH,
    ],
    choices: &[SOURCE],
};

pub(super) static FILE: Fields = plain(&[
    key(
        "url",
        Text,
        Required,
        "http or https. `{version}` and `{arch}` stand for the version and the architecture.",
    ),
    key("sha256", Text, Required, "64 hex digits."),
    key(
        "path",
        Text,
        Required,
        "Absolute path in the root file system.",
    ),
    key("mode", Mode, Default("`\"0755\"`"), "Permissions."),
    ONLY_ARCH,
]);

/// Nodes of the largest cluster that Kubernetes is made for
/// (<https://kubernetes.io/docs/setup/best-practices/cluster-large/>).
const MAX_NODES: i64 = 5_000;

pub(super) static CLUSTER: Fields = plain(&[
    key(
        "nodes",
        Integer {
            min: 1,
            max: MAX_NODES,
        },
        Default("not known"),
        "How many machines the cluster has. Packs that need more end the build.",
    ),
    key(
        "macros",
        Free,
        Default("nothing"),
        "Answers to macros of packs, by their paths without the leading dot, such as \
         `spectro.var.site`: text, an integer, or true or false. They go into the cluster \
         definition as they are, so no secrets. See [packs](packs.md#macros).",
    ),
]);

const PACK: Key = key(
    "pack",
    Text,
    Default(""),
    "A pack, as folder or archive, see [packs](packs.md). Its images are found and carried.",
);

const VALUES: Key = key(
    "values",
    Free,
    Default(""),
    "Laid over the values of the pack, or over those of each chart.",
);

const PRESETS: Key = key(
    "presets",
    Texts,
    Default(""),
    "Presets of the pack, as `Group:name`, that are on; off with a `-` in front.",
);

const MANIFESTS: Key = key(
    "manifests",
    Texts,
    Default(""),
    "Manifests applied to the cluster, or folders of such. Their images are found and carried.",
);

pub(super) static COMPONENT: Fields = Fields {
    keys: &[
        key(
            "name",
            Text,
            Required,
            "Name in the catalog, or any name if `images`, `pack`, `chart`, `charts` or `manifests` is given.",
        ),
        key(
            "version",
            Text,
            Required,
            "Version, as the component's users know it.",
        ),
        IMAGES,
        EXCLUDE_IMAGES,
        key(
            "port",
            Integer {
                min: 1,
                max: 65_534,
            },
            Default("`30003`"),
            "Of `[registry]` alone: the port that it listens on. `distribution` takes pushes on \
             the next one.",
        ),
        PACK,
        key(
            "chart",
            Text,
            Default(""),
            "A Helm chart: `oci://HOST/REPOSITORY:VERSION`, `https://HOST/PATH#NAME:VERSION`, the URL of an archive, or a path. Its images are found and carried.",
        ),
        key(
            "charts",
            Texts,
            Default(""),
            "Several, in forms of `chart`.",
        ),
        VALUES,
        PRESETS,
        MANIFESTS,
    ],
    choices: &[Choice {
        names: &["pack", "chart", "charts"],
        required: false,
    }],
};

pub(super) static CONTENT_KEYS: Fields = plain(&[
    key(
        "images",
        Texts,
        Default(""),
        "References of images to carry. `{arch}` stands for the architecture.",
    ),
    key(
        "packs",
        Texts,
        Default(""),
        "Packs to carry with their images, as folders or archives.",
    ),
    key(
        "charts",
        Texts,
        Default(""),
        "Charts to carry with their images, in forms of `chart` of a component.",
    ),
    key(
        "manifests",
        Texts,
        Default(""),
        "Manifests to carry, or folders of such, and their images.",
    ),
]);
