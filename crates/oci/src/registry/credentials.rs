//! Where the user's credentials are: files of Docker and podman, and the
//! credential helpers that they name.
//!
//! In each file, the most important first, a helper for the registry is asked
//! first, then the file's own entries count, then the helper for all registries.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::auth_file::{self, AuthFile};
use super::helper::Helper;
use super::secret::Secret;
use crate::Error;
use isoforge_base::error::Class;

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
    helper_timeout: Duration,
) -> Result<Option<Credentials>, Error> {
    for path in files {
        let found = find_in(path, host, repository, helper_timeout);
        if let Some(found) = found.map_err(|problem| error(host, path, &problem))? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn find_in(
    path: &Path,
    host: &str,
    repository: &str,
    time_limit: Duration,
) -> Result<Option<Credentials>, String> {
    let Some(text) = auth_file::read(path)? else {
        return Ok(None);
    };
    let file = AuthFile::parse(&text)?;
    if let Some((name, server)) = file.helper(host)
        && let Some(found) = (Helper { name, time_limit }).get(&server)?
    {
        return Ok(Some(found));
    }
    if let Some(found) = file.find(host, repository)? {
        return Ok(Some(found));
    }
    let Some(name) = file.store() else {
        return Ok(None);
    };
    for server in auth_file::server_names(host) {
        if let Some(found) = (Helper { name, time_limit }).get(&server)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// An error about the credentials of `host` in the file `path`.
pub(super) fn error(host: &str, path: &Path, problem: &str) -> Error {
    let path = path.display();
    let problem = format!("the credentials for {host} can't be had: {path}: {problem}");
    Error::new(Class::Network, problem)
        .with_hint("check that file, and by hand that its credential helper works")
}

#[cfg(test)]
mod tests {
    use super::super::auth_file::DOCKER_HUB_KEY;
    use super::*;

    fn find(files: &[PathBuf], host: &str, name: &str) -> Result<Option<Credentials>, Error> {
        super::find(files, host, name, Duration::from_secs(60))
    }

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
        let find =
            |host: &str, repository: &str| password(self::find(&paths, host, repository).unwrap());
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
