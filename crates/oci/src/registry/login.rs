//! Logging in to a registry and out of it: whether the registry takes the
//! credentials, and what changes in the file that keeps them.
//!
//! Nothing is written here but by a credential helper: an edit of a file is
//! given back as its new text.

use std::path::Path;
use std::time::Duration;

use super::auth::{check_realm, fetch_token};
use super::auth_file::{self, AuthFile, Keeper};
use super::challenge::{self, Challenge, basic};
use super::credentials::{self, Credentials};
use super::helper::{Broken, Helper, Helpers};
use super::secret::Secret;
use super::transport::{Call, Reply};
use super::url::{ShownUrl, encode};
use super::{Client, url};
use crate::reference::{DEFAULT_REGISTRY, Reference};
use crate::{Answer, Error};
use isoforge_base::error::Class;
use ureq::http::header::WWW_AUTHENTICATE;

/// User name and password, or an access token in the password's place.
#[derive(Debug, Clone)]
pub struct Login {
    /// User name.
    pub user: String,
    /// Password.
    pub password: Secret,
}

/// What a registry says to credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It takes them.
    Accepted,
    /// It does not ask for any, so nobody knows whether they are right.
    NotAsked,
}

/// What storing or forgetting credentials comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The file's new text; `None` where it stays as it is. It may hold the
    /// password.
    pub text: Option<Secret>,
    /// The program that has the credentials in place of the file.
    pub helper: Option<String>,
}

