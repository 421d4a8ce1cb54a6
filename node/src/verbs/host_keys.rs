//! Makes the SSH host keys of this machine, and keeps them.

use std::path::Path;

use anyhow::{Context as _, Result};
use isoforge_base::process::Program;

use crate::paths;
use crate::state::{BootRecord, identity};
use isoforge_system::slots::Slot;

/// Most that ssh-keygen prints.
const OUTPUT_MAX_BYTES: u64 = 65_536;

/// Make the SSH host keys of this machine, and keep them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// The verb. Keys that are there stay. On the medium, in a Kairos system and in
/// recovery nothing is kept.
pub(crate) fn run(_args: &Args) -> Result<()> {
    Program::new("ssh-keygen", "openssh-client")
        .arg("-A")
        .output(OUTPUT_MAX_BYTES)
        .context("can't make the SSH host keys")?;
    let boot = BootRecord::read()?;
    if boot.is_none_or(|boot| boot.slot == Slot::Recovery) {
        return Ok(());
    }
    let identity = Path::new(paths::PERSISTENT).join(paths::IDENTITY);
    identity::save_host_keys(Path::new("/etc"), &identity).context("can't keep the SSH host keys")
}
