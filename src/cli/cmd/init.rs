//! `isoforge init`.

use std::io;
use std::path::Path;

use crate::cli::args::{Global, Init};
use crate::cli::report;
use crate::render::embedded_files;
use isoforge_base::error::{Class, Context as _, Failure, Result};

/// The example profiles, compiled in.
const PROFILES: &[(&str, &str)] = &[
    (
        "appliance-framework",
        include_str!("../../../profiles/appliance-framework.toml"),
    ),
    ("byo-os", include_str!("../../../profiles/byo-os.toml")),
    ("demo", include_str!("../../../profiles/demo.toml")),
    (
        "management-appliance",
        include_str!("../../../profiles/management-appliance.toml"),
    ),
    ("minimal", include_str!("../../../profiles/minimal.toml")),
];

pub(in crate::cli) fn run(args: &Init, global: &Global) -> Result<()> {
    let (_, profile) = PROFILES
        .iter()
        .find(|(name, _)| *name == args.template)
        .ok_or_else(|| {
            let names: Vec<_> = PROFILES.iter().map(|(name, _)| *name).collect();
            let message = format!(
                "there is no example profile '{}'; there are {}",
                args.template,
                names.join(", ")
            );
            Failure::new(Class::Profile, message)
        })?;
    let dir = &args.directory;
    ensure_empty(dir)?;
    write(dir, "profile.toml", profile.as_bytes(), false)?;
    for file in embedded_files() {
        write(dir, file.path, file.bytes, file.executable)?;
    }
    report::progress(global).note(format!(
        "next: isoforge validate {}",
        dir.join("profile.toml").display()
    ));
    report::data(format!("{}\n", dir.join("profile.toml").display()))?;
    Ok(())
}

fn ensure_empty(dir: &Path) -> Result<()> {
    match fs_err::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => {
                let message = format!("'{}' is not empty", dir.display());
                Err(Failure::new(Class::Profile, message)
                    .with_hint("name a folder that does not exist yet; nothing was written"))
            }
        },
    }
}

fn write(dir: &Path, path: &str, bytes: &[u8], executable: bool) -> Result<()> {
    let path = dir.join(path);
    let parent = path.parent().context("a file of a project has a folder")?;
    fs_err::create_dir_all(parent)?;
    fs_err::write(&path, bytes)?;
    if executable {
        use std::os::unix::fs::PermissionsExt as _;
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
