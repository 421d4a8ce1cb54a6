//! The profile's words in the words of each stage.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use super::Settings;
use crate::boot;
use crate::formats::squashfs::{self, Compressor};
use crate::profile::{self, Loaded, Profile};
use crate::provider::LayerFormat;
use crate::registry::{HostConfig, RegistryConfig};
use crate::rootfs::layer::Limits;

/// Settings of the SquashFS.
pub(super) fn squashfs(profile: &Profile) -> squashfs::Settings {
    squashfs::Settings {
        compressor: match profile.output.compression {
            profile::Compression::Zstd { level } => Compressor::Zstd { level },
            profile::Compression::Gzip { level } => Compressor::Gzip { level },
            profile::Compression::Xz => Compressor::Xz,
        },
        block_size: profile.output.block_size,
    }
}

/// The SquashFS's compression as the profile writes it.
pub(super) fn compression_text(profile: &Profile) -> String {
    profile.output.compression.into()
}

/// Compression of our layers of the provider image.
pub(super) fn layer_format(profile: &Profile) -> LayerFormat {
    match profile.output.layer_compression {
        profile::LayerCodec::Gzip => LayerFormat::Gzip,
        profile::LayerCodec::Zstd => LayerFormat::Zstd,
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

/// The architecture in the words of `boot`.
pub(super) fn arch(arch: profile::Arch) -> boot::Arch {
    match arch {
        profile::Arch::Amd64 => boot::Arch::Amd64,
        profile::Arch::Arm64 => boot::Arch::Arm64,
    }
}

/// What the profile says about the menu.
pub(super) fn menu(profile: &Profile) -> boot::menu::Settings {
    boot::menu::Settings {
        title: profile.title(),
        flavor: match profile.os.flavor {
            profile::Flavor::Kairos => boot::menu::Flavor::Kairos,
            profile::Flavor::Appliance => boot::menu::Flavor::Appliance,
        },
        install_mode: match profile.install.mode {
            profile::InstallMode::Interactive => boot::menu::InstallMode::Interactive,
            profile::InstallMode::Unattended => boot::menu::InstallMode::Unattended,
        },
        timeout_seconds: profile.boot.timeout_seconds,
        fips: profile.os.fips,
        cmdline: profile.boot.cmdline.clone(),
    }
}

/// Settings of the registry client. The user's settings for a host win over
/// the profile's, since they know the network that the build runs in.
pub(super) fn registry(loaded: &Loaded, settings: &Settings) -> RegistryConfig {
    registry_of(&loaded.profile.registries, settings)
}

/// The same where there is no profile.
pub(super) fn registry_without_profile(settings: &Settings) -> RegistryConfig {
    registry_of(&BTreeMap::new(), settings)
}

fn registry_of(
    profile: &BTreeMap<String, profile::RegistryHost>,
    settings: &Settings,
) -> RegistryConfig {
    let mut config = RegistryConfig {
        credential_files: settings.credential_files.clone(),
        ..RegistryConfig::default()
    };
    for (host, said) in profile {
        config.hosts.insert(
            host.clone(),
            HostConfig {
                mirror: said.mirror.clone(),
                plain_http: None,
            },
        );
    }
    for (host, said) in &settings.registries {
        let entry = config.hosts.entry(host.clone()).or_default();
        if said.mirror.is_some() {
            entry.mirror.clone_from(&said.mirror);
        }
        if said.plain_http.is_some() {
            entry.plain_http = said.plain_http;
        }
    }
    config
}

/// Number of threads as the stages take it.
pub(super) fn threads(settings: &Settings) -> NonZeroUsize {
    NonZeroUsize::new(settings.jobs).unwrap_or(NonZeroUsize::MIN)
}
