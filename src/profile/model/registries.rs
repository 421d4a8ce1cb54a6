//! Keys of a registry's host, in profiles and in the user's settings.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::Serializer;

use crate::profile::Document;
use crate::profile::check;
use crate::profile::keys::{Need, boolean, integer, keys, list, placed, text};
use crate::profile::problem::Bad;
use isoforge_oci::registry::HostConfig;
use isoforge_oci::registry::config::MAX_CONNECTIONS;

/// Most requests to one host that can be asked for.
const MOST_CONNECTIONS: i64 = 256;
const CREDENTIALS: Need = Need::Refused(
    "credentials come from the Docker configuration or a credential helper, never from a profile",
);

keys! {
    impl HostConfig {
        /// Host, and optional path, that is asked instead.
        mirror = text(check::mirror).optional(""),
        /// Several of them, asked in this order: the next where one lacks the image or fails.
        mirrors = list(text(check::mirror)).optional(""),
        /// Whether the host itself is asked where its mirrors fail; a build never goes elsewhere in
        /// silence.
        fallback = boolean().optional("`false`"),
        /// Talk to the host without TLS.
        plain_http = boolean().optional("on loopback only"),
        /// PEM file with authorities that are trusted for this host beside the system's.
        ca = placed(check::path).optional("the system's authorities"),
        /// PEM file with the certificate that is shown to the host.
        client_cert = placed(check::path).optional(""),
        /// PEM file with its key.
        client_key = placed(check::path).optional("in `client_cert`"),
        /// `http`, `https`, `socks4`, `socks4a`, `socks5` or `socks5h` URL that the host is asked
        /// through, without password; `none`: directly.
        proxy = placed(check::proxy).optional("from the environment"),
        /// Requests to the host under way at once.
        max_connections = integer::<u32>(1, MOST_CONNECTIONS)
            .optional(format!("`{MAX_CONNECTIONS}`")),
    }
    never { username: CREDENTIALS, password: CREDENTIALS, token: CREDENTIALS }
    one of mirror, mirrors;
    => |keys| {
        // In the user's settings it may go with a certificate that the profile names.
        if keys.document() != Some(Document::Settings) && !keys.has("client_cert") {
            keys.bad("client_key", || Bad::new(
                "'client_key' without 'client_cert'",
                "the file with the certificate that the key is for, as 'client_cert'",
            ));
        }
        Self {
            mirrors: mirror.map(|one| vec![one]).or(mirrors),
            fallback,
            plain_http,
            ca,
            client_cert,
            client_key,
            proxy,
            max_connections: max_connections.and_then(NonZeroU32::new),
        }
    }
}

/// Hosts with their proxies, which the profile has without passwords.
pub(super) fn with_proxies<S: Serializer>(
    hosts: &BTreeMap<String, HostConfig>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(hosts.iter().map(|(name, host)| {
        let mut shown = serde_json::json!(host);
        if let Some(proxy) = &host.proxy {
            shown["proxy"] = proxy.plain_address().into();
        }
        (name, shown)
    }))
}
