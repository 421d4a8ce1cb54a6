//! The table of all keys of the user's settings file.

use super::{Integer, Named, Text, key, plain};
use crate::profile::schema::Fields;
use crate::profile::schema::Need::{Default, Refused};
use crate::profile::schema::Shape::{Flag, Word};

use super::CREDENTIALS;

/// The settings file.
pub(crate) static SETTINGS: Fields = plain(&[
    key(
        "progress",
        Word(&["auto", "plain", "json", "none"]),
        Default("`auto`"),
        "How progress is shown on standard error.",
    ),
    key(
        "jobs",
        Integer { min: 1, max: 256 },
        Default("the machine's cores"),
        "Threads that compress and pull.",
    ),
    key(
        "cache_dir",
        Text,
        Default("`isoforge` in the user's cache folder"),
        "The store of blobs and slabs; a relative path starts from the settings file's folder.",
    ),
    key(
        "output",
        Text,
        Default("`dist`"),
        "Folder for the outputs of a build; a relative path starts from the current folder.",
    ),
    key(
        "registries",
        Named(&SETTINGS_HOST),
        Default(""),
        "Settings by registry host, such as `[registries.\"quay.io\"]`.",
    ),
]);

static SETTINGS_HOST: Fields = plain(&[
    key(
        "mirror",
        Text,
        Default(""),
        "Host, and optional path, that is asked instead.",
    ),
    key(
        "plain_http",
        Flag,
        Default("`true` for loopback hosts"),
        "Talk to the host without TLS.",
    ),
    key("username", Text, Refused(CREDENTIALS), ""),
    key("password", Text, Refused(CREDENTIALS), ""),
    key("token", Text, Refused(CREDENTIALS), ""),
]);
