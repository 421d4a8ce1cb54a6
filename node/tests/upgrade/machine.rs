//! A machine whose file systems are folders.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use appliance::content::source::{OfBundle, Source};
use appliance::upgrade::machine::Machine;
use appliance::upgrade::state::{Operation, Volume, environment};
use appliance::upgrade::{Options, Outcome, Site, check, run};
use isoforge_base::digest::Digest;
use isoforge_base::output::space::FileSystems;
use isoforge_base::progress::Progress;
use isoforge_oci::platform::Platform;
use isoforge_oci::registry::RegistryConfig;
use isoforge_system::slots::grubenv::Environment;
use isoforge_system::slots::{Image, Record, Slot, file};

pub(crate) struct Folder {
    _dir: tempfile::TempDir,
    pub(crate) machine: Machine,
    pub(crate) downgrade: bool,
}

/// Records the order of writes, and ends the work before one of them.
pub(crate) struct Recorder {
    pub(crate) operations: Vec<Operation>,
    pub(crate) ends_at: Option<usize>,
}

impl Volume for Recorder {
    fn before(&mut self, operation: &Operation) -> io::Result<()> {
        if self.ends_at.is_some_and(|at| self.operations.len() >= at) {
            return Err(io::Error::other("the power is off"));
        }
        self.operations.push(operation.clone());
        Ok(())
    }

    fn remount(&mut self, _writable: bool) -> anyhow::Result<()> {
        Ok(())
    }

    fn settle(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Free bytes, as the test wants them.
pub(crate) struct Room {
    pub(crate) persistent: u64,
    pub(crate) state: u64,
}

impl FileSystems for Room {
    fn device(&self, path: &Path) -> io::Result<u64> {
        Ok(u64::from(path.ends_with("state")))
    }

    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        let on_state = path.components().any(|part| part.as_os_str() == "state");
        Ok(if on_state {
            self.state
        } else {
            self.persistent
        })
    }
}

const ENOUGH: Room = Room {
    persistent: u64::MAX,
    state: u64::MAX,
};

impl Folder {
    /// Version 1.0.0 runs in slot a, which is good; slot b has 0.9.0.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let machine = Machine::below(dir.path());
        let folder = Self {
            _dir: dir,
            machine,
            downgrade: false,
        };
        fs_err::create_dir_all(&folder.machine.run).unwrap();
        fs_err::create_dir_all(&folder.machine.persistent).unwrap();
        for (slot, version) in [
            (Slot::A, "1.0.0"),
            (Slot::B, "0.9.0"),
            (Slot::Recovery, "1.0.0"),
        ] {
            folder.fill(slot, version, "1.32.3");
        }
        let block = Environment::new(Slot::A).to_bytes();
        fs_err::write(folder.machine.state.join("grubenv"), block).unwrap();
        folder.boot("a", false);
        folder
    }

    fn fill(&self, slot: Slot, version: &str, kubernetes: &str) {
        let path = self.machine.state.join(slot.folder());
        fs_err::create_dir_all(&path).unwrap();
        for name in file::ALL {
            fs_err::write(path.join(name), format!("{name} of {version}")).unwrap();
        }
        let image = Image {
            digest: Digest::of(format!("rootfs.squashfs of {version}").as_bytes()),
            size: 24,
            epoch: None,
        };
        let nothing = Digest::of(b"");
        let mut record = Record::new("tiny", version, image, nothing, nothing);
        record.kubernetes = Some(kubernetes.to_owned());
        fs_err::write(path.join(file::RECORD), record.to_json().unwrap()).unwrap();
    }

    pub(crate) fn set_kubernetes(&self, version: &str) {
        self.fill(Slot::A, "1.0.0", version);
    }

    pub(crate) fn set_version(&self, version: &str) {
        self.fill(Slot::A, version, "1.32.3");
    }

