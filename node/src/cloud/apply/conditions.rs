//! Whether a step runs here.

use regex::RegexBuilder;

use super::Run;
use isoforge_contract::arch;
use isoforge_contract::cloud::{Conditions, pattern};

impl Run<'_> {
    /// Nothing where all conditions hold, else which does not.
    pub(super) fn holds(&mut self, conditions: &Conditions) -> Result<(), String> {
        if let Some(pattern) = &conditions.os {
            let system = self.os_release();
            let names = ["ID", "NAME", "PRETTY_NAME"].map(|key| value(&system, key));
            if !names.iter().any(|name| fits(pattern, name)) {
                return Err(format!("the system is no '{pattern}'"));
            }
        }
        if let Some(pattern) = &conditions.os_version
            && !fits(pattern, &value(&self.os_release(), "VERSION_ID"))
        {
            return Err(format!("the system's version is no '{pattern}'"));
        }
        if let Some(pattern) = &conditions.arch
            && !fits(pattern, arch::host())
        {
            return Err(format!("the architecture is no '{pattern}'"));
        }
        if let Some(manager) = &conditions.service_manager
            && manager != "systemd"
        {
            return Err(format!("services are not started by '{manager}'"));
        }
        if let Some(pattern) = &conditions.node
            && !fits(pattern, &self.facts().hostname)
        {
            return Err(format!("the host is no '{pattern}'"));
        }
        self.files_hold(conditions)?;
        if let Some(line) = &conditions.shell {
            let line = pattern::fill(line, &self.facts());
            if !self.host.holds(&line) {
                return Err(format!("`{}` does not hold", super::first_line(&line)));
            }
        }
        Ok(())
    }

    fn files_hold(&self, conditions: &Conditions) -> Result<(), String> {
        let exists = |path: &String| self.root.exists(path);
        if let Some(missing) = conditions.all_files.iter().find(|path| !exists(path)) {
            return Err(format!("there is no '{missing}'"));
        }
        if let Some(there) = conditions.no_file.iter().find(|path| exists(path)) {
            return Err(format!("there is '{there}'"));
        }
        if !conditions.any_file.is_empty() && !conditions.any_file.iter().any(exists) {
            return Err(format!(
                "there is none of {}",
                conditions.any_file.join(", ")
            ));
        }
        Ok(())
    }

    fn os_release(&self) -> String {
        let read = |path| self.root.read(path).ok().flatten();
        let bytes = read("/etc/os-release").or_else(|| read("/usr/lib/os-release"));
        String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
    }
}

/// A value of os-release(5).
fn value(text: &str, key: &str) -> String {
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
    line.unwrap_or_default()
        .trim_matches(['"', '\''])
        .to_owned()
}

/// Patterns were checked when the document was read.
fn fits(pattern: &str, text: &str) -> bool {
    RegexBuilder::new(pattern)
        .case_insensitive(true)
        .build()
        .is_ok_and(|pattern| pattern.is_match(text))
}
