//! A bundle into this machine's registry over HTTP, where its storage can't be
//! filled directly.

use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::Result;
use isoforge_base::progress::Progress;
use isoforge_contract::machine::Registry;
use isoforge_oci::registry::RegistryConfig;

use super::imported::Imported;
use super::push::{self, Options, Report};
use super::source::Source;
use super::storage::Storage;
use crate::registry::{RegistryPaths, push_address};

/// Pushes `source` with the machine's own credentials.
///
/// # Errors
/// Those of the source and the registry. What came there stays, and is not sent again.
pub fn import(
    source: &Arc<dyn Source>,
    registry: &Registry,
    places: &RegistryPaths,
    replace: bool,
    threads: NonZeroUsize,
    progress: &Progress,
) -> Result<Report> {
    // Of distribution's storage, only the folder for what the program notes is used.
    let storage = Storage::open_to_write(&places.storage())?;
    let imported = Imported::read(&storage)?;
    imported.check(source.as_ref(), replace)?;
    let options = Options {
        to: push_address(registry).to_string(),
        registries: registries(registry, places),
        threads,
    };
    let report = push::push(source, &options, progress)?;
    imported.add(&storage, source.as_ref())?;
    Ok(report)
}

/// How this machine's own registry is talked to.
#[must_use]
pub fn registries(registry: &Registry, places: &RegistryPaths) -> RegistryConfig {
    let mut config = RegistryConfig {
        extra_cert_file: Some(places.authority()),
        credential_files: vec![places.credentials()],
        ..RegistryConfig::default()
    };
    // On loopback TLS must be asked for.
    let host = isoforge_oci::registry::HostConfig {
        plain_http: Some(false),
        ..isoforge_oci::registry::HostConfig::default()
    };
    let own = push_address(registry).to_string();
    config.hosts.insert(own, host);
    config
}
