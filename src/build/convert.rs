//! The profile's words in the words of each stage.

use std::num::NonZeroUsize;

use super::Settings;
use crate::profile::{Loaded, Profile};
use crate::render::boot_menu;
use isoforge_formats::squashfs;
use isoforge_formats::tar::Limits;
use isoforge_oci::registry::{RegistryConfig, Secret};

pub(super) fn squashfs(profile: &Profile) -> squashfs::Settings {
    squashfs::Settings {
        compressor: profile.output.compression,
        block_size: profile.output.block_size,
    }
}

/// Bounds on a layer.
pub(super) fn limits(profile: &Profile) -> Limits {
    let mut limits = Limits::DEFAULT;
    let set = |field: &mut u64, value: Option<u64>| {
        if let Some(value) = value {
            *field = value;
        }
    };
    set(&mut limits.entries, profile.limits.entries);
    set(&mut limits.path_length, profile.limits.path_length);
    set(&mut limits.layer_bytes, profile.limits.layer_bytes);
    set(&mut limits.inflation_ratio, profile.limits.ratio);
    limits
}

/// What the profile says about the menu.
pub(super) fn menu(profile: &Profile) -> boot_menu::Settings {
    boot_menu::Settings {
        title: profile.title(),
        flavor: profile.os.flavor,
        install_mode: profile.install.mode,
        timeout_seconds: profile.boot.timeout_seconds,
        fips: profile.os.fips,
        cmdline: profile.cmdline(),
        locked: profile.boot.password.is_some(),
    }
}

/// Settings of the registry client. The user's settings for a host win over
/// the profile's, since they know the network that the build runs in.
pub(super) fn registry(loaded: &Loaded, settings: &Settings) -> RegistryConfig {
    let mut config = user_registries(settings);
    for (host, said) in &loaded.profile.registries {
        let users = settings.registries.get(host).cloned().unwrap_or_default();
        config.hosts.insert(host.clone(), users.or(said));
    }
    config
}

/// The same without a profile.
#[must_use]
pub(crate) fn user_registries(settings: &Settings) -> RegistryConfig {
    let secret = |(name, value): &(String, String)| (name.clone(), Secret::new(value.clone()));
    RegistryConfig {
        hosts: settings.registries.clone(),
        credential_files: settings.credential_files.clone(),
        proxies: settings.proxies.iter().map(secret).collect(),
        extra_cert_file: settings.extra_cert_file.clone(),
        extra_cert_dirs: settings.extra_cert_dirs.clone(),
        ..RegistryConfig::default()
    }
}

/// Number of threads as the stages take it.
pub(super) fn threads(settings: &Settings) -> NonZeroUsize {
    NonZeroUsize::new(settings.jobs).unwrap_or(NonZeroUsize::MIN)
}
