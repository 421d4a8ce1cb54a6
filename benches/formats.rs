//! Measures of the formats by themselves, for `cargo xtask bench`, which runs
//! foreign tools beside them:
//!
//! ```text
//! cargo bench --bench formats -- squashfs ROOT.tar OUT.squashfs THREADS
//! cargo bench --bench formats -- iso ROOT.squashfs FOLDER OUT.iso
//! ```
//!
//! Each prints the seconds that it took, the bytes that it wrote and the peak of
//! its memory (VmHWM, in KiB), parted by blanks. The SquashFS has isoforge's
//! default settings; `FOLDER` has `kernel`, `initrd`, `shim.efi`, `grub.efi`,
//! `core.img` and `boot_hybrid.img`.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program that measures, not part of the product"
)]

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::time::Instant;

use isoforge_base::digest::Digest;
use isoforge_base::progress::Progress;
use isoforge_base::tree::{LayerId, Tree};
use isoforge_formats::squashfs::Settings;
use isoforge_formats::squashfs::write::ImagePlan;
use isoforge_formats::tar::Limits;
use isoforge_system::installer_iso::{self, Bios, EfiProgram, IsoInputs, Payload, Squashfs};
use isoforge_system::layer::{apply, read_tar};
use isoforge_system::slab::{self, Slab, SlabSet};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let begun = Instant::now();
    let written = match words.as_slice() {
        ["squashfs", tar, out, threads] => squashfs(tar.as_ref(), out.as_ref(), threads.parse()?)?,
        ["iso", root, folder, out] => iso(root.as_ref(), folder.as_ref(), out.as_ref())?,
        // `cargo bench` and `cargo test --all-targets` start it bare.
        _ => return Ok(()),
    };
    let seconds = begun.elapsed().as_secs_f64();
    println!("{seconds:.3} {written} {}", peak_kib()?);
    Ok(())
}

fn squashfs(tar: &Path, out: &Path, threads: usize) -> Result<u64> {
    let settings = Settings::default();
    let limits = Limits::DEFAULT;
    let path = out.with_extension("slab");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)?;
    let tar = File::open(tar)?;
    slab::build(&mut file, &settings, threads, |sink| {
        read_tar(tar, &limits, sink).map_err(|error| slab_error(&error))
    })
    .map_err(|error: io::Error| error)?;
    let slabs = SlabSet::new(vec![Slab::open(&path)?]);
    let mut tree = Tree::new();
    let layer = LayerId(0);
    let entries = slabs.get(layer).map(Slab::entries).unwrap_or_default();
    apply(&mut tree, layer, entries)?;
    let plan = ImagePlan::new(&tree, &slabs, &settings, 0)?;
    let mut image = BufWriter::with_capacity(1 << 20, File::create(out)?);
    plan.write(&mut image)?;
    fs::remove_file(path)?;
    Ok(plan.size())
}

fn slab_error(error: &dyn Error) -> io::Error {
    io::Error::other(error.to_string())
}

fn iso(root: &Path, folder: &Path, out: &Path) -> Result<u64> {
    let file = |name: &str| payload(folder.join(name));
    let program = |name: &str, from: &str| -> Result<EfiProgram<'static>> {
        Ok(EfiProgram {
            name: name.to_owned(),
            data: file(from)?,
        })
    };
    let size = fs::metadata(root)?.len();
    let image = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(out)?;
    let inputs = IsoInputs {
        volume_id: "COS_LIVE".to_owned(),
        epoch: 0,
        kernel: file("kernel")?,
        initrd: file("initrd")?,
        efi_programs: vec![
            program("bootx64.efi", "shim.efi")?,
            program("grubx64.efi", "grub.efi")?,
        ],
        bios: Some(Bios {
            core_image: fs::read(folder.join("core.img"))?,
            boot_hybrid: fs::read(folder.join("boot_hybrid.img"))?,
        }),
        menu: b"menuentry live { true }\n".to_vec(),
        stub: &|marker| format!("search --set=root --file {marker}\n"),
        stub_paths: Vec::new(),
        config: b"#cloud-config\n".to_vec(),
        squashfs: Squashfs {
            size,
            write: Box::new(move |out| {
                io::copy(&mut File::open(root)?, out)?;
                Ok(())
            }),
        },
        manifest: &|digest| digest.to_string().into_bytes(),
        extra: Vec::new(),
    };
    Ok(installer_iso::write(&image, inputs, &Progress::silent())?.size)
}

fn payload(path: PathBuf) -> Result<Payload<'static>> {
    let (digest, size) = Digest::of_reader(File::open(&path)?)?;
    Ok(Payload::File { path, size, digest })
}

/// The most memory that this process had (proc(5), `VmHWM`).
fn peak_kib() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .ok_or("no VmHWM in /proc/self/status")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
