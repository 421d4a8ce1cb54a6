//! A storage that belongs to another account than the one that fills it, and which
//! has put links in the way.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use appliance::content::collect::collect;
use appliance::content::commit::NoService;
use appliance::content::inspect::list;
use appliance::content::storage::Storage;
use fs_err as fs;

use crate::source::Memory;
use crate::{bundle, fill};

/// The registry's account.
const ACCOUNT: u32 = 1001;

fn give(path: &Path) {
    std::os::unix::fs::lchown(path, Some(ACCOUNT), Some(ACCOUNT)).unwrap();
}

/// Owners of all that is below a folder.
fn owners(folder: &Path) -> Vec<u32> {
    let mut owners = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        owners.push(meta.uid());
        if meta.is_dir() {
            owners.extend(self::owners(&path));
        }
    }
    owners
}

#[test]
fn links_of_the_registrys_account_have_root_write_nowhere() {
    if !rustix::process::geteuid().is_root() {
        return isoforge_judges::skip("it needs root");
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let (etc, storage) = (dir.path().join("etc"), dir.path().join("storage"));
    fs::create_dir(&etc).unwrap();
    fs::create_dir(&storage).unwrap();
    give(&storage);
    fs::set_permissions(&storage, Permissions::from_mode(0o700)).unwrap();
    let preload = etc.join("ld.so.preload");

    // Where the lock would be, and where the folder of the work would.
    symlink(&etc, storage.join(".import")).unwrap();
    let error = fill(&storage, &bundle()).unwrap_err();
    assert!(format!("{error:#}").contains("denied"), "{error:#}");
    fs::remove_file(storage.join(".import")).unwrap();
    fs::create_dir(storage.join(".import")).unwrap();
    give(&storage.join(".import"));
    symlink(&preload, storage.join(".import/lock")).unwrap();
    fill(&storage, &bundle()).unwrap();

    // Beside an index, and in place of a repository.
    let repository = storage.join("docker.io/calico/node");
    let planted = repository.join(".index.json.new");
    symlink(&preload, &planted).unwrap();
    let mut newer = Memory::default();
    let image = newer.image(&[b"newer node"]);
    newer.root("docker.io/calico/node:v4", &image);
    fill(&storage, &newer).unwrap();
    symlink(&etc, storage.join("docker.io/calico/other")).unwrap();
    let mut other = Memory::default();
    let image = other.image(&[b"other"]);
    other.root("docker.io/calico/other:v1", &image);
    let error = fill(&storage, &other).unwrap_err();
    assert!(format!("{error:#}").contains("denied"), "{error:#}");
    fs::remove_file(storage.join("docker.io/calico/other")).unwrap();

    assert_eq!(fs::read_dir(&etc).unwrap().count(), 0);
    let others: Vec<u32> = owners(&storage)
        .into_iter()
        .filter(|uid| *uid != ACCOUNT)
        .collect();
    assert_eq!(others, [] as [u32; 0]);
    assert!(rustix::process::geteuid().is_root());
}

/// What versions before this one left as root's is no obstacle.
#[test]
fn what_root_left_in_a_storage_is_replaced() {
    if !rustix::process::geteuid().is_root() {
        return isoforge_judges::skip("it needs root");
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let storage = dir.path().join("storage");
    fs::create_dir_all(storage.join(".import")).unwrap();
    for path in [&storage, &storage.join(".import")] {
        give(path);
    }
    let source = bundle();
    let (digest, bytes) = source.blobs.first_key_value().unwrap();
    let partial = storage.join(format!(".import/{}.partial", digest.hex()));
    for (path, bytes) in [
        (storage.join(".import/lock"), &Vec::new()),
        (partial, bytes),
    ] {
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
    fill(&storage, &source).unwrap();
    let opened = Storage::open_to_write(&storage).unwrap();
    assert!(!list(&opened).unwrap().images.is_empty());
    collect(&opened, &NoService, true).unwrap();
    let others = owners(&storage).into_iter().filter(|uid| *uid != ACCOUNT);
    assert_eq!(others.count(), 0);
}
