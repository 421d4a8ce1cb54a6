//! What can be known of a profile without any network: whether its templates
//! and overlays render. `validate` stops here; `build` does it before it pulls.

use std::path::Path;

use super::node::NODE_OVERLAY;
use super::registry::{self, REGISTRY_OVERLAY};
use super::system::{BASE_OVERLAY, in_project, shown};
use super::{ReadEnv, content};
use crate::overlay::{self, OverlayLayer, system};
use crate::profile::{CloudConfig, Flavor, Loaded, Profile, SecretReader};
use crate::render::{
    Context, Engine, Project, Secret, Secrets, cloud_config, node_files, registry_files,
};
use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Diagnose, Result};
use isoforge_contract::manifest::{self, Role};
use isoforge_system::boot::cmdline;

/// The template that is used where the profile names none.
pub(super) const CLOUD_CONFIG: &str = "templates/cloud-config.yaml.tera";

/// Everything that turns templates into files.
#[derive(Debug)]
pub(super) struct Renderer {
    pub(super) project: Project,
    pub(super) engine: Engine,
    pub(super) context: Context,
    pub(super) secrets: Secrets,
}

impl Renderer {
    /// Reads the secrets and prepares the templates of the profile's folder.
    pub(super) fn new(loaded: &Loaded, profile_path: &Path, env: ReadEnv<'_>) -> Result<Self> {
        let values = loaded.resolve_secrets(&SecretReader {
            env,
            file: &|path| fs_err::read_to_string(path),
        })?;
        let secrets = Secrets::new(values.iter().map(|(name, secret)| Secret {
            name: name.to_owned(),
            value: secret.reveal().to_owned(),
        }));
        let project = Project::new(profile_path.parent().unwrap_or(Path::new("")));
        let engine = Engine::new(&project)?;
        let context = Context::new(&loaded.profile.context_with(&values))?;
        Ok(Self {
            project,
            engine,
            context,
            secrets,
        })
    }

    /// The context for a system of `arch` with this Kubernetes version.
    pub(super) fn context_for(&self, arch: &str, kubernetes_version: &str) -> Result<Context> {
        let mut context = self.context.clone();
        context.insert(
            "target",
            &serde_json::json!({ "arch": arch, "kubernetes_version": kubernetes_version }),
        )?;
        Ok(context)
    }

    /// `/config.yaml` and what there is to say about it.
    pub(super) fn cloud_config(
        &self,
        loaded: &Loaded,
        context: &Context,
    ) -> Result<cloud_config::CloudConfig> {
        Ok(cloud_config::load(
            &self.project,
            &self.cloud_config_path(loaded),
            &self.engine,
            context,
            &self.secrets,
        )?)
    }

    /// Where the cloud-config comes from.
    fn cloud_config_path(&self, loaded: &Loaded) -> String {
        match &loaded.profile.cloud_config {
            CloudConfig::Builtin => CLOUD_CONFIG.to_owned(),
            CloudConfig::Template(path) | CloudConfig::File(path) => {
                in_project(&self.project, path)
            }
        }
    }

    /// What the manifest says of the cloud-config: as it was read, since the
    /// digest of the rendered one could give a weak secret away.
    pub(super) fn cloud_config_record(&self, loaded: &Loaded) -> Result<manifest::File> {
        let path = self.cloud_config_path(loaded);
        let bytes = self.project.read(&path)?;
        Ok(manifest::File {
            role: Role::Overlay,
            name: shown(&path).to_owned(),
            digest: Digest::of(&bytes),
            size: bytes.len() as u64,
        })
    }

    /// `[overlays] iso` as the project takes them.
    pub(super) fn iso_overlay_paths(&self, loaded: &Loaded) -> Vec<String> {
        self.paths(&loaded.profile.overlays.iso)
    }

    /// `[overlays] rootfs` as the project takes them.
    pub(super) fn rootfs_overlays(&self, loaded: &Loaded) -> Vec<String> {
        self.paths(&loaded.profile.overlays.rootfs)
    }

