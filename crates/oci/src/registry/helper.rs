//! Credential helpers: programs `docker-credential-NAME` that keep credentials in
//! the user's key ring. Protocol of docker-credential-helpers: the verb is the
//! argument, the registry or a JSON object is the input, JSON is the answer.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::credentials::Credentials;
use super::secret::Secret;
use isoforge_base::process::helper::{self, Answer};

/// Largest answer accepted.
const MAX_ANSWER_BYTES: u64 = 1024 * 1024;
/// What helpers print where they know nothing (docker-credential-helpers,
/// `errCredentialsNotFound`).
const NOT_FOUND: &str = "credentials not found";
/// The user name that marks an identity token.
const TOKEN_USER: &str = "<token>";

/// What was wrong with helpers, by their names and the registry that they were asked
/// for: one that hangs costs its time limit once, not once for each image.
#[derive(Debug, Default)]
pub(super) struct Broken(Mutex<BTreeMap<(String, String), String>>);

/// The helpers of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Helpers<'a> {
    pub(super) time_limit: Duration,
    pub(super) broken: &'a Broken,
}

impl Helpers<'_> {
    /// The credentials that the helper `name` has for `server`.
    pub(super) fn get(&self, name: &str, server: &str) -> Result<Option<Credentials>, String> {
        let time_limit = self.time_limit;
        let key = (name.to_owned(), server.to_owned());
        // Held while the helper works, so that it is asked once by all threads.
        let mut broken = self.broken.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(problem) = broken.get(&key) {
            return Err(problem.clone());
        }
        let got = Helper { name, time_limit }.get(server);
        if let Err(problem) = &got {
            broken.insert(key, problem.clone());
        }
        got
    }
}

/// A helper, by the name that the configuration gives it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Helper<'a> {
    pub(super) name: &'a str,
    pub(super) time_limit: Duration,
}

impl Helper<'_> {
    /// The credentials that the helper has for `server`.
    pub(super) fn get(&self, server: &str) -> Result<Option<Credentials>, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Found {
            username: String,
            secret: String,
        }
        let answer = self.ask("get", server.as_bytes())?;
        if !answer.success {
            return if is_absence(&answer) {
                Ok(None)
            } else {
                Err(format!("the credential helper {} failed", self.program()))
            };
        }
        let found: Found = serde_json::from_slice(&answer.stdout).map_err(|_| {
            format!(
                "what the credential helper {} answers is not understood",
                self.program()
            )
        })?;
        let secret = Secret::new(found.secret);
        Ok(Some(if found.username == TOKEN_USER {
            Credentials::IdentityToken(secret)
        } else {
            Credentials::Password {
                user: found.username,
                password: secret,
            }
        }))
    }

    /// Has the helper keep credentials for `server`.
    pub(super) fn store(&self, server: &str, user: &str, password: &Secret) -> Result<(), String> {
        let entry = json!({ "ServerURL": server, "Username": user, "Secret": password.reveal() });
        let answer = self.ask("store", entry.to_string().as_bytes())?;
        if answer.success {
            return Ok(());
        }
        Err(format!("the credential helper {} failed", self.program()))
    }

    /// Has the helper forget `server`. Whether it knew it.
    pub(super) fn erase(&self, server: &str) -> Result<bool, String> {
        if self.get(server)?.is_none() {
            return Ok(false);
        }
        let answer = self.ask("erase", server.as_bytes())?;
        if answer.success || is_absence(&answer) {
            return Ok(true);
        }
        Err(format!("the credential helper {} failed", self.program()))
    }

    fn program(&self) -> String {
        format!("docker-credential-{}", self.name)
    }

    /// What the helper says stays out of errors: it may be the secret.
    fn ask(&self, verb: &str, input: &[u8]) -> Result<Answer, String> {
        let program = self.program();
        if self.name.contains('/') {
            return Err(format!(
                "'{}' is not the name of a credential helper",
                self.name
            ));
        }
        helper::ask(&program, &[verb], input, self.time_limit, MAX_ANSWER_BYTES).map_err(|error| {
            match error.kind() {
                io::ErrorKind::TimedOut => format!(
                    "the credential helper {program} did not answer within {} s",
                    self.time_limit.as_secs_f64()
                ),
                io::ErrorKind::NotFound => {
                    format!("the credential helper {program} is not installed")
                }
                _ => format!("the credential helper {program} can't be run: {error}"),
            }
        })
    }
}

fn is_absence(answer: &Answer) -> bool {
    [&answer.stdout, &answer.stderr]
        .into_iter()
        .any(|said| String::from_utf8_lossy(said).contains(NOT_FOUND))
}
