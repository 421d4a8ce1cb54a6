//! What a build made and how long it took, for people.

use std::fmt;
use std::time::Duration;

use crate::build::{Run, Summary};
use isoforge_base::human;
use isoforge_base::progress::Tally;
use isoforge_base::shown::Line;

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.name, self.version)?;
        let width = self
            .components
            .iter()
            .map(|component| component.name.len())
            .max()
            .unwrap_or(0);
        for component in &self.components {
            let (name, version) = (Line(&component.name), Line(&component.version));
            writeln!(f, "  {name:width$}  {version}")?;
        }
        // The full path, which fits wherever it is pasted.
        let folder = std::path::absolute(&self.folder);
        let folder = folder.as_deref().unwrap_or(&self.folder);
        writeln!(f, "{}", folder.display())?;
        for output in &self.outputs {
            writeln!(
                f,
                "  {:>13}  {}  {}",
                human::size(output.size),
                output.digest.short(),
                output.name
            )?;
        }
        for image in &self.provider_images {
            writeln!(f, "  provider image {image}")?;
        }
        writeln!(
            f,
            "time stamp {} ({})",
            self.epoch.seconds, self.epoch.source
        )?;
        match &self.pushed {
            Some(pushed) => pushed.fmt(f),
            None => Ok(()),
        }
    }
}

impl Run {
    /// Lines for people: time by stage, then what came from where.
    #[must_use]
    pub(crate) fn lines(&self) -> Vec<String> {
        let took = |milliseconds| human::duration(Duration::from_millis(milliseconds));
        let width = self
            .stages
            .iter()
            .map(|stage| stage.name.chars().count())
            .max()
            .unwrap_or(0);
        let mut lines: Vec<String> = self
            .stages
            .iter()
            .map(|stage| format!("{:width$}  {:>11}", stage.name, took(stage.milliseconds)))
            .collect();
        let blobs = [
            ("from the store", self.stored),
            ("downloaded", self.downloaded),
            ("from local files", self.imported),
        ];
        let layers = [
            ("compressed", self.layers_compressed),
            ("compressed before", self.layers_stored),
        ];
        lines.extend(tallies("blobs", &blobs));
        lines.extend(tallies("layers", &layers));
        lines
    }
}

/// `blobs: 3 from the store (1.0 MiB), 2 downloaded (12.0 KiB)`
fn tallies(name: &str, tallies: &[(&str, Tally)]) -> Option<String> {
    let parts: Vec<String> = tallies
        .iter()
        .filter(|(_, tally)| tally.count > 0)
        .map(|(how, tally)| format!("{} {how} ({})", tally.count, human::size(tally.bytes)))
        .collect();
    (!parts.is_empty()).then(|| format!("{name}: {}", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::Stage;
    use insta::assert_snapshot;

    fn tally(count: u64, bytes: u64) -> Tally {
        Tally { count, bytes }
    }

    #[test]
    fn what_a_build_took_in_lines() {
        let stage = |name: &str, milliseconds| Stage {
            name: name.to_owned(),
            milliseconds,
        };
        let run = Run {
            milliseconds: 100_000,
            stages: vec![
                stage("Gathering inputs", 61_500),
                stage("Compressing layers", 12_340),
            ],
            stored: tally(12, 3 << 20),
            downloaded: tally(1, 700),
            imported: Tally::default(),
            layers_stored: Tally::default(),
            layers_compressed: Tally::default(),
        };
        assert_snapshot!(run.lines().join("\n"), @r"
        Gathering inputs       1:01 min
        Compressing layers       12.3 s
        blobs: 12 from the store (3.0 MiB), 1 downloaded (700 B)
        ");
    }
}
