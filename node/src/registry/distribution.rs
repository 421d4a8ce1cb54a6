//! The configurations of distribution (the CNCF's, v2.8 and v3).
//!
//! Its passwords protect all or nothing, so there are two instances on one
//! storage: one that anyone may read from and that refuses to write
//! (`maintenance.readonly`), and one on the next port that asks for the password.
//! Neither has a cache in memory, so each sees what the other wrote.
//!
//! JSON is YAML, which it reads.

use isoforge_contract::machine::Registry;
use serde_json::{Value, json};

use super::{RegistryPaths, push_port};

/// The instance that serves.
pub(super) fn serving(registry: &Registry, places: &RegistryPaths) -> Value {
    let mut config = common(places, registry.port);
    config["storage"]["maintenance"] = json!({
        "readonly": { "enabled": true },
        // Removing old uploads is writing.
        "uploadpurging": { "enabled": false },
    });
    config
}

/// The instance that takes pushes.
pub(super) fn pushing(registry: &Registry, places: &RegistryPaths) -> Value {
    let mut config = common(places, push_port(registry));
    config["auth"] = json!({
        "htpasswd": { "realm": "appliance", "path": places.run.join("htpasswd") },
    });
    config
}

fn common(places: &RegistryPaths, port: u16) -> Value {
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
            "addr": format!(":{port}"),
            "tls": {
                "certificate": places.home.join("tls/server.crt"),
                "key": places.home.join("tls/server.key"),
            },
        },
    })
}