    /// Everything that isoforge lays over the root file system, without
    /// components and at no time; to see whether it renders.
    fn rootfs_layers(&self, loaded: &Loaded, context: &Context) -> Result<Vec<OverlayLayer>> {
        let mut layers = vec![system::system_files(
            &self.project,
            &self.engine,
            context,
            &[],
            0,
        )?];
        layers.push(overlay::load_files(
            node_files(),
            NODE_OVERLAY,
            &self.engine,
            context,
            0,
        )?);
        if registry::of(&loaded.profile).is_some() {
            layers.push(overlay::load_files(
                registry_files(),
                REGISTRY_OVERLAY,
                &self.engine,
                context,
                0,
            )?);
        }
        let overlays = self.rootfs_overlays(loaded);
        for dir in std::iter::once(BASE_OVERLAY).chain(overlays.iter().map(String::as_str)) {
            layers.push(overlay::load(&self.project, dir, &self.engine, context, 0)?);
        }
        Ok(layers)
    }

    /// The overlays of the ISO, lowest first.
    pub(super) fn iso_overlays(
        &self,
        loaded: &Loaded,
        context: &Context,
        mtime: i64,
    ) -> Result<Vec<OverlayLayer>> {
        self.iso_overlay_paths(loaded)
            .iter()
            .map(|dir| {
                Ok(overlay::load(
                    &self.project,
                    dir,
                    &self.engine,
                    context,
                    mtime,
                )?)
            })
            .collect()
    }

    fn paths(&self, paths: &[std::path::PathBuf]) -> Vec<String> {
        paths
            .iter()
            .map(|path| in_project(&self.project, path))
            .collect()
    }
}

/// Nobody could administer the machine: Kairos's installer refuses that.
#[derive(Debug, thiserror::Error)]
#[error(
    "the cloud-config has no user in the group 'admin', without whom Kairos's installer refuses \
     to install"
)]
pub(crate) struct NoAdministrator;

impl Diagnose for NoAdministrator {
    fn class(&self) -> Class {
        Class::Profile
    }

    fn hint(&self) -> Option<String> {
        Some(
            "give the template one: in [vars] users = [{ name = \"admin\", ssh_keys = [\"…\"] }], or \
             write `nousers: true` under `install` of a template of your own"
                .to_owned(),
        )
    }
}

/// In flavor `kairos` somebody must administer the machine. Of a file that the
/// user supplies it is only said, since more may come to it on the machine.
fn administrator(profile: &Profile, is_there: bool) -> Result<Option<String>, NoAdministrator> {
    match &profile.cloud_config {
        _ if is_there || profile.os.flavor != Flavor::Kairos => Ok(None),
        CloudConfig::File(_) => Ok(Some(NoAdministrator.to_string())),
        CloudConfig::Builtin | CloudConfig::Template(_) => Err(NoAdministrator),
    }
}

/// Renders everything and throws it away. Gives the warnings.
///
/// # Errors
/// A secret that can't be read, a template that doesn't render, an overlay
/// that is missing, a cloud-config that its readers would refuse.
pub fn check(loaded: &Loaded, profile_path: &Path, env: ReadEnv<'_>) -> Result<Vec<String>> {
    let renderer = Renderer::new(loaded, profile_path, env)?;
    cmdline::check(&loaded.profile.boot.cmdline)?;
    content::check(loaded)?;
    let mut warnings = Vec::new();
    for arch in &loaded.profile.appliance.arch {
        loaded.content_plan(*arch)?;
        for version in &loaded.profile.kubernetes.versions {
            loaded.kubernetes_plan(crate::profile::Target {
                arch: *arch,
                version,
            })?;
            let context = renderer.context_for(arch.as_str(), version)?;
            let config = renderer.cloud_config(loaded, &context)?;
            warnings.extend(administrator(&loaded.profile, config.has_admin)?);
            let mut found = config.warnings;
            for overlay in renderer.iso_overlays(loaded, &context, 0)? {
                found.extend(overlay.secrets_in_plain_text(&renderer.secrets, "the ISO"));
            }
            for overlay in renderer.rootfs_layers(loaded, &context)? {
                let place = "the root file system and the provider image";
                found.extend(overlay.secrets_in_plain_text(&renderer.secrets, place));
            }
            warnings.extend(found.iter().map(ToString::to_string));
        }
    }
    warnings.sort();
    warnings.dedup();
    Ok(warnings)
}
