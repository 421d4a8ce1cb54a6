//! What a build would do, for people.

use std::fmt;

use crate::build::{Origin, Plan};
use isoforge_base::human::size;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.name, self.version)?;
        match (self.locked, self.changes.is_empty()) {
            (false, _) => writeln!(f, "no lock: {} would be written", self.lock.display())?,
            (true, true) => writeln!(f, "{} is up to date", self.lock.display())?,
            (true, false) => writeln!(f, "{} would change:", self.lock.display())?,
        }
        for change in &self.changes {
            writeln!(f, "  {change}")?;
        }
        writeln!(f, "inputs:")?;
        for input in &self.inputs {
            let what = match input.from {
                Origin::Store => "in the store",
                Origin::Network => "to be pulled",
                Origin::Disk => "to be read",
                Origin::Packages => "to be made",
            };
            let bytes = input.pull_bytes.filter(|bytes| *bytes > 0).or(input.bytes);
            let bytes = bytes.map_or_else(|| "?".to_owned(), size);
            write!(f, "  {bytes:>10}  {what:12}  {}", input.name)?;
            match &input.arch {
                Some(arch) => writeln!(f, " ({arch})")?,
                None => writeln!(f)?,
            }
        }
        if !self.compress.is_empty() {
            writeln!(f, "to be compressed:")?;
        }
        for layer in &self.compress {
            let digest = layer
                .digest
                .map_or_else(|| "a new layer".to_owned(), |d| d.short());
            writeln!(f, "  {:>10}  {digest:12}  {}", size(layer.bytes), layer.of)?;
        }
        writeln!(f, "to be written:")?;
        for name in self.outputs.iter().chain(&self.provider_images) {
            writeln!(f, "  {name}")?;
        }
        writeln!(
            f,
            "{} to pull, {} from the store, {} to compress",
            size(self.pull_bytes),
            size(self.reused_bytes),
            size(self.compress_bytes)
        )?;
        for room in &self.room {
            let bytes = size(room.bytes);
            writeln!(
                f,
                "at most {bytes} for {} at {}",
                room.purpose,
                room.path.display()
            )?;
        }
        Ok(())
    }
}
