//! Files with credentials: Docker's `config.json` and podman's `auth.json`,
//! which have one form (containers-auth.json(5)).
//!
//! Invariants:
//! - An edit changes the entry of one registry and keeps all else, keys that
//!   isoforge doesn't know included.
//! - No error repeats what the file holds.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::credentials::Credentials;
use super::secret::Secret;
use crate::reference::DEFAULT_REGISTRY;
use isoforge_base::limit::read_within;

/// Largest file accepted.
pub(super) const MAX_BYTES: u64 = 1024 * 1024;
/// Under this name Docker keeps the credentials of Docker Hub.
pub(super) const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";
/// Other names of Docker Hub.
const DOCKER_HUB_NAMES: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];

/// The part of a file that is read.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuthFile {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    creds_store: Option<String>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
struct Entry {
    auth: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    identitytoken: Option<Secret>,
}

/// What keeps the credentials of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Keeper<'a> {
    /// A helper for this registry alone, and the name that it knows it by.
    Helper { name: &'a str, server: String },
    /// The helper for all registries.
    Store { name: &'a str, server: String },
    /// The file itself.
    File,
}

/// The text of a file; `None` where there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>, String> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let read = read_within(file, MAX_BYTES).map_err(|error| error.to_string())?;
    let bytes = read.ok_or_else(|| format!("{}: more than {MAX_BYTES} bytes", path.display()))?;
    let text = String::from_utf8(bytes);
    text.map(Some)
        .map_err(|_| "stream did not contain valid UTF-8".to_owned())
}

