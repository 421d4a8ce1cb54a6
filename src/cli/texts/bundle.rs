//! A bundle that was written, for people.

use std::fmt;

use crate::build::Built;
use isoforge_base::human::size;
use isoforge_base::shown::Line;

impl fmt::Display for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  {}", self.path.display(), size(self.bytes))?;
        if let Some(digest) = &self.digest {
            writeln!(f, "  {digest}")?;
        }
        writeln!(f, "  index.json {}", self.index)?;
        if let Some(base) = &self.base {
            writeln!(f, "  delta to   {base}")?;
        }
        for part in &self.parts {
            writeln!(f, "  part {}  {}", part.name, size(part.size))?;
        }
        for root in &self.roots {
            writeln!(f, "  {}", Line(root))?;
        }
        Ok(())
    }
}
