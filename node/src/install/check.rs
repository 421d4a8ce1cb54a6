//! What the profile and its components ask of the machine, against what is
//! there.

use std::collections::BTreeSet;

use fs_err as fs;
use isoforge_base::human;
use isoforge_content::pack::{Need, setting};
use isoforge_contract::machine::{Config, Firmware};

use super::model::{Disk, Finding};
use crate::disks::{Sysfs, attribute};

const MIB: u64 = 1 << 20;

/// The kernel keeps a part of the memory for itself, so that a machine with
/// 4 GiB shows less: this part of what is asked may be missing.
const MEMORY_KEPT_FRACTION: u64 = 8;

/// What this machine lacks; `disk` is the one that is chosen.
pub(crate) fn findings(config: &Config, disk: &Disk) -> Vec<Finding> {
    findings_on(&Sysfs::default(), config, disk)
}

/// As [`findings`], on a machine that is given.
pub(crate) fn findings_on(sys: &Sysfs, config: &Config, disk: &Disk) -> Vec<Finding> {
    let asked = &config.install.requirements;
    let mut lacks = Vec::new();
    if let (Some(asked), Some(there)) = (asked.cpus, cpus(sys))
        && there < asked
    {
        lacks.push(format!(
            "processors: {asked} are asked for, {there} are there"
        ));
    }
    if let (Some(mib), Some(there)) = (asked.memory_mib, memory_bytes(sys)) {
        let asked = mib.saturating_mul(MIB);
        if there < asked - asked / MEMORY_KEPT_FRACTION {
            let (asked, there) = (human::size(asked), human::size(there));
            lacks.push(format!("memory: {asked} is asked for, {there} is there"));
        }
    }
    if let Some(mib) = asked.disk_mib {
        let asked = mib.saturating_mul(MIB);
        if disk.bytes < asked {
            lacks.push(format!(
                "disk: {} is asked for, {} has {}",
                human::size(asked),
                disk.path.display(),
                human::size(disk.bytes)
            ));
        }
    }
    let modules = Modules::of(sys);
    let missing: Vec<&str> = asked
        .modules
        .iter()
        .filter(|name| !modules.has(sys, name))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        lacks.push(format!(
            "kernel modules: {} {} asked for and not there",
            missing.join(", "),
            if missing.len() == 1 { "is" } else { "are" }
        ));
    }
    let mut findings: Vec<Finding> = lacks
        .into_iter()
        .map(|message| Finding {
            refuses: asked.enforce,
            message,
        })
        .collect();
    let settings = asked.sysctls.iter();
    findings.extend(settings.filter_map(|need| self::setting(sys, need, asked.enforce)));
    findings.extend(asked.nodes.map(|nodes| Finding {
        // The others can't be seen from here.
        refuses: false,
        message: format!("machines: the cluster needs {nodes} of them, this is one"),
    }));
    findings.extend(firmware(sys, config));
    findings
}

/// A kernel setting against its value in the running system, whose kernel and
/// configuration are those that are installed.
fn setting(sys: &Sysfs, need: &str, enforce: bool) -> Option<Finding> {
    let Some((asked, path)) = need
        .parse::<Need>()
        .ok()
        .and_then(|asked| setting::path(&asked.name).map(|path| (asked, path)))
    else {
        return Some(Finding {
            refuses: enforce,
            message: format!("kernel settings: '{need}' is asked for, which is none"),
        });
    };
    match fs::read_to_string(sys.proc.join("sys").join(path)) {
        Ok(value) if asked.range.admits(&value) => None,
        Ok(value) => Some(Finding {
            refuses: enforce,
            message: format!(
                "kernel settings: {asked} is asked for, {} is there",
                value.split_whitespace().collect::<Vec<_>>().join(" ")
            ),
        }),
        // A module that brings it may be loaded only later, so this is no refusal.
        Err(_) => Some(Finding {
            refuses: false,
            message: format!(
                "kernel settings: {asked} is asked for and not there; a module may bring it"
            ),
        }),
    }
}

/// An installed disk has to start under the firmware that started the medium.
fn firmware(sys: &Sysfs, config: &Config) -> Option<Finding> {
    let firmware = sys.firmware();
    if config.firmware.contains(&firmware) {
        return None;
    }
    let (has, other) = match firmware {
        Firmware::Bios => ("legacy BIOS", "UEFI"),
        Firmware::Uefi => ("UEFI", "legacy BIOS"),
    };
    Some(Finding {
        refuses: true,
        message: format!(
            "firmware: this machine was started by {has}, and {} starts under {other} only",
            config.title
        ),
    })
}

fn cpus(sys: &Sysfs) -> Option<u32> {
    let online = attribute(&sys.sys.join("devices/system/cpu/online"));
    let mut count = 0_u32;
    for range in online.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        count = count.checked_add(last.checked_sub(first)?.checked_add(1)?)?;
    }
    Some(count)
}

