//! The installer ISO: boot files, root file system, configuration and content
//! as one hybrid image that starts as a CD and from a USB stick, under BIOS,
//! UEFI and Secure Boot.
//!
//! The image is written once, in place. Names and sizes give the layout; the
//! SquashFS streams to its final blocks; then its digest gives the manifest,
//! the manifest's digest gives the marker `/isoforge/id/<digest>` by which the
//! GRUB stubs find their medium and from which all identifiers derive; then
//! the rest is written in order while the digest of the whole is computed
//! behind it. That the layout did not change is checked, not assumed.

mod follow;
mod inputs;
mod payload;
mod plan;

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write};
use std::os::unix::fs::FileExt as _;

pub use inputs::{
    Bios, EfiProgram, Extra, ExtraKind, IsoInputs, IsoReport, PlacedFile, SourceError, Squashfs,
};
pub use payload::Payload;

use crate::Error;
use crate::error::unfit;
use follow::{Watermark, hash_behind};
use isoforge_base::digest::{Digest, SHA256_BYTES};
use isoforge_base::error::{Class, Context as _, Failure};
use isoforge_base::progress::{Progress, Task};
use isoforge_contract::iso::{CORE_IMAGE, EFI_FOLDER, MANIFEST, ROOTFS};
use isoforge_formats::fat;
use isoforge_formats::gpt;
use isoforge_formats::iso9660::layout::Layout;
use isoforge_formats::iso9660::tree::FileId;
use isoforge_formats::iso9660::write::{DataWriter, HEAD_OFFSET, head, patch_core_image};
use plan::Plan;

const NO_ESP: &str = "making the EFI system partition";

/// Largest EFI program that is accepted; they are held in memory.
const MAX_EFI_PROGRAM_BYTES: u64 = 256 << 20;

/// Label of the EFI system partition's file system.
const ESP_LABEL: &str = "EFI_LIVE";

/// Bytes gathered before they are written.
const WRITE_BYTES: usize = 1 << 20;

/// Size of the ISO in bytes, before anything is written.
///
/// # Errors
/// As [`write()`], where the tree can't be laid out.
pub fn size(inputs: &IsoInputs<'_>) -> Result<u64, Error> {
    let plan = Plan::new(inputs, unknown_manifest(inputs))?;
    Ok(plan.layout(inputs)?.bytes())
}

/// Writes the ISO into `out`, which must be open for reading too; what it held
/// is lost.
///
/// # Errors
/// [`Error`]'s variants. What was written until then is of no use.
pub fn write(out: &File, inputs: IsoInputs<'_>, progress: &Progress) -> Result<IsoReport, Error> {
    if inputs.bios.is_none() && inputs.efi_programs.is_empty() {
        let problem = "an ISO without boot files for BIOS and for UEFI starts nowhere";
        return Err(unfit(problem).into());
    }
    let mut inputs = inputs;
    let mut plan = Plan::new(&inputs, unknown_manifest(&inputs))?;
    let first = plan.layout(&inputs)?;
    reserve(out, first.bytes()).map_err(|source| part("size", source))?;

    let squashfs = write_squashfs(out, &mut inputs.squashfs, &plan, &first, progress)?;
    let manifest = (inputs.manifest)(&squashfs);
    let manifest_digest = Digest::of(&manifest);
    plan.set_manifest(&manifest, &manifest_digest.hex())?;
    let layout = plan.layout(&inputs)?;
    if !layout.same_places(&first) {
        let problem =
            format!("a file of the ISO changed its size with the digest in it: {MANIFEST}");
        return Err(Failure::new(Class::Bug, problem).into());
    }
    write_small(out, &inputs, &plan, &layout, &manifest)?;
    write_tables(out, &inputs, &plan, &layout, &manifest_digest)?;
    let digest = write_payloads(out, &plan, &layout, progress)?;
    Ok(IsoReport {
        size: layout.bytes(),
        digest,
        squashfs,
        squashfs_size: layout.extent(plan.squashfs)?.bytes,
        manifest: manifest_digest,
        files: placed(&plan, &layout)?,
    })
}

/// Size of a manifest for any SquashFS.
fn unknown_manifest(inputs: &IsoInputs<'_>) -> u64 {
    (inputs.manifest)(&Digest::from_bytes([0; SHA256_BYTES])).len() as u64
}

/// Gives the file its size; all that is never written reads as zeros.
fn reserve(out: &File, bytes: u64) -> io::Result<()> {
    out.set_len(0)?;
    out.set_len(bytes)
}

