//! Two profiles, each built twice from an empty store, as two machines would
//! build them: every output and the lock have to be the same.
//!
//! The demo makes its system with mmdebstrap anew; the other profile lies on an
//! image, the demo's own.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::another_host::{Circumstances, Host, is_root};
use crate::demo::{self, files_in};
use crate::{same_root, sh, steps};

const HERE: Circumstances = Circumstances {
    other_user: false,
    host: "one",
    days_ahead: 0,
    umask: "022",
    zone: "UTC",
    locale: "C.UTF-8",
    jobs: "1",
};

const ELSEWHERE: Circumstances = Circumstances {
    other_user: true,
    host: "another.example",
    days_ahead: 365,
    umask: "077",
    zone: "Pacific/Auckland",
    locale: "de_DE.UTF-8",
    jobs: "2",
};

const PROFILES: [&str; 2] = [demo::PROFILE, "profiles/image.toml"];

/// Where a machine keeps what it pulled.
const STORE: &str = "store";

/// Builds twice and compares.
pub(crate) fn check() -> Result<()> {
    if !is_root()? {
        steps::skip("another user, host name and clock need root");
        return Ok(());
    }
    let (first_host, first) = build(&HERE)?;
    let (second_host, second) = build(&ELSEWHERE)?;
    ensure!(!first.is_empty(), "the builds have no outputs");
    if first != second {
        let folders = [first_host.keep(), second_host.keep()];
        bail!("two builds differ:\n{first:#?}\n{second:#?}\nthey are kept in {folders:?}");
    }
    for (name, digest) in first {
        println!("twice: {name} is sha256:{digest} both times");
    }
    Ok(())
}

/// Builds all profiles on one machine and gives it with the outputs' digests.
fn build<'a>(circumstances: &'a Circumstances) -> Result<(Host<'a>, Vec<(String, String)>)> {
    let host = Host::prepare(circumstances)?;
    let folder = host.folder();
    // A copy made without -p has the times of now: the files are touched.
    for name in ["profiles", "templates", "overlays"] {
        sh::run(sh::command(["cp", "-R", name]).arg(folder))?;
    }
    remove_locks(&folder.join("profiles"))?;
    std::fs::write(folder.join(PROFILES[1]), image_profile())?;
    std::fs::create_dir(folder.join("profiles/extra"))?;
    std::fs::write(
        folder.join("profiles/extra/twice"),
        "laid over the system\n",
    )?;
    same_root::unpack_system(&folder.join("profiles/layout"))?;
    host.hand_over()?;
    for profile in PROFILES {
        let mut command = host.isoforge();
        command.args(["build", profile, "--cache-dir", STORE, "--output", "out"]);
        sh::run(&mut command)?;
    }
    let mut found = digests(&folder.join("out"))?;
    for lock in files_in(&folder.join("profiles"))? {
        if lock.extension().is_some_and(|e| e == "lock") {
            found.push((file_name(&lock)?, sh::sha256(&lock)?));
        }
    }
    ensure!(
        found
            .iter()
            .filter(|(name, _)| name.ends_with(".lock"))
            .count()
            == PROFILES.len(),
        "each profile should have a lock"
    );
    Ok((host, found))
}

fn image_profile() -> String {
    let image = format!("oci:layout:{}", same_root::TAG);
    same_root::PROFILE.replace(same_root::IMAGE_PLACE, &image)
}

/// Locks that an earlier build left beside the profiles would pin what this one
/// is to find out.
fn remove_locks(folder: &Path) -> Result<()> {
    for path in files_in(folder)? {
        if path.extension().is_some_and(|e| e == "lock") {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn file_name(path: &Path) -> Result<String> {
    match path.file_name().and_then(|name| name.to_str()) {
        Some(name) => Ok(name.to_owned()),
        None => bail!("{} has no name", path.display()),
    }
}

/// The outputs' paths within `folder` and their digests.
fn digests(folder: &Path) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for path in files_in(&next)? {
            let name = path.strip_prefix(folder)?.display().to_string();
            found.push((name, sh::sha256(&path)?));
        }
        let entries = std::fs::read_dir(&next).with_context(|| next.display().to_string())?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
