//! Which proxy a URL is asked through.
//!
//! A host's own setting comes first. Else the variables decide that all of
//! curl, Go and wget know: `https_proxy` or `http_proxy` by the URL's scheme,
//! `all_proxy` for both, and `no_proxy`, a list of exceptions, apart by commas or
//! blanks: a host or domain with all below it (a dot in front changes nothing, `*.`
//! leaves the name itself out), an address, a range of addresses (`10.0.0.0/8`),
//! each with an optional port, or `*` for everything.
//! This machine is never asked through a proxy of the environment.
//!
//! Go (`golang.org/x/net/http/httpproxy`, so skopeo, docker and containerd) and curl read
//! such lists differently. What one of them asks directly is asked directly here: a
//! list was written for one of them and worked.

use std::net::{IpAddr, Ipv6Addr};

use ureq::Proxy;
use ureq::http::Uri;

use super::config::{NO_PROXY, RegistryConfig};
use super::secret::Secret;
use super::url::{ShownUrl, is_loopback};
use crate::Error;

const SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

/// Bits of an IPv6 address before the IPv4 address that it stands for.
const MAPPED_BITS: u32 = 96;

/// The proxy for `url`, in the words of the settings; `None`: directly.
pub(super) fn choose(config: &RegistryConfig, url: &Uri) -> Option<Secret> {
    let authority = url.authority()?;
    let port = url.port_u16();
    let host = authority.host();
    let named = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    if let Some(own) = config.host(&named).and_then(|host| host.proxy.as_ref()) {
        return (own.reveal() != NO_PROXY).then(|| own.clone());
    }
    let variable = |name: &str| {
        let (_, value) = config.proxies.iter().find(|(known, _)| known == name)?;
        (!value.reveal().trim().is_empty()).then_some(value)
    };
    let https = url.scheme_str() == Some("https");
    let exempt = variable("no_proxy").is_some_and(|list| {
        let port = port.unwrap_or(if https { 443 } else { 80 });
        is_exempt(list.reveal(), host, port)
    });
    if exempt || is_loopback(host) {
        return None;
    }
    variable(if https { "https_proxy" } else { "http_proxy" })
        .or_else(|| variable("all_proxy"))
        .cloned()
}

/// A proxy's address. Without scheme it is an HTTP proxy, as everywhere.
pub(super) fn parse(address: &Secret) -> Result<Proxy, Error> {
    let text = address.reveal().trim();
    let wrong = || {
        let wanted = "a proxy of the form http://host:port, https://…, socks4://…, socks4a://…, socks5://… or socks5h://…";
        Error::setting(shown(address), wanted)
    };
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let scheme = scheme.to_ascii_lowercase();
    let rest = rest.trim_end_matches('/');
    let known = SCHEMES.contains(&scheme.as_str());
    if !known || rest.contains(['/', '?', '#']) || rest.is_empty() {
        return Err(wrong());
    }
    Proxy::new(&format!("{scheme}://{rest}")).map_err(|_| wrong())
}

/// A proxy's address for messages: without user and password.
pub(super) fn shown(address: &Secret) -> String {
    ShownUrl::of(address.reveal().trim()).to_string()
}

/// Whether the variables that name proxies can be understood.
pub(super) fn check_environment(proxies: &[(String, Secret)]) -> Result<(), Error> {
    for (name, value) in proxies {
        if name != "no_proxy" && !value.reveal().trim().is_empty() {
            parse(value)?;
        }
    }
    Ok(())
}

/// Whether `no_proxy` names the host or its port.
fn is_exempt(list: &str, host: &str, port: u16) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    list.split(|c: char| c == ',' || c.is_ascii_whitespace())
        .filter(|entry| !entry.is_empty())
        .any(|entry| entry == "*" || entry_matches(&entry.to_ascii_lowercase(), &host, port))
}

fn entry_matches(entry: &str, host: &str, port: u16) -> bool {
    let Some((name, wanted_port)) = split_port(entry) else {
        return false;
    };
    if !wanted_port.is_empty() && wanted_port.parse() != Ok(port) {
        return false;
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        let address = address.to_canonical();
        return match name.split_once('/') {
            Some((network, bits)) => is_within(address, network, bits),
            None => name
                .parse::<IpAddr>()
                .is_ok_and(|named| named.to_canonical() == address),
        };
    }
    let (domain, itself) = match name.strip_prefix("*.") {
        Some(domain) => (domain, false),
        None => (name.strip_prefix('.').unwrap_or(name), true),
    };
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    !domain.is_empty()
        && host.strip_suffix(domain).is_some_and(|before| {
            if before.is_empty() {
                itself
            } else {
                before.ends_with('.')
            }
        })
}

/// Host and port of an entry, which is empty where it has none. IPv6 addresses have a
/// port only in brackets, and nothing else stands in those.
fn split_port(entry: &str) -> Option<(&str, &str)> {
    if let Some(rest) = entry.strip_prefix('[') {
        let (address, after) = rest.split_once(']')?;
        address.parse::<Ipv6Addr>().ok()?;
        let port = match after {
            "" => "",
            _ => after.strip_prefix(':')?,
        };
        return Some((address, port));
    }
    Some(match entry.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') => (name, port),
        _ => (entry, ""),
    })
}

/// Whether the first `bits` bits of both addresses are the same (RFC 4632); a range of
/// IPv4 addresses written as IPv6 ones (RFC 4291, 2.5.5.2) is one of IPv4.
fn is_within(address: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else {
        return false;
    };
    let (network, bits) = match (network.to_canonical(), bits.checked_sub(MAPPED_BITS)) {
        (canonical, Some(bits)) if canonical != network => (canonical, bits),
        _ => (network, bits),
    };
    let wide = |address: IpAddr| match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32_u32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    let ((address, width), (network, network_width)) = (wide(address), wide(network));
    let Some(rest) = width.checked_sub(bits) else {
        return false;
    };
    // Shifting by all bits leaves nothing to compare.
    width == network_width
        && address.checked_shr(rest).unwrap_or(0) == network.checked_shr(rest).unwrap_or(0)
}

#[cfg(test)]
mod tests;
