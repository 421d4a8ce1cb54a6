//! The table of all keys of a profile and of a catalog.

use super::schema::Need::{Default, Later, Refused, Required};
use super::schema::Shape::{
    Flag, Free, Integer, Mode, Named, OneOrMore, Secret, Size, Table, Tables, Text, TextUntil,
    Texts, Word, Words,
};
use super::schema::{Choice, Fields, Key, Need, Shape};

/// The version of the format, and the only one.
pub(crate) const SCHEMA_VERSION: i64 = 1;

const CONTENT: &str = "packs, charts and manifests as content of the ISO";
const INSTALLER: &str = "the installer of the flavor `appliance`";
const LOCK: &str = "the lock file";
const CREDENTIALS: &str =
    "credentials come from the Docker configuration or a credential helper, never from a profile";

const fn key(name: &'static str, shape: Shape, need: Need, help: &'static str) -> Key {
    Key {
        name,
        shape,
        need,
        help,
    }
}

const fn plain(keys: &'static [Key]) -> Fields {
    Fields { keys, choices: &[] }
}

const INCLUDE: Key = key(
    "include",
    Texts,
    Default("everything"),
    "Globs over paths in the layer; only what matches is laid.",
);
const EXCLUDE: Key = key(
    "exclude",
    Texts,
    Default("nothing"),
    "Globs over paths in the layer; what matches is left out.",
);
const ONLY_ARCH: Key = key(
    "arch",
    Word(ARCHITECTURES),
    Default("every architecture"),
    "Only for this architecture.",
);
const IMAGES: Key = key(
    "images",
    Texts,
    Default("the catalog's list"),
    "Container images for the content on the ISO, instead of the catalog's list.",
);
const EXCLUDE_IMAGES: Key = key(
    "exclude_images",
    Texts,
    Default("nothing"),
    "Globs over image references to leave out of the list. A glob that matches none is an error.",
);

/// Names of architectures, as Debian and OCI write them.
pub(crate) const ARCHITECTURES: &[&str] = &["amd64", "arm64"];

/// The profile.
pub(crate) static PROFILE: Fields = plain(&[
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
        "extends",
        Text,
        Default(""),
        "A profile that this one builds on. Later keys win, tables merge, a list replaces the \
         base's unless its key is written as `\"+name\"`: then it is appended. A key that excludes \
         others (`os.image`, `os.rootfs`, `os.bootstrap` for instance) replaces those of the base.",
    ),
    key(
        "catalog",
        OneOrMore,
        Default("the built-in catalog"),
        "Catalog files whose entries are added to the built-in catalog and win over it.",
    ),
    key("appliance", Table(&APPLIANCE), Required, "What is built."),
    key(
        "registration",
        Table(&REGISTRATION),
        Default(""),
        "Central management; required if `appliance.mode` is `central`.",
    ),
    key("os", Table(&OS), Required, "The operating system."),
    key(
        "kubernetes",
        Table(&KUBERNETES),
        Required,
        "The Kubernetes distribution.",
    ),
    key(
        "layers",
        Tables(&LAYER),
        Default(""),
        "Agents, drivers or vendor files laid over the operating system, in this order. \
         Exactly one of `image`, `archive`, `folder`.",
    ),
    key(
        "cni",
        Table(&COMPONENT),
        Default(""),
        "The network of the cluster.",
    ),
    key(
        "csi",
        Table(&COMPONENT),
        Default(""),
        "The storage of the cluster.",
    ),
    key(
        "registry",
        Table(&COMPONENT),
        Default(""),
        "The registry in the cluster.",
    ),
    key(
        "addons",
        Tables(&COMPONENT),
        Default(""),
        "Further components.",
    ),
    key(
        "vars",
        Free,
        Default(""),
        "Values for templates, of any type. A table `{ env = \"NAME\" }` or `{ file = \"PATH\" }` \
         is a secret: read when it is needed and never shown.",
    ),
    key(
        "cloud_config",
        Table(&CLOUD_CONFIG),
        Default(""),
        "The configuration of the machine.",
    ),
    key(
        "overlays",
        Table(&OVERLAYS),
        Default(""),
        "Directories laid over what is built.",
    ),
    key("boot", Table(&BOOT), Default(""), "How the ISO boots."),
    key(
        "install",
        Table(&INSTALL),
        Default(""),
        "How the ISO installs.",
    ),
    key(
        "provider",
        Table(&PROVIDER),
        Default(""),
        "The provider image.",
    ),
    key(
        "content",
        Table(&CONTENT_KEYS),
        Default(""),
        "Further content on the ISO.",
    ),
    key(
        "registries",
        Named(&REGISTRY_HOST),
        Default(""),
        "Settings by registry host, such as `[registries.\"quay.io\"]`.",
    ),
    key(
        "output",
        Table(&OUTPUT),
        Default(""),
        "The form of what is written.",
    ),
    key(
        "limits",
        Table(&LIMITS),
        Default(""),
        "Bounds on what a layer may hold.",
    ),
    key("lock", Free, Later(LOCK), "Settings of the lock file."),
    key(
        "secrets",
        Free,
        Later("secret stores"),
        "Stores that secrets come from.",
    ),
    key(
        "signing",
        Free,
        Later("signatures"),
        "Keys that artifacts are signed with.",
    ),
    key(
        "disks",
        Tables(&plain(&[])),
        Later(INSTALLER),
        "Layout of the installed disks.",
    ),
    key(
        "local_ui",
        Free,
        Later("the Local UI"),
        "The web page of the machine.",
    ),
    key(
        "console",
        Free,
        Later("the text console"),
        "The text console of the machine.",
    ),
]);

