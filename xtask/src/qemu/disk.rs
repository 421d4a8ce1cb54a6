//! Disks of a machine, over files of this one.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::escape;

/// What a disk is attached to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bus {
    Virtio,
    Nvme,
    /// VMware's paravirtual SCSI controller.
    Pvscsi,
    Sata,
}

/// What is wrong with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Every write that touches this sector (of 512 bytes) fails.
    WriteError { sector: u64 },
}

/// A disk over a raw file.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    file: PathBuf,
    bus: Bus,
    sector_bytes: Option<u32>,
    readonly: bool,
    log: Option<PathBuf>,
    fault: Option<Fault>,
}

impl Disk {
    pub(crate) fn new(file: &Path, bus: Bus) -> Self {
        Self {
            file: file.to_owned(),
            bus,
            sector_bytes: None,
            readonly: false,
            log: None,
            fault: None,
        }
    }

    /// Logical and physical sectors of this size.
    pub(crate) fn sectors(mut self, bytes: u32) -> Self {
        self.sector_bytes = Some(bytes);
        self
    }

    pub(crate) fn readonly(mut self) -> Self {
        self.readonly = true;
        self
    }

    /// Records every write and flush in this file, which must be there, empty.
    pub(crate) fn logged(mut self, log: &Path) -> Self {
        self.log = Some(log.to_owned());
        self
    }

    pub(crate) fn faulty(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// Adds the disk as number `number`; `boot_index` is its place in the
    /// firmware's order.
    pub(super) fn add_to(&self, command: &mut Command, number: usize, boot_index: usize) {
        let node = format!("disk{number}");
        let readonly = if self.readonly { ",read-only=on" } else { "" };
        // The host need not survive a power cut: what the guest flushes is
        // logged, not synchronized.
        command.arg("-blockdev").arg(format!(
            "driver=file,node-name={node}-file,filename={},discard=unmap,cache.no-flush=on{readonly}",
            escape(&self.file)
        ));
        let mut top = format!("{node}-file");
        if let Some(Fault::WriteError { sector }) = self.fault {
            command.arg("-blockdev").arg(format!(
                "driver=blkdebug,node-name={node}-fault,image={top},discard=unmap,\
                 inject-error.0.event=none,inject-error.0.iotype=write,\
                 inject-error.0.errno=5,inject-error.0.sector={sector},\
                 inject-error.0.once=off"
            ));
            top = format!("{node}-fault");
        }
        if let Some(log) = &self.log {
            command.arg("-blockdev").arg(format!(
                "driver=file,node-name={node}-log,filename={},cache.no-flush=on",
                escape(log)
            ));
            command.arg("-blockdev").arg(format!(
                "driver=blklogwrites,node-name={node}-logged,file={top},log={node}-log,discard=unmap"
            ));
            top = format!("{node}-logged");
        }
        let mut options = format!("drive={top},id={node},bootindex={boot_index}");
        if let Some(bytes) = self.sector_bytes {
            options.push_str(&format!(
                ",logical_block_size={bytes},physical_block_size={bytes}"
            ));
        }
        let serial = format!("E2E{number:04}");
        let device = match self.bus {
            // `blklogwrites` puts an entry of two vectors in front of a request, and
            // the host takes 1,024 in one: the requests of many vectors that the
            // device merges would fail in it.
            Bus::Virtio if self.log.is_some() => "virtio-blk-pci,request-merging=off".to_owned(),
            Bus::Virtio => "virtio-blk-pci".to_owned(),
            Bus::Nvme => "nvme".to_owned(),
            Bus::Pvscsi => {
                command.args(["-device", &format!("pvscsi,id=pvscsi{number}")]);
                format!("scsi-hd,bus=pvscsi{number}.0")
            }
            // The first port has the medium; a port takes one device.
            Bus::Sata => format!("ide-hd,bus=ide.{}", number + 1),
        };
        command.args(["-device", &format!("{device},{options},serial={serial}")]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qemu::scratch;
    use crate::sh;

    fn device(disk: &Disk) -> String {
        let mut command = Command::new("qemu-system-x86_64");
        disk.add_to(&mut command, 0, 1);
        let last = command.get_args().last().unwrap_or_default();
        last.to_string_lossy().into_owned()
    }

    /// Were the driver to take them, there would be no need to forbid them.
    #[test]
    fn requests_of_a_logged_disk_are_not_merged_into_what_its_driver_refuses() {
        let disk = Disk::new(Path::new("disk"), Bus::Virtio);
        assert!(!device(&disk).contains("request-merging"));
        let logged = disk.logged(Path::new("log"));
        assert!(device(&logged).contains("request-merging=off"));

        sh::to_workspace_root().unwrap();
        let (disk, log) = (
            scratch("test-merged.raw").unwrap(),
            scratch("test-merged.log").unwrap(),
        );
        std::fs::write(&disk, vec![0; 1 << 20]).unwrap();
        let write = |vectors: usize| {
            std::fs::write(&log, []).unwrap();
            let image = format!(
                "driver=blklogwrites,file.driver=file,file.filename={},\
                 log.driver=file,log.filename={}",
                disk.display(),
                log.display()
            );
            let mut qemu = sh::command(["qemu-io", "--image-opts", &image]);
            qemu.args(["-c", &format!("writev 0{}", " 512".repeat(vectors))]);
            sh::succeeds(&mut qemu)
        };
        assert!(write(1022));
        assert!(!write(1023));
    }
}
