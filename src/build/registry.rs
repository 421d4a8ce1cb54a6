//! The machine's registry in the profile, and its program out of the component's
//! image.

use super::lock::Locked;
use crate::profile::{Component, Kind, Profile};
use crate::sources::WantedFile;
use crate::sources::image;
use isoforge_base::error::{Class, Failure, Result};
use isoforge_contract::arch::Arch;
use isoforge_contract::machine::{REGISTRY_FOLDER, REGISTRY_PORT, Registry, RegistryKind};
use isoforge_oci::reference::ImageSource;
use isoforge_system::registry_layer::in_image;

/// Largest program; Zot with all extensions has a quarter of it.
const PROGRAM_MAX_BYTES: u64 = 1 << 30;

/// The registry of the profile's machines, where it is one that the program
/// `appliance` knows; another one is the cluster's business.
pub(super) fn of(profile: &Profile) -> Option<Registry> {
    let component = profile.registry.as_ref()?;
    Some(Registry {
        name: RegistryKind::of(&component.name)?,
        port: component.port.unwrap_or(REGISTRY_PORT),
        listen: component.listen,
        anonymous: component.anonymous.unwrap_or(true),
        folder: REGISTRY_FOLDER.to_owned(),
    })
}

/// The program out of the component's first image.
pub(super) fn program(
    locked: &Locked<'_>,
    arch: Arch,
    kind: RegistryKind,
    component: &Component,
) -> Result<Vec<u8>> {
    let mut components = locked.inputs.components.iter();
    let of_it = components.find(|(of, it)| *of == arch && it.kind == Some(Kind::Registry));
    let image = of_it.and_then(|(_, it)| it.images.first());
    let reference = image.ok_or_else(|| {
        let message = format!(
            "nothing has the program of the registry '{}' {} for {arch}: the system has none, and \
             the component has no image",
            component.name, component.version
        );
        Failure::new(Class::Profile, message).with_hint(
            "name an image with it in [registry] images, or a package in [os.bootstrap] packages",
        )
    })?;
    let name = reference.to_string();
    let wanted = WantedFile {
        paths: &in_image(kind, arch.as_str()),
        max_bytes: PROGRAM_MAX_BYTES,
    };
    image::file(
        &locked.session.context(Some(&locked.lock)),
        ImageSource::Registry(reference.clone()),
        &name,
        arch,
        wanted,
    )
}