static APPLIANCE: Fields = plain(&[
    key(
        "name",
        Text,
        Required,
        "Lower-case letters, digits and single `.`, `_`, `-` between them; in the names of all outputs.",
    ),
    key(
        "version",
        Text,
        Required,
        "Letters, digits, `.`, `_`, `-`, `+`; in the names of all outputs.",
    ),
    key(
        "arch",
        Words(ARCHITECTURES),
        Default("`[\"amd64\"]`"),
        "One ISO is made for each.",
    ),
    key(
        "mode",
        Word(&["local", "central"]),
        Default("`local`"),
        "Whether machines are managed by themselves or register with a central service.",
    ),
]);

static REGISTRATION: Fields = plain(&[
    key(
        "endpoint",
        Text,
        Required,
        "Address of the central service: a host name or an https URL.",
    ),
    key("token", Secret, Required, "The registration token."),
    key(
        "project",
        Text,
        Default(""),
        "Name of the project that machines join.",
    ),
]);

static OS: Fields = Fields {
    keys: &[
        key(
            "flavor",
            Word(&["kairos", "appliance"]),
            Required,
            "`kairos`: the image brings its installer. `appliance`: isoforge's own layout.",
        ),
        key(
            "distribution",
            Text,
            Required,
            "Such as `ubuntu` or `debian`; for labels.",
        ),
        key(
            "version",
            Text,
            Required,
            "The distribution's version; for labels.",
        ),
        key(
            "image",
            Text,
            Default(""),
            "An image: a registry reference, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]` or \
             `docker-archive:FILE[:TAG]`. `{arch}` stands for the architecture.",
        ),
        key(
            "rootfs",
            Text,
            Default(""),
            "A root file system archive: tar, plain or with gzip, zstd or xz. `{arch}` stands for \
             the architecture.",
        ),
        key(
            "bootstrap",
            Table(&BOOTSTRAP),
            Default(""),
            "A Debian-like system made from packages, with mmdebstrap.",
        ),
        key(
            "fips",
            Flag,
            Default("`false`"),
            "Adds `fips=1` to the kernel command line, checks the image for FIPS mode and takes \
             FIPS variants from the catalog.",
        ),
    ],
    choices: &[Choice {
        names: &["image", "rootfs", "bootstrap"],
        required: true,
    }],
};

