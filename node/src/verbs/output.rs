//! What verbs say: data to standard output, everything else to standard error.

use std::io::Write as _;
use std::sync::Arc;

use anyhow::Result;
use isoforge_base::progress::{Progress, Reporter, TaskId};
use isoforge_base::shown;
use serde::Serialize;

/// How data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Writes `value` as JSON, or `text`.
///
/// # Errors
/// Where nobody takes it.
pub(super) fn data(format: Format, value: &impl Serialize, text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Text => out.write_all(shown::lines(text).as_bytes())?,
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, value)?;
            out.write_all(b"\n")?;
        }
    }
    out.flush()?;
    Ok(())
}

/// Says a line to who runs the program; nobody listening is no error.
pub(crate) fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("{}\n", shown::lines(line)).as_bytes());
}

/// Tells stages and what is noteworthy, a line each: it reads well on a serial
/// console and in the journal.
pub(super) fn progress() -> Progress {
    Progress::new(Arc::new(Lines))
}

struct Lines;

impl Reporter for Lines {
    fn start(&self, _: TaskId, label: &str, _: Option<u64>) {
        say(&format!("    {}", shown::line(label)));
    }
    fn advance(&self, _: TaskId, _: u64) {}
    fn finish(&self, _: TaskId) {}
    fn note(&self, message: &str) {
        say(&shown::continued(message));
    }
    fn warn(&self, message: &str) {
        say(&format!("warning: {}", shown::continued(message)));
    }
    fn stage(&self, name: &str) {
        say(&shown::continued(name));
    }
}
