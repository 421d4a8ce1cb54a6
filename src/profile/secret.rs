//! Secrets: where a profile says they are, and their values, which show
//! themselves to nobody by accident.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use isoforge_system::boot::lock;

use super::model::{Profile, Var};
use super::problem::{Draft, Report};

/// What is shown instead of a secret.
pub const REDACTED: &str = "[redacted]";

/// The key of GRUB's password.
pub(crate) const BOOT_PASSWORD: &str = "boot.password";

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretRef {
    /// In an environment variable.
    Env(String),
    /// In a file, without the line's end that closes it.
    File(PathBuf),
}

/// The value of a secret. `Debug`, `Display` and serialization show
/// [`REDACTED`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value itself. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

/// The values of a profile's secrets by the path of their key, such as
/// `registration.token` or `vars.users.0.password`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<String, Secret>);

impl Secrets {
    /// The value of the key at `path`.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Secret> {
        self.0.get(path)
    }

    /// All, in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.0.iter().map(|(path, secret)| (path.as_str(), secret))
    }
}

impl FromIterator<(String, Secret)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (String, Secret)>>(secrets: I) -> Self {
        Self(secrets.into_iter().collect())
    }
}

/// How secrets are read; the library itself looks at no environment.
pub struct SecretReader<'a> {
    /// The value of an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The text of a file.
    pub file: &'a dyn Fn(&Path) -> io::Result<String>,
}

impl fmt::Debug for SecretReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretReader")
    }
}

impl Profile {
    /// All references to secrets with the paths of their keys.
    #[must_use]
    pub fn secret_refs(&self) -> BTreeMap<String, &SecretRef> {
        let mut found = BTreeMap::new();
        if let Some(registration) = &self.registration {
            found.insert("registration.token".to_owned(), &registration.token);
        }
        if let Some(password) = &self.boot.password {
            found.insert(BOOT_PASSWORD.to_owned(), password);
        }
        for (name, var) in &self.vars {
            collect(format!("vars.{name}"), var, &mut found);
        }
        found
    }
}

fn collect<'a>(path: String, var: &'a Var, found: &mut BTreeMap<String, &'a SecretRef>) {
    match var {
        Var::Secret(secret) => {
            found.insert(path, secret);
        }
        Var::List(list) => {
            for (i, item) in list.iter().enumerate() {
                collect(format!("{path}.{i}"), item, found);
            }
        }
        Var::Table(table) => {
            for (name, item) in table {
                collect(format!("{path}.{name}"), item, found);
            }
        }
        _ => {}
    }
}

/// Reads one secret, or says what hinders.
fn read(secret: &SecretRef, reader: &SecretReader<'_>) -> Result<Secret, (String, String)> {
    let value = match secret {
        SecretRef::Env(name) => (reader.env)(name).ok_or_else(|| {
            (
                format!("the environment variable {name} is not set"),
                format!("set {name} to the secret's value"),
            )
        })?,
        SecretRef::File(path) => {
            let text = (reader.file)(path).map_err(|error| {
                (
                    format!(
                        "the secret's file {} can't be read: {error}",
                        path.display()
                    ),
                    "put the secret's value into that file".to_owned(),
                )
            })?;
            let line = text.strip_suffix('\n').unwrap_or(&text);
            line.strip_suffix('\r').unwrap_or(line).to_owned()
        }
    };
    if value.is_empty() {
        return Err((
            "the secret is empty".to_owned(),
            "an empty value is surely a mistake; leave the key out if there is no secret"
                .to_owned(),
        ));
    }
    Ok(Secret::new(value))
}

/// The value, where it can be used for the key at `path`.
fn fitting(path: &str, value: Secret) -> Result<Secret, (String, String)> {
    if path == BOOT_PASSWORD {
        lock::check(value.reveal()).map_err(|(problem, help)| (problem, help.to_owned()))?;
    }
    Ok(value)
}

impl super::Loaded {
    /// Reads the values of all secrets.
    ///
    /// # Errors
    /// All that can't be read, each with the place that names it.
    pub fn resolve_secrets(&self, reader: &SecretReader<'_>) -> Result<Secrets, super::Problems> {
        let report = Report::default();
        let mut secrets = BTreeMap::new();
        for (path, secret) in self.profile.secret_refs() {
            match read(secret, reader).and_then(|value| fitting(&path, value)) {
                Ok(value) => {
                    secrets.insert(path, value);
                }
                Err((message, help)) => {
                    let place = self.place(&path);
                    report.add(Draft::new(place, format!("'{path}': {message}")).help(help));
                }
            }
        }
        report.finish(&self.sources)?;
        Ok(Secrets(secrets))
    }
}