static BOOTSTRAP: Fields = plain(&[
    key(
        "suite",
        Text,
        Required,
        "The release's code name, such as `trixie`.",
    ),
    key(
        "packages",
        Texts,
        Default(""),
        "Packages beside the variant's own.",
    ),
    key(
        "mirror",
        OneOrMore,
        Default("Debian's mirror"),
        "URLs of archives, or whole lines in the one-line format of sources.list.",
    ),
    key(
        "components",
        Texts,
        Default("`[\"main\"]`"),
        "Components of the archive.",
    ),
    key(
        "keyring",
        Text,
        Default("the host's"),
        "Keyring that the archive is signed with.",
    ),
    key(
        "variant",
        Word(&[
            "essential",
            "apt",
            "required",
            "minbase",
            "buildd",
            "important",
            "standard",
        ]),
        Default("`minbase`"),
        "mmdebstrap's name of the set of packages to begin with.",
    ),
]);

static KUBERNETES: Fields = Fields {
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
        key("pack", Text, Later(CONTENT), "A pack's folder."),
        key("values", Free, Later(CONTENT), "Values of the pack."),
        key("presets", Texts, Later(CONTENT), "Presets of the pack."),
        key(
            "manifests",
            Texts,
            Later(CONTENT),
            "Manifests applied to the cluster.",
        ),
    ],
    choices: &[Choice {
        names: &["version", "versions"],
        required: true,
    }],
};

const SOURCE: Choice = Choice {
    names: &["image", "archive", "folder"],
    required: true,
};
const LAYER_IMAGE: Key = key(
    "image",
    Text,
    Default(""),
    "An image, in a form of `os.image`.",
);
const LAYER_ARCHIVE: Key = key(
    "archive",
    Text,
    Default(""),
    "A tar archive, plain or with gzip, zstd or xz.",
);
const LAYER_FOLDER: Key = key("folder", Text, Default(""), "A directory.");

