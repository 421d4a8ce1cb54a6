//! What can be known of a profile without any network: whether its templates
//! and overlays render. `validate` stops here; `build` does it before it pulls.

use std::path::Path;

use super::renderer::Renderer;
use super::{ReadEnv, content, kernel_line};
use crate::inputs::{self, CLOUD_CONFIG, Inputs};
use crate::profile::{CloudConfig, Loaded, Profile};
use crate::render::Project;
use isoforge_base::error::{Class, Failure, Result};
use isoforge_contract::machine::Flavor;
use isoforge_system::boot::cmdline;

/// Nobody could administer the machine: Kairos's installer refuses that.
const NO_ADMINISTRATOR: &str = "the cloud-config has no user in the group 'admin', without whom \
                                Kairos's installer refuses to install";

/// In flavor `kairos` somebody must administer the machine. Of a file that the
/// user supplies it is only said, since more may come to it on the machine.
fn administrator(profile: &Profile, is_there: bool) -> Result<Option<String>> {
    match &profile.cloud_config {
        _ if is_there || profile.os.flavor != Flavor::Kairos => Ok(None),
        CloudConfig::File(_) => Ok(Some(NO_ADMINISTRATOR.to_owned())),
        CloudConfig::Builtin | CloudConfig::Template(_) => Err(Failure::new(
            Class::Profile,
            NO_ADMINISTRATOR,
        )
        .with_hint(
            "give the template one: in [vars] users = [{ name = \"admin\", ssh_keys = [\"…\"] }], \
                 or write `nousers: true` under `install` of a template of your own",
        )),
    }
}

/// What the built-in template leaves out in flavor `appliance`, where nothing acts on it.
fn left_out(profile: &Profile, project: &Project) -> Vec<String> {
    let is_built_in = profile.cloud_config == CloudConfig::Builtin
        && project.is_built_in(CLOUD_CONFIG).unwrap_or_default();
    if profile.os.flavor != Flavor::Appliance || !is_built_in {
        return Vec::new();
    }
    let vars = ["project", "tags"].into_iter();
    let vars = vars.filter(|name| profile.vars.contains_key(*name));
    let registration = profile.registration.iter();
    let registration = registration.map(|_| "registration".to_owned());
    registration
        .chain(vars.map(|name| format!("vars.{name}")))
        .map(|name| {
            format!(
                "'{name}' does not reach the machine: it is for the agent of a central \
                 management, which systems of flavor 'appliance' have not; a cloud-config of \
                 your own can use it"
            )
        })
        .collect()
}

/// What `[boot] password` can't keep in flavor `kairos`.
fn open_in_kairos(profile: &Profile) -> Option<String> {
    let is_locked = profile.boot.password.is_some() && profile.os.flavor == Flavor::Kairos;
    is_locked.then(|| {
        "'boot.password' locks the ISO's menu, but Kairos's live system and installers give a \
         root shell to whoever starts them; on the installed disk it holds"
            .to_owned()
    })
}

/// What the built-in template did with adapters by name has keys of its own.
fn moved(profile: &Profile, project: &Project) -> Result<()> {
    let is_built_in = profile.cloud_config == CloudConfig::Builtin
        && project.is_built_in(CLOUD_CONFIG).unwrap_or_default();
    if !is_built_in || !profile.vars.contains_key("network") {
        return Ok(());
    }
    Err(Failure::new(
        Class::Profile,
        "the built-in cloud-config does not read [vars.network]",
    )
    .with_hint(
        "write eth0 = { address = \"10.0.0.5/24\", gateway = \"10.0.0.1\" } as \
         [[network.adapters]] with name = \"eth0\", addresses = \"10.0.0.5/24\" and gateways = \
         \"10.0.0.1\"; docs/network.md has the rest",
    ))
}

/// A network that goes nowhere, since the cloud-config is a file that is taken as it is, or a
/// template that does not ask for it.
fn network_left_out(loaded: &Loaded, project: &Project) -> Result<Option<String>> {
    if loaded.profile.network.is_none() {
        return Ok(None);
    }
    let path = inputs::cloud_config(loaded, project);
    let text = project.read(&path)?;
    let text = String::from_utf8_lossy(&text);
    let asks = ["network.files", "{% include", "{%- include"];
    let is_template = Path::new(&path).extension().is_some_and(|it| it == "tera");
    if is_template && asks.iter().any(|word| text.contains(word)) {
        return Ok(None);
    }
    Ok(Some(format!(
        "[network] does not reach the machine: {} has no 'network.files', which docs/network.md \
         tells of",
        super::system::shown(&path)
    )))
}

/// Renders everything and throws it away. Gives the warnings.
///
/// # Errors
/// A secret that can't be read, a template that doesn't render, an overlay
/// that is missing, a cloud-config that its readers would refuse.
pub(crate) fn check(loaded: &Loaded, profile_path: &Path, env: ReadEnv<'_>) -> Result<Vec<String>> {
    let mut warnings = check_with(loaded, &Renderer::new(loaded, profile_path, env)?)?;
    // A build tells of the system's own lines, and ends there unless it is forced.
    let too_long = kernel_line::known(&loaded.profile);
    warnings.extend(too_long.map(|found| format!("{}; {}", found.message, found.hint)));
    Ok(warnings)
}

/// The same with secrets that were read already.
pub(super) fn check_with(loaded: &Loaded, renderer: &Renderer) -> Result<Vec<String>> {
    cmdline::check(&loaded.profile.boot.cmdline)?;
    content::check(loaded)?;
    moved(&loaded.profile, &renderer.project)?;
    let mut warnings = left_out(&loaded.profile, &renderer.project);
    warnings.extend(open_in_kairos(&loaded.profile));
    warnings.extend(network_left_out(loaded, &renderer.project)?);
    Inputs::of(loaded, &[])?;
    for arch in &loaded.profile.appliance.arch {
        for version in &loaded.profile.kubernetes.versions {
            let context = renderer.context_for(arch.as_str(), version)?;
            let config = renderer.cloud_config(loaded, &context)?;
            warnings.extend(administrator(&loaded.profile, config.has_admin)?);
            let mut found = config.warnings;
            for overlay in renderer.iso_overlays(loaded, &context, 0)? {
                found.extend(renderer.secrets.in_overlay(&overlay, "the ISO"));
            }
            for overlay in renderer.rootfs_layers(loaded, &context)? {
                let place = "the root file system, the provider image and the layer in the store";
                found.extend(renderer.secrets.in_overlay(&overlay, place));
            }
            warnings.extend(found);
        }
    }
    warnings.sort();
    warnings.dedup();
    Ok(warnings)
}
