//! When something was last used: the modification time of its file, which means
//! nothing else here, since no file of the store ever changes.
//!
//! It decides what [`Collector`](super::Collector) may remove and is never part
//! of an output. To write it at every use would cost a disk write for each blob
//! of each build, so it is exact to a day.

use std::fs::Metadata;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};

/// How old the recorded use may get before it is written again.
const EXACT_TO: Duration = Duration::from_secs(24 * 60 * 60);

/// How long ago a file was last used. One that claims to have been used in the
/// future counts as just used, so that a wrong clock removes nothing.
pub(super) fn unused_for(metadata: &Metadata) -> Duration {
    metadata
        .modified()
        .ok()
        .and_then(|time| time.elapsed().ok())
        .unwrap_or_default()
}

/// Records that the file is used now.
pub(super) fn record(path: &Path, metadata: &Metadata) {
    let known = metadata
        .modified()
        .ok()
        .and_then(|time| time.elapsed().ok());
    if known.is_some_and(|age| age < EXACT_TO) {
        return;
    }
    let now = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        },
    };
    // A store that may only be read has nothing removed from it either.
    let _ = utimensat(CWD, path, &now, AtFlags::empty());
}
