//! Where the user's credentials are: files of Docker and podman, and the
//! credential helpers that they name.
//!
//! In each file, the most important first, a helper for the registry is asked
//! first, then the file's own entries count, then the helper for all registries.
//! A file or helper that is broken is no reason to ask nobody else: what is public
//! needs none, so it is told only where a registry refuses.

use std::path::{Path, PathBuf};

use super::auth_file::{self, AuthFile};
use super::helper::Helpers;
use super::secret::Secret;
use crate::Error;
use crate::error::CHECK_PLACE;
use isoforge_base::error::Class;

/// Credentials for a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    /// User name and password, or an access token in its place.
    Password { user: String, password: Secret },
    /// A refresh token that the token service turns into access tokens.
    IdentityToken(Secret),
}

/// What came of looking for a registry's credentials.
#[derive(Debug, Clone, Default)]
pub(super) struct Lookup {
    /// The first that were found.
    pub(super) credentials: Option<Credentials>,
    /// What was wrong first with a more important place, with that file's path.
    pub(super) problem: Option<String>,
}

/// Looks for credentials for `repository` at `host` in `files`, in order.
pub(super) fn look_up(
    files: &[PathBuf],
    host: &str,
    repository: &str,
    helpers: Helpers<'_>,
) -> Lookup {
    let mut lookup = Lookup::default();
    for path in files {
        let mut problem = None;
        lookup.credentials = find_in(path, host, repository, helpers, &mut problem);
        if let Some(problem) = problem
            && lookup.problem.is_none()
        {
            lookup.problem = Some(format!("{}: {problem}", path.display()));
        }
        if lookup.credentials.is_some() {
            break;
        }
    }
    lookup
}

/// Credentials for the registry `host` in the file `path`.
///
/// # Errors
/// Where none can be had since the file or a helper is broken.
pub(super) fn find(
    path: &Path,
    host: &str,
    helpers: Helpers<'_>,
) -> Result<Option<Credentials>, Error> {
    let mut problem = None;
    let found = find_in(path, host, "", helpers, &mut problem);
    match problem {
        Some(problem) if found.is_none() => Err(error(host, path, &problem)),
        _ => Ok(found),
    }
}

/// Looks into one file and notes the first problem.
fn find_in(
    path: &Path,
    host: &str,
    repository: &str,
    helpers: Helpers<'_>,
    problem: &mut Option<String>,
) -> Option<Credentials> {
    let mut usable = |found: Result<Option<Credentials>, String>| match found {
        Ok(found) => found,
        Err(said) => {
            problem.get_or_insert(said);
            None
        }
    };
    let file =
        match auth_file::read(path).and_then(|text| AuthFile::parse(&text.unwrap_or_default())) {
            Ok(file) => file,
            Err(said) => return usable(Err(said)),
        };
    if let Some((name, server)) = file.helper(host)
        && let Some(found) = usable(helpers.get(name, &server))
    {
        return Some(found);
    }
    if let Some(found) = usable(file.find(host, repository)) {
        return Some(found);
    }
    let name = file.store()?;
    auth_file::server_names(host)
        .iter()
        .find_map(|server| usable(helpers.get(name, server)))
}

/// An error about the credentials of `host` in the file `path`.
pub(super) fn error(host: &str, path: &Path, problem: &str) -> Error {
    let path = path.display();
    let problem = format!("the credentials for {host} can't be had: {path}: {problem}");
    Error::new(Class::Network, problem).with_hint(CHECK_PLACE)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::auth_file::DOCKER_HUB_KEY;
    use super::super::helper::Broken;
    use super::*;

    fn look_up(files: &[PathBuf], host: &str, repository: &str) -> Lookup {
        let helpers = Helpers {
            time_limit: Duration::from_secs(60),
            broken: &Broken::default(),
        };
        super::look_up(files, host, repository, helpers)
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
            |host: &str, repository: &str| password(look_up(&paths, host, repository).credentials);
        assert_eq!(find("quay.io", "org/app"), "secret-1");
        assert_eq!(find("quay.io", "organic/app"), "secret-2");
        assert_eq!(find("docker.io", "library/debian"), "secret-4");
        assert_eq!(find("ghcr.io", "a"), "None");
    }

    #[test]
    fn an_identity_token_is_one() {
        let (_folder, paths) = files(&[r#"{"auths":{"q.io":{"identitytoken":"tok"}}}"#.to_owned()]);
        assert_eq!(
            look_up(&paths, "q.io", "a").credentials,
            Some(Credentials::IdentityToken(Secret::new("tok".into())))
        );
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        for (text, problem) in [
            ("not json hunter2", "not a docker configuration"),
            (
                r#"{"credHelpers":{"q.io":"isoforge-has-none"}}"#,
                "the credential helper docker-credential-isoforge-has-none is not installed",
            ),
            (
                r#"{"auths":{"q.io":{"auth":"aHVudGVyMg=="}}}"#,
                "an entry's 'auth' is not user:password in base64",
            ),
        ] {
            let (_folder, paths) = files(&[text.to_owned()]);
            let lookup = look_up(&paths, "q.io", "a");
            assert_eq!(lookup.credentials, None);
            let expected = format!("{}: {problem}", paths[0].display());
            assert_eq!(lookup.problem, Some(expected));
        }
    }

    #[test]
    fn what_is_broken_keeps_nobody_from_asking_elsewhere() {
        let broken = r#"{"credHelpers":{"q.io":"isoforge-has-none"},"auths":{"q.io":{"auth":"#;
        let here = format!(r#"{broken}"{}"}}}}}}"#, auth(1));
        let further = format!(r#"{{"auths":{{"q.io":{{"auth":"{}"}}}}}}"#, auth(2));
        for (texts, secret) in [
            (vec![here], "secret-1"),
            (vec!["no json".to_owned(), further], "secret-2"),
        ] {
            let (_folder, paths) = files(&texts);
            let lookup = look_up(&paths, "q.io", "a");
            assert_eq!(password(lookup.credentials), secret);
            assert!(
                lookup
                    .problem
                    .is_some_and(|said| said.starts_with(&*paths[0].to_string_lossy()))
            );
        }
    }
}
