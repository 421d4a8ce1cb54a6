//! What goes over a network, and what does not: pull, push, start-up, plan. The
//! registry is docker-registry on loopback with the demo's system in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::measure::{Used, duration_row, medians, require, row, start_up, timed};
use crate::qemu::scratch;
use crate::registry::Registry;
use crate::{same_root, sh};

const MAX_PULL_RATIO: f64 = 1.0;
const MAX_PLAN_SECONDS: f64 = 0.1;
const MAX_BUNDLE_RATIO: f64 = 1.5;

/// Measures and prints; what missed its bound goes into `failures`. Gives the folder
/// of a bundle with the demo's system.
pub(super) fn run(failures: &mut Vec<String>) -> Result<PathBuf> {
    let folder = std::path::absolute(scratch("bench/registry")?)?;
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(folder.join("extra"))?;
    std::fs::write(folder.join("extra/bench"), "laid over the system\n")?;
    let bench = Bench {
        registry: Registry::start(&folder)?,
        program: std::path::absolute(sh::isoforge())?,
        folder,
    };
    bench.fill()?;
    bench.pull(failures)?;
    bench.push()?;
    bench.bundle(failures)?;
    bench.start_up()?;
    bench.plan(failures)?;
    bench.bundle_folder()
}

struct Bench {
    registry: Registry,
    program: PathBuf,
    folder: PathBuf,
}

impl Bench {
    fn reference(&self) -> String {
        format!("localhost:{}/demo/os:1", self.registry.port)
    }

    fn isoforge(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args([verb, "--quiet"]);
        command
    }

    fn profile(&self) -> PathBuf {
        self.folder.join("profile.toml")
    }

    fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    /// The demo's system as an archive with one image, and in the registry.
    fn fill(&self) -> Result<()> {
        let layout = self.folder.join("layout");
        same_root::unpack_system(&layout)?;
        let image = format!("oci:{}:{}", layout.display(), same_root::TAG);
        let mut push = sh::command(["skopeo", "copy", "--quiet", "--all"]);
        push.args(["--dest-tls-verify=false", &image]);
        sh::run(push.arg(format!("docker://{}", self.reference())))?;
        let text = same_root::PROFILE.replace(same_root::IMAGE_PLACE, &self.reference());
        std::fs::write(self.profile(), text)?;
        // What `lock` finds out about BIOS is not part of a pull.
        let mut lock = self.isoforge("lock");
        lock.arg(self.profile());
        sh::run(lock.arg("--cache-dir").arg(self.store()))
    }

    /// The demo's image into an empty store, beside the same into a layout.
    fn pull(&self, failures: &mut Vec<String>) -> Result<()> {
        let other = self.folder.join("theirs");
        let (ours, theirs) = medians(
            || {
                remove(&self.store())?;
                let mut command = self.isoforge("pull");
                command.arg(self.profile());
                command.arg("--cache-dir").arg(self.store());
                timed(&command, None, &self.profile())
            },
            || {
                remove(&other)?;
                let mut command =
                    sh::command(["skopeo", "copy", "--quiet", "--src-tls-verify=false"]);
                command.arg(format!("docker://{}", self.reference()));
                command.arg(format!("oci:{}:1", other.display()));
                timed(&command, None, &self.profile())
            },
        )?;
        duration_row(
            "pull, empty store",
            "skopeo copy",
            ours.seconds,
            theirs.seconds,
        );
        require(
            failures,
            "pull time",
            ours.seconds / theirs.seconds,
            MAX_PULL_RATIO,
        );
        Ok(())
    }

    /// An image that the registry has already.
    fn push(&self) -> Result<()> {
        let layout = self.folder.join("layout");
        let repository = format!("localhost:{}/demo/os", self.registry.port);
        let (ours, theirs) = medians(
            || {
                let mut command = self.isoforge("push");
                command.arg(&layout).args(["--to", &repository]);
                timed(&command, None, &self.profile())
            },
            || {
                let mut command = sh::command(["skopeo", "copy", "--quiet", "--all"]);
                command.arg("--dest-tls-verify=false");
                command.arg(format!("oci:{}:{}", layout.display(), same_root::TAG));
                command.arg(format!("docker://{repository}:{}", same_root::TAG));
                timed(&command, None, &self.profile())
            },
        )?;
        duration_row(
            "push, unchanged",
            "skopeo copy",
            ours.seconds,
            theirs.seconds,
        );
        Ok(())
    }

    /// A bundle of an image that the store has, beside the same blobs in a tar archive.
    fn bundle(&self, failures: &mut Vec<String>) -> Result<()> {
        let folder = self.folder.join("bundle");
        std::fs::create_dir_all(&folder)?;
        let archive = folder.join("bench-1.tar.zst");
        let tar = folder.join("theirs.tar");
        let build = || {
            let mut build = self.build_bundle(&folder);
            build.arg("--force");
            build
        };
        sh::output(&mut build())?;
        let (ours, theirs) = medians(
            || timed(&build(), None, &archive),
            || {
                let mut command = sh::command(["tar", "--create", "--file"]);
                command.arg(&tar).arg("--directory");
                command.arg(self.folder.join("layout")).arg(".");
                let written = timed(&command, None, &tar)?;
                // A bundle is on the disk when the program ends.
                let synced = timed(sh::command(["sync"]).arg(&tar), None, &tar)?;
                Ok(Used {
                    seconds: written.seconds + synced.seconds,
                    ..written
                })
            },
        )?;
        row("bundle, blobs in store", "tar, sync", ours, theirs);
        require(
            failures,
            "bundle time",
            ours.seconds / theirs.seconds,
            MAX_BUNDLE_RATIO,
        );
        Ok(())
    }

    fn build_bundle(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["bundle", "build", "--quiet"]);
        command.args(["--name", "bench", "--version", "1"]);
        command.args(["--image", &self.reference(), "--cache-dir"]);
        command.arg(self.store()).arg("--output").arg(folder);
        command
    }

    fn bundle_folder(&self) -> Result<PathBuf> {
        let folder = self.folder.join("bundle-folder");
        std::fs::create_dir_all(&folder)?;
        sh::output(self.build_bundle(&folder).args(["--as", "dir"]))?;
        Ok(folder.join("bench-1"))
    }

    fn start_up(&self) -> Result<()> {
        let theirs = start_up(&mut sh::command(["skopeo", "--version"]))?;
        let ours = start_up(Command::new(&self.program).arg("--version"))?;
        duration_row("--version", "skopeo --version", ours, theirs);
        let ours = start_up(self.isoforge("validate").arg(self.profile()))?;
        duration_row("validate", "skopeo --version", ours, theirs);
        Ok(())
    }

    /// The plan of what the last pull left in the store.
    fn plan(&self, failures: &mut Vec<String>) -> Result<()> {
        let mut command = self.isoforge("plan");
        command.arg(self.profile());
        let ours = start_up(command.arg("--cache-dir").arg(self.store()))?;
        let theirs = start_up(&mut sh::command(["skopeo", "--version"]))?;
        duration_row("plan of a cached profile", "skopeo --version", ours, theirs);
        require(
            failures,
            "plan of a cached profile (s)",
            ours,
            MAX_PLAN_SECONDS,
        );
        Ok(())
    }
}

/// Removes a file or folder where it is there.
fn remove(path: &Path) -> Result<()> {
    if path.is_dir() {
        std::fs::remove_dir_all(path)?;
    } else if path.exists() {
        std::fs::remove_file(path)?;
    }
    Ok(())
}
