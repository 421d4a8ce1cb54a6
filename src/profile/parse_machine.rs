//! From the checked tree to the profile's part on the installed machine, and
//! the forms of its values.

use super::leaf;
use super::machine::{ExtraPartition, Install, Partitions, Require};
use super::problem::{Bad, nearest};
use super::reader::Reader;
use isoforge_contract::disk::label;
use isoforge_contract::machine::{
    After, DefaultAccount, Device, Health, InstallMode, Page, Rule, State,
};
use isoforge_system::hardening::{Hardening, Standard};

const MIB: u64 = 1 << 20;
/// Size of the EFI system partition where none is given: shim and GRUB have
/// some 4 MiB.
const ESP_BYTES: u64 = 64 * MIB;
/// Size of the partition for the site's configuration where none is given.
const OEM_BYTES: u64 = 64 * MIB;
/// Largest partition that can be asked for.
const MAX_BYTES: u64 = 16 << 40;
/// Time until a new system must be well.
const HEALTH_SECONDS: u32 = 600;
/// Longest label of an ext4 file system.
const LABEL_BYTES: usize = 16;
/// Longest name of an account that useradd(8) takes.
const NAME_BYTES: usize = 32;
/// Where a partition can be mounted: each place must have something behind it.
const MOUNTS: [&str; 6] = ["/var/", "/opt/", "/srv/", "/mnt/", "/usr/local/", "/data/"];
/// Directories that hold what a package manager knows of the slot: kept, they
/// would tell of a system that is gone.
const OF_THE_SLOT: [&str; 3] = ["/var/lib", "/var/lib/dpkg", "/var/lib/rpm"];

pub(super) fn install(r: &Reader<'_>) -> Install {
    let mut pages: Vec<Page> = r
        .parsed_list("pages", |text| {
            Ok(match text {
                "hostname" => Page::Hostname,
                _ => Page::Network,
            })
        })
        .into_iter()
        .collect();
    pages.sort();
    pages.dedup();
    Install {
        device: device(r),
        mode: match r.text("mode") {
            Some("unattended") => InstallMode::Unattended,
            _ => InstallMode::Interactive,
        },
        after: match r.text("after") {
            Some("poweroff") => After::Poweroff,
            Some("none") => After::None,
            _ => After::Reboot,
        },
        force: r.flag("force").unwrap_or_default(),
        pages,
        account: r.has("account").then(|| account(&r.table("account"))),
        partitions: partitions(&r.table("partitions")),
        require: require(&r.table("require")),
    }
}

fn device(r: &Reader<'_>) -> Device {
    let Some(node) = r.node("device").filter(|node| node.value.table().is_some()) else {
        return r.parsed("device", leaf::device).unwrap_or(Device::Auto);
    };
    let rule = r.table("device");
    let found = Rule {
        min_bytes: rule.size("min_size"),
        max_bytes: rule.size("max_size"),
        model: rule.parsed("model", disk_glob),
        serial: rule.parsed("serial", disk_glob),
        transport: rule.parsed("transport", disk_glob),
    };
    if node.value.table().is_some_and(|table| table.is_empty()) {
        r.bad(
            node.place,
            Bad::new(
                "the rule says nothing of the disk",
                "at least one condition",
            ),
        );
    }
    if let (Some(min), Some(max)) = (found.min_bytes, found.max_bytes)
        && min > max
    {
        r.bad(
            node.place,
            Bad::new(
                "no disk is at least 'min_size' and at most 'max_size'",
                "'min_size' up to 'max_size'",
            ),
        );
    }
    Device::Rule(found)
}

/// A glob over a text that the kernel gives; a slash is nothing special in it.
fn disk_glob(text: &str) -> Result<String, Bad> {
    let text = leaf::one_line(text)?;
    globset::Glob::new(&text)
        .map(|_| text.clone())
        .map_err(|error| {
            Bad::new(
                format!("'{text}' is not a glob: {}", error.kind()),
                "a glob such as QEMU*",
            )
        })
}

fn account(r: &Reader<'_>) -> DefaultAccount {
    DefaultAccount {
        name: r.parsed("name", account_name).unwrap_or_default(),
        password_hash: r.text("password_hash").unwrap_or_default().to_owned(),
        groups: match r.has("groups") {
            true => r.parsed_list("groups", account_name),
            false => vec!["admin".to_owned()],
        },
    }
}

