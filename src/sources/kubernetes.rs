//! Kubernetes: its files as a layer, and the components that a profile names.
//!
//! Layers of images and archives are taken as any other ([`super::image`],
//! [`super::layers`]); Debian packages are part of a bootstrapped system
//! (`super::packages` makes a layer of their own of them).

use super::{Context, Sourced};
use crate::profile::{FileSpec, Kind, Loaded};
use isoforge_base::error::Result;
use isoforge_contract::manifest::{Component, ComponentKind, Role};

/// Downloads `files` and lays them as one layer. `mtime` is the build's time.
///
/// # Errors
/// Files can't be downloaded or laid.
pub fn lay_files(context: &Context<'_>, files: &[FileSpec], mtime: u32) -> Result<Sourced> {
    let laid = super::files::lay(
        context.store,
        context.client,
        files,
        Role::Kubernetes,
        mtime,
        context.progress,
    )?;
    Ok(Sourced {
        layers: vec![laid.layer],
        files: laid.inputs,
        ..Sourced::default()
    })
}

/// A kind of the profile in the manifest's words.
#[must_use]
pub fn component_kind(kind: Kind) -> ComponentKind {
    match kind {
        Kind::Kubernetes => ComponentKind::Kubernetes,
        Kind::Cni => ComponentKind::Cni,
        Kind::Csi => ComponentKind::Csi,
        Kind::Registry => ComponentKind::Registry,
        Kind::Addon => ComponentKind::Addon,
    }
}

/// Kubernetes and the other components, as the profile names them.
#[must_use]
pub fn components(loaded: &Loaded, kubernetes_version: &str) -> Vec<Component> {
    let profile = &loaded.profile;
    let component = |kind, name: &str, version: &str| Component {
        kind,
        name: name.to_owned(),
        version: version.to_owned(),
        source: "profile".to_owned(),
    };
    let kubernetes = component(
        ComponentKind::Kubernetes,
        &profile.kubernetes.distribution,
        kubernetes_version,
    );
    let others = profile
        .components()
        .map(|(kind, named)| component(component_kind(kind), &named.name, &named.version));
    let kubernetes = (!profile.kubernetes.is_none()).then_some(kubernetes);
    kubernetes.into_iter().chain(others).collect()
}
