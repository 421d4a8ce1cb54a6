//! Where a profile's lock lies.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The lock of the only profile of a folder.
pub const FILE_NAME: &str = "isoforge.lock";

/// As much of a lock as says whose it is.
#[derive(Deserialize)]
struct Header {
    profile: String,
}

/// Where the lock of the profile at `profile` is, or would be: `explicit`, where
/// it is given; else `NAME.isoforge.lock` beside the profile, where that exists;
/// else `isoforge.lock`, unless that is another profile's.
///
/// # Errors
/// Whether one is there can't be told.
pub fn locate(profile: &Path, explicit: Option<&Path>) -> io::Result<PathBuf> {
    if let Some(path) = explicit {
        return Ok(path.to_owned());
    }
    let stem = profile.file_stem().unwrap_or_default().to_string_lossy();
    let own = profile.with_file_name(format!("{stem}.{FILE_NAME}"));
    let shared = profile.with_file_name(FILE_NAME);
    Ok(if !fs_err::exists(&own)? && is_ours(&shared, profile) {
        shared
    } else {
        own
    })
}

/// Whether a lock may become this profile's. One that can't be understood is
/// taken for ours, so that reading it says what is wrong with it.
fn is_ours(lock: &Path, profile: &Path) -> bool {
    let Ok(text) = fs_err::read_to_string(lock) else {
        return true;
    };
    match toml::from_str::<Header>(&text) {
        Ok(header) => profile
            .file_name()
            .is_some_and(|name| *name == *header.profile),
        Err(_) => true,
    }
}
