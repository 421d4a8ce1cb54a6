//! The demo's system once from an OCI layout and once from a real registry on
//! loopback: the root file systems have to be the same, byte for byte.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::demo;
use crate::qemu::scratch;
use crate::registry::Registry;
use crate::sh;

/// The demo's provider image, which is a whole operating system.
pub(crate) const TAG: &str = "debian-1.32.3-1.0.0";

/// The image of [`PROFILE`], which each build puts its own in place of.
pub(crate) const IMAGE_PLACE: &str = "set.by/the:task";

/// Pushes the demo's system and builds from both places.
pub(crate) fn check() -> Result<()> {
    let folder = std::path::absolute(scratch("same-root")?)?;
    sh::empty_folder(&folder)?;
    let layout = folder.join("layout");
    std::fs::create_dir_all(folder.join("extra"))?;
    std::fs::write(folder.join("extra/same-root"), "laid over the system\n")?;
    std::fs::write(folder.join("profile.toml"), PROFILE)?;
    unpack_system(&layout)?;

    let registry = Registry::start(&folder)?;
    let local = format!("oci:{}:{TAG}", layout.display());
    let remote = format!("localhost:{}/demo/os:1", registry.port);
    let mut push = sh::line("skopeo copy --quiet --all --dest-tls-verify=false");
    sh::run(push.arg(&local).arg(format!("docker://{remote}")))?;

    let from_layout = build(&folder, "layout", &local)?;
    let from_registry = build(&folder, "registry", &remote)?;
    ensure!(
        from_layout == from_registry,
        "the root file systems differ: {from_layout} and {from_registry}"
    );
    println!("same root: {from_layout} from the OCI layout and from the registry");
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

/// A profile on an image.
pub(crate) const PROFILE: &str = r#"schema = 1

[appliance]
name = "same-root"
version = "1"
arch = ["amd64"]

[os]
flavor = "appliance"
distribution = "debian"
version = "13"
image = "set.by/the:task"

[kubernetes]
distribution = "debian"
version = "1.32.3"

[[kubernetes.layers]]
folder = "extra"

[provider]
repository = "registry.example/same-root"
"#;

/// Unpacks the demo's provider image, an OCI layout, into `folder`.
pub(crate) fn unpack_system(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut unpack = sh::command(["tar", "--extract", "--file"]);
    sh::run(
        unpack
            .arg(demo::provider_in(Path::new(demo::OUTPUT))?)
            .arg("--directory")
            .arg(folder),
    )
}

/// Builds the ISO from `image` and gives the digest of its SquashFS.
fn build(folder: &Path, name: &str, image: &str) -> Result<String> {
    let out = folder.join(format!("dist-{name}"));
    let mut command = Command::new(sh::isoforge());
    command.arg("build").arg(folder.join("profile.toml"));
    command
        .args(["--only", "iso", "--set"])
        .arg(format!("os.image={image}"));
    sh::run(command.arg("--output").arg(&out))?;
    let text = std::fs::read_to_string(out.join("same-root-1/manifest.json"))?;
    let manifest: serde_json::Value = serde_json::from_str(&text)?;
    manifest
        .pointer("/architectures/amd64/squashfs/digest")
        .and_then(|digest| digest.as_str())
        .map(str::to_owned)
        .context("the manifest has no digest of the SquashFS")
}
