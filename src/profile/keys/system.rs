//! Keys of the machine: its system, its configuration, its boot and its outputs.

use super::{CREDENTIALS, key, plain};
use crate::profile::schema::Need::{Default, Refused, Required};
use crate::profile::schema::Shape::{
    Flag, Integer, OneOrMore, Secret, Size, Table, Text, Texts, Word, Words,
};
use crate::profile::schema::{Choice, Fields};

/// Names of architectures, as Debian and OCI write them.
pub(super) const ARCHITECTURES: &[&str] = &["amd64", "arm64"];

pub(super) static APPLIANCE: Fields = plain(&[
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

pub(super) static REGISTRATION: Fields = plain(&[
    key(
        "endpoint",
        Text,
        Required,
        "Address of the central service: a host name or an https URL.",
    ),
    key("token", Secret, Required, "The registration token."),
]);

pub(super) static OS: Fields = Fields {
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

pub(super) static BOOTSTRAP: Fields = plain(&[
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

pub(super) static CLOUD_CONFIG: Fields = Fields {
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

pub(super) static OVERLAYS: Fields = plain(&[
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

pub(super) static BOOT: Fields = plain(&[
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
        "Arguments added to the end of the kernel command line, of the ISO and of the \
         installed system, each an element of its own.",
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

pub(super) static PROVIDER: Fields = plain(&[
    key(
        "repository",
        Text,
        Default("the appliance's name"),
        "Repository of the provider image, such as `registry.example/edge/ubuntu`. Its tag is \
         `{kubernetes.distribution}-{kubernetes.version}-{appliance.version}`, `+` as `_`.",
    ),
    key(
        "push",
        Flag,
        Default("`false`"),
        "Whether a build that makes the provider image also pushes it to `repository`, which then \
         begins with a registry's host. `isoforge push` does the same later.",
    ),
]);

pub(super) static OUTPUT: Fields = plain(&[
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

pub(super) static LIMITS: Fields = plain(&[
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

pub(super) static REGISTRY_HOST: Fields = Fields {
    keys: &[
        key(
            "mirror",
            Text,
            Default(""),
            "Host, and optional path, that is asked instead.",
        ),
        key(
            "mirrors",
            Texts,
            Default(""),
            "Several of them, asked in this order: the next where one lacks the image or fails.",
        ),
        key(
            "fallback",
            Flag,
            Default("`false`"),
            "Whether the host itself is asked where its mirrors fail; a build never goes \
             elsewhere in silence.",
        ),
        key(
            "plain_http",
            Flag,
            Default("on loopback only"),
            "Talk to the host without TLS.",
        ),
        key(
            "ca",
            Text,
            Default("the system's authorities"),
            "PEM file with authorities that are trusted for this host beside the system's.",
        ),
        key(
            "client_cert",
            Text,
            Default(""),
            "PEM file with the certificate that is shown to the host.",
        ),
        key(
            "client_key",
            Text,
            Default("in `client_cert`"),
            "PEM file with its key.",
        ),
        key(
            "proxy",
            Text,
            Default("from the environment"),
            "`http`, `https`, `socks4`, `socks4a`, `socks5` or `socks5h` URL that the host is asked \
             through, without password; `none`: directly.",
        ),
        key(
            "max_connections",
            Integer { min: 1, max: 256 },
            Default("`6`"),
            "Requests to the host under way at once.",
        ),
        key("username", Text, Refused(CREDENTIALS), ""),
        key("password", Text, Refused(CREDENTIALS), ""),
        key("token", Text, Refused(CREDENTIALS), ""),
    ],
    choices: &[Choice {
        names: &["mirror", "mirrors"],
        required: false,
    }],
};
