//! The two commands of the README: build the demonstration, and boot it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::qemu::{Accel, Firmware, Machine, Medium};
use crate::setup::{self, Need};
use crate::{program, sh};

/// The profile that everything here builds.
pub(crate) const PROFILE: &str = "profiles/demo.toml";

/// Where its outputs are.
pub(crate) const OUTPUT: &str = "dist/demo-1.0.0";

/// Arguments of the task.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Boot the ISO in QEMU afterwards, its console on this terminal
    #[arg(long)]
    boot: bool,
    /// Only print the commands
    #[arg(long)]
    dry: bool,
}

/// The task.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.dry {
        println!(
            "cargo xtask setup --only {}",
            if args.boot { "test" } else { "build" }
        );
        println!("cargo xtask build");
        println!("{}", sh::show(&build_demo()));
        if args.boot {
            let iso = Path::new(OUTPUT).join("demo-1.0.0.iso");
            println!("{}", sh::show(&machine(&iso, Accel::Tcg).command()?));
        }
        return Ok(());
    }
    setup::ensure(if args.boot { Need::Test } else { Need::Build })?;
    let iso = build()?;
    show_results()?;
    if args.boot {
        boot(&iso)?;
    }
    Ok(())
}

/// Builds isoforge and with it the demo; gives the ISO's path.
pub(crate) fn build() -> Result<PathBuf> {
    program::build()?;
    sh::run(&mut build_demo())?;
    iso_in(Path::new(OUTPUT))
}

fn build_demo() -> Command {
    let mut command = Command::new(sh::isoforge());
    command.args(["build", PROFILE]);
    command
}

/// Builds one output of a profile into `out`; the store makes the second time cheap.
pub(crate) fn build_profile(profile: &Path, only: &str, out: &Path) -> Result<()> {
    let mut build = sh::command([sh::isoforge()]);
    build.arg("build").arg(profile).args(["--only", only]);
    sh::run(build.args(["--quiet", "--output"]).arg(out))
}

/// The provider image, an archive in OCI layout, in a folder of outputs.
pub(crate) fn provider_in(folder: &Path) -> Result<PathBuf> {
    files_in(folder)?
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with(".oci.tar"))
        .with_context(|| format!("{} has no provider image", folder.display()))
}

/// The one ISO in a folder of outputs.
pub(crate) fn iso_in(folder: &Path) -> Result<PathBuf> {
    let mut isos = files_in(folder)?;
    isos.retain(|path| path.extension().is_some_and(|e| e == "iso"));
    match isos.as_slice() {
        [iso] => Ok(iso.clone()),
        other => bail!(
            "{} should hold one ISO, but has {other:?}",
            folder.display()
        ),
    }
}

/// The files in a folder, sorted.
pub(crate) fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths: Vec<_> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    paths.retain(|path| path.is_file());
    paths.sort();
    Ok(paths)
}

fn show_results() -> Result<()> {
    println!("\nThe results:");
    for path in files_in(Path::new(OUTPUT))? {
        let size = std::fs::metadata(&path)?.len();
        println!("  {:>12}  {}", sh::mib(size), path.display());
        println!("                sha256:{}", sh::sha256(&path)?);
    }
    println!("\nBoot it with: cargo xtask demo --boot");
    Ok(())
}

fn machine(iso: &Path, accel: Accel) -> Machine {
    Machine::new(Firmware::Bios, accel).medium(Medium::Cd, iso)
}

fn boot(iso: &Path) -> Result<()> {
    println!("\nThe console follows. QEMU ends with Ctrl-A X.\n");
    let mut command = machine(iso, Accel::probe(iso)?).command()?;
    // Ctrl-C goes to the guest, Ctrl-A to QEMU.
    command.args(["-serial", "mon:stdio"]);
    sh::run(&mut command)
}
