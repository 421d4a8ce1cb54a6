//! Arguments of `cache`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::Format;

/// What is removed where nothing else is said.
const DEFAULT_AGE: &str = "30d";

/// Arguments of `cache`.
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:\n  isoforge cache ls\n  isoforge cache gc --older-than 14d"
)]
pub(crate) struct Cache {
    /// What to do.
    #[command(subcommand)]
    pub command: CacheCommand,
}

/// The verbs of `cache`.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Say what is in the store
    Ls(List),
    /// Check that everything is as it was written
    Verify(Verify),
    /// Remove what was not used for long
    Gc(Clear),
    /// Write a lock's whole input as one OCI layout
    Export(Export),
    /// Take an export into the store
    Import(Import),
}

/// Which store, and how the result is written.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// Store of blobs and slabs [default: isoforge in the user's cache folder]
    #[arg(long, value_name = "DIR", env = "ISOFORGE_CACHE_DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Threads that read and hash [default: the machine's cores]
    #[arg(short, long, value_name = "N", env = "ISOFORGE_JOBS", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// How the result is written to standard output
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// Arguments of `cache ls`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  isoforge cache ls --all")]
pub(crate) struct List {
    /// Name each file; JSON always does
    #[arg(short, long)]
    pub all: bool,
    /// Store and format.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// Arguments of `cache verify`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  isoforge cache verify --repair\n  isoforge cache verify --deep"
)]
pub(crate) struct Verify {
    /// Remove what is damaged and what was made of it, once nobody else works with the
    /// store
    #[arg(long)]
    pub repair: bool,
    /// Make every slab again from its layer, and compare; this takes as long as it took
    #[arg(long)]
    pub deep: bool,
    /// Store and format.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// Arguments of `cache gc`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  isoforge cache gc --dry-run\n  \
                  isoforge cache gc --max-size 20GiB --keep-lock isoforge.lock\n  \
                  isoforge cache gc --all-but-locks */isoforge.lock")]
pub(crate) struct Clear {
    /// What was not used for so long [default: 30d, unless --max-size or
    /// --all-but-locks says what goes]
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub older_than: Option<Duration>,
    /// What was unused for longest, until the store is no larger
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_size: Option<u64>,
    /// Everything that these locks do not name
    #[arg(long, value_name = "LOCK", num_args = 1.., conflicts_with_all = ["older_than", "max_size"])]
    pub all_but_locks: Vec<PathBuf>,
    /// Keep what this lock names, however old it is; may be repeated
    #[arg(long, value_name = "LOCK")]
    pub keep_lock: Vec<PathBuf>,
    /// Only say what would go
    #[arg(long)]
    pub dry_run: bool,
    /// Store and format.
    #[command(flatten)]
    pub store: StoreArgs,
}

impl Clear {
    /// The age from which on things go, where age matters.
    #[must_use]
    pub(crate) fn age(&self) -> Option<Duration> {
        let by_age = self.max_size.is_none() && self.all_but_locks.is_empty();
        self.older_than
            .or_else(|| by_age.then(|| age(DEFAULT_AGE).ok()).flatten())
    }
}

/// Arguments of `cache export`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  isoforge cache export profiles/demo.toml --output demo-input.tar"
)]
pub(crate) struct Export {
    /// The profile whose lock is meant
    #[arg(required_unless_present = "lock")]
    pub profile: Option<PathBuf>,
    /// The lock [default: the profile's]
    #[arg(long, value_name = "FILE", env = "ISOFORGE_LOCK")]
    pub lock: Option<PathBuf>,
    /// An archive where the name ends with .tar, else a folder
    #[arg(short, long, value_name = "PATH")]
    pub output: PathBuf,
    /// Store and format.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// Arguments of `cache import`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  isoforge cache import demo-input.tar --lock-to profiles/demo.isoforge.lock"
)]
pub(crate) struct Import {
    /// The archive or folder of an export
    pub path: PathBuf,
    /// Write the lock to this file
    #[arg(long, value_name = "FILE")]
    pub lock_to: Option<PathBuf>,
    /// Store and format.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// `30d`, `12h`, `2w`, as jiff's friendly format has it; days have 24 hours.
fn age(text: &str) -> Result<Duration, String> {
    let span: jiff::Span = text
        .parse()
        .map_err(|_| "expected an age such as 30d, 12h or 2w".to_owned())?;
    span.to_duration(jiff::SpanRelativeTo::days_are_24_hours())
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| "an age is in weeks, days, hours and less, and not negative".to_owned())
}

/// `500MiB`, `20GiB`, `1TiB`, or bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u32); 5] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];
    let (number, shift) = UNITS
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))
        .unwrap_or((text, 0));
    number
        .trim()
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(1 << shift))
        .ok_or_else(|| "expected bytes, or a size such as 500MiB or 20GiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_sizes() {
        const DAY: u64 = 24 * 60 * 60;
        for (text, seconds) in [
            ("30d", 30 * DAY),
            ("12h", DAY / 2),
            ("2w", 14 * DAY),
            ("0s", 0),
        ] {
            assert_eq!(age(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "30", "-1d", "1y", "soon"] {
            assert!(age(text).is_err(), "{text}");
        }
        assert_eq!(size("20GiB"), Ok(20 << 30));
        assert_eq!(size("1 TiB"), Ok(1 << 40));
        assert_eq!(size("17"), Ok(17));
        assert_eq!(size("0B"), Ok(0));
        for text in ["", "GiB", "1.5GiB", "-1", "20GB", "99999999TiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
