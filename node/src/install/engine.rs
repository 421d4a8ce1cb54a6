//! The installation itself.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use fs_err as fs;
use isoforge_base::human;
use isoforge_contract::machine::Config;
use isoforge_formats::fat::{self, FatFile, SectorSize};
use rustix::mount::MountFlags;

use super::content::Content;
use super::copy;
use super::format::FileSystems;
use super::medium::{Image, Medium};
use super::model::{Choices, Disk, Event, Failure, Observer};
use super::oem;
use super::sources::{Site, gather_from};
use super::target::Target;
use super::teller::Teller;
use super::{check, choose};
use crate::disks::{self, Sysfs};
use crate::media::{Attached, Media};
use crate::mount::Mounted;
use crate::{files, paths};
use isoforge_system::boot::lock::Lock;
use isoforge_system::disk_plan::{self, Partition, Plan, Role};
use isoforge_system::slots::{self, Record, Slot, file, grubenv::Environment};

/// Slots that an installation fills.
const FILLED: [Slot; 2] = [Slot::A, Slot::Recovery];

/// Where GRUB's builds look for their configuration on the ESP, beside the
/// folders that the medium has.
const STUB_FOLDERS: [&str; 2] = ["boot/grub", "EFI/BOOT"];

/// Permissions of OEM's files, which may hold secrets.
const OEM_MODE: u32 = 0o600;

/// Permissions of GRUB's menu, which may have the hash of a password.
const MENU_MODE: u32 = 0o600;

/// Permissions of all others.
const FILE_MODE: u32 = 0o644;

/// Installs what `medium` brings on the disk that is chosen; its menu is locked with
/// `lock`.
///
/// # Errors
/// [`Failure`]; the disk then starts nothing, unless the failure came before it
/// was touched.
pub(crate) fn run(
    medium: &Medium,
    config: &Config,
    choices: &Choices,
    lock: Option<&Lock>,
    observer: &mut dyn Observer,
) -> Result<(), Failure> {
    let sys = Sysfs::default();
    Installation {
        medium,
        config,
        choices,
        sys: &sys,
        media: &Attached { sys: &sys },
        lock,
    }
    .run(observer)
}

/// An installation on a machine that is given.
pub(super) struct Installation<'a> {
    pub(super) medium: &'a Medium,
    pub(super) config: &'a Config,
    pub(super) choices: &'a Choices,
    pub(super) sys: &'a Sysfs,
    pub(super) media: &'a dyn Media,
    /// What the disk's menu is locked with.
    pub(super) lock: Option<&'a Lock>,
}

/// What the first step finds out.
struct Checked {
    image: Image,
    site: Site,
    disk: Disk,
    name: String,
    plan: Plan,
    content: Option<Content>,
}

