//! The hosts whose content the registry has, which container runtimes then ask here
//! first.

use std::collections::BTreeSet;

use anyhow::Result;
use isoforge_content::artifacts::REGISTRY;

use super::images::Images as _;
use super::storage::Storage;
use super::{distribution, names, pending};
use crate::registry::{RegistryPaths, Upstream};

/// Those of the storage, whichever registry's it is, and of what waits until that
/// registry runs: K3s and RKE2 read about it but once, when they start.
///
/// # Errors
/// Where a storage can't be read.
pub fn upstreams(places: &RegistryPaths) -> Result<BTreeSet<Upstream>> {
    let storage = places.storage();
    let mut repositories = pending::repositories(&places.home);
    if fs_err::exists(&storage)? {
        repositories.extend(Storage::open(&storage)?.repositories()?);
    }
    let distribution = distribution::Storage::new(&storage);
    for repository in distribution.repositories()? {
        // Its folder stays when all of it was deleted.
        if distribution.is_used(&repository)? {
            repositories.push(repository);
        }
    }
    Ok(repositories
        .iter()
        .filter_map(|name| upstream(name))
        .collect())
}

fn upstream(repository: &str) -> Option<Upstream> {
    let (folder, _) = repository.split_once('/')?;
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

    fn hosts(places: &RegistryPaths) -> Vec<String> {
        let found = upstreams(places).unwrap();
        found.into_iter().map(|it| it.host).collect()
    }

    #[test]
    fn packs_and_what_has_no_host_are_no_upstreams() {
        let dir = tempfile::tempdir().unwrap();
        let places = RegistryPaths::below(dir.path());
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
        let places = RegistryPaths::below(dir.path());
        let top = places.storage().join("docker/registry/v2/repositories");
        for name in ["docker.io/calico/node", "r.example_5000/a", "mine/x", "x"] {
            let hex = isoforge_base::digest::Digest::of(b"x").hex();
            let manifest = format!("_manifests/revisions/sha256/{hex}");
            let manifest = top.join(name).join(manifest);
            fs::create_dir_all(&manifest).unwrap();
            fs::write(manifest.join("link"), format!("sha256:{hex}")).unwrap();
        }
        let hex = isoforge_base::digest::Digest::of(b"y").hex();
        let deleted = format!("deleted.example/a/_manifests/revisions/sha256/{hex}");
        fs::create_dir_all(top.join(deleted)).unwrap();
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
        let places = RegistryPaths::below(dir.path());
        let waiting = places.home.join(pending::FOLDER);
        fs::create_dir_all(waiting.join("blobs/sha256")).unwrap();
        let entry = |name: &str, kind: &str| {
            serde_json::json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": isoforge_base::digest::Digest::of(b"x"),
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
