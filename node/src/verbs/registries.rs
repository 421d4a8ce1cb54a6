//! Arguments about registries, and what the client is told by them.

use std::path::PathBuf;

use isoforge_oci::registry::{HostConfig, RegistryConfig};

/// Where credentials for registries are looked for.
const AUTH_FILES: [&str; 2] = [
    "/etc/appliance/registry-auth.json",
    "/root/.docker/config.json",
];

/// How registries are talked to.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Registries {
    /// Talk to this registry without TLS
    #[arg(long, value_name = "HOST")]
    plain_http: Vec<String>,
    /// PEM file with authorities that are trusted beside the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// File with credentials for registries, as 'docker login' writes it
    #[arg(long, value_name = "FILE")]
    auth_file: Vec<PathBuf>,
}

impl Registries {
    /// The client's settings.
    pub(crate) fn config(&self) -> RegistryConfig {
        let mut registries = RegistryConfig {
            extra_cert_file: self.ca.clone(),
            credential_files: self.auth_file.clone(),
            ..RegistryConfig::default()
        };
        for path in AUTH_FILES.map(PathBuf::from) {
            if path.is_file() {
                registries.credential_files.push(path);
            }
        }
        for host in &self.plain_http {
            let config = HostConfig {
                plain_http: Some(true),
                ..HostConfig::default()
            };
            registries.hosts.insert(host.clone(), config);
        }
        registries
    }
}