impl Installation<'_> {
    pub(super) fn run(&self, observer: &mut dyn Observer) -> Result<(), Failure> {
        // What can't be found out here is told by the first step.
        let content = Content::find(self.medium, self.config.registry.as_ref());
        let mut teller = Teller::new(observer, matches!(content, Ok(Some(_))));
        teller.step();
        let checked = self
            .check(&mut teller)
            .map_err(|error| teller.failure(&error, false))?;
        let (sys, bytes) = (self.sys, checked.disk.bytes);
        teller.step();
        let mut target = Target::open(sys, &checked.name, bytes)
            .map_err(|error| teller.failure(&error, false))?;
        let result = self.write(&checked, &mut target, &mut teller);
        if let Err(error) = result {
            target.disable(&checked.plan);
            teller.log("The disk was left in a state that no firmware starts.".to_owned());
            return Err(teller.failure(&error, true));
        }
        drop(target);
        teller.log(format!("{} is installed.", self.config.title));
        Ok(())
    }

    fn check(&self, teller: &mut Teller<'_>) -> Result<Checked> {
        let image = self.medium.image(&self.config.firmware)?;
        let site = gather_from(self.medium, self.sys, self.media)?;
        for document in &site.documents {
            for unknown in document.unknown() {
                teller.log(format!("Not acted on: {unknown}"));
            }
        }
        let path = &self.choices.disk;
        let name = self.sys.name_of(path)?;
        let disk = disks::find(self.sys, path)?;
        if let Some(why) = &disk.unusable {
            bail!("the disk {} can't be taken: {why}", choose::name(&disk));
        }
        let plan = disk_plan::plan(self.config, image.contents(), disk.bytes, disk.sector_bytes)
            .with_context(|| format!("the disk {} can't be taken", choose::name(&disk)))?;
        let content = Content::find(self.medium, self.config.registry.as_ref())?;
        if let (Some(content), Some(persistent)) = (&content, plan.find(Role::Persistent)) {
            content
                .check(isoforge_contract::disk::label::PERSISTENT, persistent.bytes)
                .with_context(|| format!("the disk {} can't be taken", choose::name(&disk)))?;
        }
        for finding in check::findings_on(self.sys, self.config, &disk) {
            if finding.refuses {
                bail!("{}", finding.message);
            }
            teller.log(format!("Warning: {}", finding.message));
        }
        teller.log(format!("Disk: {}", choose::name(&disk)));
        for partition in &plan.partitions {
            teller.log(format!(
                "  {} {} {}",
                partition.number,
                partition.label,
                human::size(partition.bytes)
            ));
        }
        Ok(Checked {
            image,
            site,
            disk,
            name,
            plan,
            content,
        })
    }

    /// All that writes to the disk, in the order that keeps it from starting
    /// before it is whole.
    fn write(
        &self,
        checked: &Checked,
        target: &mut Target<'_>,
        teller: &mut Teller<'_>,
    ) -> Result<()> {
        let Checked { image, plan, .. } = checked;
        target.wipe(plan)?;
        teller.step();
        target.partition(plan)?;
        teller.step();
        let systems = FileSystems::new(plan);
        for partition in &plan.partitions {
            systems.make(target, partition)?;
        }
        let noinit = Some(c"noinit_itable");
        let state = self.mount(target, plan, Role::State, "ext4", noinit)?;
        teller.step();
        self.copy(image, state.path(), teller)?;
        teller.step();
        self.fill_slots(image, &systems, state.path())?;
        state.unmount().context("writing STATE out failed")?;
        let oem = self.mount(target, plan, Role::Oem, "ext4", noinit)?;
        self.fill_oem(&checked.site, oem.path())?;
        oem.unmount().context("writing OEM out failed")?;
        self.fill_persistent(target, plan, &systems, checked.content.as_ref(), teller)?;
        teller.step();
        let esp = plan.find(Role::Esp).context("the plan lacks an ESP")?;
        let image_of_esp = self.esp(image, &systems, esp, plan.sector_bytes)?;
        target.write_esp(esp, &image_of_esp)?;
        let code = self.write_core(image, target, plan)?;
        // Everything is on the disk before something starts it.
        target.flush()?;
        teller.step();
        target.start_esp(esp, &image_of_esp)?;
        if let Some(code) = code {
            target.write_boot_code(plan, &code)?;
        }
        target.flush()?;
        target.finish()
    }

    fn mount(
        &self,
        target: &Target<'_>,
        plan: &Plan,
        role: Role,
        kind: &str,
        data: Option<&std::ffi::CStr>,
    ) -> Result<Mounted> {
        let partition = plan.find(role).context("the plan lacks a partition")?;
        let device = target.device(partition.number);
        let folder = self.sys.work.join(&partition.label);
        Mounted::new(&device, &folder, kind, MountFlags::NOATIME, data)
            .with_context(|| format!("mounting {} failed", partition.label))
    }

    fn copy(&self, image: &Image, state: &Path, teller: &mut Teller<'_>) -> Result<()> {
        let total = image.contents().slot_bytes;
        let mut copied = 0_u64;
        for (source, name) in [
            (&image.rootfs, file::ROOTFS),
            (&image.kernel, file::KERNEL),
            (&image.initrd, file::INITRD),
        ] {
            let copies = FILLED.map(|slot| state.join(slot.folder()).join(name));
            let observer = &mut *teller.observer;
            copy::copy(self.medium, source, &copies, &mut |bytes| {
                copied = copied.saturating_add(bytes);
                observer.event(Event::Bytes {
                    done: copied,
                    total,
                });
            })?;
            teller.log(format!("{}: {}", source.path, source.content.digest));
        }
        Ok(())
    }

    /// What of the slots is made here, and the menu.
    fn fill_slots(&self, image: &Image, systems: &FileSystems, state: &Path) -> Result<()> {
        let ids = &systems.ids;
        let rootfs = slots::Image {
            digest: image.rootfs.content.digest,
            size: image.rootfs.content.size,
            epoch: image.epoch,
        };
        let mut record = Record::new(
            &image.name,
            &image.version,
            rootfs,
            image.kernel.content.digest,
            image.initrd.content.digest,
        );
        record.kubernetes.clone_from(&image.kubernetes);
        let record = record.to_json()?;
        let cpio = slots::state_cpio();
        for slot in FILLED {
            let folder = state.join(slot.folder());
            write(&folder.join(file::STATE_CPIO), &cpio, FILE_MODE)?;
            write(&folder.join(file::RECORD), &record, FILE_MODE)?;
            let menu = slots::slot_menu(self.config, ids, slot);
            write(&folder.join(file::CONFIG), menu.as_bytes(), FILE_MODE)?;
        }
        fs::create_dir_all(state.join(Slot::B.folder()))?;
        let seconds = self.config.boot.timeout_seconds;
        let menu = slots::menu(&self.config.name, seconds, ids, self.lock);
        write(
            &state.join(isoforge_contract::disk::MENU),
            menu.as_bytes(),
            MENU_MODE,
        )?;
        let environment = Environment::new(Slot::A).to_bytes();
        write(
            &state.join(isoforge_contract::disk::GRUBENV),
            &environment,
            FILE_MODE,
        )
    }

    fn fill_oem(&self, site: &Site, folder: &Path) -> Result<()> {
        for (name, text) in oem::files(self.config, site, self.choices)? {
            write(&folder.join(name), text.as_bytes(), OEM_MODE)?;
        }
        Ok(())
    }

    /// PERSISTENT stays empty, but for where the profile's partitions go, and the
    /// content of the registry.
    fn fill_persistent(
        &self,
        target: &Target<'_>,
        plan: &Plan,
        systems: &FileSystems,
        content: Option<&Content>,
        teller: &mut Teller<'_>,
    ) -> Result<()> {
        let extra = &self.config.install.partitions.extra;
        let mounts: serde_json::Map<String, serde_json::Value> = extra
            .iter()
            .filter_map(|extra| {
                let (_, uuid) = systems.extra.iter().find(|(of, _)| *of == extra.label)?;
                Some((extra.mount.clone()?, uuid.as_str().into()))
            })
            .collect();
        if mounts.is_empty() && content.is_none() {
            return Ok(());
        }
        let data = Some(c"noinit_itable");
        let persistent = self.mount(target, plan, Role::Persistent, "ext4", data)?;
        if !mounts.is_empty() {
            let path = persistent.path().join(paths::MOUNTS);
            fs::create_dir_all(persistent.path().join(paths::DATA_FOLDER))?;
            files::write_json(&path, &mounts, FILE_MODE)?;
        }
        if let Some(content) = content {
            teller.step();
            let observer = &mut *teller.observer;
            let images = content.fill(persistent.path(), &mut |done, total| {
                observer.event(Event::Bytes { done, total });
            })?;
            for image in images {
                teller.log(image);
            }
        }
        persistent
            .unmount()
            .context("writing PERSISTENT out failed")
    }

    /// The ESP with the boot loaders of the medium, and what leads GRUB from it
    /// to the menu.
    fn esp(
        &self,
        image: &Image,
        systems: &FileSystems,
        partition: &Partition,
        sector_bytes: u32,
    ) -> Result<Vec<u8>> {
        let mut files: Vec<(String, Vec<u8>)> = Vec::new();
        for source in &image.efi {
            let path = format!("EFI/BOOT/{}", source.name());
            files.push((path, self.medium.verified(source)?));
        }
        let stub = slots::esp_stub(&systems.ids, self.lock);
        let mut folders: Vec<String> = STUB_FOLDERS.map(str::to_owned).to_vec();
        folders.extend(self.medium.stub_folders());
        for folder in folders {
            let path = format!("{folder}/grub.cfg");
            // FAT tells no `boot` from `BOOT`.
            if !files.iter().any(|(of, _)| of.eq_ignore_ascii_case(&path)) {
                files.push((path, stub.clone().into_bytes()));
            }
        }
        let files: Vec<FatFile<'_>> = files
            .iter()
            .map(|(path, data)| FatFile { path, data })
            .collect();
        let options = fat::Options {
            label: &partition.label,
            serial: systems.esp_serial,
            epoch: image.epoch.unwrap_or_default(),
            bytes: partition.bytes,
        };
        let sector = match sector_bytes {
            4096 => SectorSize::Bytes4096,
            _ => SectorSize::Bytes512,
        };
        Ok(fat::build_for(sector, &options, &files)?)
    }

    /// Writes GRUB's core image where the disk has a place for it, and gives
    /// the MBR's boot code.
    fn write_core(
        &self,
        image: &Image,
        target: &Target<'_>,
        plan: &Plan,
    ) -> Result<Option<Vec<u8>>> {
        let (Some((core, mbr)), Some(partition)) = (&image.bios, plan.find(Role::BiosBoot)) else {
            return Ok(None);
        };
        let code = self.medium.verified(mbr)?;
        target.write_core(partition, self.medium.verified(core)?)?;
        Ok(Some(code))
    }
}

/// Writes a small file into a folder that may be missing.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(files::write(path, bytes, mode)?)
}
