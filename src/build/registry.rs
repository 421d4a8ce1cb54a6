//! The layer of the machine's registry: its units, and its program, which comes
//! out of the component's image, or is in the system already.

use std::sync::Arc;

use super::stages::Build;
use crate::overlay::{self, OverlayLayer};
use crate::profile::{Arch, Component, Flavor, Kind, Profile};
use crate::render::{Context, registry_files};
use crate::sources::Wanted;
use crate::sources::image;
use isoforge_base::error::{Class, Diagnose, Result};
use isoforge_base::tree::Tree;
use isoforge_contract::machine::{
    REGISTRY_FOLDER, REGISTRY_PORT, REGISTRY_PROGRAM_PATH, Registry, RegistryKind,
};
use isoforge_oci::reference::ImageSource;

/// The overlay with the registry's units.
pub(super) const REGISTRY_OVERLAY: &str = "overlays/registry";

/// What progress, errors and the image's history call the layer.
pub(super) const PURPOSE: &str = "registry";

/// Largest program; Zot with all extensions has a quarter of it.
const PROGRAM_MAX_BYTES: u64 = 1 << 30;

/// In flavor `kairos`: where the registry's folder is kept, as units, and what fills
/// it when Kairos's installer is done, as a file of yip.
const KAIROS_FILES: [(&str, &[u8]); 3] = [
    (
        "system/oem/70_appliance-registry.yaml",
        include_bytes!("registry/kairos.yaml"),
    ),
    (
        "usr/lib/systemd/system/appliance-registry-folder.service",
        include_bytes!("registry/appliance-registry-folder.service"),
    ),
    (
        "usr/lib/systemd/system/var-lib-registry.mount",
        include_bytes!("registry/var-lib-registry.mount"),
    ),
];

/// Where packages put a registry's program.
fn in_system(kind: RegistryKind) -> &'static [&'static str] {
    match kind {
        RegistryKind::Zot => &["usr/bin/zot"],
        RegistryKind::Distribution => &["usr/bin/docker-registry", "usr/bin/registry"],
    }
}

/// Where the images that the projects publish have it (`build/stacker.yaml` and
/// `build/Dockerfile` of Zot, `Dockerfile` of distribution and of Docker's image
/// `registry`).
fn in_image(kind: RegistryKind, arch: Arch) -> Vec<String> {
    match kind {
        RegistryKind::Zot => vec![
            format!("usr/local/bin/zot-linux-{arch}"),
            format!("usr/local/bin/zot-linux-{arch}-minimal"),
            "usr/bin/zot".to_owned(),
        ],
        RegistryKind::Distribution => {
            vec!["bin/registry".to_owned(), "usr/bin/registry".to_owned()]
        }
    }
}

/// Why there is no program for the registry.
#[derive(Debug, thiserror::Error)]
#[error(
    "nothing has the program of the registry '{name}' {version} for {arch}: the system has none, and the component has no image"
)]
pub(crate) struct Missing {
    name: String,
    version: String,
    arch: Arch,
}

impl Diagnose for Missing {
    fn class(&self) -> Class {
        Class::Profile
    }

    fn hint(&self) -> Option<String> {
        Some(
            "name an image with it in [registry] images, or a package in [os.bootstrap] packages"
                .into(),
        )
    }
}

/// The registry of the profile's machines, where it is one that the program
/// `appliance` knows; another one is the cluster's business.
pub(super) fn of(profile: &Profile) -> Option<Registry> {
    let component = profile.registry.as_ref()?;
    Some(Registry {
        name: RegistryKind::of(&component.name)?,
        port: component.port.unwrap_or(REGISTRY_PORT),
        folder: REGISTRY_FOLDER.to_owned(),
    })
}

/// The layer over `tree`; none where the profile has no such registry.
pub(super) fn layer(
    build: &Build<'_>,
    arch: Arch,
    context: &Context,
    epoch: u32,
    tree: &Tree,
) -> Result<Option<OverlayLayer>> {
    let profile = &build.request.loaded.profile;
    let (Some(registry), Some(component)) = (of(profile), &profile.registry) else {
        return Ok(None);
    };
    let mut layer = overlay::load_files(
        registry_files(),
        REGISTRY_OVERLAY,
        &build.renderer.engine,
        context,
        i64::from(epoch),
    )?;
    let mut there = in_system(registry.name).iter();
    match there.find(|path| tree.get(path.as_bytes()).is_some()) {
        Some(path) => layer.add_link(REGISTRY_PROGRAM_PATH, &format!("/{path}"))?,
        None => {
            let program = program(build, arch, registry.name, component)?;
            layer.add_file(REGISTRY_PROGRAM_PATH, 0o755, Arc::from(program))?;
        }
    }
    if profile.os.flavor == Flavor::Kairos {
        for (path, text) in KAIROS_FILES {
            layer.add_file(path, 0o644, Arc::from(text))?;
        }
    }
    layer.set_mtime(i64::from(epoch));
    Ok(Some(layer))
}

/// The program out of the component's first image.
fn program(
    build: &Build<'_>,
    arch: Arch,
    kind: RegistryKind,
    component: &Component,
) -> Result<Vec<u8>> {
    let of_arch = build.request.loaded.component_images(arch, build.found())?;
    let images = of_arch
        .into_iter()
        .find(|it| it.kind == Some(Kind::Registry))
        .map(|it| it.images)
        .unwrap_or_default();
    let reference = images.into_iter().next().ok_or_else(|| Missing {
        name: component.name.clone(),
        version: component.version.clone(),
        arch,
    })?;
    let name = reference.to_string();
    let wanted = Wanted {
        paths: &in_image(kind, arch),
        max_bytes: PROGRAM_MAX_BYTES,
    };
    Ok(image::file(
        &build.context(),
        ImageSource::Registry(reference),
        &name,
        arch,
        wanted,
    )?)
}
