//! The profile's words in the words of each stage.

use std::num::NonZeroUsize;

use super::{HostSettings, Settings};
use crate::profile::{self, Loaded, Profile};
use isoforge_formats::squashfs::{self, Compressor};
use isoforge_oci::registry::{HostConfig, RegistryConfig, Secret};
use isoforge_system::boot;
use isoforge_system::layer::Limits;
use isoforge_system::provider::LayerFormat;

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
        cmdline: profile.cmdline(),
    }
}

/// Settings of the registry client. The user's settings for a host win over
/// the profile's, since they know the network that the build runs in.
pub(super) fn registry(loaded: &Loaded, settings: &Settings) -> RegistryConfig {
    let mut config = user_registries(settings);
    for (host, said) in &loaded.profile.registries {
        let users = settings.registries.get(host).cloned().unwrap_or_default();
        config.hosts.insert(host.clone(), merged(users, said));
    }
    config
}

/// The same without a profile.
#[must_use]
pub fn user_registries(settings: &Settings) -> RegistryConfig {
    let secret = |(name, value): &(String, String)| (name.clone(), Secret::new(value.clone()));
    let nothing = profile::RegistryHost::default();
    RegistryConfig {
        hosts: settings
            .registries
            .iter()
            .map(|(host, said)| (host.clone(), merged(said.clone(), &nothing)))
            .collect(),
        credential_files: settings.credential_files.clone(),
        proxies: settings.proxies.iter().map(secret).collect(),
        extra_cert_file: settings.extra_cert_file.clone(),
        extra_cert_dirs: settings.extra_cert_dirs.clone(),
        ..RegistryConfig::default()
    }
}

/// What the user says of a host, then what the profile says. A certificate goes
/// with its key: the two come from one of them.
fn merged(user: HostSettings, profile: &profile::RegistryHost) -> HostConfig {
    let (client_cert, client_key) = match user.client_cert {
        Some(cert) => (Some(cert), user.client_key),
        None => (
            profile.client_cert.clone(),
            user.client_key.or_else(|| profile.client_key.clone()),
        ),
    };
    HostConfig {
        mirrors: user
            .mirrors
            .or_else(|| profile.mirrors.clone())
            .unwrap_or_default(),
        fallback: user.fallback.or(profile.fallback).unwrap_or_default(),
        plain_http: user.plain_http.or(profile.plain_http),
        ca: user.ca.or_else(|| profile.ca.clone()),
        client_cert,
        client_key,
        proxy: user
            .proxy
            .or_else(|| profile.proxy.clone().map(Secret::new)),
        max_connections: user.max_connections.or(profile.max_connections),
    }
}

/// Number of threads as the stages take it.
pub(super) fn threads(settings: &Settings) -> NonZeroUsize {
    NonZeroUsize::new(settings.jobs).unwrap_or(NonZeroUsize::MIN)
}
