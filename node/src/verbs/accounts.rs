//! Keeps changed accounts and passwords.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::accounts;
use crate::paths;

/// Keeps changed accounts and passwords
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Keep what the machine's accounts have beyond those of the slot
    Save,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    match args.action {
        Action::Save => {
            let slot_etc = Path::new(paths::ROOTFS_BASE).join("etc");
            let kept = Path::new(paths::PERSISTENT).join(paths::ACCOUNTS);
            accounts::save(Path::new("/etc"), &slot_etc, &kept)
                .context("the accounts could not be kept")?;
            Ok(())
        }
    }
}