impl AuthFile {
    /// Takes a file apart; an empty one says nothing.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(text).map_err(|_| "not a docker configuration".to_owned())
    }

    /// The helper set for the registry alone.
    pub(super) fn helper(&self, host: &str) -> Option<(&str, String)> {
        server_names(host).into_iter().find_map(|server| {
            let name = self.cred_helpers.get(&server)?;
            (!name.is_empty()).then_some((name.as_str(), server))
        })
    }

    /// The helper set for all registries.
    pub(super) fn store(&self) -> Option<&str> {
        self.creds_store.as_deref().filter(|name| !name.is_empty())
    }

    /// Who keeps what is stored for the registry from now on.
    pub(super) fn keeper(&self, host: &str) -> Keeper<'_> {
        if let Some((name, server)) = self.helper(host) {
            return Keeper::Helper { name, server };
        }
        match self.store() {
            Some(name) => Keeper::Store {
                name,
                server: docker_key(host),
            },
            None => Keeper::File,
        }
    }

    /// The credentials in the file itself: the entry for the longest part of
    /// `host/repository`, then one for the host under any of its names.
    pub(super) fn find(&self, host: &str, repository: &str) -> Result<Option<Credentials>, String> {
        let mut scope = Some(repository);
        while let Some(path) = scope {
            if let Some(entry) = self.auths.get(&format!("{host}/{path}"))
                && let Some(found) = entry.credentials()?
            {
                return Ok(Some(found));
            }
            scope = path.rsplit_once('/').map(|(parent, _)| parent);
        }
        let exact = self.auths.get(host).into_iter();
        let others = self
            .auths
            .iter()
            .filter(|(key, _)| is_host(key, host))
            .map(|(_, entry)| entry);
        for entry in exact.chain(others) {
            if let Some(found) = entry.credentials()? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

impl Entry {
    /// `None` for an entry that only says that a helper has it.
    fn credentials(&self) -> Result<Option<Credentials>, String> {
        let filled = |secret: &Option<Secret>| {
            let secret = secret.as_ref()?;
            (!secret.reveal().is_empty()).then(|| secret.clone())
        };
        if let Some(token) = filled(&self.identitytoken) {
            return Ok(Some(Credentials::IdentityToken(token)));
        }
        if let Some(auth) = filled(&self.auth) {
            let decoded =
                decode(auth.reveal()).ok_or("an entry's 'auth' is not user:password in base64")?;
            return Ok(Some(decoded));
        }
        Ok(match (&self.username, &self.password) {
            (Some(user), Some(password)) if !user.is_empty() => Some(Credentials::Password {
                user: user.clone(),
                password: password.clone(),
            }),
            _ => None,
        })
    }
}

fn decode(auth: &str) -> Option<Credentials> {
    let engine = base64::engine::GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        base64::engine::GeneralPurposeConfig::new()
            .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
    );
    // base64(1) wraps its lines, and what it wrote is pasted as it is.
    let auth: String = auth.split_ascii_whitespace().collect();
    let decoded = String::from_utf8(engine.decode(auth).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some(Credentials::Password {
        user: user.to_owned(),
        // Docker pads with these.
        password: Secret::new(password.trim_end_matches('\0').to_owned()),
    })
}

/// Whether an entry's name, which may be the URL of an API as old versions of
/// Docker write it, means the host.
fn is_host(key: &str, host: &str) -> bool {
    let url = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"));
    let named = match url {
        Some(rest) => rest.split('/').next().unwrap_or_default(),
        None => key,
    };
    // Hosts are the same in whatever case they are written.
    let is = |name: &str| named.eq_ignore_ascii_case(name);
    is(host) || (host == DEFAULT_REGISTRY && DOCKER_HUB_NAMES.into_iter().any(is))
}

/// The names by which helpers may know the registry, Docker's first.
pub(super) fn server_names(host: &str) -> Vec<String> {
    let mut names = vec![host.to_owned()];
    if host == DEFAULT_REGISTRY {
        names.insert(0, DOCKER_HUB_KEY.to_owned());
    }
    names
}

/// Docker's name of the registry, which podman understands as well.
pub(super) fn docker_key(host: &str) -> String {
    if host == DEFAULT_REGISTRY {
        return DOCKER_HUB_KEY.to_owned();
    }
    host.to_owned()
}

/// The text with user and password for the registry under `key`; without them
/// with an entry that only says that a helper has it.
pub(super) fn with_entry(
    text: &str,
    host: &str,
    key: &str,
    login: Option<(&str, &Secret)>,
) -> Result<String, String> {
    let entry = login.map_or_else(
        || json!({}),
        |(user, password)| {
            let pair = format!("{user}:{}", password.reveal());
            json!({ "auth": base64::engine::general_purpose::STANDARD.encode(pair) })
        },
    );
    let mut root = object(text)?;
    let auths = root.entry("auths").or_insert_with(|| json!({}));
    if auths.is_null() {
        *auths = json!({});
    }
    let auths = auths.as_object_mut().ok_or("'auths' is not an object")?;
    // Another name of the same host would be found by some programs before.
    auths.retain(|known, _| known == key || !is_host(known, host));
    auths.insert(key.to_owned(), entry);
    Ok(pretty(root))
}

/// The text without any entry for the registry; `None` where there is none.
pub(super) fn without_entry(text: &str, host: &str) -> Result<Option<String>, String> {
    let mut root = object(text)?;
    let Some(auths) = root.get_mut("auths").and_then(Value::as_object_mut) else {
        return Ok(None);
    };
    let before = auths.len();
    auths.retain(|known, _| !is_host(known, host));
    if auths.len() == before {
        return Ok(None);
    }
    Ok(Some(pretty(root)))
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(text).map_err(|_| "not a docker configuration".to_owned())
}

/// Indented by a tab, as Docker and podman write it.
fn pretty(root: Map<String, Value>) -> String {
    use serde::Serialize as _;
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    // Into memory, from values that came out of JSON: it can't fail.
    let _ = root.serialize(&mut serializer);
    bytes.push(b'\n');
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn found(text: &str, host: &str, repository: &str) -> String {
        match AuthFile::parse(text).unwrap().find(host, repository) {
            Ok(Some(Credentials::Password { user, password })) => {
                format!("{user}:{}", password.reveal())
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn entries_are_found_by_the_longest_name_and_under_old_names() {
        // user:<digit> in base64, with and without padding.
        let text = r#"{"auths":{
            "q.io/org/app":{"auth":"dToxAA=="}, "q.io/org":{"auth":"dToy"}, "q.io":{"auth":"dToz"},
            "https://old.io/v2/":{"auth":"dTo0"}, "https://index.docker.io/v1/":{"auth":"dTo1"},
            "Upper.io":{"auth":"dTo3"}, "marker.io":{}, "x.io":{"username":"u","password":"6"}}}"#;
        assert_eq!(found(text, "q.io", "org/app"), "u:1");
        assert_eq!(found(text, "q.io", "org/app/sub"), "u:1");
        assert_eq!(found(text, "q.io", "org/apple"), "u:2");
        assert_eq!(found(text, "q.io", "organic"), "u:3");
        assert_eq!(found(text, "old.io", "a"), "u:4");
        assert_eq!(found(text, "docker.io", "library/debian"), "u:5");
        assert_eq!(found(text, "x.io", "a"), "u:6");
        assert_eq!(found(text, "upper.io", "a"), "u:7");
        assert_eq!(found(text, "marker.io", "a"), "Ok(None)");
        assert_eq!(found(text, "io", "a"), "Ok(None)");
        assert_eq!(found("", "io", "a"), "Ok(None)");
        let wrapped = r#"{"auths":{"q.io":{"auth":"dXNl\ncjpzZWNy\r\nZXQ=\n"}}}"#;
        assert_eq!(found(wrapped, "q.io", "a"), "user:secret");
        let said = found(r#"{"auths":{"q.io":{"auth":"aHVudGVyMg=="}}}"#, "q.io", "a");
        assert_snapshot!(said, @r#"Err("an entry's 'auth' is not user:password in base64")"#);
    }

    #[test]
    fn helpers_for_one_registry_come_before_the_one_for_all() {
        let text =
            r#"{"credsStore":"all","credHelpers":{"q.io":"one","docker.io":"hub","e.io":""}}"#;
        let file = AuthFile::parse(text).unwrap();
        assert_eq!(file.helper("q.io"), Some(("one", "q.io".to_owned())));
        assert_eq!(
            file.helper("docker.io"),
            Some(("hub", "docker.io".to_owned()))
        );
        assert_eq!(file.helper("e.io"), None);
        assert_eq!(file.store(), Some("all"));
        let server = "q.io".to_owned();
        assert_eq!(
            file.keeper("q.io"),
            Keeper::Helper {
                name: "one",
                server
            }
        );
        let server = "e.io".to_owned();
        assert_eq!(
            file.keeper("e.io"),
            Keeper::Store {
                name: "all",
                server
            }
        );
        assert_eq!(AuthFile::default().keeper("e.io"), Keeper::File);
    }

    #[test]
    fn an_edit_keeps_all_that_is_not_meant() {
        let text = r#"{"HttpHeaders":{"a":"b"},"auths":{"z.io":{"auth":"eno6"},"https://index.docker.io/v1/":{"auth":"b2xk","email":"x"}},"currentContext":"c"}"#;
        let password = Secret::new("p:w".to_owned());
        let added = with_entry(text, "q.io", "q.io", Some(("u", &password))).unwrap();
        assert_snapshot!(added.replace('\t', "  "), @r#"
        {
          "HttpHeaders": {
            "a": "b"
          },
          "auths": {
            "z.io": {
              "auth": "eno6"
            },
            "https://index.docker.io/v1/": {
              "auth": "b2xk",
              "email": "x"
            },
            "q.io": {
              "auth": "dTpwOnc="
            }
          },
          "currentContext": "c"
        }
        "#);
        assert_eq!(found(&added, "q.io", "a"), "u:p:w");
        let hub = with_entry(text, "docker.io", "docker.io", Some(("u", &password))).unwrap();
        assert!(!hub.contains("index.docker.io"), "{hub}");
        assert_eq!(found(&hub, "docker.io", "a"), "u:p:w");
        let marked = with_entry("", "q.io", "q.io", None).unwrap();
        assert_eq!(
            marked.replace(['\t', '\n', ' '], ""),
            r#"{"auths":{"q.io":{}}}"#
        );
        let removed = without_entry(&added, "q.io").unwrap().unwrap();
        assert!(
            !removed.contains("q.io") && removed.contains("z.io"),
            "{removed}"
        );
        assert_eq!(without_entry(&removed, "q.io").unwrap(), None);
        assert_eq!(without_entry("{}", "q.io").unwrap(), None);
        for bad in ["[]", "hunter2", r#"{"auths":7}"#] {
            let said = with_entry(bad, "q.io", "q.io", None).unwrap_err();
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}
