//! Device Info: what a person who stands before the machine needs to know of it.
//!
//! Each line comes from one place (kernel, systemd, the program's own state); one that
//! can't be read is left out, so that a machine in a bad state shows what it can.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use isoforge_base::human;
use isoforge_base::process::Program;
use isoforge_contract::machine::{Config, Flavor};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

use super::machine::{Fact, Tone};
use crate::interfaces::{self, Interface};
use crate::upgrade::status::{Fate, Status};

/// Units that are named; more are counted.
const UNITS_MAX: usize = 4;

/// Largest answer of systemctl that is read.
const ANSWER_BYTES: u64 = 64 << 10;

/// Where the kernel and the system tell of themselves; other folders in tests.
#[derive(Debug, Clone)]
pub(super) struct Sources {
    pub(super) sys: PathBuf,
    pub(super) proc: PathBuf,
    pub(super) etc: PathBuf,
    /// The file system of what the machine keeps.
    pub(super) persistent: PathBuf,
}

/// An address and the length of its network's prefix.
type Address = (IpAddr, u32);

/// What runs beside the kernel, as it was asked for.
#[derive(Debug, Default)]
pub(super) struct Running {
    /// Addresses by interface.
    pub(super) addresses: BTreeMap<String, Vec<Address>>,
    /// Units that failed; none: systemd does not answer.
    pub(super) failed: Option<Vec<String>>,
}

impl Running {
    /// Asks the system.
    pub(super) fn ask() -> Self {
        Self {
            addresses: addresses(),
            failed: failed_units(),
        }
    }
}

fn addresses() -> BTreeMap<String, Vec<Address>> {
    let mut found: BTreeMap<String, Vec<Address>> = BTreeMap::new();
    for one in getifaddrs().into_iter().flatten() {
        if one.flags.contains(InterfaceFlags::IFF_LOOPBACK) {
            continue;
        }
        let ip = |address: Option<nix::sys::socket::SockaddrStorage>| {
            let address = address?;
            let v4 = address.as_sockaddr_in().map(|it| IpAddr::V4(it.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|it| IpAddr::V6(it.ip())))
        };
        let (Some(address), mask) = (ip(one.address), ip(one.netmask)) else {
            continue;
        };
        let prefix = match mask {
            Some(IpAddr::V4(mask)) => mask.to_bits().count_ones(),
            Some(IpAddr::V6(mask)) => mask.to_bits().count_ones(),
            None => {
                if address.is_ipv4() {
                    32
                } else {
                    128
                }
            }
        };
        let addresses = found.entry(one.interface_name).or_default();
        addresses.push((address, prefix));
    }
    found
}

fn failed_units() -> Option<Vec<String>> {
    let asked = ["list-units", "--failed", "--plain", "--no-legend", "--full"];
    let answer = Program::new("systemctl", "systemd")
        .args(asked)
        .output(ANSWER_BYTES)
        .ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let unit = |line: &str| line.split_ascii_whitespace().next().map(str::to_owned);
    Some(answer.lines().filter_map(unit).collect())
}

/// Device Info, from top to bottom. `status`: why the machine's own state can't be told.
pub(super) fn lines(
    config: &Config,
    status: Result<&Status, &str>,
    sources: &Sources,
    running: &Running,
) -> Vec<Fact> {
    let mut lines = Lines(Vec::new());
    lines.plain("Version", format!("{} {}", config.name, config.version));
    match status {
        Ok(status) => own_state(&mut lines, status),
        Err(why) if config.flavor == Flavor::Appliance => {
            lines.add("System", why.to_owned(), Tone::Warn)
        }
        Err(_) => {}
    }
    network(&mut lines, sources, running);
    lines.plain("Host name", hostname(sources));
    machine(&mut lines, sources);
    space(&mut lines, &sources.persistent);
    if let Some(failed) = &running.failed {
        services(&mut lines, failed);
    }
    lines.0
}

/// The kernel's name of the machine.
pub(super) fn hostname(sources: &Sources) -> String {
    first_line(&sources.proc.join("sys/kernel/hostname"))
}

struct Lines(Vec<Fact>);

impl Lines {
    fn add(&mut self, label: &'static str, value: String, tone: Tone) {
        if !value.is_empty() {
            self.0.push(Fact { label, value, tone });
        }
    }

    fn plain(&mut self, label: &'static str, value: String) {
        self.add(label, value, Tone::Plain);
    }
}

fn own_state(lines: &mut Lines, status: &Status) {
    let slot = status.booted;
    if status.on_trial {
        lines.add("System", format!("slot {slot}, on trial"), Tone::Warn);
    } else if slot == status.good {
        lines.add("System", format!("slot {slot}, good"), Tone::Good);
    } else {
        lines.add("System", format!("slot {slot}"), Tone::Warn);
    }
    let kubernetes = status.slots.get(&slot).and_then(|it| it.kubernetes.clone());
    lines.plain("Kubernetes", kubernetes.unwrap_or_default());
    if let Some(last) = &status.last_upgrade {
        let (to, slot) = (&last.to, last.slot);
        match last.result {
            Fate::Waiting => {
                let text = format!("{to} is tried at the next boot, slot {slot}");
                lines.add("Upgrade", text, Tone::Warn);
            }
            Fate::FellBack => {
                lines.add("Upgrade", format!("{to} did not come up"), Tone::Bad);
                for problem in &last.problems {
                    lines.add("", problem.clone(), Tone::Bad);
                }
            }
            Fate::OnTrial | Fate::Good | Fate::Withdrawn => {}
        }
    }
    for damaged in &status.damaged {
        let device = damaged.device.display();
        let text = format!("{device} is damaged; 'appliance status' tells what to do");
        lines.add("Disk", text, Tone::Bad);
    }
}

