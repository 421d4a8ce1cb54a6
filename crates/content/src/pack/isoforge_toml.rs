//! `isoforge.toml`: what a pack needs of the machine, and where its images are.
//!
//! Palette's `pack.json` has annotations, which are texts alone; so isoforge's
//! own is a file beside it, which Palette passes over.
//!
//! ```toml
//! [requirements]
//! kernel_modules = ["drbd >= 9", "dm_thin_pool"]
//! commands = ["lvcreate"]
//! sysctls = ["vm.max_map_count >= 262144"]
//! cpus = 2
//! memory_mib = 4096
//! disk_mib = 20480
//! nodes = 3
//!
//! [images]
//! at = ["LinstorCluster.piraeus.io: spec.components[*].image"]
//! ```
//!
//! A need is a name, alone or with a range: `>=`, `>`, `<=`, `<` or `=` and a
//! version or value, several with commas. Versions are compared number by number,
//! kernel settings as [`setting`] says.

use serde::{Deserialize, Serialize};

use super::{Need, setting};
use crate::Error;
use crate::files::Files;
use crate::find::Rule;
use isoforge_base::yaml::Refused;

/// Name of the file.
pub(super) const FILE: &str = "isoforge.toml";

/// What the file says.
#[derive(Debug, Clone, Default)]
pub(crate) struct IsoforgeToml {
    /// What the machine must have.
    pub(crate) requirements: Requirements,
    /// Where images are beside containers.
    pub(crate) rules: Vec<Rule>,
}

/// What a machine or cluster must have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Requirements {
    /// Modules of every kernel of the image, with their own versions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kernel_modules: Vec<Need>,
    /// Programs of the image.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// Kernel settings.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "setting::deserialize"
    )]
    pub sysctls: Vec<Need>,
    /// Processors of a machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// Memory of a machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// Size of the disk of a machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_mib: Option<u64>,
    /// Machines of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<u32>,
}

impl Requirements {
    /// Whether it asks for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Document {
    requirements: Requirements,
    images: ImagesTable,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ImagesTable {
    at: Vec<String>,
}

impl IsoforgeToml {
    /// Reads the file; a pack without one asks for nothing.
    ///
    /// # Errors
    /// [`Error::Syntax`], and of rules of where images are.
    pub(super) fn read(files: &Files) -> Result<Self, Error> {
        let document = files.parsed(FILE, parse)?.unwrap_or_default();
        let rules = document.images.at.iter().map(|rule| rule.parse());
        Ok(Self {
            requirements: document.requirements,
            rules: rules.collect::<Result<_, _>>()?,
        })
    }
}

fn parse(text: &str) -> Result<Document, Refused> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let before = text.get(..at).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Refused {
            line: before.matches('\n').count() as u64 + 1,
            column: (at - line_start) as u64 + 1,
            problem: error.message().trim().to_owned(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_whole_and_mistakes_have_a_place() {
        let text = "[requirements]\nkernel_modules = [\"drbd >= 9\"]\ncommands = [\"lvcreate\"]\n\
                    sysctls = [\"vm.max_map_count >= 262144\"]\ncpus = 2\nmemory_mib = 4096\n\
                    disk_mib = 20480\nnodes = 3\n[images]\nat = [\"Widget: spec.image\"]\n";
        let read = |text: &str| {
            let archive = crate::testing::packed(&[("isoforge.toml", text)]);
            IsoforgeToml::read(&Files::archive("p", &archive).unwrap())
        };
        let own = read(text).unwrap();
        assert_eq!(own.requirements.kernel_modules[0].name, "drbd");
        assert_eq!(own.requirements.nodes, Some(3));
        assert_eq!(own.rules[0].to_string(), "Widget: spec.image");
        let error = |text: &str| read(text).unwrap_err().to_string().replace("p/", "");
        let errors = [
            error("[requirements]\nmemory = 1\n"),
            error("[requirements]\nkernel_modules = [\"drbd >= x\"]\n"),
            error("[requirements]\nsysctls = [\"vm/../../x = 1\"]\n"),
            error("[requirements]\nsysctls = [\"vm.x = y\", \"vm.z >= 1.5\"]\n"),
            error("[images]\nat = [\"spec.image\"]\n"),
            error("[requirements"),
        ];
        insta::assert_snapshot!(errors.join("\n"), @r"
        isoforge.toml:2:1: unknown field `memory`, expected one of `kernel_modules`, `commands`, `sysctls`, `cpus`, `memory_mib`, `disk_mib`, `nodes`
        isoforge.toml:2:18: '>= x' has no number
        isoforge.toml:2:11: 'vm/../../x' is no kernel setting
        isoforge.toml:2:11: 'vm.z >= 1.5': '1.5' is no whole number
        'spec.image' says no place of images: a colon belongs behind the kind
        isoforge.toml:1:14: unclosed table, expected `]`
        ");
    }
}
