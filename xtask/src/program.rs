//! The two programs of the product: isoforge, and `appliance` for the machine,
//! linked statically and put beside it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::sh;

/// Largest program for the machine.
const MAX_BYTES: u64 = 15 << 20;

/// The task.
pub(crate) fn build() -> Result<()> {
    for mut command in commands() {
        sh::run(&mut command)?;
    }
    let made = sh::target_dir().join(format!("{}/release/appliance", target()));
    let headers = sh::output(sh::command(["readelf", "--program-headers", "--wide"]).arg(&made))?;
    ensure!(
        !headers.contains("INTERP"),
        "{} is linked dynamically",
        made.display()
    );
    let size = std::fs::metadata(&made)
        .with_context(|| made.display().to_string())?
        .len();
    ensure!(
        size < MAX_BYTES,
        "{} has {}, which is not below {}",
        made.display(),
        sh::mib(size),
        sh::mib(MAX_BYTES)
    );
    // A C library that can't relocate it that way would crash here.
    sh::output(sh::command([made.as_os_str()]).arg("--version"))?;
    let place = appliance()?;
    std::fs::copy(&made, &place).with_context(|| place.display().to_string())?;
    println!("{} has {}", place.display(), sh::mib(size));
    Ok(())
}

/// What builds both.
pub(crate) fn commands() -> [Command; 2] {
    let isoforge = sh::command(["cargo", "build", "--release", "--package", "isoforge"]);
    let mut appliance = sh::command(["cargo", "rustc", "--release", "--package", "appliance"]);
    // With a target named, the flags are for the program alone and not for
    // what runs while it is built.
    appliance
        .args(["--bin", "appliance", "--target", &target(), "--"])
        // Its relocations take 25 KiB so, not 730 (glibc 2.36 and later).
        .args(["-C", "link-arg=-Wl,-z,pack-relative-relocs"])
        .env(
            "RUSTFLAGS",
            "-C target-feature=+crt-static -C strip=symbols",
        );
    [isoforge, appliance]
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

fn target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}
