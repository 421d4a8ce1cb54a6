//! Where this machine's things are, and what it was booted from.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use isoforge_contract::machine::{
    CONFIG_PATH, Config, OEM_ARGUMENT, PERSISTENT_ARGUMENT, SLOT_ARGUMENT, TRIAL_ARGUMENT,
};

use crate::state::{BootRecord, arguments};
use crate::{files, paths};
use isoforge_system::slots::{Ids, Slot};

/// Most bytes of a small file of the machine that are read.
const SMALL_BYTES: u64 = 1 << 20;

/// Where things are; another root in tests.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The file system STATE.
    pub state: PathBuf,
    /// The file system PERSISTENT.
    pub persistent: PathBuf,
    /// What this boot tells about itself.
    pub run: PathBuf,
    /// The kernel's command line.
    pub cmdline: PathBuf,
    /// Seconds since the boot.
    pub uptime: PathBuf,
    /// The program's configuration.
    pub config: PathBuf,
    /// Devices by the UUIDs of their file systems.
    pub by_uuid: PathBuf,
    /// `/sys`.
    pub sys: PathBuf,
}

/// What was booted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booted {
    pub slot: Slot,
    /// Whether it is on trial.
    pub trial: bool,
    /// The file systems; the ESP's is not told to the kernel and empty.
    pub ids: Ids,
}

impl Machine {
    /// This machine.
    #[must_use]
    pub fn this() -> Self {
        Self {
            state: paths::MEDIUM.into(),
            persistent: paths::PERSISTENT.into(),
            run: paths::RUN.into(),
            cmdline: "/proc/cmdline".into(),
            uptime: "/proc/uptime".into(),
            config: Path::new("/").join(CONFIG_PATH),
            by_uuid: "/dev/disk/by-uuid".into(),
            sys: "/sys".into(),
        }
    }

    /// A machine whose things all lie in a folder.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        Self {
            state: root.join("state"),
            persistent: root.join("persistent"),
            run: root.join("run"),
            cmdline: root.join("cmdline"),
            uptime: root.join("uptime"),
            config: root.join("config.json"),
            by_uuid: root.join("by-uuid"),
            sys: root.join("sys"),
        }
    }

    /// The folder of the program within PERSISTENT.
    #[must_use]
    pub fn data_folder(&self) -> PathBuf {
        self.persistent.join(paths::DATA_FOLDER)
    }

    /// What was booted: what the early state recorded, else what the kernel was
    /// told.
    ///
    /// # Errors
    /// On a live system.
    pub fn booted(&self) -> Result<Booted> {
        let cmdline = String::from_utf8_lossy(&small(&self.cmdline)?).into_owned();
        let value = |name: &str| arguments::value(&cmdline, name).map(str::to_owned);
        let not_installed = |name: &str| {
            anyhow!(
                "this is no installed appliance: the kernel's command line has no '{name}=' ({})",
                self.cmdline.display()
            )
        };
        let need = |name: &str| value(name).ok_or_else(|| not_installed(name));
        let told = need(SLOT_ARGUMENT)?;
        // Another version of the program may have written it.
        let recorded = BootRecord::read_from(&self.boot_record()).unwrap_or_default();
        let (slot, trial) = match recorded {
            Some(record) => (record.slot, record.trial),
            None => (
                told.parse().map_err(|_| not_installed(SLOT_ARGUMENT))?,
                value(TRIAL_ARGUMENT).is_some_and(|value| value == "1"),
            ),
        };
        let root = need("root")?;
        let state = root.strip_prefix("live:UUID=");
        Ok(Booted {
            slot,
            trial,
            ids: Ids {
                state: state
                    .ok_or_else(|| not_installed("root=live:UUID"))?
                    .to_owned(),
                persistent: need(PERSISTENT_ARGUMENT)?,
                oem: need(OEM_ARGUMENT)?,
                esp: String::new(),
            },
        })
    }

    fn boot_record(&self) -> PathBuf {
        let name = Path::new(paths::BOOT_RECORD).file_name();
        self.run.join(name.unwrap_or_default())
    }

    /// The program's configuration.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn config(&self) -> Result<Config> {
        Ok(Config::parse(&small(&self.config)?)?)
    }

    /// Whole seconds since the boot.
    ///
    /// # Errors
    /// Where the file can't be read.
    pub fn uptime_seconds(&self) -> Result<u64> {
        let text = String::from_utf8_lossy(&small(&self.uptime)?).into_owned();
        let seconds = text.split(['.', ' ']).next().unwrap_or_default();
        let wrong = || format!("{} is '{}'", self.uptime.display(), text.trim());
        seconds.trim().parse().ok().with_context(wrong)
    }
}

/// Reads a small file whole.
///
/// # Errors
/// Where it can't be read.
pub fn small(path: &Path) -> Result<Vec<u8>> {
    files::read_at_most(path, SMALL_BYTES).map_err(|error| match error.kind() {
        ErrorKind::FileTooLarge => {
            anyhow!("{} has more than {SMALL_BYTES} bytes", path.display())
        }
        _ => error.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_tells_what_was_booted_unless_the_record_does() {
        let dir = tempfile::tempdir().unwrap();
        let machine = Machine::below(dir.path());
        let cmdline = |text: &str| fs_err::write(&machine.cmdline, text).unwrap();
        cmdline("quiet appliance.persistent=p appliance.oem=o root=live:UUID=s\n");
        let error = machine.booted().unwrap_err();
        assert!(error.to_string().contains("appliance.slot="), "{error}");
        cmdline(
            "root=live:UUID=s appliance.slot=b appliance.persistent=p appliance.oem=o appliance.trial=1\n",
        );
        let booted = machine.booted().unwrap();
        assert_eq!((booted.slot, booted.trial), (Slot::B, true));
        assert_eq!(booted.ids.state, "s");
        fs_err::create_dir(&machine.run).unwrap();
        let record = machine.run.join("boot.json");
        fs_err::write(&record, r#"{"slot":"b","trial":false,"more":1}"#).unwrap();
        assert!(!machine.booted().unwrap().trial);
        fs_err::write(&record, "{").unwrap();
        assert!(machine.booted().unwrap().trial);
    }

    #[test]
    fn uptime_is_in_whole_seconds() {
        let dir = tempfile::tempdir().unwrap();
        let machine = Machine::below(dir.path());
        fs_err::write(&machine.uptime, "123.45 99.1\n").unwrap();
        assert_eq!(machine.uptime_seconds().unwrap(), 123);
        fs_err::write(&machine.uptime, "x\n").unwrap();
        assert!(machine.uptime_seconds().is_err());
    }
}
