//! The patterns that Kairos fills in on each machine, as far as they are known
//! here: `{{ .MachineID }}`, `{{ trunc 4 .MachineID }}` and the host's name,
//! `{{ .Values.node.hostname }}`.

use std::sync::LazyLock;

use regex::{Captures, Regex};

static KNOWN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"\{\{-?\s*(?:trunc\s+([0-9]{1,3})\s+)?\.(MachineID|Values\.node\.hostname)\s*-?\}\}",
    )
    .ok()
});

static ANY: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\{\{[^{}]*\.(?:MachineID|Values|Random)\b[^{}]*\}\}").ok());

/// What cloud-init's instance data is called in templates of Jinja.
static JINJA: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"\{\{-?\s*(?:ds|v1|merged_cfg|merged_system_cfg|sys_info|instance_id|local_hostname|cloud_name|availability_zone)\b[^{}]*\}\}",
    )
    .ok()
});

/// The first line of a template of Jinja, as cloud-init knows it.
static JINJA_HEADER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)^##\s*template:\s*jinja\s*$").ok());

/// What patterns stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The machine's id; empty where it has none yet.
    pub machine_id: String,
    /// The host's name.
    pub hostname: String,
}

impl Facts {
    /// Facts as a machine has them, to see what a text will become.
    #[must_use]
    pub fn example() -> Self {
        Self {
            machine_id: "0123456789abcdef0123456789abcdef".to_owned(),
            hostname: "host".to_owned(),
        }
    }
}

/// Fills in what is known; the rest stays as it is, since a text may have
/// braces of its own.
#[must_use]
pub fn fill(text: &str, facts: &Facts) -> String {
    let Some(known) = KNOWN.as_ref().filter(|_| text.contains("{{")) else {
        return text.to_owned();
    };
    let filled = known.replace_all(text, |found: &Captures<'_>| {
        let value = match found.get(2).map(|name| name.as_str()) {
            Some("MachineID") => &facts.machine_id,
            _ => &facts.hostname,
        };
        let length = found.get(1).and_then(|length| length.as_str().parse().ok());
        value
            .chars()
            .take(length.unwrap_or(usize::MAX))
            .collect::<String>()
    });
    filled.into_owned()
}

/// The first pattern of Jinja over cloud-init's instance data: cloud-init alone renders
/// those.
#[must_use]
pub fn jinja(text: &str) -> Option<&str> {
    JINJA.as_ref()?.find(text).map(|found| found.as_str())
}

/// The line, from 1, on which a document says that it is a template of Jinja.
#[must_use]
pub fn jinja_header(text: &str) -> Option<u64> {
    let header = JINJA_HEADER.as_ref()?;
    let comments = text
        .lines()
        .take_while(|line| line.starts_with('#') || line.trim().is_empty());
    (1..)
        .zip(comments)
        .find(|(_, line)| header.is_match(line))
        .map(|(at, _)| at)
}

/// The first pattern of Kairos that is not known here.
pub(super) fn unfilled(text: &str) -> Option<String> {
    let (any, known) = (ANY.as_ref()?, KNOWN.as_ref()?);
    any.find_iter(text)
        .map(|found| found.as_str())
        .find(|found| !known.is_match(found))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_patterns_are_filled_in_and_others_stay() {
        let facts = Facts {
            machine_id: "0123456789abcdef".to_owned(),
            hostname: "edge".to_owned(),
        };
        for (text, filled, left) in [
            ("edge-{{ trunc 4 .MachineID }}", "edge-0123", None),
            ("{{.MachineID}}", "0123456789abcdef", None),
            ("{{- trunc 99 .MachineID -}}", "0123456789abcdef", None),
            ("x{{ .Values.node.hostname }}", "xedge", None),
            (
                "docker ps --format '{{.Names}}'",
                "docker ps --format '{{.Names}}'",
                None,
            ),
            (
                "{{ .Values.os.name }}",
                "{{ .Values.os.name }}",
                Some("{{ .Values.os.name }}"),
            ),
            (
                "{{ upper .MachineID }}",
                "{{ upper .MachineID }}",
                Some("{{ upper .MachineID }}"),
            ),
        ] {
            assert_eq!(fill(text, &facts), filled);
            assert_eq!(unfilled(text).as_deref(), left);
        }
    }
}