fn network(lines: &mut Lines, sources: &Sources, running: &Running) {
    let adapters = interfaces::list(&sources.sys);
    let mut label = "Network";
    for adapter in &adapters {
        let (text, tone) = adapter_line(adapter, running.addresses.get(&adapter.name));
        lines.add(label, text, tone);
        label = "";
    }
    // Bridges, bonds and VLANs are of interest where they have the address.
    let is_adapter = |name: &str| adapters.iter().any(|adapter| adapter.name == name);
    for (name, addresses) in &running.addresses {
        let shown = texts(addresses);
        if !is_adapter(name) && !shown.is_empty() && is_configured(name) {
            lines.add(label, format!("{name}  {}", shown.join(", ")), Tone::Plain);
            label = "";
        }
    }
    if label == "Network" {
        lines.add(label, "no adapter was found".to_owned(), Tone::Bad);
    }
}

/// Whether people set such interfaces up: those of containers are too many.
fn is_configured(name: &str) -> bool {
    const OF_CONTAINERS: [&str; 8] = [
        "veth", "cali", "cni", "flannel", "vxlan", "docker", "kube-", "lxc",
    ];
    !OF_CONTAINERS.iter().any(|start| name.starts_with(start))
}

fn adapter_line(adapter: &Interface, addresses: Option<&Vec<Address>>) -> (String, Tone) {
    let shown = addresses
        .map(|addresses| texts(addresses))
        .unwrap_or_default();
    let (state, tone) = match (adapter.link, shown.is_empty()) {
        (Some(false), _) => ("not connected".to_owned(), Tone::Warn),
        (_, true) => ("no address".to_owned(), Tone::Warn),
        (_, false) => (shown.join(", "), Tone::Good),
    };
    (
        format!("{}  {state}  ({})", adapter.name, adapter.mac),
        tone,
    )
}

/// Addresses that others reach, as they are written.
fn texts(addresses: &[Address]) -> Vec<String> {
    let local = |ip: &IpAddr| matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
    addresses
        .iter()
        .filter(|(ip, _)| !local(ip))
        .map(|(ip, prefix)| format!("{ip}/{prefix}"))
        .collect()
}

fn machine(lines: &mut Lines, sources: &Sources) {
    let dmi = |name: &str| first_line(&sources.sys.join("class/dmi/id").join(name));
    let words = [dmi("sys_vendor"), dmi("product_name")];
    lines.plain("Machine", words.join(" ").trim().to_owned());
    lines.plain("Serial number", dmi("product_serial"));
    lines.plain("Machine id", first_line(&sources.etc.join("machine-id")));
    let cpus = fs_err::read_to_string(sources.proc.join("cpuinfo")).unwrap_or_default();
    let of = |line: &str, name: &str| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    };
    let count = cpus
        .lines()
        .filter_map(|line| of(line, "processor"))
        .count();
    let model = cpus.lines().find_map(|line| of(line, "model name"));
    if count > 0 {
        let model = model.map_or_else(String::new, |model| format!(", {model}"));
        let cores = human::count(count, "processor");
        lines.plain("Processor", format!("{cores}{model}"));
    }
    let memory = fs_err::read_to_string(sources.proc.join("meminfo")).unwrap_or_default();
    let total = memory.lines().find_map(|line| of(line, "MemTotal"));
    let kib = total.and_then(|total| total.split_ascii_whitespace().next()?.parse::<u64>().ok());
    if let Some(bytes) = kib.and_then(|kib| kib.checked_mul(1024)) {
        lines.plain("Memory", human::size(bytes));
    }
}

/// What is left of the room that the machine keeps things in.
fn space(lines: &mut Lines, persistent: &Path) {
    let Ok(found) = rustix::fs::statvfs(persistent) else {
        return;
    };
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    let (free, all) = (bytes(found.f_bavail), bytes(found.f_blocks));
    let tone = if free < all / 10 {
        Tone::Warn
    } else {
        Tone::Plain
    };
    let text = format!("{} free of {}", human::size(free), human::size(all));
    lines.add("Space", text, tone);
}

fn services(lines: &mut Lines, failed: &[String]) {
    if failed.is_empty() {
        lines.add("Services", "none has failed".to_owned(), Tone::Good);
        return;
    }
    let mut text = failed
        .iter()
        .take(UNITS_MAX)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if let Some(more) = failed.len().checked_sub(UNITS_MAX).filter(|more| *more > 0) {
        text.push_str(&format!(" and {more} more"));
    }
    lines.add("Services", format!("failed: {text}"), Tone::Bad);
}

fn first_line(path: &Path) -> String {
    let text = fs_err::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_owned()
}
