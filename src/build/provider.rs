//! Provider images: one index per Kubernetes version over all architectures.

use std::collections::BTreeMap;

use isoforge_base::error::Result;

use crate::profile::Profile;
use isoforge_base::progress::Progress;
use isoforge_contract::arch::Arch;
use isoforge_contract::manifest::Squashfs;
use isoforge_oci::platform::Platform;
use isoforge_oci::store::Store;
use isoforge_system::merged::BuiltLayer;
use isoforge_system::provider;
use isoforge_system::provider::Base;
use isoforge_system::provider::Description;
use isoforge_system::provider::Image;
use isoforge_system::provider::Spec;

/// One architecture of one version.
#[derive(Debug, Clone)]
pub(super) struct Variant {
    pub(super) base: Option<Base>,
    /// Layers over the base, lowest first.
    pub(super) layers: Vec<BuiltLayer>,
    pub(super) squashfs: Squashfs,
    /// The version of Kubernetes that its image holds, where the image alone tells.
    pub(super) found: Option<String>,
}

/// Makes the image of one Kubernetes version.
pub(super) fn build(
    store: &Store,
    profile: &Profile,
    version: &str,
    epoch: u32,
    variants: &BTreeMap<Arch, Variant>,
    progress: &Progress,
) -> Result<Image> {
    let spec = Spec {
        description: Description {
            name: profile.appliance.name.clone(),
            version: profile.appliance.version.clone(),
            os_distribution: profile.os.distribution.clone(),
            os_version: profile.os.version.clone(),
            kubernetes_distribution: profile.kubernetes.distribution.clone(),
            kubernetes_version: version.to_owned(),
            kubernetes_found: variants.values().find_map(|variant| variant.found.clone()),
        },
        epoch,
        compression: profile.output.layer_compression,
        platforms: variants
            .iter()
            .map(|(arch, variant)| provider::Platform {
                platform: Platform::linux(arch.as_str()),
                base: variant.base.clone(),
                layers: variant.layers.clone(),
                squashfs: variant.squashfs.clone(),
            })
            .collect(),
    };
    Ok(provider::build(store, &spec, progress)?)
}
