//! Hardening: named sets of rules that are laid over the root file system.
//!
//! A set takes its rules from a public guide. Each rule has the guide's own number
//! and brings files, links or kernel arguments, nothing else: what a rule asks of
//! packages, accounts or operation stays with the profile. So a system built with a
//! set follows the rules that the set lists, and that is all that is claimed; it is
//! not a certification, and the manifest names each rule that was applied.
//!
//! Invariants:
//! - A path belongs to one rule, so that a rule can be left out alone.
//! - Nothing that a package ships is replaced: only folders for further settings
//!   and masks of units are used.
//! - No kernel module is removed, only kept from being loaded; so the indexes of
//!   modules stay true.

mod stig;

use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;

use crate::Error;
use crate::overlay::OverlayLayer;
use isoforge_contract::manifest;

/// What progress, errors and the image's history call the layer.
pub const PURPOSE: &str = "hardening";

/// A guide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standard {
    /// The Security Technical Implementation Guide.
    Stig,
}

impl Standard {
    /// All, in the order of their names.
    pub const ALL: [Self; 1] = [Self::Stig];

    /// Its name in a profile.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stig => "stig",
        }
    }

    /// The guide that the numbers of the rules are from, with its release.
    #[must_use]
    pub const fn guide(self) -> &'static str {
        match self {
            Self::Stig => stig::GUIDE,
        }
    }

    /// The rules, by number.
    #[must_use]
    pub const fn rules(self) -> &'static [Rule] {
        match self {
            Self::Stig => stig::RULES,
        }
    }
}

/// A rule of a guide, and how it is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The guide's number for it.
    pub id: &'static str,
    /// What it is about, in our words.
    pub about: &'static str,
    /// Files: path without leading slash, and text.
    pub files: &'static [(&'static str, &'static str)],
    /// Symbolic links: path without leading slash, and target.
    pub links: &'static [(&'static str, &'static str)],
    /// Arguments of the kernel.
    pub cmdline: &'static [&'static str],
}

/// A standard, and what of it is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hardening {
    /// Whose rules.
    pub standard: Standard,
    /// Numbers of rules that are not followed, each one of the standard's.
    pub except: Vec<String>,
}

impl Hardening {
    /// The rules that are followed, by number.
    pub fn rules(&self) -> impl Iterator<Item = &'static Rule> {
        let rules = self.standard.rules().iter();
        rules.filter(|rule| !self.except.iter().any(|id| id == rule.id))
    }

    /// Arguments of the kernel.
    pub fn cmdline(&self) -> impl Iterator<Item = &'static str> {
        self.rules().flat_map(|rule| rule.cmdline.iter().copied())
    }

    /// The layer with the files and links of the rules. `epoch` (seconds since
    /// 1970) becomes the time of everything in it.
    ///
    /// # Errors
    /// Where a path can't be one, which the rules give no reason for.
    pub fn layer(&self, epoch: u32) -> Result<OverlayLayer, Error> {
        let mut layer = OverlayLayer::default();
        for rule in self.rules() {
            for (path, text) in rule.files {
                layer.add_file(path, 0o644, Arc::from(text.as_bytes()))?;
            }
            for (path, target) in rule.links {
                layer.add_link(path, target)?;
            }
        }
        layer.set_mtime(i64::from(epoch));
        Ok(layer)
    }

    /// What the manifest says of it.
    #[must_use]
    pub fn record(&self) -> manifest::Hardening {
        let mut except = self.except.clone();
        except.sort();
        except.dedup();
        manifest::Hardening {
            profile: self.standard.name().to_owned(),
            guide: self.standard.guide().to_owned(),
            rules: self.rules().map(|rule| rule.id.to_owned()).collect(),
            except,
        }
    }
}

/// The list of all rules, as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from(REFERENCE_HEAD);
    for standard in Standard::ALL {
        let (name, guide) = (standard.name(), standard.guide());
        let _ = writeln!(text, "\n## `{name}`: {guide}\n");
        text.push_str("| rule | what it does | by |\n|---|---|---|\n");
        for rule in standard.rules() {
            let paths = rule.files.iter().map(|(path, _)| format!("`/{path}`"));
            let masks = rule.links.iter();
            let masks = masks.map(|(path, target)| format!("`/{path}` → `{target}`"));
            let arguments = rule
                .cmdline
                .iter()
                .map(|a| format!("kernel argument `{a}`"));
            let by: Vec<_> = paths.chain(masks).chain(arguments).collect();
            let _ = writeln!(text, "| {} | {} | {} |", rule.id, rule.about, by.join(", "));
        }
    }
    text
}

const REFERENCE_HEAD: &str = "\
# Hardening

<!-- Written by `cargo xtask generate`. -->

`[hardening] profile = \"stig\"` lays the rules below over the system, below the project's own \
overlays, in the ISO and the provider image alike. `except` leaves out single rules by their \
numbers. `manifest.json` and `isoforge inspect` name each rule that was applied.

It is no certification, and no claim to follow the whole guide: what a guide asks of packages, \
accounts, disks and operation is up to the profile and to who runs the machine. Kernel modules are \
kept from being loaded, none is removed.
";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_path_belongs_to_one_rule_and_each_rule_does_something() {
        for standard in Standard::ALL {
            let mut paths = BTreeSet::new();
            let mut ids = Vec::new();
            for rule in standard.rules() {
                ids.push(rule.id);
                let files = rule.files.iter().map(|(path, _)| path);
                for path in files.chain(rule.links.iter().map(|(path, _)| path)) {
                    assert!(paths.insert(path), "{path} twice");
                    assert!(path.starts_with("etc/"), "{path}");
                }
                let does = rule.files.len() + rule.links.len() + rule.cmdline.len();
                assert!(does > 0, "{}", rule.id);
                for (path, text) in rule.files {
                    assert!(text.ends_with('\n'), "{path}");
                    assert!(
                        text.contains(rule.id),
                        "{path} does not say why it is there"
                    );
                }
            }
            assert!(ids.is_sorted(), "{ids:?}");
            ids.dedup();
            assert_eq!(ids.len(), standard.rules().len());
        }
    }

    #[test]
    fn a_rule_can_be_left_out() {
        let all = Hardening {
            standard: Standard::Stig,
            except: Vec::new(),
        };
        assert_eq!(all.cmdline().collect::<Vec<_>>(), ["audit=1"]);
        let without = Hardening {
            except: vec!["UBTU-22-212015".to_owned()],
            ..all.clone()
        };
        assert_eq!(without.cmdline().count(), 0);
        assert_eq!(without.rules().count() + 1, all.rules().count());
    }
}