static LAYER: Fields = Fields {
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

static KUBERNETES_LAYER: Fields = Fields {
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

static FILE: Fields = plain(&[
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

static COMPONENT: Fields = plain(&[
    key(
        "name",
        Text,
        Required,
        "Name in the catalog, or any name if `images` is given.",
    ),
    key(
        "version",
        Text,
        Required,
        "Version, as the component's users know it.",
    ),
    IMAGES,
    EXCLUDE_IMAGES,
    key("pack", Text, Later(CONTENT), "A pack's folder."),
    key("chart", Text, Later(CONTENT), "A Helm chart."),
    key("charts", Texts, Later(CONTENT), "Helm charts."),
    key(
        "values",
        Free,
        Later(CONTENT),
        "Values of the pack or chart.",
    ),
    key("presets", Texts, Later(CONTENT), "Presets of the pack."),
    key(
        "manifests",
        Texts,
        Later(CONTENT),
        "Manifests applied to the cluster.",
    ),
]);

static CLOUD_CONFIG: Fields = Fields {
    keys: &[
        key(
            "template",
            Text,
            Default("the built-in template"),
            "A Tera template.",
        ),
        key(
            "file",
            Text,
            Default(""),
            "A finished `#cloud-config`, taken unchanged; an existing CanvOS `user-data` for instance.",
        ),
    ],
    choices: &[Choice {
        names: &["template", "file"],
        required: false,
    }],
};

static OVERLAYS: Fields = plain(&[
    key(
        "rootfs",
        Texts,
        Default(""),
        "Directories laid over the root file system, in this order.",
    ),
    key(
        "iso",
        Texts,
        Default(""),
        "Directories laid over the ISO's own tree, in this order.",
    ),
]);

static BOOT: Fields = plain(&[
    key(
        "firmware",
        Words(&["bios", "uefi"]),
        Default("`[\"bios\", \"uefi\"]`"),
        "Firmware that the ISO boots under. BIOS concerns amd64 only.",
    ),
    key(
        "cmdline",
        Texts,
        Default(""),
        "Arguments added to the kernel command line.",
    ),
    key(
        "timeout",
        Integer { min: 0, max: 3600 },
        Default("`5`"),
        "Seconds until the menu's default is booted.",
    ),
    key(
        "title",
        Text,
        Default("name and version"),
        "Title of the menu's entries.",
    ),
]);

static INSTALL: Fields = plain(&[
    key(
        "device",
        TextUntil(INSTALLER),
        Default("`auto`"),
        "The disk to install to: `auto` or a path below `/dev`.",
    ),
    key(
        "mode",
        Word(&["interactive", "unattended"]),
        Default("`interactive`"),
        "Which installer the menu boots by default.",
    ),
    key(
        "after",
        Word(&["reboot", "poweroff", "none"]),
        Default("`reboot`"),
        "What the machine does once it is installed.",
    ),
    key("partitions", Free, Later(INSTALLER), "Sizes of partitions."),
]);

static PROVIDER: Fields = plain(&[key(
    "repository",
    Text,
    Default("the appliance's name"),
    "Repository of the provider image, such as `registry.example/edge/ubuntu`. Its tag is \
     `{kubernetes.distribution}-{kubernetes.version}-{appliance.version}`, `+` as `_`.",
)]);

static CONTENT_KEYS: Fields = plain(&[
    key(
        "images",
        Texts,
        Default(""),
        "References of images to carry. `{arch}` stands for the architecture.",
    ),
    key("packs", Texts, Later(CONTENT), "Packs to carry."),
    key("charts", Texts, Later(CONTENT), "Charts to carry."),
    key(
        "manifests",
        Texts,
        Later(CONTENT),
        "Manifests to carry, and their images.",
    ),
]);

static REGISTRY_HOST: Fields = plain(&[
    key(
        "mirror",
        Text,
        Default(""),
        "Host, and optional path, that is asked instead.",
    ),
    key("username", Text, Refused(CREDENTIALS), ""),
    key("password", Text, Refused(CREDENTIALS), ""),
    key("token", Text, Refused(CREDENTIALS), ""),
]);

static OUTPUT: Fields = plain(&[
    key(
        "compression",
        Text,
        Default("`zstd:9`"),
        "Of the SquashFS: `zstd[:1-22]`, `gzip[:1-9]` or `xz`.",
    ),
    key(
        "block_size",
        Size,
        Default("`256K`"),
        "Of the SquashFS: a power of two from 4K to 1M.",
    ),
    key(
        "layer_compression",
        Word(&["gzip", "zstd"]),
        Default("`gzip`"),
        "Of the layers that isoforge makes for the provider image; some readers refuse zstd.",
    ),
]);

static LIMITS: Fields = plain(&[
    key(
        "entries",
        Integer {
            min: 1,
            max: i64::MAX,
        },
        Default("isoforge's"),
        "Entries of a layer.",
    ),
    key(
        "path_length",
        Integer {
            min: 1,
            max: 65_535,
        },
        Default("isoforge's"),
        "Bytes of a path.",
    ),
    key(
        "layer_bytes",
        Size,
        Default("isoforge's"),
        "Bytes of a layer once decompressed.",
    ),
    key(
        "ratio",
        Integer {
            min: 1,
            max: i64::MAX,
        },
        Default("isoforge's"),
        "Bytes that one compressed byte may become.",
    ),
]);

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

const ENTRY_NAME: Key = key("name", Text, Required, "Name that a profile uses.");
const ENTRY_VERSION: Key = key(
    "version",
    Text,
    Required,
    "Version that the entry is for, or a glob such as `1.32.*`; an exact version wins.",
);
const ENTRY_SOURCE: Key = key(
    "source",
    Text,
    Required,
    "Public address where these facts come from.",
);
const ENTRY_FIPS: Key = key(
    "fips",
    Flag,
    Default("`false`"),
    "The entry is the FIPS variant.",
);
const ENTRY_IMAGES: Key = key(
    "images",
    Texts,
    Default(""),
    "Container images that the component needs. `{version}` and `{arch}` are filled in.",
);

static KUBERNETES_ENTRY: Fields = plain(&[
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

static COMPONENT_ENTRY: Fields = plain(&[
    ENTRY_NAME,
    ENTRY_VERSION,
    ENTRY_SOURCE,
    ENTRY_FIPS,
    ENTRY_IMAGES,
    key(
        "required_from_user",
        Text,
        Default(""),
        "What the profile must name itself, because there is no public source.",
    ),
]);
