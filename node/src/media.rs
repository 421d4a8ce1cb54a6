//! Media that are attached to the machine: found by label, and mounted for reading.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use isoforge_base::process::{self, Program};
use rustix::mount::MountFlags;

use crate::disks::Sysfs;
use crate::mount::Mounted;

/// Longest list of devices that blkid prints.
const DEVICES_MAX_BYTES: u64 = 64 << 10;

/// File systems of media, with what they are mounted with.
const FILE_SYSTEMS: [(&str, &str, Option<&std::ffi::CStr>); 5] = [
    ("iso9660", "iso9660", None),
    ("vfat", "vfat", None),
    // Replaying the journal would write.
    ("ext4", "ext4", Some(c"noload")),
    ("ext3", "ext4", Some(c"noload")),
    ("ext2", "ext4", None),
];

/// Gives labelled media.
pub(crate) trait Media {
    /// The medium with this label, mounted; none where there is none.
    fn open(&self, label: &str) -> Result<Option<Opened>>;
}

/// A medium that is mounted as long as this is there.
#[derive(Debug)]
pub struct Opened {
    pub folder: PathBuf,
    /// What unmounts it.
    pub mounted: Option<Mounted>,
}

/// The media of this machine.
#[derive(Debug)]
pub(crate) struct Attached<'a> {
    /// The machine.
    pub sys: &'a Sysfs,
}

impl Media for Attached<'_> {
    fn open(&self, label: &str) -> Result<Option<Opened>> {
        let devices = self.labelled(label)?;
        let Some(device) = devices.first() else {
            return Ok(None);
        };
        let disks: BTreeSet<PathBuf> = devices.iter().map(|device| self.disk_of(device)).collect();
        if disks.len() > 1 {
            let devices: Vec<String> = devices.iter().map(|d| d.display().to_string()).collect();
            let devices = devices.join(", ");
            bail!("several media are labelled '{label}': {devices}; remove all but one");
        }
        self.mount(device).map(Some)
    }
}

impl Attached<'_> {
    /// Devices with this label, asked from the devices themselves.
    fn labelled(&self, label: &str) -> Result<Vec<PathBuf>> {
        let found = Program::new("blkid", "util-linux")
            .args(["-c", "/dev/null", "-o", "device", "-t"])
            .arg(format!("LABEL={label}"))
            .output(DEVICES_MAX_BYTES);
        let bytes = match found {
            // It says so where it finds nothing.
            Err(process::Error::Failed { status, .. }) if status.code() == Some(2) => {
                return Ok(Vec::new());
            }
            found => {
                found.with_context(|| format!("media labelled '{label}' can't be looked for"))?
            }
        };
        let text = String::from_utf8_lossy(&bytes);
        let mut devices: Vec<PathBuf> = text.lines().map(PathBuf::from).collect();
        devices.sort();
        Ok(devices)
    }

    /// A hybrid image shows its label as a disk and as a partition.
    fn disk_of(&self, device: &Path) -> PathBuf {
        let disk = self.sys.disk_of_partition(device);
        disk.unwrap_or_else(|| device.to_owned())
    }

    /// Mounts a medium, read-only.
    pub(crate) fn mount(&self, device: &Path) -> Result<Opened> {
        let error = |why: String| {
            anyhow::anyhow!("the medium '{}' can't be mounted: {why}", device.display())
        };
        let kind = Program::new("blkid", "util-linux")
            .args(["-p", "-o", "value", "-s", "TYPE"])
            .arg(device)
            .output(DEVICES_MAX_BYTES)
            .map_err(|failed| error(failed.to_string()))?;
        let kind = String::from_utf8_lossy(&kind).trim().to_owned();
        let (_, kind, data) = FILE_SYSTEMS
            .iter()
            .find(|(name, _, _)| *name == kind)
            .ok_or_else(|| error(format!("'{kind}' is none of iso9660, vfat, ext4")))?;
        let name = device.file_name().unwrap_or(device.as_os_str());
        let target = self.sys.work.join("media").join(name);
        let mounted = Mounted::new(device, &target, kind, MountFlags::RDONLY, *data)
            .map_err(|failed| error(failed.to_string()))?;
        Ok(Opened {
            folder: target,
            mounted: Some(mounted),
        })
    }
}