fn memory_bytes(sys: &Sysfs) -> Option<u64> {
    let text = fs::read_to_string(sys.proc.join("meminfo")).ok()?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The kernel's modules by the names that it uses for them.
struct Modules(BTreeSet<String>);

impl Modules {
    fn of(sys: &Sysfs) -> Self {
        let release = attribute(&sys.proc.join("sys/kernel/osrelease"));
        let folder = sys.modules.join(&release);
        let mut names = BTreeSet::new();
        for list in ["modules.builtin", "modules.dep"] {
            let text = fs::read_to_string(folder.join(list)).unwrap_or_default();
            names.extend(text.lines().filter_map(module_of));
        }
        Self(names)
    }

    fn has(&self, sys: &Sysfs, name: &str) -> bool {
        let name = canonical(name);
        // What is loaded or has parameters is there, whatever the lists say.
        self.0.contains(&name) || sys.sys.join("module").join(&name).is_dir()
    }
}

/// `kernel/fs/xfs/xfs.ko.zst: …` is `xfs`.
fn module_of(line: &str) -> Option<String> {
    let path = line.split(':').next()?;
    let file = path.rsplit('/').next()?;
    let (name, _) = file.split_once(".ko")?;
    Some(canonical(name))
}

fn canonical(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use isoforge_contract::machine::Requirements;

    use super::*;
    use crate::disks::fixture::Machine;
    use crate::testing::config;

    fn machine() -> Machine {
        Machine::new(
            r"sys/firmware/efi/
            sys/devices/system/cpu/online = 0-1,4\n
            sys/module/loop/parameters/
            proc/meminfo = MemTotal:        3900000 kB\nMemFree: 1 kB\n
            proc/sys/kernel/osrelease = 6.1-test\n
            proc/sys/vm/max_map_count = 65530\n
            proc/sys/net/ipv4/ip_local_port_range = 32768	60999\n
            proc/sys/net/ipv4/tcp_congestion_control = cubic\n
            modules/6.1-test/modules.builtin = kernel/fs/ext4/ext4.ko\n
            modules/6.1-test/modules.dep = kernel/net/ip-vs.ko.zst: kernel/a.ko.zst\nkernel/drivers/block/drbd/drbd.ko.xz:\n",
        )
    }

    fn told(asked: Requirements, firmware: Vec<Firmware>) -> String {
        let disk = Disk {
            path: "/dev/sda".into(),
            bytes: 40 << 30,
            sector_bytes: 512,
            model: String::new(),
            serial: String::new(),
            transport: String::new(),
            content: String::new(),
            appliance: None,
            unusable: None,
        };
        let mut config = config();
        config.install.requirements = asked;
        config.firmware = firmware;
        findings_on(&machine().sys, &config, &disk)
            .iter()
            .map(|finding| format!("{} {}\n", finding.refuses, finding.message))
            .collect()
    }

    #[test]
    fn what_is_short_is_told_and_refuses_where_it_must() {
        let both = vec![Firmware::Bios, Firmware::Uefi];
        let mut asked = Requirements {
            cpus: Some(3),
            memory_mib: Some(4096),
            disk_mib: Some(40 << 10),
            modules: ["ext4", "ip_vs", "ip-vs", "drbd", "loop"]
                .map(str::to_owned)
                .to_vec(),
            sysctls: [
                "vm.max_map_count >= 65530",
                "vm/max_map_count",
                "net.ipv4.ip_local_port_range = 32768 60999",
                "net.ipv4.tcp_congestion_control = cubic",
            ]
            .map(str::to_owned)
            .to_vec(),
            nodes: None,
            enforce: true,
        };
        assert_eq!(told(asked.clone(), both.clone()), "");
        asked.cpus = Some(4);
        asked.memory_mib = Some(8192);
        asked.disk_mib = Some(100 << 10);
        asked.modules = ["xfs", "drbd", "zfs"].map(str::to_owned).to_vec();
        asked.sysctls = [
            "vm.max_map_count >= 262144",
            "net.ipv4.ip_local_port_range = 1024 60999",
            "net.ipv4.tcp_congestion_control = bbr",
            "net.bridge.bridge-nf-call-iptables = 1",
            "/../etc = 1",
        ]
        .map(str::to_owned)
        .to_vec();
        assert_snapshot!(told(asked.clone(), both.clone()), @r"
        true processors: 4 are asked for, 3 are there
        true memory: 8.0 GiB is asked for, 3.7 GiB is there
        true disk: 100.0 GiB is asked for, /dev/sda has 40.0 GiB
        true kernel modules: xfs, zfs are asked for and not there
        true kernel settings: vm.max_map_count >= 262144 is asked for, 65530 is there
        true kernel settings: net.ipv4.ip_local_port_range = 1024 60999 is asked for, 32768 60999 is there
        true kernel settings: net.ipv4.tcp_congestion_control = bbr is asked for, cubic is there
        false kernel settings: net.bridge.bridge-nf-call-iptables = 1 is asked for and not there; a module may bring it
        true kernel settings: '/../etc = 1' is asked for, which is none
        ");
        asked.enforce = false;
        asked.nodes = Some(3);
        asked.modules.pop();
        asked.sysctls.truncate(1);
        assert_snapshot!(told(asked, both), @r"
        false processors: 4 are asked for, 3 are there
        false memory: 8.0 GiB is asked for, 3.7 GiB is there
        false disk: 100.0 GiB is asked for, /dev/sda has 40.0 GiB
        false kernel modules: xfs is asked for and not there
        false kernel settings: vm.max_map_count >= 262144 is asked for, 65530 is there
        false machines: the cluster needs 3 of them, this is one
        ");
    }

    #[test]
    fn a_disk_that_this_firmware_would_not_start_is_refused() {
        let asked = Requirements::default();
        assert_snapshot!(told(asked, vec![Firmware::Bios]), @"true firmware: this machine was started by UEFI, and demo 1.0.0 starts under legacy BIOS only");
    }
}