fn write_squashfs(
    out: &File,
    squashfs: &mut Squashfs<'_>,
    plan: &Plan<'_>,
    layout: &Layout,
    progress: &Progress,
) -> Result<Digest, Error> {
    let extent = layout.extent(plan.squashfs)?;
    let (start, end) = (extent.offset(), extent.offset() + extent.bytes);
    let write = std::mem::replace(&mut squashfs.write, Box::new(|_| Ok(())));
    let task = progress.task("write the root file system", Some(extent.bytes));
    let read_back = |source| part(ROOTFS, source);
    let ((), digest) = hash_behind(out, start, end, read_back, |watermark| {
        let data = DataWriter::new(out, &plan.tree, layout, plan.squashfs)?;
        stream(data, watermark, &task, |out| {
            write(out).map_err(|source| Error::RootFileSystem { source })
        })
    })?;
    Ok(digest)
}

/// Writes what is small and depends on the manifest, and the head.
fn write_small(
    out: &File,
    inputs: &IsoInputs<'_>,
    plan: &Plan<'_>,
    layout: &Layout,
    manifest: &[u8],
) -> Result<(), Error> {
    let put = |file: FileId, bytes: &[u8]| -> Result<(), Error> {
        let mut data = DataWriter::new(out, &plan.tree, layout, file)?;
        data.write_all(bytes)
            .map_err(|source| part("a small file", source))?;
        Ok(data.finish()?)
    };
    let digest = Digest::of(manifest);
    let marker = digest.hex();
    put(plan.manifest, manifest)?;
    put(plan.marker, plan::marker_content(&marker).as_bytes())?;
    let stub = (inputs.stub)(&marker);
    for &file in &plan.stubs {
        put(file, stub.as_bytes())?;
    }
    if let Some(esp) = plan.boot.uefi {
        let bytes = layout.extent(esp)?.bytes;
        put(esp, &efi_partition(inputs, plan, &stub, &digest, bytes)?)?;
    }
    if let (Some(bios), Some(core)) = (&inputs.bios, plan.boot.bios) {
        let mut image = bios.core_image.clone();
        patch_core_image(&mut image, layout.extent(core)?.block, CORE_IMAGE)?;
        put(core, &image)?;
    }
    let head = head(&plan.tree, layout)?;
    out.write_all_at(&head, HEAD_OFFSET)
        .map_err(|source| part("directories", source))
}

/// The FAT image with the EFI programs and the stubs.
fn efi_partition(
    inputs: &IsoInputs<'_>,
    plan: &Plan<'_>,
    stub: &str,
    manifest: &Digest,
    bytes: u64,
) -> Result<Vec<u8>, Error> {
    let mut contents: Vec<(String, Vec<u8>)> = Vec::new();
    for program in &inputs.efi_programs {
        let size = program.data.size();
        if size > MAX_EFI_PROGRAM_BYTES {
            let name = &program.name;
            let problem = format!(
                "the EFI program '{name}' has {size} bytes, more than {MAX_EFI_PROGRAM_BYTES}"
            );
            return Err(unfit(problem).into());
        }
        let path = format!("{EFI_FOLDER}/{}", program.name);
        let mut data = Vec::new();
        program
            .data
            .open()
            .and_then(|reader| reader.take(size + 1).read_to_end(&mut data))
            .map_err(|source| part(&path, source))?;
        contents.push((path, data));
    }
    for path in &plan.stub_paths {
        contents.push((path.clone(), stub.as_bytes().to_vec()));
    }
    let files: Vec<fat::FatFile<'_>> = contents
        .iter()
        .map(|(path, data)| fat::FatFile { path, data })
        .collect();
    let serial = derived(manifest, "FAT serial");
    let options = fat::Options {
        label: ESP_LABEL,
        serial: u32::from_le_bytes(serial),
        epoch: inputs.epoch,
        bytes,
    };
    Ok(fat::build(&options, &files).context(NO_ESP)?)
}

/// The beginning of a digest that the manifest and a purpose decide, so that
/// two different ISOs never share an identifier.
fn derived<const N: usize>(manifest: &Digest, purpose: &str) -> [u8; N] {
    const { assert!(N <= SHA256_BYTES) };
    let digest = Digest::of(&[manifest.as_bytes(), purpose.as_bytes()].concat());
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(digest.as_bytes()) {
        *to = *from;
    }
    out
}

