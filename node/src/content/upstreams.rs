//! The hosts whose content the registry has, which container runtimes then ask here
//! first.

use std::collections::BTreeSet;

use isoforge::content::carried::REGISTRY;

use super::storage::{Storage, names_in};
use super::{Error, distribution, names, pending};
use crate::registry::{Places, Upstream};

/// Those of the storage, whichever registry's it is, and of what waits until that
/// registry runs: K3s and RKE2 read about it but once, when they start.
///
/// # Errors
/// [`Error`].
pub fn upstreams(places: &Places) -> Result<BTreeSet<Upstream>, Error> {
    let storage = places.storage();
    // Hosts are all that is asked for.
    let mut folders = names_in(&distribution::repositories_folder(&storage))?;
    if storage.is_dir() {
        let repositories = Storage::open(&storage)?.repositories()?;
        folders.extend(repositories.iter().filter_map(|name| folder(name)));
    }
    let waiting = pending::repositories(&places.home);
    folders.extend(waiting.iter().filter_map(|name| folder(name)));
    Ok(folders.iter().filter_map(|name| upstream(name)).collect())
}

fn folder(repository: &str) -> Option<String> {
    let (folder, _) = repository.split_once('/')?;
    Some(folder.to_owned())
}

fn upstream(folder: &str) -> Option<Upstream> {
    // A repository that was pushed by hand may have no host in front.
    if !folder.contains(['.', '_']) && folder != "localhost" {
        return None;
    }
    let host = names::host_of_folder(folder);
    // Packs, charts and definitions: no container runtime asks for these.
    (host != REGISTRY).then(|| Upstream::new(&host, folder))
}

#[cfg(test)]
mod tests {
    use fs_err as fs;

    use super::*;

    fn hosts(places: &Places) -> Vec<String> {
        let found = upstreams(places).unwrap();
        found.into_iter().map(|it| it.host).collect()
    }

    #[test]
    fn packs_and_what_has_no_host_are_no_upstreams() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places::below(dir.path());
        assert_eq!(hosts(&places), [] as [String; 0]);
        for name in ["quay.io/a/b", "isoforge.internal/packs/store", "mine/x"] {
            let repository = places.storage().join(name);
            fs::create_dir_all(repository.join("blobs/sha256")).unwrap();
            fs::write(repository.join("oci-layout"), "{}").unwrap();
        }
        assert_eq!(hosts(&places), ["quay.io"]);
    }

    #[test]
    fn distributions_storage_has_them_too() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places::below(dir.path());
        let top = places.storage().join("docker/registry/v2/repositories");
        for name in ["docker.io/calico/node", "r.example_5000/a", "mine/x", "x"] {
            fs::create_dir_all(top.join(name).join("_manifests")).unwrap();
        }
        let found = upstreams(&places).unwrap();
        let expected = [
            Upstream::new("docker.io", "docker.io"),
            Upstream::new("r.example:5000", "r.example_5000"),
        ];
        assert_eq!(Vec::from_iter(found), expected);
    }

    #[test]
    fn what_waits_counts() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places::below(dir.path());
        let waiting = places.home.join(pending::FOLDER);
        fs::create_dir_all(waiting.join("blobs/sha256")).unwrap();
        let entry = |name: &str, kind: &str| {
            serde_json::json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": isoforge::oci::digest::Digest::of(b"x"),
                "size": 1,
                "annotations": {
                    "org.opencontainers.image.ref.name": name,
                    "io.isoforge.bundle.kind": kind,
                },
            })
        };
        let index = serde_json::json!({
            "schemaVersion": 2,
            "manifests": [
                entry("r.example:5000/a:1", "image"),
                entry("registry.k8s.io/pause:3.10", "image"),
                entry("os.example/system:1", "provider"),
            ],
        });
        fs::write(waiting.join("index.json"), index.to_string()).unwrap();
        // The mark, which comes last.
        assert_eq!(hosts(&places), [] as [String; 0]);
        let mark = r#"{"imageLayoutVersion":"1.0.0"}"#;
        fs::write(waiting.join("oci-layout"), mark).unwrap();
        assert_eq!(hosts(&places), ["r.example:5000", "registry.k8s.io"]);
    }
}
