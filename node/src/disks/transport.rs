//! How a disk hangs on the machine, and what it says of itself.

use std::path::{Path, PathBuf};

use fs_err as fs;

use super::{attribute, attribute_bytes, printable};

/// Elements of a device's path by their beginnings, the telling ones first: a
/// disk behind a USB bridge is both `usb` and `scsi`, one behind a virtual SCSI
/// adapter is `scsi`, not what the adapter hangs on.
const ELEMENTS: [(&str, &str); 13] = [
    ("usb", "usb"),
    ("nvme", "nvme"),
    ("mmc_host", "mmc"),
    ("ata", "sata"),
    ("end_device-", "sas"),
    ("rport-", "fc"),
    ("session", "iscsi"),
    ("firewire", "firewire"),
    ("vbd-", "xen"),
    ("host", "scsi"),
    ("virtio", "virtio"),
    ("VMBUS", "hyperv"),
    ("ubd", "uml"),
];

/// Header of SCSI's page 0x80, before the serial number (SPC-4, 7.8.15).
const SERIAL_PAGE_HEADER_BYTES: usize = 4;

/// A disk's place among the devices.
#[derive(Debug)]
pub(super) struct Link {
    /// Its folder below `/sys/block`.
    block: PathBuf,
    /// Where that really is, which leads over all adapters.
    real: PathBuf,
}

impl Link {
    pub(super) fn of(block: &Path) -> Self {
        Self {
            block: block.to_owned(),
            real: fs::canonicalize(block).unwrap_or_else(|_| block.to_owned()),
        }
    }

    /// `nvme`, `sata`, …; empty where unknown.
    pub(super) fn transport(&self) -> &'static str {
        let elements: Vec<_> = self.real.iter().filter_map(|e| e.to_str()).collect();
        let is = |element: &str, prefix: &str| {
            element.strip_prefix(prefix).is_some_and(|rest| {
                rest.is_empty()
                    || rest.starts_with(|c: char| c.is_ascii_digit() || "-_".contains(c))
                    || prefix.ends_with('-')
            })
        };
        ELEMENTS
            .iter()
            .find(|(prefix, _)| elements.iter().any(|element| is(element, prefix)))
            .map_or("", |(_, name)| name)
    }

    /// Empty where the disk does not tell.
    pub(super) fn model(&self) -> String {
        ["device/model", "device/name"]
            .iter()
            .map(|name| attribute(&self.block.join(name)))
            .find(|text| !text.is_empty())
            .unwrap_or_default()
    }

    /// Empty where the disk does not tell.
    pub(super) fn serial(&self) -> String {
        let named = ["device/serial", "serial"]
            .iter()
            .map(|name| attribute(&self.block.join(name)))
            .find(|text| !text.is_empty());
        if let Some(text) = named {
            return text;
        }
        // A bridge's own number is what is printed on the case.
        if self.transport() == "usb"
            && let Some(text) = self.of_usb_device()
        {
            return text;
        }
        let page = attribute_bytes(&self.block.join("device/vpd_pg80"));
        let text = page.get(SERIAL_PAGE_HEADER_BYTES..).unwrap_or_default();
        printable(&String::from_utf8_lossy(text))
    }

    fn of_usb_device(&self) -> Option<String> {
        self.real
            .ancestors()
            .take_while(|dir| !dir.ends_with("devices"))
            .filter(|dir| dir.join("idVendor").is_file())
            .map(|dir| attribute(&dir.join("serial")))
            .find(|text| !text.is_empty())
    }
}
