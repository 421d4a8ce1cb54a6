//! Authentication to one repository: answers challenges, keeps what works.
//!
//! Flow: a request is made with the authorization that worked last, or with
//! none. On 401 the challenge is answered with Basic credentials or a token
//! from the token service, and the request is made once more. Requests of
//! several threads share one token.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use ureq::http::header;

use super::challenge::{Challenge, basic};
use super::config::RegistryConfig;
use super::credentials::{self, Credentials, Lookup};
use super::endpoint::Endpoint;
use super::secret::Secret;
use super::transport::{Call, Reply, Transport, check_no_page};
use super::url::{Origin, ShownUrl, encode};
use crate::media::MediaType;
use crate::{Answer, Error};

/// Largest answer of a token service accepted.
const MAX_TOKEN_BYTES: u64 = 1024 * 1024;
const CLIENT_ID: &str = "isoforge";

/// The authorization for one repository.
#[derive(Debug)]
pub(super) struct Auth {
    endpoint: Endpoint,
    files: Vec<PathBuf>,
    /// What a token must be good for beside what a challenge says.
    scopes: Vec<String>,
    state: Mutex<State>,
    /// What the registry took last. Apart from the state, which is locked while a
    /// token is fetched: this is asked by who holds an answer.
    taken: Mutex<Option<Arc<Secret>>>,
}

#[derive(Debug, Default)]
struct State {
    /// What to send.
    header: Option<Arc<Secret>>,
    /// Whether it is made from the user's credentials.
    authenticated: bool,
    /// The user's credentials, once looked up.
    lookup: Option<Lookup>,
}

impl Auth {
    pub(super) fn new(endpoint: Endpoint, config: &RegistryConfig) -> Self {
        Self {
            endpoint,
            files: config.credential_files.clone(),
            scopes: Vec::new(),
            state: Mutex::default(),
            taken: Mutex::default(),
        }
    }

    /// Has tokens good for `scopes` too (`repository:<name>:<actions>`), so that
    /// one does for all requests.
    pub(super) fn with_scopes(mut self, scopes: Vec<String>) -> Self {
        self.scopes = scopes;
        self
    }

    /// What to send with the next request.
    pub(super) fn header(&self) -> Option<Arc<Secret>> {
        self.lock().header.clone()
    }