/// Writes MBR and GPT. The EFI system partition is the first usable sector; the
/// rest of the files is a partition too, so that no tool sees free space.
fn write_tables(
    out: &File,
    inputs: &IsoInputs<'_>,
    plan: &Plan<'_>,
    layout: &Layout,
    manifest: &Digest,
) -> Result<(), Error> {
    let guid = |purpose| gpt::Guid::version_8(derived(manifest, purpose));
    let ids = gpt::DiskIds {
        guid: guid("disk"),
        mbr_signature: derived(manifest, "MBR"),
    };
    let end = layout.bytes() / gpt::SECTOR_BYTES - gpt::TAIL_SECTORS;
    let last = gpt::Sector(end).before();
    let body = |first| gpt::Partition {
        type_guid: gpt::TYPE_LINUX_RESERVED,
        guid: guid("ISO9660"),
        first,
        last,
        attributes: gpt::ATTRIBUTE_READ_ONLY,
        name: "ISO9660",
    };
    let boot = match (&inputs.bios, plan.boot.bios) {
        (Some(bios), Some(core)) => Some(gpt::BiosBoot {
            code: &bios.boot_hybrid,
            core_block: layout.extent(core)?.block,
        }),
        _ => None,
    };
    let Some(esp) = plan.boot.uefi else {
        let first = gpt::Sector::of_block(layout.data_block());
        return Ok(gpt::write(out, ids, &[body(first)], boot)?);
    };
    let esp = layout.extent(esp)?;
    let first = gpt::Sector::of_block(esp.block);
    let next = first.plus(esp.room / gpt::SECTOR_BYTES);
    let esp = gpt::Partition {
        type_guid: gpt::TYPE_ESP,
        guid: guid("ESP"),
        first,
        last: next.before(),
        attributes: 0,
        name: "EFI System",
    };
    Ok(gpt::write(out, ids, &[esp, body(next)], boot)?)
}

/// Writes all other files, and hashes the whole image behind them.
fn write_payloads(
    out: &File,
    plan: &Plan<'_>,
    layout: &Layout,
    progress: &Progress,
) -> Result<Digest, Error> {
    let total = plan
        .payloads
        .iter()
        .map(|(_, payload)| payload.size())
        .sum();
    let task = progress.task("write the ISO", Some(total));
    let read_back = |source| part("checksum", source);
    let ((), digest) = hash_behind(out, 0, layout.bytes(), read_back, |watermark| {
        for (file, payload) in &plan.payloads {
            watermark.reached(layout.extent(*file)?.offset());
            let data = DataWriter::new(out, &plan.tree, layout, *file)?;
            stream(data, watermark, &task, |out| {
                let path = || path_of(plan, *file);
                let mut reader = payload.open().map_err(|source| part(&path(), source))?;
                io::copy(&mut reader, out)
                    .map(drop)
                    .map_err(|source| part(&path(), source))
            })?;
        }
        Ok(())
    })?;
    Ok(digest)
}

/// Runs `fill` with a buffered writer to a file's place.
fn stream(
    data: DataWriter<'_>,
    watermark: &Watermark,
    task: &Task,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), Error>,
) -> Result<(), Error> {
    let tracked = Tracked {
        data,
        watermark,
        task,
    };
    let mut buffered = BufWriter::with_capacity(WRITE_BYTES, tracked);
    fill(&mut buffered)?;
    let tracked = buffered
        .into_inner()
        .map_err(|error| part("a file", error.into_error()))?;
    Ok(tracked.data.finish()?)
}

/// Tells watermark and progress what was written.
struct Tracked<'a> {
    data: DataWriter<'a>,
    watermark: &'a Watermark,
    task: &'a Task,
}

impl Write for Tracked<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.data.write(buf)?;
        self.watermark.reached(self.data.position());
        self.task.advance(n as u64);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.data.flush()
    }
}

fn placed(plan: &Plan<'_>, layout: &Layout) -> Result<Vec<PlacedFile>, Error> {
    plan.paths
        .iter()
        .map(|(file, path)| {
            let extent = layout.extent(*file)?;
            Ok(PlacedFile {
                path: path.clone(),
                offset: extent.offset(),
                bytes: extent.bytes,
                room: extent.room,
            })
        })
        .collect()
}

fn path_of(plan: &Plan<'_>, file: FileId) -> String {
    plan.paths
        .iter()
        .find(|(id, _)| *id == file)
        .map_or_else(String::new, |(_, path)| path.clone())
}

fn part(path: &str, source: io::Error) -> Error {
    Error::io(format!("writing '{path}' to the ISO"))(source)
}

#[cfg(test)]
mod tests;
