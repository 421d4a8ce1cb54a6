//! The layer of the machine's registry: its units, and its program, which comes
//! out of the component's image, or is in the system already.

use std::sync::Arc;

use crate::Error;
use crate::overlay::OverlayLayer;
use isoforge_base::tree::Tree;
use isoforge_contract::machine::{Flavor, REGISTRY_PROGRAM_PATH, RegistryKind};

/// The overlay with the registry's units.
pub const OVERLAY: &str = "overlays/registry";

/// What progress, errors and the image's history call the layer.
pub const PURPOSE: &str = "registry";

/// In flavor `kairos`: where the registry's folder is kept, as units, and what fills
/// it when Kairos's installer is done, as a file of yip.
const KAIROS_FILES: [(&str, &[u8]); 3] = [
    (
        "system/oem/70_appliance-registry.yaml",
        include_bytes!("registry_layer/kairos.yaml"),
    ),
    (
        "usr/lib/systemd/system/appliance-registry-folder.service",
        include_bytes!("registry_layer/appliance-registry-folder.service"),
    ),
    (
        "usr/lib/systemd/system/var-lib-registry.mount",
        include_bytes!("registry_layer/var-lib-registry.mount"),
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
#[must_use]
pub fn in_image(kind: RegistryKind, arch: &str) -> Vec<String> {
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

/// The layer over `tree`: `units` is the overlay [`OVERLAY`]; `program` fetches
/// all of the registry's program where `tree` has none. `epoch` (seconds since
/// 1970) becomes the time of everything in it.
///
/// # Errors
/// Of `program`, or where a path can't be one.
pub fn layer<E: From<Error>>(
    units: OverlayLayer,
    kind: RegistryKind,
    flavor: Flavor,
    tree: &Tree,
    epoch: u32,
    program: impl FnOnce() -> Result<Vec<u8>, E>,
) -> Result<OverlayLayer, E> {
    let mut layer = units;
    let mut there = in_system(kind).iter();
    match there.find(|path| tree.get(path.as_bytes()).is_some()) {
        Some(path) => layer.add_link(REGISTRY_PROGRAM_PATH, &format!("/{path}"))?,
        None => layer.add_file(REGISTRY_PROGRAM_PATH, 0o755, Arc::from(program()?))?,
    }
    if flavor == Flavor::Kairos {
        for (path, text) in KAIROS_FILES {
            layer.add_file(path, 0o644, Arc::from(text))?;
        }
    }
    layer.set_mtime(i64::from(epoch));
    Ok(layer)
}
