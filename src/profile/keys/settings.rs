//! The table of all keys of the user's settings file.

use super::{Integer, Named, Text, key, plain};
use crate::profile::schema::Fields;
use crate::profile::schema::Need::Default;
use crate::profile::schema::Shape::Word;

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
        Named(&super::REGISTRY_HOST),
        Default(""),
        "Settings by registry host, such as `[registries.\"quay.io\"]`.",
    ),
]);
