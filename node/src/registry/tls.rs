//! The authority and the certificate of this machine.
//!
//! The authority is made once, so what trusts it goes on doing so. The certificate
//! names the machine's addresses, and is made anew when they change. Their times
//! need no clock, which may be wrong at the first boot: they hold from 2000 on and
//! never end (RFC 5280, 4.1.2.5).

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use super::{Ids, RegistryPaths, write};
use crate::files;

/// Modes: of what all may read, what root may, and what the registry may.
const PUBLIC: u32 = 0o644;
const PRIVATE: u32 = 0o600;
const GROUP: u32 = 0o640;

/// By which a machine is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    pub names: BTreeSet<String>,
    pub addresses: BTreeSet<IpAddr>,
}

impl Names {
    /// Those of the machine whose `/proc` this is.
    #[must_use]
    pub fn of(hostname: &str, proc: &Path) -> Self {
        let mut names = BTreeSet::from(["localhost".to_owned()]);
        // A certificate's names are of DNS; others would end its making.
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        if !hostname.is_empty() && hostname.chars().all(plain) {
            names.insert(hostname.to_owned());
        }
        let mut addresses = BTreeSet::from([
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ]);
        let text = |name: &str| fs_err::read_to_string(proc.join(name)).unwrap_or_default();
        addresses.extend(v4(&text("net/fib_trie")));
        addresses.extend(v6(&text("net/if_inet6")));
        Self { names, addresses }
    }

    fn text(&self) -> String {
        let names = self.names.iter().cloned();
        let addresses = self.addresses.iter().map(ToString::to_string);
        let all: Vec<String> = names.chain(addresses).collect();
        format!("{}\n", all.join("\n"))
    }
}

/// Addresses of this machine out of the kernel's routes: an address is on the line
/// before one with `/32 host LOCAL`.
fn v4(fib_trie: &str) -> Vec<IpAddr> {
    let mut last = None;
    let mut found = Vec::new();
    for line in fib_trie.lines() {
        if let Some(address) = line.trim_start().strip_prefix("|-- ") {
            last = address.trim().parse::<Ipv4Addr>().ok();
        } else if line.contains("/32 host LOCAL")
            && let Some(address) = last
        {
            found.push(IpAddr::V4(address));
        }
    }
    found
}

/// Addresses out of `/proc/net/if_inet6`: 32 hex digits, and four fields. What is
/// good on its link alone is no address for others.
fn v6(if_inet6: &str) -> Vec<IpAddr> {
    let address = |line: &str| {
        let digits = line.split_whitespace().next()?;
        let address = Ipv6Addr::from(u128::from_str_radix(digits, 16).ok()?);
        Some(address).filter(|it| !it.is_unicast_link_local())
    };
    if_inet6
        .lines()
        .filter_map(address)
        .map(IpAddr::V6)
        .collect()
}

/// Makes what is missing, and the certificate anew where `names` are others than it
/// has. Tells whether the certificate changed.
///
/// # Errors
/// Where a key or certificate can't be made, read or written.
pub(super) fn prepare(places: &RegistryPaths, names: &Names, owner: Option<Ids>) -> Result<bool> {
    let folder = places.home.join("tls");
    files::directory(&folder, 0o755)?;
    let issuer = authority(places)?;
    let (certificate, key, known) = (
        folder.join("server.crt"),
        folder.join("server.key"),
        folder.join("names"),
    );
    let group = owner.map(|(_, gid)| (0, gid));
    // The certificate is the last of the three: cut off before, it is made anew.
    let same = files::read(&known)?.as_deref() == Some(names.text().as_bytes());
    if same && fs_err::exists(&key)? && fs_err::exists(&certificate)? {
        // The registry's account may have another number since.
        super::give(&key, group)?;
        return Ok(false);
    }
    let failed = "the certificate of this machine can't be made";
    let pair = KeyPair::generate().context(failed)?;
    let subjects: Vec<String> = names.text().lines().map(str::to_owned).collect();
    let mut params = params(subjects, "appliance registry").context(failed)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let signed = params.signed_by(&pair, &issuer).context(failed)?;
    files::if_there(fs_err::remove_file(&certificate))?;
    write(&known, names.text().as_bytes(), PUBLIC, None)?;
    write(&key, pair.serialize_pem().as_bytes(), GROUP, group)?;
    let mut chain = signed.pem();
    chain.push_str(&fs_err::read_to_string(places.authority())?);
    write(&certificate, chain.as_bytes(), PUBLIC, None)?;
    Ok(true)
}

