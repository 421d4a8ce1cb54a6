//! What is installed, what runs, and what boots next.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

use super::last::{Last, Stage};
use super::machine::{Booted, Machine};
use super::state;
use crate::ext4;
use isoforge_base::shown::Line;
use isoforge_contract::disk::label;
use isoforge_system::slots::{Record, Slot};

/// How things are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Version of this document.
    pub schema: u32,
    /// The slot that runs.
    pub booted: Slot,
    /// Whether it is on trial.
    pub on_trial: bool,
    /// The slot that boots by itself.
    pub good: Slot,
    /// The slot that boots next, once.
    pub next_once: Option<Slot>,
    /// What is in each slot; an empty one is missing.
    pub slots: BTreeMap<Slot, Record>,
    /// The last upgrade, where there was one.
    pub last_upgrade: Option<LastUpgrade>,
    /// File systems on which the kernel found errors.
    pub damaged: Vec<Damaged>,
}

/// A file system on which the kernel found errors, and that e2fsck has not mended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damaged {
    /// Its label, where it is one of the machine's own.
    pub label: Option<&'static str>,
    pub device: PathBuf,
    /// How many errors.
    pub errors: u64,
}

/// The last upgrade and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastUpgrade {
    pub slot: Slot,
    /// Version that ran before.
    pub from: String,
    /// Version that was tried.
    pub to: String,
    /// What became of it.
    pub result: Fate,
    /// What did not hold.
    pub problems: Vec<String>,
}

/// What became of an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Written, tried at the next boot.
    Waiting,
    /// It runs, on trial.
    OnTrial,
    /// It counts as good.
    Good,
    /// It did not come up, or not in time: the good slot runs again.
    FellBack,
    /// It was taken back before it was tried.
    Withdrawn,
}

/// Finds out how things are.
///
/// # Errors
/// Where this is no installed system, or STATE can't be read.
pub fn status(machine: &Machine) -> Result<Status> {
    let booted = machine.booted()?;
    let environment = state::environment(&machine.state)?;
    let slots = Slot::ALL
        .into_iter()
        .filter_map(|slot| Some((slot, state::record(&machine.state, slot)?)))
        .collect();
    let last_upgrade = Last::read(machine).map(|last| {
        let result = match last.stage {
            Stage::Good => Fate::Good,
            Stage::Withdrawn => Fate::Withdrawn,
            Stage::Failed => Fate::FellBack,
            Stage::Pending if environment.trial == Some(last.slot) => Fate::Waiting,
            Stage::Pending if environment.good == last.slot => Fate::Good,
            Stage::Pending if booted.slot == last.slot => Fate::OnTrial,
            Stage::Pending => Fate::FellBack,
        };
        LastUpgrade {
            slot: last.slot,
            from: last.from,
            to: last.to,
            result,
            problems: last.problems,
        }
    });
    let damaged = damaged(machine, &booted);
    Ok(Status {
        schema: 1,
        booted: booted.slot,
        on_trial: booted.trial && booted.slot != environment.good,
        good: environment.good,
        next_once: environment.trial,
        slots,
        last_upgrade,
        damaged,
    })
}

fn damaged(machine: &Machine, booted: &Booted) -> Vec<Damaged> {
    let own = [
        (label::STATE, &booted.ids.state),
        (label::PERSISTENT, &booted.ids.persistent),
        (label::OEM, &booted.ids.oem),
    ]
    .map(|(label, uuid)| (label, machine.by_uuid.join(uuid)));
    let of = |(name, errors): (String, u64)| {
        let mut own = own.iter();
        let known = own.find(|(_, device)| ext4::kernel_name(device).as_ref() == Some(&name));
        Damaged {
            label: known.map(|(label, _)| *label),
            // By UUID: other disks may be counted otherwise when recovery runs.
            device: match known {
                Some((_, device)) => device.clone(),
                None => Path::new("/dev").join(name),
            },
            errors,
        }
    };
    ext4::damaged(&machine.sys).into_iter().map(of).collect()
}

impl Damaged {
    /// What is wrong, and what to do.
    fn text(&self, booted: Slot) -> String {
        let device = self.device.display();
        let label = self
            .label
            .map_or_else(String::new, |label| format!("{label}, "));
        let how = match (self.label, booted) {
            // The running system, recovery too, lies on it.
            (Some(label::STATE), _) => "Boot the install medium, and run in its shell",
            (_, Slot::Recovery) => "Run",
            _ => "Run 'appliance reset --boot-recovery', reboot, and run there",
        };
        let take_off = match self.label {
            Some(label::STATE) => String::new(),
            _ => format!("umount {device}; "),
        };
        let errors = match self.errors {
            1 => "an error".to_owned(),
            errors => format!("{errors} errors"),
        };
        format!(
            "The kernel found {errors} on the file system {label}{device}.\n    {how}:\n    {take_off}e2fsck -f {device}\n"
        )
    }
}

