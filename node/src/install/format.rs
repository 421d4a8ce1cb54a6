//! Making the ext4 file systems, by the program that everybody uses for it.

use std::path::Path;

use isoforge_base::process::{self, Program};
use isoforge_contract::machine::ExtraFilesystem;
use uuid::Uuid;

use super::target::Target;
use isoforge_system::disk_plan::{MIB, Partition, Plan, Role};
use isoforge_system::slots::Ids;

/// Features of the ext4 file systems, all of them named, so that the image's
/// `mke2fs.conf` decides nothing. GRUB reads these from 2.06 on, which does not
/// know `metadata_csum_seed` and `orphan_file`, the defaults of newer mke2fs.
const FEATURES: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,\
                        flex_bg,64bit,sparse_super,large_file,huge_file,dir_nlink,\
                        extra_isize,metadata_csum";

/// Tables and journal are cleared by the kernel when they are used first.
const LAZY: &str = "lazy_itable_init=1,lazy_journal_init=1";

/// Bytes for each inode: STATE holds few and large files.
const STATE_BYTES_PER_INODE: u64 = MIB;

/// Most output of such a program.
const OUTPUT_MAX_BYTES: u64 = 1 << 20;

/// Fresh identifiers of the new file systems.
#[derive(Debug, Clone)]
pub(super) struct FileSystems {
    /// Those that the system goes by.
    pub(super) ids: Ids,
    /// UUIDs of the profile's own partitions that are formatted, by label.
    pub(super) extra: Vec<(String, String)>,
    /// Serial number of the ESP.
    pub(super) esp_serial: u32,
}

impl FileSystems {
    /// Draws identifiers.
    pub(super) fn new(plan: &Plan) -> Self {
        let fresh = || Uuid::new_v4().hyphenated().to_string();
        let (esp_serial, _, _, _) = Uuid::new_v4().as_fields();
        let extra = plan
            .partitions
            .iter()
            .filter(|partition| partition.role == Role::Extra(ExtraFilesystem::Ext4))
            .map(|partition| (partition.label.clone(), fresh()))
            .collect();
        Self {
            ids: Ids {
                state: fresh(),
                persistent: fresh(),
                oem: fresh(),
                esp: format!("{:04X}-{:04X}", esp_serial >> 16, esp_serial & 0xFFFF),
            },
            extra,
            esp_serial,
        }
    }

    /// Makes the file system of a partition, where it has one.
    pub(super) fn make(
        &self,
        target: &Target<'_>,
        partition: &Partition,
    ) -> Result<(), process::Error> {
        let device = target.device(partition.number);
        let label = &partition.label;
        let ext4 = |uuid: &str, more: &[&str]| ext4(&device, label, uuid, more);
        match partition.role {
            // The ESP is made as a whole, with what is in it.
            Role::BiosBoot | Role::Esp | Role::Extra(ExtraFilesystem::None) => Ok(()),
            Role::Oem => ext4(&self.ids.oem, &["-m", "0"]),
            Role::State => {
                let inodes = STATE_BYTES_PER_INODE.to_string();
                ext4(&self.ids.state, &["-m", "0", "-i", &inodes])
            }
            Role::Persistent => ext4(&self.ids.persistent, &["-m", "1"]),
            Role::Extra(ExtraFilesystem::Ext4) => {
                let uuid = self.extra.iter().find(|(of, _)| of == label);
                match uuid {
                    Some((_, uuid)) => ext4(uuid, &["-m", "0"]),
                    None => Ok(()),
                }
            }
        }
    }
}

fn ext4(device: &Path, label: &str, uuid: &str, more: &[&str]) -> Result<(), process::Error> {
    run(Program::new("mke2fs", "e2fsprogs")
        .args(["-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256"])
        .args(["-O", FEATURES, "-E", LAZY, "-L", label, "-U", uuid])
        .args(more)
        .arg(device))
}

fn run(program: Program) -> Result<(), process::Error> {
    program.output(OUTPUT_MAX_BYTES).map(|_| ())
}
