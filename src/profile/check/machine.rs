//! The forms of texts that concern the installed machine.

use super::{Bad, one_line, root_path};
use crate::profile::keys::At;
use crate::profile::problem::nearest;
use isoforge_contract::disk;
use isoforge_contract::machine::Device;
use isoforge_system::hardening::Standard;

const MIB: u64 = 1 << 20;
/// Largest partition that can be asked for.
const MAX_BYTES: u64 = 16 << 40;
/// Longest label of an ext4 file system.
const LABEL_BYTES: usize = 16;
/// Longest name of an account that useradd(8) takes.
const NAME_BYTES: usize = 32;
/// Where a partition can be mounted: each place must have something behind it.
const MOUNTS: [&str; 6] = ["/var/", "/opt/", "/srv/", "/mnt/", "/usr/local/", "/data/"];
/// Directories that hold what a package manager knows of the slot: kept, they
/// would tell of a system that is gone.
const OF_THE_SLOT: [&str; 3] = ["/var/lib", "/var/lib/dpkg", "/var/lib/rpm"];

pub(crate) fn device(text: &str) -> Result<Device, Bad> {
    if text == "auto" {
        return Ok(Device::Auto);
    }
    let fine = |c: char| c.is_ascii_alphanumeric() || "/-_.:+".contains(c);
    let below = text.strip_prefix("/dev/").unwrap_or_default();
    if !below.is_empty() && below.chars().all(fine) && !below.split('/').any(|p| p == "..") {
        return Ok(Device::Path(text.to_owned()));
    }
    Err(Bad::new(
        format!("'{text}' is not a disk"),
        "'auto', a path such as /dev/sda or /dev/disk/by-id/…, or a table with a rule",
    ))
}

/// A glob over a text that the kernel gives; a slash is nothing special in it.
pub(crate) fn disk_glob(text: &str) -> Result<String, Bad> {
    let text = one_line(text)?;
    globset::Glob::new(&text)
        .map(|_| text.clone())
        .map_err(|error| {
            Bad::new(
                format!("'{text}' is not a glob: {}", error.kind()),
                "a glob such as QEMU*",
            )
        })
}

/// A name of an account or group, as useradd(8) takes it.
pub(crate) fn account(text: &str) -> Result<String, Bad> {
    let first = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if first && text.len() <= NAME_BYTES && text.bytes().all(rest) {
        return Ok(text.to_owned());
    }
    Err(Bad::new(
        format!("'{text}' can't be the name of an account or group"),
        format!(
            "a lower-case letter or '_', then letters, digits, '-' and '_', at most {NAME_BYTES}"
        ),
    ))
}

/// The size of a partition: at least `MIN` MiB, and whole ones.
pub(crate) fn mib<const MIN: u64>(size: u64, at: &At<'_>) -> Result<u64, Bad> {
    if size.is_multiple_of(MIB) && (MIN * MIB..=MAX_BYTES).contains(&size) {
        return Ok(size);
    }
    Err(Bad::new(
        format!("a partition '{}' can't have {size} bytes", at.name()),
        format!("whole MiB from {MIN}M to {}G", MAX_BYTES >> 30),
    ))
}

pub(crate) fn label(text: &str) -> Result<String, Bad> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if text.is_empty() || text.len() > LABEL_BYTES || !text.bytes().all(fine) {
        return Err(Bad::new(
            format!("'{text}' can't be a label"),
            format!("letters, digits, '-' and '_', at most {LABEL_BYTES}"),
        ));
    }
    if disk::label::ALL.contains(&text.to_uppercase().as_str()) {
        return Err(Bad::new(
            format!("'{text}' is the label of a partition that the installer makes itself"),
            "another label",
        ));
    }
    Ok(text.to_owned())
}

pub(crate) fn mount_point(text: &str) -> Result<String, Bad> {
    let path = root_path(text)?;
    if MOUNTS.iter().any(|place| path.starts_with(place)) || path == "/data" || path == "/srv" {
        return Ok(path);
    }
    Err(Bad::new(
        format!("no partition can be mounted at '{text}'"),
        "a path below /var, /opt, /srv, /mnt, /data or /usr/local",
    ))
}

pub(crate) fn module(text: &str) -> Result<String, Bad> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !text.is_empty() && text.bytes().all(fine) {
        return Ok(text.replace('-', "_"));
    }
    Err(Bad::new(
        format!("'{text}' is not the name of a kernel module"),
        "letters, digits and '_', such as br_netfilter",
    ))
}

/// A directory below `/etc`.
pub(crate) fn directory_of_etc(text: &str) -> Result<String, Bad> {
    below(text, &["/etc/"]).ok_or_else(|| {
        Bad::new(
            format!("'{text}' is not a directory below /etc"),
            "an absolute path below /etc without '.' and '..'",
        )
    })
}

pub(crate) fn kept_directory(text: &str) -> Result<String, Bad> {
    let places = ["/var/", "/opt/", "/usr/local/"];
    let path = below(text, &places).ok_or_else(|| {
        Bad::new(
            format!("'{text}' is not a directory that can be kept"),
            "an absolute path below /var, /opt or /usr/local without '.' and '..'",
        )
    })?;
    if OF_THE_SLOT.contains(&path.as_str()) {
        return Err(Bad::new(
            format!("'{text}' belongs to the system: kept, it would mask every upgrade"),
            "the directory of one program, such as /var/lib/containerd",
        ));
    }
    Ok(path)
}

/// The path where it is normalized and below one of `places`.
fn below(text: &str, places: &[&str]) -> Option<String> {
    let path = root_path(text).ok()?;
    let inside = places.iter().any(|place| path.starts_with(place));
    inside.then_some(path)
}

/// The number of a rule of `standard`.
pub(crate) fn rule_of_guide(text: &str, standard: Standard) -> Result<String, Bad> {
    let mut ids = standard.rules().iter().map(|rule| rule.id);
    if ids.clone().any(|id| id == text) {
        return Ok(text.to_owned());
    }
    let expected = match nearest(text, ids.clone()) {
        Some(near) => format!("'{near}', or another number of docs/hardening.md"),
        None => format!("such as {}", ids.next().unwrap_or_default()),
    };
    let message = format!("'{text}' is not a rule of '{}'", standard.name());
    Err(Bad::new(message, expected))
}

/// A unit's name with its type (systemd.unit(5)).
pub(crate) fn unit(text: &str) -> Result<String, Bad> {
    const TYPES: [&str; 7] = [
        "service", "socket", "mount", "target", "timer", "path", "swap",
    ];
    let fine = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b);
    let kind = text.rsplit_once('.').filter(|(name, _)| !name.is_empty());
    if kind.is_some_and(|(_, kind)| TYPES.contains(&kind)) && text.bytes().all(fine) {
        return Ok(text.to_owned());
    }
    Err(Bad::new(
        format!("'{text}' is not the name of a unit"),
        "a name with its type, such as containerd.service",
    ))
}

/// Whether a text looks like a password's hash of crypt(5): `$id$…$hash`.
pub(crate) fn is_password_hash(text: &str) -> bool {
    /// The hash of `$1$`, the shortest.
    const LEAST_HASH_BYTES: usize = 22;
    let mut parts = text.split('$');
    let fine = |b: u8| b.is_ascii_graphic() && !b":!*\\".contains(&b);
    let id =
        |id: &str| (1..=4).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
    parts.next() == Some("")
        && parts.next().is_some_and(id)
        && parts.clone().count() >= 2
        && parts
            .next_back()
            .is_some_and(|hash| hash.len() >= LEAST_HASH_BYTES)
        && text.bytes().all(fine)
}
