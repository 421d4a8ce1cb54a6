//! The configurations of distribution (the CNCF's, v2.8 and v3).
//!
//! Its passwords protect all or nothing, so there are two instances on one
//! storage: one that anyone, or with `anonymous = false` who has an account, may read
//! from and that refuses to write (`maintenance.readonly`), and one on the next port that
//! asks for the password of who may push.
//! Neither has a cache in memory, so each sees what the other wrote.
//!
//! JSON is YAML, which it reads.

use std::net::SocketAddr;

use isoforge_contract::machine::Registry;
use serde_json::{Value, json};

use super::credentials::{PUSHERS, htpasswd};
use super::{RegistryPaths, push_port};

/// The instance that serves.
pub(super) fn serving(registry: &Registry, places: &RegistryPaths) -> Value {
    let mut config = common(places, address(registry, registry.port));
    config["storage"]["maintenance"] = json!({
        "readonly": { "enabled": true },
        // Removing old uploads is writing.
        "uploadpurging": { "enabled": false },
    });
    if !registry.anonymous {
        config["auth"] = asking(places, htpasswd(registry));
    }
    config
}

/// The instance that takes pushes.
pub(super) fn pushing(registry: &Registry, places: &RegistryPaths) -> Value {
    let mut config = common(places, address(registry, push_port(registry)));
    config["auth"] = asking(places, PUSHERS);
    config
}

fn asking(places: &RegistryPaths, htpasswd: &str) -> Value {
    json!({ "htpasswd": { "realm": "appliance", "path": places.run.join(htpasswd) } })
}

/// What it listens on: nothing said is all, of both families.
fn address(registry: &Registry, port: u16) -> String {
    match registry.listen {
        None => format!(":{port}"),
        Some(address) => SocketAddr::new(address, port).to_string(),
    }
}

fn common(places: &RegistryPaths, address: String) -> Value {
    json!({
        "version": "0.1",
        "log": { "level": "info", "accesslog": { "disabled": true } },
        "storage": {
            "filesystem": { "rootdirectory": places.storage() },
            "delete": { "enabled": true },
        },
        // Of an index not all platforms need be here. Versions before 3 do not
        // know this, and take whole indexes alone.
        "validation": { "manifests": { "indexes": { "platforms": "none" } } },
        "http": {
            "addr": address,
            "tls": {
                "certificate": places.home.join("tls/server.crt"),
                "key": places.home.join("tls/server.key"),
            },
        },
    })
}
