//! Where this machine's things are, and what it was booted from.

use std::path::{Path, PathBuf};

use isoforge_contract::machine::{
    CONFIG_PATH, Config, OEM_ARGUMENT, PERSISTENT_ARGUMENT, SLOT_ARGUMENT, TRIAL_ARGUMENT,
};
use serde::Deserialize;

use crate::paths;
use crate::slots::{Ids, Slot};

/// Most bytes of a small file of the machine that are read.
const SMALL_BYTES: u64 = 1 << 20;

/// Why it is not known what this machine runs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This is no installed system.
    #[error(
        "this is no installed appliance: the kernel's command line has no '{0}=' ({path})",
        path = .1.display()
    )]
    NotInstalled(&'static str, PathBuf),
    /// A file can't be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file is larger than any of its kind.
    #[error("{} has more than {SMALL_BYTES} bytes", .0.display())]
    TooLarge(PathBuf),
    /// The program's configuration is not usable.
    #[error(transparent)]
    Config(#[from] isoforge_contract::machine::Error),
}

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
    /// The slot.
    pub slot: Slot,
    /// Whether it is on trial.
    pub trial: bool,
    /// The file systems; the ESP's is not told to the kernel and empty.
    pub ids: Ids,
}

#[derive(Deserialize)]
struct BootRecord {
    slot: Slot,
    #[serde(default)]
    trial: bool,
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
    pub fn own(&self) -> PathBuf {
        self.persistent.join(paths::OWN)
    }

    /// What was booted: what the early state recorded, else what the kernel was
    /// told.
    ///
    /// # Errors
    /// [`Error::NotInstalled`] on a live system.
    pub fn booted(&self) -> Result<Booted, Error> {
        let cmdline = String::from_utf8_lossy(&small(&self.cmdline)?).into_owned();
        let value = |name: &str| {
            cmdline
                .split_whitespace()
                .rev()
                .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
                .map(str::to_owned)
        };
        let need = |name: &'static str| {
            value(name).ok_or_else(|| Error::NotInstalled(name, self.cmdline.clone()))
        };
        let told = need(SLOT_ARGUMENT)?;
        let (slot, trial) = match self.boot_record()? {
            Some(record) => (record.slot, record.trial),
            None => (
                told.parse()
                    .map_err(|_| Error::NotInstalled(SLOT_ARGUMENT, self.cmdline.clone()))?,
                value(TRIAL_ARGUMENT).is_some_and(|value| value == "1"),
            ),
        };
        let root = need("root")?;
        let state = root
            .strip_prefix("live:UUID=")
            .ok_or_else(|| Error::NotInstalled("root=live:UUID", self.cmdline.clone()))?;
        Ok(Booted {
            slot,
            trial,
            ids: Ids {
                state: state.to_owned(),
                persistent: need(PERSISTENT_ARGUMENT)?,
                oem: need(OEM_ARGUMENT)?,
                esp: String::new(),
            },
        })
    }

    fn boot_record(&self) -> Result<Option<BootRecord>, Error> {
        let name = Path::new(paths::BOOT_RECORD).file_name();
        let path = self.run.join(name.unwrap_or_default());
        if !path.exists() {
            return Ok(None);
        }
        // Another version of the program may have written it.
        Ok(serde_json::from_slice(&small(&path)?).ok())
    }

    /// The program's configuration.
    ///
    /// # Errors
    /// [`Error::Config`], and where it can't be read.
    pub fn config(&self) -> Result<Config, Error> {
        Ok(Config::parse(&small(&self.config)?)?)
    }

    /// Whole seconds since the boot.
    ///
    /// # Errors
    /// Where the file can't be read.
    pub fn uptime_seconds(&self) -> Result<u64, Error> {
        let text = String::from_utf8_lossy(&small(&self.uptime)?).into_owned();
        let seconds = text.split(['.', ' ']).next().unwrap_or_default();
        seconds.trim().parse().map_err(|_| {
            let problem = format!("{} is '{}'", self.uptime.display(), text.trim());
            std::io::Error::new(std::io::ErrorKind::InvalidData, problem).into()
        })
    }
}

/// Reads a small file whole.
///
/// # Errors
/// [`Error::TooLarge`], and where it can't be read.
pub fn small(path: &Path) -> Result<Vec<u8>, Error> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    fs_err::File::open(path)?
        .take(SMALL_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SMALL_BYTES {
        return Err(Error::TooLarge(path.to_owned()));
    }
    Ok(bytes)
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
