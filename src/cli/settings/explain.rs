//! Where each setting's value comes from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use super::file::Found;
use super::{CREDENTIALS, PROXIES, REGISTRIES, Setting};
use crate::cli::args::SettingArgs;
use crate::cli::env;
use crate::profile::REDACTED;
use isoforge_oci::registry::{HostConfig, ShownUrl};

/// Who said what holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Origin {
    /// An argument.
    Flag {
        /// With its dashes.
        name: String,
    },
    /// An environment variable.
    Variable {
        /// Its name.
        name: String,
    },
    /// The settings file.
    File {
        /// The file.
        path: PathBuf,
        /// The key in it.
        key: String,
    },
    /// Nobody.
    Default,
}

impl Origin {
    pub(super) fn flag(name: &str) -> Self {
        Self::Flag {
            name: name.to_owned(),
        }
    }

    pub(super) fn variable(name: &str) -> Self {
        Self::Variable {
            name: name.to_owned(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag { name } | Self::Variable { name } => f.write_str(name),
            Self::File { path, key } => write!(f, "{}: {key}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One setting that holds; secrets are not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Effective {
    /// The setting, with the host and key of a registry's.
    pub name: String,
    /// Its value; null where the default is not known before the work begins.
    pub value: Value,
    /// Where it comes from.
    pub origin: Origin,
    #[serde(skip)]
    default: &'static str,
}

impl Effective {
    pub(super) fn new(setting: &Setting, value: impl Serialize, origin: Origin) -> Self {
        Self {
            name: setting.name.to_owned(),
            value: serde_json::to_value(value).unwrap_or_default(),
            origin,
            default: setting.default,
        }
    }

    /// The value as people read it.
    #[must_use]
    pub(crate) fn shown(&self) -> String {
        match &self.value {
            Value::Null => self.default.to_owned(),
            Value::String(text) => text.clone(),
            Value::Array(items) => items
                .iter()
                .map(|item| {
                    item.as_str()
                        .map_or_else(|| item.to_string(), str::to_owned)
                })
                .collect::<Vec<_>>()
                .join(", "),
            other => other.to_string(),
        }
    }
}

/// The settings of hosts, key by key.
pub(super) fn registries(
    registries: &BTreeMap<String, HostConfig>,
    args: &SettingArgs,
    found: &Found,
) -> Vec<Effective> {
    let mut rows = Vec::new();
    for (host, settings) in registries {
        let Ok(Value::Object(settings)) = serde_json::to_value(settings) else {
            continue;
        };
        for (key, value) in settings
            .into_iter()
            .filter(|(_, value)| !said_nothing(value))
        {
            let name = format!("{}.\"{host}\".{key}", REGISTRIES.name);
            let origin = match key.as_str() {
                "mirrors" if mirrors(args, host) => Origin::flag("--mirror"),
                "plain_http" if args.plain_http.contains(host) => Origin::flag("--plain-http"),
                _ => found.origin(&name),
            };
            rows.push(Effective {
                name,
                value: without_secrets(value),
                origin,
                default: "",
            });
        }
    }
    rows
}

/// Whether a key of a host has nothing to say.
fn said_nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

fn mirrors(args: &SettingArgs, host: &str) -> bool {
    let mut named = args.mirror.iter().filter_map(|text| text.split_once('='));
    named.any(|(of, _)| of == host)
}

/// The files with credentials, in the order in which they are asked.
pub(super) fn credentials(files: &[PathBuf]) -> Vec<Effective> {
    files
        .iter()
        .map(|file| {
            let below = |name: &str| env::path(name).is_some_and(|dir| file.starts_with(dir));
            let variables = ["REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "DOCKER_CONFIG"];
            let origin = variables
                .into_iter()
                .find(|name| below(name))
                .map_or(Origin::Default, Origin::variable);
            Effective::new(&CREDENTIALS, file.display().to_string(), origin)
        })
        .collect()
}

/// The proxies that the environment names.
pub(super) fn proxies(proxies: &[(String, String)]) -> Vec<Effective> {
    proxies
        .iter()
        .map(|(name, value)| {
            let upper = name.to_uppercase();
            let variable = env::get_os(name).map_or(upper.as_str(), |_| name);
            Effective {
                name: format!("{}.{name}", PROXIES.name),
                value: without_secrets(Value::String(value.clone())),
                origin: Origin::variable(variable),
                default: "",
            }
        })
        .collect()
}

/// `value` without the user information of addresses.
fn without_secrets(value: Value) -> Value {
    match value {
        Value::String(text) if text.contains('@') => Value::String(
            text.split(',')
                .map(without_user)
                .collect::<Vec<_>>()
                .join(","),
        ),
        Value::Array(items) => items.into_iter().map(without_secrets).collect(),
        other => other,
    }
}

fn without_user(address: &str) -> String {
    if !address.contains('@') {
        return address.to_owned();
    }
    let shown = ShownUrl::of(address).to_string();
    match shown.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{REDACTED}@{rest}"),
        None => format!("{REDACTED}@{shown}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_proxies_are_not_shown() {
        for (text, shown) in [
            ("http://proxy:3128", "http://proxy:3128"),
            (
                "http://me:s3cret@proxy:3128/",
                "http://[redacted]@proxy:3128/",
            ),
            ("me:s3cret@proxy:3128", "[redacted]@proxy:3128"),
            ("http://me:p@ss@proxy", "http://[redacted]@proxy"),
            ("localhost,10.0.0.0/8", "localhost,10.0.0.0/8"),
        ] {
            assert_eq!(without_secrets(text.into()), shown);
        }
        let list = serde_json::json!(["http://a:b@c", 1]);
        assert_eq!(
            without_secrets(list),
            serde_json::json!(["http://[redacted]@c", 1])
        );
    }
}
