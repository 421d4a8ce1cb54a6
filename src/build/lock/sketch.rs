//! The lock that a profile would have if nothing had moved: what the old lock
//! says of each input that is still wanted. Compared with the old lock it shows
//! what is new and what is gone, before anything is looked at.

use isoforge_base::error::Result;

use crate::inputs::Inputs;
use crate::lock::{Archive, Bootstrap, CoreTarget, File, Lock};
use crate::profile::Profile;
use isoforge_base::digest::Digest;
use isoforge_contract::machine::{Firmware, Flavor};
use isoforge_contract::manifest::Role;
use isoforge_oci::layer::Layer;
use isoforge_oci::registry::ShownUrl;

/// Stands for a digest that is not known yet. It never gets into a lock file:
/// every entry is resolved before one is written.
const UNKNOWN: Digest = Digest::from_bytes([0; 32]);

/// Fills the entries of `project`, a lock of the project's files alone.
pub(in crate::build) fn sketch(
    project: Lock,
    inputs: &Inputs,
    old: Option<&Lock>,
    profile: &Profile,
) -> Result<Lock> {
    let mut lock = project;
    if let Some(old) = old {
        lock.time = old.time;
        lock.core_images = old.core_images.clone();
        lock.core_images.retain(|core| {
            let mut archs = profile.appliance.arch.iter();
            archs.any(|arch| {
                arch.as_str() == core.arch && profile.firmware(*arch).contains(&Firmware::Bios)
            }) && (core.target == CoreTarget::Medium || profile.os.flavor == Flavor::Appliance)
        });
    }
    for (image, _) in inputs.images() {
        let known = old.and_then(|old| old.image(&image.name));
        let entry = lock.image_entry(&image.name);
        add_role(&mut entry.roles, image.role);
        entry.index = known.and_then(|known| known.index);
        let arch = image.arch.as_str();
        let manifest = known.and_then(|known| known.manifests.get(arch).copied());
        entry
            .manifests
            .insert(arch.to_owned(), manifest.unwrap_or(UNKNOWN));
    }
    for (archive, _) in inputs.archives() {
        let known = old.and_then(|old| old.archive(&archive.name));
        let at = lock.archives.iter().position(|a| a.path == archive.name);
        match at.and_then(|at| lock.archives.get_mut(at)) {
            Some(entry) => add_role(&mut entry.roles, archive.role),
            None => lock.archives.push(Archive {
                roles: vec![archive.role],
                ..known
                    .cloned()
                    .unwrap_or_else(|| unknown_archive(&archive.name))
            }),
        }
    }
    for file in inputs.files() {
        lock.files.push(File {
            url: ShownUrl::of(&file.url).to_string(),
            digest: file.sha256,
            role: Role::Kubernetes,
        });
    }
    for (input, packages) in inputs.packages() {
        let arch = input.arch.as_str();
        let known = old.and_then(|old| old.bootstrap(arch)).cloned();
        lock.bootstraps.push(Bootstrap {
            spec: packages.spec.digest()?,
            suite: packages.spec.suite.clone(),
            ..known.unwrap_or_else(|| unknown_bootstrap(arch))
        });
    }
    lock.sort();
    Ok(lock)
}

fn add_role(roles: &mut Vec<Role>, role: Role) {
    roles.push(role);
    roles.sort_unstable();
    roles.dedup();
}

fn unknown_archive(path: &str) -> Archive {
    Archive {
        path: path.to_owned(),
        digest: UNKNOWN,
        size: 0,
        roles: Vec::new(),
        newest_seconds: None,
        layer: Layer::plain(UNKNOWN, 0),
    }
}

fn unknown_bootstrap(arch: &str) -> Bootstrap {
    Bootstrap {
        arch: arch.to_owned(),
        suite: String::new(),
        spec: UNKNOWN,
        epoch: 0,
        made_by: String::new(),
        layer: UNKNOWN,
        size: 0,
        releases: Vec::new(),
        packages: std::collections::BTreeMap::new(),
    }
}
