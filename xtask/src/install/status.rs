//! What `appliance status --format json` says.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::shell::Ssh;

/// How long a system on trial may take until it is confirmed.
const CONFIRMATION: Duration = Duration::from_secs(400);
const PAUSE: Duration = Duration::from_secs(5);

/// What is booted, and what is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) slot: String,
    pub(crate) trial: bool,
    pub(crate) good: String,
    all: Value,
}

impl Status {
    pub(crate) fn ask(ssh: &Ssh) -> Result<Self> {
        Self::parse(&ssh.root("appliance status --format json")?)
    }

    fn parse(text: &str) -> Result<Self> {
        let all: Value =
            serde_json::from_str(text).with_context(|| format!("status is no JSON: {text}"))?;
        let text = |key: &str| {
            let value = all.get(key).and_then(Value::as_str);
            let value = value.with_context(|| format!("status has no '{key}': {all}"));
            value.map(str::to_owned)
        };
        Ok(Self {
            slot: text("booted")?,
            good: text("good")?,
            trial: all
                .get("on_trial")
                .and_then(Value::as_bool)
                .with_context(|| format!("status does not say whether this is a trial: {all}"))?,
            all,
        })
    }

    /// The version in a slot; nothing where the slot is empty.
    pub(crate) fn version(&self, slot: &str) -> Option<&str> {
        self.all
            .pointer(&format!("/slots/{slot}/version"))?
            .as_str()
    }

    /// Fails where another slot is booted or good, or another version in it.
    pub(crate) fn expect(&self, slot: &str, version: &str) -> Result<()> {
        ensure!(
            self.slot == slot && self.good == slot && self.version(slot) == Some(version),
            "slot {slot} should be booted and good, with version {version}: {}",
            self.all
        );
        Ok(())
    }

    /// Waits until the system that is booted on trial is good.
    pub(crate) fn wait_for_confirmation(ssh: &Ssh) -> Result<Self> {
        let deadline = Instant::now() + CONFIRMATION;
        loop {
            let status = Self::ask(ssh)?;
            if status.good == status.slot {
                return Ok(status);
            }
            ensure!(
                Instant::now() < deadline,
                "the system on trial was not confirmed: {}",
                status.all
            );
            std::thread::sleep(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read() {
        let text = r#"{"booted":"b","on_trial":true,"good":"a","more":1,
            "slots":{"a":{"version":"1.0.0"},"b":{"version":"2.0.0"},"recovery":null}}"#;
        let status = Status::parse(text).unwrap();
        assert_eq!(status.version("b"), Some("2.0.0"));
        assert_eq!(status.version("recovery"), None);
        assert!(status.trial);
        assert!(status.expect("b", "2.0.0").is_err());
        let later = Status::parse(&text.replace("\"good\":\"a\"", "\"good\":\"b\"")).unwrap();
        later.expect("b", "2.0.0").unwrap();
        assert!(later.expect("b", "3.0.0").is_err());
        let error = Status::parse("{\"booted\":\"a\"}").unwrap_err().to_string();
        assert!(error.starts_with("status has no 'good'"), "{error}");
    }
}
