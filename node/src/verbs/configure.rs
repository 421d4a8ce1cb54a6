//! Applies one stage of the cloud-config.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use isoforge_contract::machine::{CONFIG_PATH, Config};

use crate::cloud::sources::{self, Boot};
use crate::cloud::{self, Host, Stage, System, Telling};
use crate::paths;
use crate::rooted::Root;
use isoforge_contract::cloud::Document;

/// Applies one stage of the cloud-config
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which stage
    #[arg(long, value_enum)]
    stage: Stage,
    /// Apply to the system below this directory: its site configuration, and
    /// nothing is run
    #[arg(long, default_value = "/")]
    root: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let root = Root::open(&args.root)?;
    let is_running = args.root == Path::new("/");
    let boot = if is_running {
        booted(&root)?
    } else {
        Boot::Installed
    };
    let mut system = System;
    let mut telling = Telling;
    let host: &mut dyn Host = if is_running {
        &mut system
    } else {
        &mut telling
    };
    let found = sources::find(&root, boot);
    if args.stage == Stage::Initramfs {
        for unknown in found.documents.iter().flat_map(Document::unknown) {
            host.tell(&format!("not acted on: {unknown}"));
        }
    }
    for failure in &found.failures {
        host.tell(&format!("not read: {failure}"));
    }
    let slot_etc = root.outside(paths::ROOTFS_BASE).join("etc");
    let slot_etc = fs_err::exists(&slot_etc)?.then_some(slot_etc);
    let failures = cloud::apply(
        args.stage,
        &found.documents,
        &root,
        slot_etc.as_deref(),
        host,
    );
    match (found.failures.len(), failures.len()) {
        (0, 0) => Ok(()),
        (unread, 0) => bail!("{unread} problems kept parts of the configuration from being read"),
        (0, failed) => bail!("{failed} parts of the configuration could not be applied"),
        (unread, failed) => bail!(
            "{unread} problems kept parts of the configuration from being read, and {failed} parts could not be applied"
        ),
    }
}

fn booted(root: &Root) -> Result<Boot> {
    let path = format!("/{CONFIG_PATH}");
    let bytes = root
        .read(&path)?
        .with_context(|| format!("there is no '{path}'"))?;
    let config = Config::parse(&bytes).with_context(|| format!("reading '{path}'"))?;
    let cmdline = root.read("/proc/cmdline")?.unwrap_or_default();
    Ok(Boot::of(&String::from_utf8_lossy(&cmdline), config.flavor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_configured_from_its_own_site_configuration() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(dir.path().join("oem")).unwrap();
        fs_err::write(dir.path().join("oem/10.yaml"), "hostname: one\n").unwrap();
        let args = |stage| Args {
            stage,
            root: dir.path().to_owned(),
        };
        run(&args(Stage::Initramfs)).unwrap();
        let name = fs_err::read_to_string(dir.path().join("etc/hostname")).unwrap();
        assert_eq!(name, "one\n");
        // A broken document is told, and the others count.
        fs_err::write(dir.path().join("oem/05.yaml"), "hostname: [\n").unwrap();
        fs_err::write(
            dir.path().join("oem/20.yaml"),
            "hostname: two\nusers: [-]\n",
        )
        .unwrap();
        fs_err::write(dir.path().join("oem/30.yaml"), "hostname: three\n").unwrap();
        let error = run(&args(Stage::Initramfs)).unwrap_err();
        insta::assert_snapshot!(error, @r#"2 problems kept parts of the configuration from being read"#);
        let name = fs_err::read_to_string(dir.path().join("etc/hostname")).unwrap();
        assert_eq!(name, "three\n");
    }
}