    pub(crate) fn boot(&self, slot: &str, trial: bool) {
        let trial = if trial { " appliance.trial=1" } else { "" };
        let line = format!(
            "root=live:UUID=1111 appliance.slot={slot} appliance.persistent=2222 appliance.oem=3333{trial}\n"
        );
        fs_err::write(&self.machine.cmdline, line).unwrap();
    }

    /// What GRUB does with a trial.
    pub(crate) fn boot_trial(&self) {
        let mut block = environment(&self.machine.state).unwrap();
        let slot = block.trial.take().unwrap();
        fs_err::write(self.machine.state.join("grubenv"), block.to_bytes()).unwrap();
        self.boot(slot.name(), true);
    }

    pub(crate) fn set_good(&self, slot: Slot) {
        let block = Environment::new(slot).to_bytes();
        fs_err::write(self.machine.state.join("grubenv"), block).unwrap();
    }

    pub(crate) fn pad_other_slot(&self, bytes: u64) {
        let path = self.machine.state.join("slots/b/rootfs.squashfs");
        let file = fs_err::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(bytes).unwrap();
    }

    pub(crate) fn volume(&self) -> Recorder {
        Recorder {
            operations: Vec::new(),
            ends_at: None,
        }
    }

    pub(crate) fn upgrade(&self, from: &str, volume: &mut Recorder) -> anyhow::Result<Outcome> {
        self.upgrade_with(from, None, volume, &ENOUGH)
    }

    pub(crate) fn upgrade_to(
        &self,
        from: &str,
        tag: Option<&str>,
        volume: &mut Recorder,
    ) -> anyhow::Result<Outcome> {
        self.upgrade_with(from, tag, volume, &ENOUGH)
    }

    pub(crate) fn upgrade_in(
        &self,
        from: &str,
        volume: &mut Recorder,
        room: &Room,
    ) -> anyhow::Result<Outcome> {
        self.upgrade_with(from, None, volume, room)
    }

    /// Upgrades from the bundle in a folder.
    pub(crate) fn upgrade_by_bundle(
        &self,
        bundle: &str,
        volume: &mut Recorder,
    ) -> anyhow::Result<Outcome> {
        let bundle = OfBundle::open(bundle.as_ref())?;
        self.upgrade_from("", Some(Arc::new(bundle)), None, volume, &ENOUGH)
    }

    /// What is asked before a bundle's content is taken.
    pub(crate) fn check_bundle(&self, bundle: &str) -> anyhow::Result<()> {
        let bundle = OfBundle::open(bundle.as_ref())?;
        check(
            &self.machine,
            &self.options("", Some(Arc::new(bundle)), None),
        )
    }

    fn options(&self, from: &str, bundle: Option<Arc<dyn Source>>, tag: Option<&str>) -> Options {
        Options {
            from: from.to_owned(),
            bundle,
            tag: tag.map(str::to_owned),
            downgrade: self.downgrade,
            platform: Platform::linux("amd64"),
            registries: RegistryConfig::default(),
            jobs: NonZeroUsize::MIN,
        }
    }

    fn upgrade_with(
        &self,
        from: &str,
        tag: Option<&str>,
        volume: &mut Recorder,
        room: &Room,
    ) -> anyhow::Result<Outcome> {
        self.upgrade_from(from, None, tag, volume, room)
    }

    fn upgrade_from(
        &self,
        from: &str,
        bundle: Option<Arc<dyn Source>>,
        tag: Option<&str>,
        volume: &mut Recorder,
        room: &Room,
    ) -> anyhow::Result<Outcome> {
        let options = self.options(from, bundle, tag);
        let site = Site {
            machine: &self.machine,
            volume,
            room,
            progress: &Progress::silent(),
        };
        run(site, &options)
    }

    /// All files of STATE.
    pub(crate) fn content(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        self.content_of("")
    }

    pub(crate) fn content_of(&self, name: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut pending = vec![self.machine.state.join(name)];
        while let Some(folder) = pending.pop() {
            for entry in fs_err::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    pending.push(path);
                } else {
                    let bytes = fs_err::read(&path).unwrap();
                    found.insert(path, bytes);
                }
            }
        }
        found
    }
}
