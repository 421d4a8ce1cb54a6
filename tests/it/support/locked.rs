//! The lock of a finished build, made from what its manifest records.

use isoforge::lock::{Archive, CoreImage, Flags, Image, Lock, REVISION, VERSION};
use isoforge::oci::digest::Digest;
use isoforge::output::manifest::{FILE_NAME, Manifest};
use isoforge::store::Store;
use serde_json::Value;

use super::program::Project;

/// Writes the lock of the build in `folder` to `name` in the project.
pub(crate) fn write_lock(project: &Project, folder: &str, name: &str) -> Lock {
    let lock = lock_of(project, folder);
    project.write(name, &lock.to_toml().unwrap());
    lock
}

fn lock_of(project: &Project, folder: &str) -> Lock {
    let text = std::fs::read(project.path(folder).join(FILE_NAME)).unwrap();
    let manifest: Manifest = serde_json::from_slice(&text).unwrap();
    let mut lock = Lock {
        version: VERSION,
        revision: REVISION,
        profile: "profile.toml".to_owned(),
        inputs: Lock::inputs_digest(&[], &Flags::default()),
        profile_digest: manifest.profile,
        time: manifest.epoch.into(),
        flags: Flags::default(),
        project: Vec::new(),
        components: Vec::new(),
        images: Vec::new(),
        files: Vec::new(),
        archives: Vec::new(),
        bootstraps: Vec::new(),
        core_images: Vec::new(),
    };
    for (arch, record) in &manifest.architectures {
        for image in &record.images {
            let known = lock
                .images
                .iter()
                .position(|known| known.reference == image.reference);
            let at = known.unwrap_or_else(|| {
                lock.images.push(Image {
                    reference: image.reference.clone(),
                    roles: vec![image.role],
                    index: image.index,
                    manifests: Default::default(),
                });
                lock.images.len() - 1
            });
            lock.images[at]
                .manifests
                .insert(arch.clone(), image.manifest.unwrap());
        }
    }
    add_from_facts(project, &mut lock);
    lock.sort();
    lock
}

/// Archives and core images, as the store's facts have them.
fn add_from_facts(project: &Project, lock: &mut Lock) {
    let facts = |kind: &str| -> Vec<Value> {
        let folder = project.cache().join("v1/facts").join(kind);
        let files = super::program::files_below(&folder).into_iter();
        files
            .map(|file| serde_json::from_slice(&std::fs::read(folder.join(file)).unwrap()).unwrap())
            .collect()
    };
    for fact in facts("core-image") {
        let digest = |key: &str| fact[key].as_str().unwrap().parse::<Digest>().unwrap();
        lock.core_images.push(CoreImage {
            arch: "amd64".to_owned(),
            key: digest("key"),
            digest: digest("digest"),
            made_by: fact["made_by"].as_str().unwrap().to_owned(),
        });
    }
    for (number, fact) in facts("archive").into_iter().enumerate() {
        lock.archives.push(Archive {
            path: format!("archive-{number}.tar"),
            digest: serde_json::from_value(fact["digest"].clone()).unwrap(),
            size: fact["size"].as_u64().unwrap(),
            roles: Vec::new(),
            newest_seconds: None,
            layer: serde_json::from_value(fact["layer"].clone()).unwrap(),
        });
    }
}

/// The store of a project, open: nobody may remove from it meanwhile.
pub(crate) fn open_store(project: &Project) -> Store {
    Store::open(&project.cache()).unwrap()
}
