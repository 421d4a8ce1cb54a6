//! Credentials from docker and podman configuration files and credential
//! helpers, found by `docker_credential`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::error::Error;
use super::secret::Secret;
use crate::oci::reference::DEFAULT_REGISTRY;

/// Largest configuration file accepted.
const MAX_CONFIG_BYTES: u64 = 1024 * 1024;
/// What credential helpers print where they know nothing (docker-credential-
/// helpers, `errCredentialsNotFound`).
const HELPER_NOT_FOUND: &str = "credentials not found";
/// Under this name docker keeps the credentials of Docker Hub.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// Credentials for a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    /// User name and password, or an access token in its place.
    Password { user: String, password: Secret },
    /// A refresh token that the token service turns into access tokens.
    IdentityToken(Secret),
}

/// Looks for credentials for `repository` at `host` in `files`, in order.
pub(super) fn find(
    files: &[PathBuf],
    host: &str,
    repository: &str,
) -> Result<Option<Credentials>, Error> {
    for path in files {
        let Some(text) = read(path, host)? else {
            continue;
        };
        for key in keys(&text, host, repository) {
            match get_credential_from_reader(text.as_bytes(), &key) {
                Ok(found) => return Ok(Some(found.into())),
                Err(error) if is_absence(&error) => {}
                Err(error) => {
                    return Err(Error::Credentials {
                        host: host.to_owned(),
                        problem: format!("{}: {}", path.display(), problem(&error)),
                    });
                }
            }
        }
    }
    Ok(None)
}

fn read(path: &Path, host: &str) -> Result<Option<String>, Error> {
    use std::io::Read;
    let unreadable = |problem: String| Error::Credentials {
        host: host.to_owned(),
        problem,
    };
    let file = match fs_err::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error.to_string())),
    };
    let mut text = String::new();
    file.take(MAX_CONFIG_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| unreadable(error.to_string()))?;
    Ok(Some(text))
}

/// The names under which credentials may be stored, most specific first.
///
/// containers-auth.json(5) allows names with a path; they are tried only where
/// the file has them, because each try may run a credential helper.
fn keys(text: &str, host: &str, repository: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Names {
        #[serde(default)]
        auths: BTreeMap<String, IgnoredAny>,
    }
    let mut keys = Vec::new();
    if let Ok(names) = serde_json::from_str::<Names>(text) {
        let mut path = repository;
        loop {
            let key = format!("{host}/{path}");
            if names.auths.contains_key(&key) {
                keys.push(key);
            }
            match path.rsplit_once('/') {
                Some((parent, _)) => path = parent,
                None => break,
            }
        }
    }
    if host == DEFAULT_REGISTRY {
        keys.push(DOCKER_HUB_KEY.to_owned());
    }
    keys.push(host.to_owned());
    keys
}

fn is_absence(error: &CredentialRetrievalError) -> bool {
    match error {
        CredentialRetrievalError::NoCredentialConfigured => true,
        CredentialRetrievalError::HelperFailure { stdout, stderr, .. } => {
            stdout.contains(HELPER_NOT_FOUND) || stderr.contains(HELPER_NOT_FOUND)
        }
        _ => false,
    }
}

/// What went wrong; a helper's output stays out of it, it may hold the secret.
fn problem(error: &CredentialRetrievalError) -> String {
    match error {
        CredentialRetrievalError::HelperFailure { helper, .. } => {
            format!("the credential helper {helper} failed")
        }
        CredentialRetrievalError::ConfigReadError => "not a docker configuration".to_owned(),
        other => other.to_string(),
    }
}

impl From<DockerCredential> for Credentials {
    fn from(found: DockerCredential) -> Self {
        match found {
            DockerCredential::IdentityToken(token) => Self::IdentityToken(Secret::new(token)),
            DockerCredential::UsernamePassword(user, password) => Self::Password {
                user,
                password: Secret::new(password),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `user:secret-<n>` in base64.
    fn auth(n: u32) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("user:secret-{n}"))
    }

    fn files(texts: &[String]) -> (tempfile::TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        let paths = texts
            .iter()
            .enumerate()
            .map(|(n, text)| {
                let path = folder.path().join(n.to_string());
                fs_err::write(&path, text).unwrap();
                path
            })
            .collect();
        (folder, paths)
    }

    fn password(found: Option<Credentials>) -> String {
        match found {
            Some(Credentials::Password { password, .. }) => password.reveal().to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_first_file_and_the_most_specific_name_win() {
        let (folder, mut paths) = files(&[
            format!(
                r#"{{"auths":{{"quay.io/org":{{"auth":"{}"}},"quay.io":{{"auth":"{}"}}}}}}"#,
                auth(1),
                auth(2)
            ),
            format!(
                r#"{{"auths":{{"quay.io":{{"auth":"{}"}},"{DOCKER_HUB_KEY}":{{"auth":"{}"}}}}}}"#,
                auth(3),
                auth(4)
            ),
        ]);
        paths.insert(0, folder.path().join("missing"));
        let find = |host: &str, repository: &str| password(find(&paths, host, repository).unwrap());
        assert_eq!(find("quay.io", "org/app"), "secret-1");
        assert_eq!(find("quay.io", "organic/app"), "secret-2");
        assert_eq!(find("docker.io", "library/debian"), "secret-4");
        assert_eq!(find("ghcr.io", "a"), "None");
    }

    #[test]
    fn an_identity_token_is_one() {
        let (_folder, paths) = files(&[r#"{"auths":{"q.io":{"identitytoken":"tok"}}}"#.to_owned()]);
        assert_eq!(
            find(&paths, "q.io", "a").unwrap(),
            Some(Credentials::IdentityToken(Secret::new("tok".into())))
        );
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        let (_folder, paths) = files(&["not json hunter2".to_owned()]);
        let said = find(&paths, "q.io", "a").unwrap_err().to_string();
        assert!(
            said.contains("not a docker configuration") && !said.contains("hunter2"),
            "{said}"
        );
        let (_folder, paths) =
            files(&[r#"{"credHelpers":{"q.io":"isoforge-has-none"}}"#.to_owned()]);
        let said = find(&paths, "q.io", "a").unwrap_err().to_string();
        assert!(said.contains("credential helper"), "{said}");
    }
}
