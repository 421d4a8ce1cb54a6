//! Kubernetes: the layers of one version on one architecture.
//!
//! Where they come from is the profile's plan
//! ([`KubernetesPlan`]): layers of images and archives,
//! files by URL, and Debian packages, which are part of a bootstrapped system
//! (`super::packages` makes a layer of their own of them).

use super::layers::{FolderLayer, take};
use super::{Context, Error, Sourced, files};
use crate::output::manifest::{Component, ComponentKind, Role};
use crate::profile::{Kind, KubernetesPlan, Loaded, Target};

/// The layers of `plan`, each for where its entry says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KubernetesLayers {
    /// What went in. Its `layers` are those of both below, in order.
    pub sourced: Sourced,
    /// For each layer of `sourced`, whether it goes into the ISO's root.
    pub iso: Vec<bool>,
    /// For each layer of `sourced`, whether it goes into the provider image.
    pub provider: Vec<bool>,
}

/// Takes the layers of images and archives that `plan` names.
///
/// Files come separately ([`lay_files`]): their layer has the build's time,
/// which these layers' inputs may decide.
///
/// # Errors
/// [`Error`].
pub fn take_layers(
    context: &Context<'_>,
    plan: &KubernetesPlan,
    target: Target<'_>,
    folder: FolderLayer<'_>,
) -> Result<KubernetesLayers, Error> {
    let mut taken = KubernetesLayers::default();
    for spec in plan.layers.iter().filter(|spec| spec.is_for(target.arch)) {
        let sourced = take(context, spec, target, Role::Kubernetes, folder)?;
        let count = sourced.layers.len();
        taken.iso.extend(std::iter::repeat_n(spec.iso, count));
        taken
            .provider
            .extend(std::iter::repeat_n(spec.provider, count));
        taken.sourced.append(sourced);
    }
    Ok(taken)
}

/// Downloads the files that `plan` names and lays them as one layer, over the
/// layers; none where there are no files. `mtime` is the build's time.
///
/// # Errors
/// [`Error::Files`].
pub fn lay_files(
    context: &Context<'_>,
    plan: &KubernetesPlan,
    mtime: u32,
) -> Result<Sourced, Error> {
    if plan.files.is_empty() {
        return Ok(Sourced::default());
    }
    let laid = files::lay(
        context.store,
        context.client,
        &plan.files,
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
    let others = profile.components().map(|(kind, named)| {
        let kind = match kind {
            Kind::Kubernetes => ComponentKind::Kubernetes,
            Kind::Cni => ComponentKind::Cni,
            Kind::Csi => ComponentKind::Csi,
            Kind::Registry => ComponentKind::Registry,
            Kind::Addon => ComponentKind::Addon,
        };
        component(kind, &named.name, &named.version)
    });
    std::iter::once(kubernetes).chain(others).collect()
}