/// The authority, which is made where there is none. Its certificate follows from
/// its key, so it is never read.
fn authority(places: &RegistryPaths) -> Result<Issuer<'static, KeyPair>> {
    let (path, key_path) = (places.authority(), places.home.join("tls/ca.key"));
    let failed =
        |action| move || format!("the certificate of this machine's authority can't be {action}");
    let key = match files::read(&key_path)? {
        Some(text) => {
            let text = String::from_utf8(text).map_err(io::Error::other)?;
            KeyPair::from_pem(&text).with_context(failed("read"))?
        }
        None => {
            let key = KeyPair::generate().with_context(failed("made"))?;
            write(&key_path, key.serialize_pem().as_bytes(), PRIVATE, None)?;
            key
        }
    };
    let mut params = params(Vec::new(), "appliance authority").with_context(failed("made"))?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    if !fs_err::exists(&path)? {
        let certificate = params.self_signed(&key).with_context(failed("made"))?;
        write(&path, certificate.pem().as_bytes(), PUBLIC, None)?;
    }
    Ok(Issuer::new(params, key))
}

fn params(subjects: Vec<String>, name: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(subjects)?;
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(9999, 12, 31);
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_from_the_kernels_tables() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 10.0.2.0/24 2 0 2\n        |-- 10.0.2.0\n           /24 link UNICAST\n        |-- 10.0.2.15\n           /32 host LOCAL\n        |-- 10.0.2.255\n           /32 link BROADCAST\n";
        assert_eq!(v4(trie), ["10.0.2.15".parse::<IpAddr>().unwrap()]);
        let inet6 = "00000000000000000000000000000001 01 80 10 80       lo\nfe80000000000000505400fffe123456 02 40 20 80     eth0\nfec00000000000005054 x\n2001067c000000000000000000000005 02 40 00 00     eth0\n";
        let expected: Vec<IpAddr> = ["::1", "2001:67c::5"].map(|a| a.parse().unwrap()).into();
        assert_eq!(v6(inet6)[..1], expected[..1]);
        assert!(v6(inet6).contains(&expected[1]));
    }

    #[test]
    fn the_authority_stays_and_the_certificate_follows_the_names() {
        let dir = tempfile::tempdir().unwrap();
        let places = RegistryPaths::below(dir.path());
        let names = Names::of("node-1", &places.proc);
        assert!(prepare(&places, &names, None).unwrap());
        let read = |name: &str| fs_err::read(places.home.join("tls").join(name)).unwrap();
        let (ca, first) = (read("ca.crt"), read("server.crt"));
        assert!(!prepare(&places, &names, None).unwrap());
        assert_eq!(read("server.crt"), first);
        let other = Names::of("node-2", &places.proc);
        assert!(prepare(&places, &other, None).unwrap());
        assert_ne!(read("server.crt"), first);
        assert_eq!(read("ca.crt"), ca);
        // A host's name that DNS can't have is left out.
        let odd = Names::of("node 1", &places.proc);
        assert!(!odd.names.contains("node 1"));
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |name: &str| {
            let path = places.home.join("tls").join(name);
            fs_err::metadata(path).unwrap().permissions().mode() & 0o777
        };
        assert_eq!((mode("ca.key"), mode("server.key")), (0o600, 0o640));
    }
}
