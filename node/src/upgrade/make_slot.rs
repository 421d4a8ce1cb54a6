//! Makes the files of a slot from an image's layers. It runs in the image's own
//! program, so that the SquashFS is the one that its build recorded, whatever
//! the version that is installed would write.

use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use isoforge_base::digest::{Digest, HashingReader, Sha256};
use isoforge_base::progress::Progress;
use isoforge_base::tree::ReadFile;
use isoforge_contract::arch::Arch;
use isoforge_contract::machine::{BOOT_PASSWORD_PATH, CONFIG_PATH, Config, Flavor};
use isoforge_formats::squashfs::Settings;
use isoforge_formats::squashfs::write::ImagePlan;
use isoforge_oci::store::Store;
use isoforge_system::boot::lock::Lock;
use isoforge_system::boot::{files::BootFile, kernel};
use isoforge_system::replay::{self, Replay};

use super::request::{Made, Request, SCHEMA};
use crate::boot_lock::parse as read_lock;
use isoforge_system::slots::{self, Ids, Image, Record, file};

/// Most bytes of the program's configuration.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Bytes copied at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Does what the request says.
///
/// # Errors
/// Of the layers, the store, or the target.
pub fn run(request: &Request, progress: &Progress) -> Result<Made> {
    check_schema(request)?;
    let store = Store::open(&request.store)?;
    let settings = Settings {
        compressor: request.compression.parse()?,
        block_size: request.block_size,
    };
    let jobs = NonZeroUsize::new(request.jobs).unwrap_or(NonZeroUsize::MIN);
    let system = Replay::new(&store, &request.layers, settings, jobs, progress)?;
    let config = config(&system)?;
    let lock = lock(&system)?;
    let arch = Arch::from_name(&request.architecture)
        .with_context(|| format!("no appliance runs on {}", request.architecture))?;
    let kernel = kernel::find(system.tree(), arch)?;
    let plan = system.plan(request.epoch)?;
    let ids = Ids {
        state: request.state.clone(),
        persistent: request.persistent.clone(),
        oem: request.oem.clone(),
        esp: String::new(),
    };
    let small = Small {
        config: slots::slot_menu(&config, &ids, request.slot),
        cpio: slots::state_cpio(),
    };
    let bytes = [
        plan.size(),
        kernel.kernel.data.size(),
        kernel.initrd.data.size(),
        small.config.len() as u64,
        small.cpio.len() as u64,
    ];
    let digest = match &request.target {
        None => replay::digest_of(&plan, "the root file system", progress)?,
        Some(target) => {
            let digest = write_image(&plan, &target.join(file::ROOTFS), progress)?;
            let image = Image {
                digest,
                size: plan.size(),
                epoch: Some(request.epoch),
            };
            let files = system.files();
            let mut record = Record::new(
                &config.name,
                &config.version,
                image,
                copy(files, &kernel.kernel, &target.join(file::KERNEL))?,
                copy(files, &kernel.initrd, &target.join(file::INITRD))?,
            );
            record.kubernetes.clone_from(&request.kubernetes);
            record.source = Some(request.source.clone());
            write_small(target, &small, &record)?;
            digest
        }
    };
    Ok(Made {
        digest,
        bytes: bytes.iter().sum(),
        menu: Some(slots::menu(
            &config.name,
            config.boot.timeout_seconds,
            &ids,
            lock.as_ref(),
        )),
    })
}

fn check_schema(request: &Request) -> Result<()> {
    if request.schema != SCHEMA {
        bail!(
            "the installed program asks in version {}, this one understands {SCHEMA}",
            request.schema
        );
    }
    Ok(())
}

fn write_small(target: &Path, small: &Small, record: &Record) -> Result<()> {
    fs_err::write(target.join(file::STATE_CPIO), &small.cpio)?;
    fs_err::write(target.join(file::RECORD), record.to_json()?)?;
    fs_err::write(target.join(file::CONFIG), &small.config)?;
    Ok(())
}

struct Small {
    config: String,
    cpio: Vec<u8>,
}

/// A small file of the new system.
fn small(system: &Replay, path: &str) -> Result<Option<Vec<u8>>> {
    let Some(data) = system.tree().file(path.as_bytes()) else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    let file = system.files().open(data)?;
    file.take(MAX_CONFIG_BYTES).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// What the new system's menu is locked with.
fn lock(system: &Replay) -> Result<Option<Lock>> {
    small(system, BOOT_PASSWORD_PATH)?
        .map(|bytes| read_lock(&bytes))
        .transpose()
}

/// The new system's own configuration.
fn config(system: &Replay) -> Result<Config> {
    let bytes = small(system, CONFIG_PATH)?
        .with_context(|| format!("the image has no /{CONFIG_PATH}: it is no appliance"))?;
    let config = Config::parse(&bytes)?;
    if config.flavor != Flavor::Appliance {
        bail!("the image is of the flavor 'kairos'; kairos-agent upgrades to it");
    }
    Ok(config)
}

/// Hashes what is written.
struct Hashing<W> {
    inner: W,
    hasher: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn write_image(plan: &ImagePlan<'_>, path: &Path, progress: &Progress) -> Result<Digest> {
    let _task = progress.task("write the root file system", Some(plan.size()));
    let file: File = create(path)?.into_parts().0;
    let mut out = Hashing {
        inner: io::BufWriter::with_capacity(CHUNK_BYTES, file),
        hasher: Sha256::new(),
    };
    plan.write(&mut out)?;
    out.flush()?;
    Ok(out.hasher.finish())
}

/// A file of root's alone: the root file system has files that others must not read.
fn create(path: &Path) -> Result<fs_err::File> {
    let file = fs_err::File::create(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

fn copy(files: &dyn ReadFile, from: &BootFile, to: &Path) -> Result<Digest> {
    let mut reader = HashingReader::new(files.open(&from.data)?);
    let mut file = create(to)?;
    io::copy(&mut reader, &mut file).with_context(|| format!("copying {}", from.path))?;
    Ok(reader.finish().0)
}

/// The digest of a file.
///
/// # Errors
/// Where it can't be read.
pub fn digest_of_file(path: &Path) -> io::Result<Digest> {
    Ok(Digest::of_reader(fs_err::File::open(path)?)?.0)
}