    /// Notes that the registry took `used`.
    pub(super) fn was_taken(&self, used: Option<&Arc<Secret>>) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.as_ref() != used {
            *taken = used.cloned();
        }
    }

    /// Whether what the registry took last is `used`.
    pub(super) fn has_taken(&self, used: Option<&Arc<Secret>>) -> bool {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        used.is_some() && taken.as_ref() == used
    }

    /// The error for a request that was refused.
    pub(super) fn denied(&self, reply: Reply) -> Error {
        self.refused(ShownUrl::of(&reply.url), reply.into_answer())
    }

    /// The same, of an answer that was read.
    pub(super) fn refused(&self, url: ShownUrl, answer: Answer) -> Error {
        let state = self.lock();
        Error::Denied {
            url,
            host: self.endpoint.credential_host.clone(),
            authenticated: state.authenticated,
            unavailable: state.lookup.as_ref().and_then(|it| it.problem.clone()),
            answer,
        }
    }

    /// Answers `challenge`, which a request with `used` as authorization got,
    /// and gives what to send instead; `None` where there is nothing better.
    pub(super) fn answer(
        &self,
        transport: &Transport,
        url: &str,
        challenge: &Challenge,
        used: Option<&Arc<Secret>>,
    ) -> Result<Option<Arc<Secret>>, Error> {
        // Held while the token is fetched, so that one thread does it for all.
        let mut state = self.lock();
        if state.header.is_some() && state.header.as_ref() != used {
            return Ok(state.header.clone());
        }
        let lookup = state.lookup.get_or_insert_with(|| {
            let (host, repository) = (&self.endpoint.credential_host, &self.endpoint.repository);
            credentials::look_up(&self.files, host, repository, transport.helpers())
        });
        let Lookup {
            credentials,
            problem,
        } = lookup.clone();
        let header = match challenge {
            Challenge::Basic => match &credentials {
                Some(Credentials::Password { user, password }) => Some(basic(user, password)),
                _ => None,
            },
            Challenge::Bearer {
                realm,
                service,
                scope,
            } => {
                check_realm(url, realm, self.endpoint.plain_http)?;
                let form = matches!(credentials, Some(Credentials::IdentityToken(_)));
                let query = self.query(service.as_deref(), scope.as_deref(), form);
                let token = token_or_anonymous(transport, realm, &query, credentials.as_ref())
                    .map_err(|error| error.without_credentials(problem))?;
                Some(Secret::new(format!("Bearer {}", token.reveal())))
            }
        };
        let header = header.map(Arc::new).filter(|header| Some(header) != used);
        if header.is_some() {
            state.authenticated = credentials.is_some();
            state.header.clone_from(&header);
        }
        Ok(header)
    }

    /// What a token is asked for with, in a URL or in a form.
    fn query(&self, service: Option<&str>, scope: Option<&str>, form: bool) -> String {
        let pull = format!("repository:{}:pull", self.endpoint.repository);
        let challenged = scope.filter(|scope| !scope.is_empty());
        let mut scopes: Vec<&str> = self.scopes.iter().map(String::as_str).collect();
        match challenged {
            None if scopes.is_empty() => scopes.push(&pull),
            None => {}
            Some(scope) if scopes.iter().any(|wanted| covers(wanted, scope)) => {}
            Some(scope) => scopes.push(scope),
        }
        let service = service
            .map(|service| format!("service={}&", encode(service)))
            .unwrap_or_default();
        // Forms are OAuth 2.0, where blanks part scopes (RFC 6749, 3.3); in a URL
        // the parameter is there several times.
        let joined = scopes.join(" ");
        let parts: Vec<&str> = if form {
            vec![&joined]
        } else {
            joined.split(' ').collect()
        };
        let parts: Vec<String> = parts
            .into_iter()
            .map(|scope| format!("scope={}", encode(scope)))
            .collect();
        format!("{service}{}", parts.join("&"))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is replaced in single steps, so it is sound after a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a token for the scope `wanted` does for `asked`: the same resource,
/// and all the actions.
fn covers(wanted: &str, asked: &str) -> bool {
    match (wanted.rsplit_once(':'), asked.rsplit_once(':')) {
        (Some((resource, granted)), Some((same, actions))) if resource == same => actions
            .split(',')
            .all(|action| granted.split(',').any(|one| one == action)),
        _ => false,
    }
}

/// A registry that is asked over TLS must not send us to a token service
/// without.
pub(super) fn check_realm(url: &str, realm: &str, plain_http: bool) -> Result<(), Error> {
    let problem = match Origin::of(realm) {
        None => "its realm is no URL",
        Some(origin) if !origin.https && !plain_http => "its token service speaks plain HTTP",
        Some(_) => return Ok(()),
    };
    Err(Error::challenge(url, problem))
}

/// A token for these credentials. Where the token service refuses them, one for
/// nobody: what is public stays so for a user whose password has changed.
fn token_or_anonymous(
    transport: &Transport,
    realm: &str,
    query: &str,
    credentials: Option<&Credentials>,
) -> Result<Secret, Error> {
    match fetch_token(transport, realm, query, credentials) {
        Err(refused @ Error::Denied { .. }) if credentials.is_some() => {
            fetch_token(transport, realm, query, None).map_err(|_| refused)
        }
        other => other,
    }
}

/// Gets a token: by GET with Basic credentials or anonymously, or by POST with
/// an identity token (distribution's "Token Authentication Specification" and
/// "OAuth2 Token Authentication").
pub(super) fn fetch_token(
    transport: &Transport,
    realm: &str,
    query: &str,
    credentials: Option<&Credentials>,
) -> Result<Secret, Error> {
    let separator = if realm.contains('?') { '&' } else { '?' };
    let with_query = format!("{realm}{separator}{query}");
    let (mut url, mut authorization, mut form) = (with_query.as_str(), None, None);
    match credentials {
        None => {}
        Some(Credentials::Password { user, password }) => {
            authorization = Some(basic(user, password));
        }
        Some(Credentials::IdentityToken(token)) => {
            url = realm;
            form = Some(Secret::new(format!(
                "grant_type=refresh_token&client_id={CLIENT_ID}&{query}&refresh_token={}",
                encode(token.reveal())
            )));
        }
    }
    let reply = transport.send(Call {
        url,
        accept: "application/json",
        authorization: authorization.as_ref(),
        form: form.as_ref(),
        ..Call::default()
    })?;
    if !reply.status.is_success() {
        return Err(refusal(reply, credentials.is_some()));
    }
    let url = reply.url.clone();
    let announced = reply.header(&header::CONTENT_TYPE).map(MediaType::parse);
    let bytes = reply.into_bytes(MAX_TOKEN_BYTES)?;
    check_no_page(&url, announced.as_ref(), &bytes, "a token")?;
    parse_token(&bytes)
        .ok_or_else(|| Error::challenge(&url, "the token service's answer holds no token"))
}

fn refusal(reply: Reply, authenticated: bool) -> Error {
    if !matches!(reply.status.as_u16(), 400 | 401 | 403) {
        return reply.into_error();
    }
    let host = ShownUrl::of(&reply.url).host().to_owned();
    Error::Denied {
        url: ShownUrl::of(&reply.url),
        host,
        authenticated,
        unavailable: None,
        answer: reply.into_answer(),
    }
}

fn parse_token(bytes: &[u8]) -> Option<Secret> {
    #[derive(Deserialize)]
    struct Document {
        token: Option<String>,
        access_token: Option<String>,
    }
    let document: Document = serde_json::from_slice(bytes).ok()?;
    document
        .token
        .or(document.access_token)
        .filter(|token| !token.is_empty())
        .map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth(scopes: &[&str]) -> Auth {
        let endpoint = Endpoint {
            host: "r.io".to_owned(),
            credential_host: "r.io".to_owned(),
            repository: "a/b".to_owned(),
            plain_http: false,
            mirror: false,
        };
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        Auth::new(endpoint, &RegistryConfig::default()).with_scopes(scopes)
    }

    #[test]
    fn a_token_is_asked_for_all_that_it_will_be_used_for() {
        let push = auth(&["repository:a/b:pull,push", "repository:c:pull"]);
        let challenge = Some("repository:a/b:pull");
        assert_eq!(
            push.query(Some("s"), challenge, false),
            "service=s&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%3Apull"
        );
        assert_eq!(
            push.query(None, challenge, true),
            "scope=repository%3Aa%2Fb%3Apull%2Cpush%20repository%3Ac%3Apull"
        );
        // What the registry asks for beyond it is asked for too.
        assert_eq!(
            push.query(None, Some("repository:a/b:delete"), false),
            "scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%3Apull\
             &scope=repository%3Aa%2Fb%3Adelete"
        );
        assert_eq!(
            auth(&[]).query(None, None, false),
            "scope=repository%3Aa%2Fb%3Apull"
        );
    }
}
