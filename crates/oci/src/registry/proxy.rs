//! Which proxy a URL is asked through.
//!
//! A host's own setting comes first. Else the variables decide that all of
//! curl, Go and wget know: `https_proxy` or `http_proxy` by the URL's scheme,
//! `all_proxy` for both, and `no_proxy`, a list of exceptions: a host, a domain
//! with all below it (with or without a dot in front), an address, a range of
//! addresses (`10.0.0.0/8`), each with an optional port, or `*` for everything.
//! This machine is never asked through a proxy of the environment.

use std::net::IpAddr;

use ureq::Proxy;
use ureq::http::Uri;

use super::config::{NO_PROXY, RegistryConfig};
use super::secret::Secret;
use super::url::{ShownUrl, is_loopback};
use crate::Error;

const SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

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
    list.split([',', ' ', '\t'])
        .filter(|entry| !entry.is_empty())
        .any(|entry| entry == "*" || entry_matches(&entry.to_ascii_lowercase(), &host, port))
}

fn entry_matches(entry: &str, host: &str, port: u16) -> bool {
    let (name, wanted_port) = split_port(entry);
    if wanted_port.is_some_and(|wanted| wanted != port) {
        return false;
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return match name.split_once('/') {
            Some((network, bits)) => is_within(address, network, bits),
            None => name.parse() == Ok(address),
        };
    }
    let domain = name.trim_start_matches("*.").trim_matches('.');
    !domain.is_empty()
        && host
            .strip_suffix(domain)
            .is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// Host and port of an entry; IPv6 addresses have a port only in brackets.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    if let Some((inner, after)) = entry
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        return (
            inner,
            after.strip_prefix(':').and_then(|port| port.parse().ok()),
        );
    }
    match entry.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

/// Whether the first `bits` bits of both addresses are the same (RFC 4632).
fn is_within(address: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else {
        return false;
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
mod tests {
    use insta::assert_snapshot;

    use super::super::config::HostConfig;
    use super::*;

    #[test]
    fn exceptions_are_hosts_domains_addresses_ranges_and_ports() {
        let list = "exact.example, .dot.example,*.star.example 10.0.0.0/8,192.168.1.7,\
                    port.example:5000,[fd00::1]:443,fe80::/10,one.two.";
        let exempt = |host: &str, port: u16| is_exempt(list, host, port);
        for (host, port) in [
            ("exact.example", 443),
            ("EXACT.example.", 443),
            ("below.exact.example", 443),
            ("dot.example", 443),
            ("a.dot.example", 80),
            ("a.b.star.example", 80),
            ("10.255.0.1", 443),
            ("192.168.1.7", 443),
            ("port.example", 5000),
            ("[fd00::1]", 443),
            ("[fe80::5]", 443),
            ("one.two", 1),
        ] {
            assert!(exempt(host, port), "{host}:{port}");
        }
        for (host, port) in [
            ("inexact.example", 443),
            ("example", 443),
            ("11.0.0.1", 443),
            ("192.168.1.70", 443),
            ("port.example", 443),
            ("[fd00::1]", 80),
            ("[fd00::2]", 443),
            ("two", 1),
        ] {
            assert!(!exempt(host, port), "{host}:{port}");
        }
        assert!(is_exempt("a,*", "quay.io", 443));
        assert!(is_exempt("0.0.0.0/0", "8.8.8.8", 443));
        assert!(!is_exempt("0.0.0.0/33,::/0,x/8,1.1.1.1/x", "1.1.1.1", 443));
        assert!(!is_exempt("", "quay.io", 443));
        assert!(!is_exempt(".,..,*.", "quay.io", 443));
    }

    fn config(proxies: &[(&str, &str)], hosts: &[(&str, &str)]) -> RegistryConfig {
        RegistryConfig {
            proxies: proxies
                .iter()
                .map(|&(name, value)| (name.to_owned(), Secret::new(value.to_owned())))
                .collect(),
            hosts: hosts
                .iter()
                .map(|&(host, proxy)| {
                    let proxy = Some(Secret::new(proxy.to_owned()));
                    (
                        host.to_owned(),
                        HostConfig {
                            proxy,
                            ..HostConfig::default()
                        },
                    )
                })
                .collect(),
            ..RegistryConfig::default()
        }
    }

    #[test]
    fn a_hosts_own_setting_wins_then_the_scheme_decides() {
        let all = [
            ("http_proxy", "http://h:1"),
            ("https_proxy", "http://s:2"),
            ("all_proxy", "socks5h://a:3"),
            ("no_proxy", "direct.example"),
        ];
        let own = [("own.example:5000", "http://own:9"), ("docker.io", "none")];
        let config = config(&all, &own);
        let chosen = |url: &str| {
            choose(&config, &url.parse().unwrap()).map(|proxy| proxy.reveal().to_owned())
        };
        assert_eq!(chosen("http://x.example/v2/").unwrap(), "http://h:1");
        assert_eq!(chosen("https://x.example/v2/").unwrap(), "http://s:2");
        assert_eq!(
            chosen("https://own.example:5000/v2/").unwrap(),
            "http://own:9"
        );
        assert_eq!(chosen("https://own.example/v2/").unwrap(), "http://s:2");
        for direct in [
            "https://registry-1.docker.io/v2/",
            "https://direct.example/v2/",
            "http://localhost:5000/v2/",
            "http://127.0.0.1/v2/",
            "http://[::1]:5000/v2/",
        ] {
            assert_eq!(chosen(direct), None, "{direct}");
        }
        let config = self::config(&all[2..3], &[]);
        let url = "http://x.example/".parse().unwrap();
        assert_eq!(choose(&config, &url).unwrap().reveal(), "socks5h://a:3");
    }

    #[test]
    fn addresses_of_proxies_are_read_and_shown_without_password() {
        let parsed = |text: &str| parse(&Secret::new(text.to_owned()));
        for text in [
            "proxy:3128",
            "http://u:p@proxy/",
            "SOCKS5h://[::1]:1080",
            "https://p",
        ] {
            assert!(parsed(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "ftp://u:hunter2@p",
            "http://",
            "http://u:hunter2@p/x",
            "http://a b",
        ] {
            let error = parsed(text).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert_snapshot!(parsed("ftp://u:hunter2@p:1").unwrap_err(), @"'ftp://p:1' is not a proxy of the form http://host:port, https://…, socks4://…, socks4a://…, socks5://… or socks5h://…");
    }
}
