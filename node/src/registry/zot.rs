//! The configuration of Zot (project-zot, v2.1: `pkg/api/config`).
//!
//! Reads are anyone's, or with `anonymous = false` those of two accounts; who pushes is
//! asked for a name and a password. Garbage collection waits a day: what an import brought
//! that has not ended is younger. There is no policy of retention, so manifests without a
//! tag stay.

use std::net::IpAddr;

use isoforge_contract::machine::Registry;
use serde_json::{Value, json};

use super::RegistryPaths;
use super::credentials::{PUSHER, READER, htpasswd};

/// How old blobs are that nothing names before they go.
const DELAY: &str = "24h";

/// How often it looks for them.
const INTERVAL: &str = "24h";

/// What Zot is told.
pub(super) fn config(registry: &Registry, places: &RegistryPaths) -> Value {
    let nobody: &[&str] = if registry.anonymous { &["read"] } else { &[] };
    // Nobody in particular is the empty name.
    let others = if registry.anonymous { "" } else { READER };
    json!({
        // The one that both v2.1.2 and later versions take.
        "distSpecVersion": "1.1.0",
        "storage": {
            "rootDirectory": places.storage(),
            "dedupe": true,
            "gc": true,
            "gcDelay": DELAY,
            "gcInterval": INTERVAL,
        },
        "http": {
            "address": address(registry),
            "port": registry.port.to_string(),
            "realm": "appliance",
            // Manifests as Docker has them are served as they are.
            "compat": ["docker2s2"],
            "tls": {
                "cert": places.home.join("tls/server.crt"),
                "key": places.home.join("tls/server.key"),
            },
            "auth": {
                "htpasswd": { "path": places.run.join(htpasswd(registry)) },
                // Seconds that a wrong password costs.
                "failDelay": 1,
            },
            "accessControl": {
                // Builds of v2.1.2 without extensions ask of every request what is
                // meant for /metrics.
                "metrics": { "users": [others, PUSHER] },
                "repositories": {
                    "**": {
                        "anonymousPolicy": nobody,
                        "defaultPolicy": ["read"],
                        "policies": [{
                            "users": [PUSHER],
                            "actions": ["read", "create", "update", "delete"],
                        }],
                    },
                },
            },
        },
        "log": { "level": "info" },
    })
}

/// What it listens on: nothing said is all, of both families. The port is put behind it
/// as it is.
fn address(registry: &Registry) -> String {
    match registry.listen {
        None => String::new(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => format!("[{address}]"),
    }
}