/// The registry that a user means: `host[:port]`, for Docker Hub `docker.io`.
///
/// # Errors
/// For anything else.
pub fn registry_host(text: &str) -> Result<String, Error> {
    let bare = ["https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))
        .unwrap_or(text)
        .trim_end_matches('/');
    if [
        "index.docker.io",
        "registry-1.docker.io",
        "index.docker.io/v1",
    ]
    .contains(&bare)
    {
        return Ok(DEFAULT_REGISTRY.to_owned());
    }
    let parsed: Result<Reference, _> = format!("{bare}/name:tag").parse();
    match parsed {
        Ok(reference) if reference.registry().eq_ignore_ascii_case(bare) => {
            Ok(reference.registry().to_owned())
        }
        _ => {
            let wanted =
                "a registry: a host name with an optional port, such as quay.io or localhost:5000";
            Err(Error::setting(ShownUrl::of(text), wanted))
        }
    }
}

/// The text as it comes out of [`Change`], for the one place that writes it.
#[must_use]
pub fn text_of(secret: &Secret) -> &str {
    secret.reveal()
}

impl Client {
    /// Asks the registry `host`, and its token service, whether it takes the
    /// credentials: one attempt.
    ///
    /// # Errors
    /// Where it does not; see [`Error`].
    pub fn verify_login(&self, host: &str, login: &Login) -> Result<Verdict, Error> {
        let endpoint = self.config.endpoint(host, String::new(), false);
        let url = endpoint.api_url();
        let reply = self.get_api(&url, None)?;
        if reply.status.is_success() {
            if let Some(page) = reply.web_page("the registry's answer") {
                return Err(page);
            }
            return Ok(Verdict::NotAsked);
        }
        if reply.status.as_u16() != 401 {
            return Err(reply.into_error());
        }
        let challenges = reply.headers.get_all(WWW_AUTHENTICATE);
        let texts = challenges.iter().filter_map(|value| value.to_str().ok());
        let challenge = challenge::parse(texts);
        // Read to its end before anything else is asked: see `limiter`.
        let _ = reply.into_answer();
        let header = match challenge {
            None => {
                let problem = "it asks for credentials in no way that isoforge knows";
                return Err(Error::challenge(&url, problem));
            }
            Some(Challenge::Basic) => basic(&login.user, &login.password),
            Some(Challenge::Bearer {
                realm,
                service,
                scope,
            }) => {
                check_realm(&url, &realm, endpoint.plain_http)?;
                let query = query(&login.user, service.as_deref(), scope.as_deref());
                let credentials = Credentials::Password {
                    user: login.user.clone(),
                    password: login.password.clone(),
                };
                let token = fetch_token(&self.transport, &realm, &query, Some(&credentials))
                    .map_err(|error| match error {
                        Error::Denied { answer, .. } => not_accepted(host, &answer),
                        other => other,
                    })?;
                Secret::new(format!("Bearer {}", token.reveal()))
            }
        };
        let reply = self.get_api(&url, Some(&header))?;
        match reply.status.as_u16() {
            200 => Ok(Verdict::Accepted),
            401 | 403 => Err(not_accepted(host, &reply.into_answer())),
            _ => Err(reply.into_error()),
        }
    }

    fn get_api(&self, url: &str, authorization: Option<&Secret>) -> Result<Reply, Error> {
        let reply = self.transport.send(Call {
            url,
            accept: "application/json",
            authorization,
            ..Call::default()
        })?;
        if url::Origin::of(&reply.url) == url::Origin::of(url) {
            return Ok(reply);
        }
        Err(Error::BadAnswer {
            url: ShownUrl::of(url),
            problem: "redirect to another host, which can't say whether the credentials are right"
                .to_owned(),
        })
    }

    /// Whether a file of the settings, or a helper that it names, has credentials
    /// for `host`; gives the most important such file.
    ///
    /// # Errors
    /// Where a file or helper is broken.
    pub fn find_login(&self, host: &str) -> Result<Option<&Path>, Error> {
        let helpers = Helpers {
            time_limit: self.config.helper_timeout,
            broken: &Broken::default(),
        };
        for path in &self.config.credential_files {
            if credentials::find(path, host, helpers)?.is_some() {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// Stores credentials for `host` in the way that the file `path` says: by its
    /// helper, or in the file itself.
    ///
    /// # Errors
    /// Where file or helper are broken.
    pub fn store_login(&self, path: &Path, host: &str, login: &Login) -> Result<Change, Error> {
        let time_limit = self.config.helper_timeout;
        store(path, host, login, time_limit)
            .map_err(|problem| credentials::error(host, path, &problem))
    }

    /// Has the file `path` and its helper forget the credentials for `host`;
    /// those of its repositories stay.
    ///
    /// # Errors
    /// Where file or helper are broken.
    pub fn forget_login(&self, path: &Path, host: &str) -> Result<Change, Error> {
        let time_limit = self.config.helper_timeout;
        forget(path, host, time_limit).map_err(|problem| credentials::error(host, path, &problem))
    }
}

/// A token for no repository: only whether there is one counts.
fn query(user: &str, service: Option<&str>, scope: Option<&str>) -> String {
    let mut query = format!("account={}", encode(user));
    for (name, value) in [("service", service), ("scope", scope)] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            query.push_str(&format!("&{name}={}", encode(value)));
        }
    }
    query
}

fn not_accepted(host: &str, answer: &Answer) -> Error {
    let problem = format!("{host} does not accept this user name and password{answer}");
    Error::new(Class::Network, problem)
        .with_hint("some registries want an access token in place of the password")
}

fn store(path: &Path, host: &str, login: &Login, time_limit: Duration) -> Result<Change, String> {
    let text = auth_file::read(path)?.unwrap_or_default();
    let file = AuthFile::parse(&text)?;
    let (user, password) = (login.user.as_str(), &login.password);
    // Docker looks under its own name for Docker Hub, everybody else under both.
    let docker_key = auth_file::docker_key(host);
    let edit = |login| auth_file::with_entry(&text, host, &docker_key, login).map(Secret::new);
    match file.keeper(host) {
        Keeper::Helper { name, server } => {
            Helper { name, time_limit }.store(&server, user, password)?;
            Ok(Change {
                text: None,
                helper: Some(name.to_owned()),
            })
        }
        Keeper::Store { name, server } => {
            // The edit first, so that a file that can't be edited stores nothing.
            let marked = edit(None)?;
            Helper { name, time_limit }.store(&server, user, password)?;
            Ok(Change {
                text: Some(marked),
                helper: Some(name.to_owned()),
            })
        }
        Keeper::File => Ok(Change {
            text: Some(edit(Some((user, password)))?),
            helper: None,
        }),
    }
}

fn forget(path: &Path, host: &str, time_limit: Duration) -> Result<Change, String> {
    let text = auth_file::read(path)?.unwrap_or_default();
    let file = AuthFile::parse(&text)?;
    let edited = auth_file::without_entry(&text, host)?;
    let (own, all) = (file.helper(host), file.store());
    let helpers = own.into_iter().chain(all.into_iter().flat_map(|name| {
        let servers = auth_file::server_names(host);
        servers.into_iter().map(move |server| (name, server))
    }));
    let mut helper = None;
    for (name, server) in helpers {
        if (Helper { name, time_limit }).erase(&server)? {
            helper = Some(name.to_owned());
        }
    }
    Ok(Change {
        text: edited.map(Secret::new),
        helper,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_named_by_host() {
        let host = |text: &str| registry_host(text).unwrap();
        assert_eq!(host("quay.io"), "quay.io");
        assert_eq!(host("https://reg.lan:5000/"), "reg.lan:5000");
        assert_eq!(host("https://index.docker.io/v1/"), "docker.io");
        for text in [
            "",
            "quay.io/org",
            "https://u:hunter2@q.io",
            "quay",
            "a b.io",
        ] {
            let said = registry_host(text).unwrap_err().to_string();
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn a_token_is_asked_for_by_user_and_service() {
        let query = query("a b", Some("reg.io"), Some(""));
        assert_eq!(query, "account=a%20b&service=reg.io");
    }
}
