//! The two programs of the product: isoforge, and `appliance` for the machine,
//! linked statically and put beside it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::sh;

/// Largest program for the machine.
const MAX_BYTES: u64 = 15 << 20;

/// The task.
pub(crate) fn build() -> Result<()> {
    sh::run(&mut command())?;
    for (name, place) in [("isoforge", sh::isoforge()), ("appliance", appliance()?)] {
        let made = sh::built(name);
        let size = check(&made)?;
        ensure!(
            name != "appliance" || size < MAX_BYTES,
            "{} has {}, which is not below {}",
            made.display(),
            sh::mib(size),
            sh::mib(MAX_BYTES)
        );
        put(&made, &place)?;
        println!("{} has {}", place.display(), sh::mib(size));
    }
    Ok(())
}

/// What builds both. What it compiles, `cargo test` takes as it is
/// (tests/it/dependencies.rs).
pub(crate) fn command() -> Command {
    let words = ["cargo", "build", "--release", "--bins"];
    sh::command(
        words
            .into_iter()
            .chain(["--package=isoforge", "--package=appliance"]),
    )
}

/// The size in bytes of a program that is static and starts.
fn check(made: &Path) -> Result<u64> {
    let headers = sh::output(sh::command(["readelf", "--program-headers", "--wide"]).arg(made))?;
    ensure!(
        !headers.contains("INTERP"),
        "{} is linked dynamically",
        made.display()
    );
    // A C library that can't relocate it that way would crash here.
    sh::output(sh::command([made.as_os_str()]).arg("--version"))?;
    let metadata = std::fs::metadata(made).with_context(|| made.display().to_string())?;
    Ok(metadata.len())
}

/// Copies a program to where users find it, by rename: one that runs stays as it is.
fn put(made: &Path, place: &Path) -> Result<()> {
    let beside = place.with_extension("new");
    let folder = place.parent().context("a program has a folder")?;
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::copy(made, &beside))
        .and_then(|_| std::fs::rename(&beside, place))
        .with_context(|| place.display().to_string())
}

/// Where isoforge finds the program for this machine's architecture.
pub(crate) fn appliance() -> Result<PathBuf> {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("isoforge builds for no machine like this one ({other})"),
    };
    Ok(sh::target_dir().join(format!("release/appliance-{arch}")))
}
