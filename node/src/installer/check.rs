//! Addresses as they may be typed. Each function gives the value as it is used, or what
//! is wrong with it in words.

use std::net::IpAddr;

use crate::install::model::StaticAddress;
use crate::tui::typed::Checked;

/// A fixed address with its gateway.
pub(crate) fn address(cidr: &str, gateway: &str) -> Checked<StaticAddress> {
    let (cidr, gateway) = (cidr.trim(), gateway.trim());
    let example = "An address looks like 192.0.2.5/24.";
    let (ip, prefix) = cidr.split_once('/').ok_or(example)?;
    let (ip, prefix) = match (ip.parse::<IpAddr>(), prefix.parse::<u32>()) {
        (Ok(ip), Ok(prefix)) => (ip, prefix),
        _ => return Err(example.to_owned()),
    };
    if prefix == 0 || prefix > bits(ip) {
        return Err(format!("The prefix length is from 1 to {}.", bits(ip)));
    }
    if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() {
        return Err(format!("{ip} can't be the address of an interface."));
    }
    if !gateway.is_empty() {
        let router = one_ip(gateway, "gateway")?;
        if router == ip {
            return Err("The gateway is another machine than this one.".to_owned());
        }
        // Link-local routers are usual with IPv6.
        let local = matches!(router, IpAddr::V6(v6) if v6.is_unicast_link_local());
        if bits(router) != bits(ip) || (!local && network(router, prefix) != network(ip, prefix)) {
            return Err(format!("The gateway {router} is not within {cidr}."));
        }
    }
    Ok(StaticAddress {
        cidr: format!("{ip}/{prefix}"),
        gateway: gateway.to_owned(),
    })
}

/// Name servers, with commas or spaces between.
pub(crate) fn name_servers(text: &str) -> Checked<Vec<String>> {
    text.split([',', ' '])
        .filter(|part| !part.is_empty())
        .map(|part| one_ip(part, "name server").map(|ip| ip.to_string()))
        .collect()
}

fn one_ip(text: &str, what: &str) -> Checked<IpAddr> {
    text.parse()
        .map_err(|_| format!("The {what} '{text}' is not an IP address."))
}

fn bits(ip: IpAddr) -> u32 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// The address's first `prefix` bits.
fn network(ip: IpAddr, prefix: u32) -> u128 {
    let (value, bits) = match ip {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128_u32),
    };
    value.checked_shr(bits.saturating_sub(prefix)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_gateways() {
        let good = address("192.0.2.5/24", "192.0.2.1").unwrap();
        assert_eq!(
            (good.cidr.as_str(), good.gateway.as_str()),
            ("192.0.2.5/24", "192.0.2.1")
        );
        assert!(address("2001:db8::5/64", "fe80::1").is_ok());
        assert!(address("10.0.0.1/32", "").is_ok());
        for (cidr, gateway) in [
            ("", ""),
            ("192.0.2.5", ""),
            ("192.0.2.5/", ""),
            ("192.0.2.5/0", ""),
            ("192.0.2.5/33", ""),
            ("192.0.2.256/24", ""),
            ("0.0.0.0/8", ""),
            ("224.0.0.1/8", ""),
            ("127.0.0.1/8", ""),
            ("192.0.2.5/24", "192.0.3.1"),
            ("192.0.2.5/24", "192.0.2.5"),
            ("192.0.2.5/24", "fe80::1"),
            ("192.0.2.5/24", "router"),
        ] {
            assert!(address(cidr, gateway).is_err(), "{cidr} {gateway}");
        }
    }

    #[test]
    fn several_name_servers() {
        assert_eq!(name_servers("").unwrap(), Vec::<String>::new());
        assert_eq!(
            name_servers("192.0.2.1, 2001:db8::1").unwrap(),
            ["192.0.2.1", "2001:db8::1"]
        );
        assert!(name_servers("192.0.2.1;192.0.2.2").is_err());
    }
}
