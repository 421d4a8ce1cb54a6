//! Templates and overlays of a project become files.

use std::path::Path;
use std::sync::Arc;

use super::system::shown;
use super::{ReadEnv, registry};
use crate::inputs::{self, BASE_OVERLAY, ISSUE_TEMPLATE};
use crate::profile::{Appliance, BOOT_PASSWORD, Loaded, SecretReader};
use crate::render::{
    Context, Engine, Project, Secret, Secrets, cloud_config, console_files, node_files,
    registry_files,
};
use isoforge_base::digest::Digest;
use isoforge_base::error::Result;
use isoforge_contract::manifest::{self, Role};
use isoforge_system::boot::lock::Lock;
use isoforge_system::overlay::{self, OverlayLayer, Source};
use isoforge_system::{appliance_layer, registry_layer};

/// The console's banner; agetty shows `/etc/issue`, then what is in
/// `/etc/issue.d`.
const ISSUE_PATH: &str = "etc/issue.d/10-appliance.issue";
/// The components for programs, as JSON.
const COMPONENTS_PATH: &str = "usr/lib/isoforge/components.json";
/// Everything that turns templates into files.
#[derive(Debug)]
pub(super) struct Renderer {
    pub(super) project: Project,
    pub(super) engine: Engine,
    pub(super) context: Context,
    pub(super) secrets: Secrets,
    /// Of `[boot] password`.
    pub(super) lock: Option<Lock>,
}

