//! Whom we trust, and who we are: certificates for TLS.
//!
//! Trusted are the authorities of the system where it has a list, as whoever
//! administers the machine expects: a company's own authority is there, one that
//! was taken out is not. A system without any (a minimal container) gets
//! Mozilla's list, which is part of the program. What `SSL_CERT_FILE`,
//! `SSL_CERT_DIR` and a host's `ca` hold is trusted beside these.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};

use super::config::{HostConfig, RegistryConfig};
use crate::Error;
use isoforge_base::error::Class;

/// Where distributions keep the list of trusted authorities; the first that
/// there is counts.
const SYSTEM_BUNDLES: [&str; 5] = [
    // Debian, Ubuntu, Gentoo, Arch
    "/etc/ssl/certs/ca-certificates.crt",
    // Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",
    // openSUSE
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    // Alpine
    "/etc/ssl/cert.pem",
];
/// Largest file of certificates or keys accepted.
const MAX_PEM_BYTES: u64 = 16 * 1024 * 1024;

type Certificates = Vec<CertificateDer<'static>>;

/// The authorities trusted for every host, read when they are first needed.
#[derive(Debug, Default)]
pub(super) struct Roots(OnceLock<Arc<Certificates>>);

impl Roots {
    /// The system's, and those of the settings.
    fn get(&self, config: &RegistryConfig) -> Result<Arc<Certificates>, Error> {
        if let Some(known) = self.0.get() {
            return Ok(Arc::clone(known));
        }
        let mut all = system();
        if let Some(file) = &config.extra_cert_file {
            all.extend(load(Some(file), None, file)?);
        }
        for dir in &config.extra_cert_dirs {
            all.extend(load(None, Some(dir), dir)?);
        }
        Ok(Arc::clone(self.0.get_or_init(|| Arc::new(all))))
    }
}

fn system() -> Certificates {
    let found = SYSTEM_BUNDLES.iter().map(Path::new).find_map(|bundle| {
        let loaded = rustls_native_certs::load_certs_from_paths(Some(bundle), None);
        Some(loaded.certs).filter(|certificates| !certificates.is_empty())
    });
    found.unwrap_or_else(|| webpki_root_certs::TLS_SERVER_ROOT_CERTS.to_vec())
}

/// What `SSL_CERT_FILE` or `SSL_CERT_DIR` name has to be there.
fn load(file: Option<&Path>, dir: Option<&Path>, path: &Path) -> Result<Certificates, Error> {
    let loaded = rustls_native_certs::load_certs_from_paths(file, dir);
    match loaded.errors.into_iter().next() {
        Some(error) if loaded.certs.is_empty() => Err(wrong(path, error.to_string())),
        _ => Ok(loaded.certs),
    }
}

/// How TLS is spoken to a host with these settings.
pub(super) fn config(
    config: &RegistryConfig,
    roots: &Roots,
    host: Option<&HostConfig>,
) -> Result<TlsConfig, Error> {
    let common = roots.get(config)?;
    let own = match host.and_then(|host| host.ca.as_deref()) {
        Some(path) => authorities(path)?,
        None => Vec::new(),
    };
    let all = common
        .iter()
        .chain(&own)
        .map(|der| Certificate::from_der(der).to_owned());
    Ok(without_roots()
        .root_certs(RootCerts::from(all))
        .client_cert(host.map(client).transpose()?.flatten())
        .build())
}

/// For agents that only ever speak plain HTTP: nobody is trusted.
pub(super) fn none() -> TlsConfig {
    without_roots().build()
}

fn without_roots() -> ureq::tls::TlsConfigBuilder {
    TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::new_with_certs(&[]))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
}

/// The authorities in a file of the settings: at least one, and all usable.
fn authorities(path: &Path) -> Result<Certificates, Error> {
    let certificates = certificates(path)?;
    let mut store = rustls::RootCertStore::empty();
    for certificate in &certificates {
        store
            .add(certificate.clone())
            .map_err(|error| wrong(path, error.to_string()))?;
    }
    Ok(certificates)
}

fn certificates(path: &Path) -> Result<Certificates, Error> {
    let pem = read(path)?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Certificates, _>>()
        .map_err(|error| wrong(path, error.to_string()))?;
    if certificates.is_empty() {
        return Err(wrong(
            path,
            "there is no certificate in PEM form in it".to_owned(),
        ));
    }
    Ok(certificates)
}

/// The certificate that is shown to the host. Whether the key fits it is checked
/// here, where the error can name the files.
fn client(host: &HostConfig) -> Result<Option<ClientCert>, Error> {
    let Some(cert_path) = &host.client_cert else {
        return Ok(None);
    };
    let key_path = host.client_key.as_ref().unwrap_or(cert_path);
    let chain = certificates(cert_path)?;
    let pem = read(key_path)?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        wrong(
            key_path,
            "there is no key in PEM form without a password in it".to_owned(),
        )
    })?;
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::from_der(chain.clone(), key, &provider)
        .map_err(|error| wrong(key_path, error.to_string()))?;
    let key = PrivateKey::from_pem(&pem).map_err(|error| wrong(key_path, error.to_string()))?;
    let chain: Vec<Certificate<'static>> = chain
        .iter()
        .map(|der| Certificate::from_der(der).to_owned())
        .collect();
    Ok(Some(ClientCert::new_with_certs(&chain, key)))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_PEM_BYTES).read_to_end(&mut bytes))
        .map_err(|error| wrong(path, error.to_string()))?;
    Ok(bytes)
}

fn wrong(path: &Path, problem: String) -> Error {
    Error::new(Class::Profile, format!("{}: {problem}", path.display())).with_hint(
        "check 'ca', 'client_cert' and 'client_key' of the host, SSL_CERT_FILE and SSL_CERT_DIR",
    )
}