impl Status {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for slot in Slot::ALL {
            let mut notes = Vec::new();
            if slot == self.booted {
                notes.push(if self.on_trial {
                    "running, on trial"
                } else {
                    "running"
                });
            }
            if slot == self.good {
                notes.push("good");
            }
            if Some(slot) == self.next_once {
                notes.push("boots next, once");
            }
            let content = match self.slots.get(&slot) {
                None => "empty".to_owned(),
                Some(record) => {
                    let kubernetes = record
                        .kubernetes
                        .as_ref()
                        .map_or_else(String::new, |version| format!(", Kubernetes {version}"));
                    let (name, version) = (&record.name, &record.version);
                    Line(format_args!("{name} {version}{kubernetes}")).to_string()
                }
            };
            let notes = if notes.is_empty() {
                String::new()
            } else {
                format!("  [{}]", notes.join("; "))
            };
            let _ = writeln!(out, "{:<9} {content}{notes}", slot.name());
        }
        if let Some(last) = &self.last_upgrade {
            let result = match last.result {
                Fate::Waiting => "is tried at the next boot",
                Fate::OnTrial => "is on trial",
                Fate::Good => "is good",
                Fate::FellBack => "did not come up; the machine went back by itself",
                Fate::Withdrawn => "was taken back",
            };
            let _ = writeln!(
                out,
                "\nLast upgrade, slot {}: {} to {} {result}.",
                last.slot, last.from, last.to
            );
            for problem in &last.problems {
                let _ = writeln!(out, "    {problem}");
            }
        }
        for damaged in &self.damaged {
            let _ = write!(out, "\n{}", damaged.text(self.booted));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use insta::assert_snapshot;

    use super::*;
    use crate::testing;

    fn machine(counts: &[(&str, &str)]) -> (tempfile::TempDir, Machine) {
        let dir = tempfile::tempdir().unwrap();
        let machine = Machine::below(dir.path());
        fs_err::create_dir(&machine.by_uuid).unwrap();
        let ids = testing::ids();
        for (uuid, name) in [
            (ids.state, "vda4"),
            (ids.persistent, "vda5"),
            (ids.oem, "vda3"),
        ] {
            fs_err::write(dir.path().join(name), "").unwrap();
            symlink(dir.path().join(name), machine.by_uuid.join(uuid)).unwrap();
        }
        for (name, count) in counts {
            let folder = machine.sys.join("fs/ext4").join(name);
            fs_err::create_dir_all(&folder).unwrap();
            fs_err::write(folder.join("errors_count"), count).unwrap();
        }
        (dir, machine)
    }

    fn told(machine: &Machine, slot: Slot) -> String {
        let booted = Booted {
            slot,
            trial: false,
            ids: testing::ids(),
        };
        let texts = damaged(machine, &booted);
        let texts: Vec<String> = texts.iter().map(|it| it.text(slot)).collect();
        let by_uuid = machine.by_uuid.display().to_string();
        texts.concat().replace(&by_uuid, "/dev/disk/by-uuid")
    }

    #[test]
    fn what_to_do_about_damage_depends_on_what_lies_there() {
        let (_dir, machine) = machine(&[
            ("vda3", "0\n"),
            ("vda4", "1\n"),
            ("vda5", "7\n"),
            ("vda6", "2\n"),
        ]);
        assert_snapshot!(told(&machine, Slot::A), @r#"
        The kernel found an error on the file system STATE, /dev/disk/by-uuid/11111111-2222-4333-8444-555555555555.
            Boot the install medium, and run in its shell:
            e2fsck -f /dev/disk/by-uuid/11111111-2222-4333-8444-555555555555
        The kernel found 7 errors on the file system PERSISTENT, /dev/disk/by-uuid/22222222-2222-4333-8444-555555555555.
            Run 'appliance reset --boot-recovery', reboot, and run there:
            umount /dev/disk/by-uuid/22222222-2222-4333-8444-555555555555; e2fsck -f /dev/disk/by-uuid/22222222-2222-4333-8444-555555555555
        The kernel found 2 errors on the file system /dev/vda6.
            Run 'appliance reset --boot-recovery', reboot, and run there:
            umount /dev/vda6; e2fsck -f /dev/vda6
        "#);
        assert_snapshot!(told(&machine, Slot::Recovery), @r#"
        The kernel found an error on the file system STATE, /dev/disk/by-uuid/11111111-2222-4333-8444-555555555555.
            Boot the install medium, and run in its shell:
            e2fsck -f /dev/disk/by-uuid/11111111-2222-4333-8444-555555555555
        The kernel found 7 errors on the file system PERSISTENT, /dev/disk/by-uuid/22222222-2222-4333-8444-555555555555.
            Run:
            umount /dev/disk/by-uuid/22222222-2222-4333-8444-555555555555; e2fsck -f /dev/disk/by-uuid/22222222-2222-4333-8444-555555555555
        The kernel found 2 errors on the file system /dev/vda6.
            Run:
            umount /dev/vda6; e2fsck -f /dev/vda6
        "#);
    }

    #[test]
    fn without_damage_nothing_is_told() {
        let (_dir, machine) = machine(&[("vda4", "0\n"), ("vda5", "0\n")]);
        assert_eq!(told(&machine, Slot::A), "");
    }
}