impl Renderer {
    /// Reads the secrets and prepares the templates of the profile's folder.
    pub(super) fn new(loaded: &Loaded, profile_path: &Path, env: ReadEnv<'_>) -> Result<Self> {
        let values = loaded.resolve_secrets(&SecretReader {
            env,
            file: &|path| fs_err::read_to_string(path),
        })?;
        // No template sees that one; what is made of it is a hash.
        let seen = values.iter().filter(|(name, _)| *name != BOOT_PASSWORD);
        let secrets = Secrets::new(seen.map(|(name, secret)| Secret {
            name: name.to_owned(),
            value: secret.reveal().to_owned(),
        }));
        let password = values.get(BOOT_PASSWORD);
        let name = &loaded.profile.appliance.name;
        let lock = password.map(|password| Lock::new(password.reveal(), name));
        let project = Project::new(profile_path.parent().unwrap_or(Path::new("")));
        let engine = Engine::new(&project)?;
        let context = Context::new(&loaded.profile.context(&values))?;
        Ok(Self {
            project,
            engine,
            context,
            secrets,
            lock,
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
        cloud_config::load(
            &self.project,
            &inputs::cloud_config(loaded, &self.project),
            &self.engine,
            context,
            &self.secrets,
            loaded.profile.os.flavor,
        )
    }

    /// What the manifest says of the cloud-config: as it was read, since the
    /// digest of the rendered one could give a weak secret away.
    pub(super) fn cloud_config_record(&self, loaded: &Loaded) -> Result<manifest::File> {
        let path = inputs::cloud_config(loaded, &self.project);
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

    /// An overlay of the project, or the built-in one of that path.
    pub(super) fn overlay(&self, dir: &str, context: &Context, epoch: u32) -> Result<OverlayLayer> {
        self.load(&self.project.overlay(dir)?, dir, context, epoch)
    }

    /// The units of the program `appliance`.
    pub(super) fn appliance_units(&self, context: &Context, epoch: u32) -> Result<OverlayLayer> {
        let dir = appliance_layer::OVERLAY;
        self.load(&Source::embedded(node_files(), dir), dir, context, epoch)
    }

    /// What starts the pages on the machine's consoles.
    pub(super) fn console_units(&self, context: &Context, epoch: u32) -> Result<OverlayLayer> {
        let dir = appliance_layer::CONSOLE_OVERLAY;
        let source = Source::embedded(console_files(), dir);
        self.load(&source, dir, context, epoch)
    }

    /// The units of the machine's registry.
    pub(super) fn registry_units(&self, context: &Context, epoch: u32) -> Result<OverlayLayer> {
        let dir = registry_layer::OVERLAY;
        let source = Source::embedded(registry_files(), dir);
        self.load(&source, dir, context, epoch)
    }

    fn load(
        &self,
        source: &Source,
        dir: &str,
        context: &Context,
        epoch: u32,
    ) -> Result<OverlayLayer> {
        let fill = self.engine.filling(context);
        let overlay = overlay::load(source, dir, &fill, i64::from(epoch))?;
        Ok(self.guarded(overlay))
    }

    /// Says of an overlay whose templates saw secrets that there may be some in it; a
    /// template can give them in a form that nobody finds again.
    fn guarded(&self, mut overlay: OverlayLayer) -> OverlayLayer {
        overlay.is_private = !self.secrets.is_empty() && overlay.texts().next().is_some();
        overlay
    }

    /// What the system says about itself: [`ISSUE_PATH`], rendered from
    /// [`ISSUE_TEMPLATE`], which sees the components as `components`, and
    /// [`COMPONENTS_PATH`].
    pub(super) fn system_files(
        &self,
        context: &Context,
        appliance: &Appliance,
        components: &[manifest::Component],
        epoch: u32,
    ) -> Result<OverlayLayer> {
        let files = system_files(
            &self.project,
            &self.engine,
            context,
            (&appliance.name, &appliance.version),
            components,
            epoch,
        )?;
        Ok(self.guarded(files))
    }

    /// Everything that isoforge lays over the root file system, without
    /// components and at no time; to see whether it renders.
    pub(super) fn rootfs_layers(
        &self,
        loaded: &Loaded,
        context: &Context,
    ) -> Result<Vec<OverlayLayer>> {
        let mut layers = vec![
            self.system_files(context, &loaded.profile.appliance, &[], 0)?,
            self.appliance_units(context, 0)?,
        ];
        if registry::of(&loaded.profile).is_some() {
            layers.push(self.registry_units(context, 0)?);
        }
        let overlays = self.rootfs_overlays(loaded);
        for dir in std::iter::once(BASE_OVERLAY).chain(overlays.iter().map(String::as_str)) {
            layers.push(self.overlay(dir, context, 0)?);
        }
        Ok(layers)
    }

    /// The overlays of the ISO, lowest first.
    pub(super) fn iso_overlays(
        &self,
        loaded: &Loaded,
        context: &Context,
        epoch: u32,
    ) -> Result<Vec<OverlayLayer>> {
        let paths = self.iso_overlay_paths(loaded);
        let overlays = paths.iter().map(|dir| self.overlay(dir, context, epoch));
        overlays.collect()
    }

    fn paths(&self, paths: &[std::path::PathBuf]) -> Vec<String> {
        paths
            .iter()
            .map(|path| self.project.path_of(path))
            .collect()
    }
}

/// See [`Renderer::system_files`].
fn system_files(
    project: &Project,
    engine: &Engine,
    context: &Context,
    (name, version): (&str, &str),
    components: &[manifest::Component],
    epoch: u32,
) -> Result<OverlayLayer> {
    let named =
        |it: &manifest::Component| serde_json::json!({ "name": it.name, "version": it.version });
    let components: Vec<_> = components.iter().map(named).collect();
    let mut context = context.clone();
    context.insert("components", &components)?;
    let issue = engine.render(
        ISSUE_TEMPLATE,
        &project.read_text(ISSUE_TEMPLATE)?,
        &context,
    )?;
    let document = serde_json::json!({
        "schema": 1,
        "appliance": { "name": name, "version": version },
        "components": components,
    });
    let json = format!("{document:#}\n");
    let mut layer = OverlayLayer::default();
    for (path, text) in [(ISSUE_PATH, issue), (COMPONENTS_PATH, json)] {
        layer.add_file(path, 0o644, Arc::from(text.into_bytes()))?;
    }
    layer.set_mtime(i64::from(epoch));
    Ok(layer)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use isoforge_base::tree::ReadFile as _;

    #[test]
    fn the_system_says_what_it_is_made_of() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::new(dir.path());
        let engine = Engine::new(&project).unwrap();
        let component = |name: &str, version: &str| manifest::Component {
            kind: manifest::ComponentKind::Os,
            name: name.to_owned(),
            version: version.to_owned(),
            source: String::new(),
        };
        let components = [component("Debian", "13"), component("odd\n\\4", "1\x1b[2J")];
        let appliance = json!({"appliance": {"name": "edge", "version": "1.0"}});
        let context = Context::new(&appliance).unwrap();
        let of = ("edge", "1.0");
        let layer = system_files(&project, &engine, &context, of, &components, 7).unwrap();
        let text = |path: &str| {
            let data = layer.tree.file(path.as_bytes()).unwrap();
            std::io::read_to_string(layer.open(data).unwrap()).unwrap()
        };
        insta::assert_snapshot!(text(ISSUE_PATH), @r#"
        edge 1.0
          Debian 13
          odd \\4 1 [2J
        "#);
        let json: serde_json::Value = serde_json::from_str(&text(COMPONENTS_PATH)).unwrap();
        assert_eq!(json["appliance"], appliance["appliance"]);
        assert_eq!(json["components"][1]["version"], "1\x1b[2J");
        assert_eq!(
            layer
                .tree
                .walk()
                .filter(|(path, _)| path.starts_with(b"usr/lib/"))
                .count(),
            2
        );
    }
}
