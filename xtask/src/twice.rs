//! The same demo built twice, from empty stores, in different folders, with
//! different umask, time zone, locale and number of threads, all local files
//! touched in between: every output has to be the same.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::demo::{self, files_in};
use crate::qemu::scratch;
use crate::sh;

struct Circumstances {
    folder: &'static str,
    umask: &'static str,
    zone: &'static str,
    locale: &'static str,
    jobs: &'static str,
}

const BUILDS: [Circumstances; 2] = [
    Circumstances {
        folder: "twice/one",
        umask: "022",
        zone: "UTC",
        locale: "C.UTF-8",
        jobs: "1",
    },
    Circumstances {
        folder: "twice/another, longer",
        umask: "077",
        zone: "Pacific/Auckland",
        locale: "de_DE.UTF-8",
        jobs: "2",
    },
];

/// Builds twice and compares.
pub(crate) fn check() -> Result<()> {
    let mut digests = Vec::new();
    for circumstances in &BUILDS {
        digests.push(build(circumstances)?);
    }
    let [first, second] = digests.as_slice() else {
        bail!("there should be two builds");
    };
    ensure!(!first.is_empty(), "the build has no outputs");
    ensure!(
        first == second,
        "two builds differ:\n{first:#?}\n{second:#?}"
    );
    for (name, digest) in first {
        println!("twice: {name} is sha256:{digest} both times");
    }
    std::fs::remove_dir_all(scratch("twice")?)?;
    Ok(())
}

/// Builds in a copy of the project's inputs and gives the outputs' digests.
fn build(circumstances: &Circumstances) -> Result<Vec<(String, String)>> {
    let folder = scratch(circumstances.folder)?;
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    // A copy made without -p has the times of now: the files are touched.
    for name in ["profiles", "templates", "overlays"] {
        sh::run(sh::command(["cp", "-R", name]).arg(&folder))?;
    }
    let program = std::fs::canonicalize(sh::isoforge()).context("isoforge is not built")?;
    let script = "umask \"$0\" && exec \"$@\"";
    let mut command = sh::command(["sh", "-c", script, circumstances.umask]);
    command
        .arg(program)
        .args([
            "build",
            demo::PROFILE,
            "--cache-dir",
            "store",
            "--output",
            "out",
        ])
        .args(["--jobs", circumstances.jobs])
        .env("TZ", circumstances.zone)
        .env("LC_ALL", circumstances.locale)
        .env_remove("SOURCE_DATE_EPOCH")
        .current_dir(&folder);
    sh::run(&mut command)?;
    digests(&folder.join("out"))
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
        for entry in std::fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