/// A name of an account or group, as useradd(8) takes it.
fn account_name(text: &str) -> Result<String, Bad> {
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

/// A size between `min` and [`MAX_BYTES`], in whole MiB.
fn mib(r: &Reader<'_>, name: &str, min: u64) -> Option<u64> {
    let size = r.size(name)?;
    if size.is_multiple_of(MIB) && (min..=MAX_BYTES).contains(&size) {
        return Some(size);
    }
    if let Some(node) = r.node(name) {
        r.bad(
            node.place,
            Bad::new(
                format!("a partition '{name}' can't have {size} bytes"),
                format!("whole MiB from {}M to {}G", min / MIB, MAX_BYTES >> 30),
            ),
        );
    }
    None
}

fn partitions(r: &Reader<'_>) -> Partitions {
    let mut extra: Vec<ExtraPartition> = Vec::new();
    for one in r.tables("extra") {
        let found = extra_partition(&one);
        if let Some(node) = one.node("label")
            && extra.iter().any(|other| other.label == found.label)
        {
            let message = format!("two partitions '{}'", found.label);
            one.bad(node.place, Bad::new(message, "a label for each"));
        }
        extra.push(found);
    }
    Partitions {
        esp: mib(r, "esp", 32 * MIB).unwrap_or(ESP_BYTES),
        oem: mib(r, "oem", 16 * MIB).unwrap_or(OEM_BYTES),
        state: mib(r, "state", 512 * MIB),
        persistent: mib(r, "persistent", 256 * MIB),
        extra,
    }
}

fn extra_partition(r: &Reader<'_>) -> ExtraPartition {
    let formatted = r.text("filesystem") != Some("none");
    let mount = r.parsed("mount", mount_point);
    if let Some(node) = r.node("mount").filter(|_| !formatted) {
        r.bad(
            node.place,
            Bad::new(
                "a partition without a file system can't be mounted",
                "'filesystem', or no 'mount'",
            ),
        );
    }
    ExtraPartition {
        label: r.parsed("label", label).unwrap_or_default(),
        size: mib(r, "size", MIB).unwrap_or(MIB),
        formatted,
        mount,
    }
}

fn label(text: &str) -> Result<String, Bad> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if text.is_empty() || text.len() > LABEL_BYTES || !text.bytes().all(fine) {
        return Err(Bad::new(
            format!("'{text}' can't be a label"),
            format!("letters, digits, '-' and '_', at most {LABEL_BYTES}"),
        ));
    }
    if label::ALL.contains(&text.to_uppercase().as_str()) {
        return Err(Bad::new(
            format!("'{text}' is the label of a partition that the installer makes itself"),
            "another label",
        ));
    }
    Ok(text.to_owned())
}

fn mount_point(text: &str) -> Result<String, Bad> {
    let path = leaf::root_path(text)?;
    if MOUNTS.iter().any(|place| path.starts_with(place)) || path == "/data" || path == "/srv" {
        return Ok(path);
    }
    Err(Bad::new(
        format!("no partition can be mounted at '{text}'"),
        "a path below /var, /opt, /srv, /mnt, /data or /usr/local",
    ))
}

fn require(r: &Reader<'_>) -> Require {
    Require {
        cpus: r.integer("cpus"),
        memory: r.size("memory"),
        disk: r.size("disk"),
        modules: r.parsed_list("modules", module),
        enforce: r.flag("enforce").unwrap_or_default(),
    }
}

fn module(text: &str) -> Result<String, Bad> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !text.is_empty() && text.bytes().all(fine) {
        return Ok(text.replace('-', "_"));
    }
    Err(Bad::new(
        format!("'{text}' is not the name of a kernel module"),
        "letters, digits and '_', such as br_netfilter",
    ))
}

pub(super) fn state(r: &Reader<'_>) -> State {
    State {
        directories: r.parsed_list("directories", kept_directory),
        etc: r.parsed_list("etc", |text| {
            below(text, &["/etc/"]).ok_or_else(|| {
                Bad::new(
                    format!("'{text}' is not a directory below /etc"),
                    "an absolute path below /etc without '.' and '..'",
                )
            })
        }),
    }
}

fn kept_directory(text: &str) -> Result<String, Bad> {
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
    let path = leaf::root_path(text).ok()?;
    let inside = places.iter().any(|place| path.starts_with(place));
    inside.then_some(path)
}

pub(super) fn health(r: &Reader<'_>) -> Health {
    Health {
        checks: r.parsed_list("checks", leaf::one_line),
        units: r.parsed_list("units", unit),
        time_limit_seconds: r.integer("time_limit").unwrap_or(HEALTH_SECONDS),
    }
}

pub(super) fn hardening(r: &Reader<'_>) -> Hardening {
    // The table of keys allows no other.
    let standard = Standard::Stig;
    Hardening {
        standard,
        except: r.parsed_list("except", |text| {
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
        }),
    }
}

/// A unit's name with its type (systemd.unit(5)).
fn unit(text: &str) -> Result<String, Bad> {
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
pub(super) fn is_password_hash(text: &str) -> bool {
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
