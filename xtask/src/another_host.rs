//! Runs the program as another machine would: another user, host name, clock,
//! umask, time zone and locale.
//!
//! The host name and a stand-in for mmdebstrap live in namespaces of the run,
//! so nothing of this machine changes but for a user that is added and removed.
//! That needs root. The clock is libfaketime's, which reaches programs that are
//! linked dynamically, inside the new root too: the library is copied there
//! while packages are installed, and taken out again. It does not reach isoforge,
//! which is static: that sees the machine's clock, and the builds run minutes apart.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{program, sh};

/// The user that a run as somebody else is given.
const OTHER_USER: &str = "isoforge-twice";

/// Where Debian's libfaketime lies, on this machine and in the new root.
const FAKETIME_DIR: &str = "/usr/lib/x86_64-linux-gnu/faketime";

/// What two machines may differ in.
pub(crate) struct Circumstances {
    /// A user of its own instead of root.
    pub(crate) other_user: bool,
    pub(crate) host: &'static str,
    pub(crate) days_ahead: u32,
    pub(crate) umask: &'static str,
    pub(crate) zone: &'static str,
    pub(crate) locale: &'static str,
    pub(crate) jobs: &'static str,
}

/// A folder that the circumstances' user owns, with a copy of the program.
pub(crate) struct Host<'a> {
    circumstances: &'a Circumstances,
    folder: PathBuf,
    user: Option<User>,
    kept: bool,
}

impl<'a> Host<'a> {
    /// Prepares the folder; it is removed with the value.
    pub(crate) fn prepare(circumstances: &'a Circumstances) -> Result<Self> {
        // Not below the checkout, which the other user need not be able to reach.
        let make = "mktemp --directory /var/tmp/isoforge-twice.XXXXXX";
        let folder = sh::output(&mut sh::line(make))?;
        let user = circumstances.other_user.then(User::add).transpose()?;
        let host = Self {
            circumstances,
            folder: PathBuf::from(folder.trim_end()),
            user,
            kept: false,
        };
        let program = std::fs::canonicalize(sh::isoforge()).context("isoforge is not built")?;
        sh::run(sh::command(["cp"]).arg(program).arg(host.program()))?;
        sh::run(
            sh::command(["cp"])
                .arg(program::appliance()?)
                .arg(&host.folder),
        )?;
        host.write_stand_in()?;
        Ok(host)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn program(&self) -> PathBuf {
        self.folder.join("isoforge")
    }

    fn user_name(&self) -> &str {
        self.user.as_ref().map_or("root", |_| OTHER_USER)
    }

    /// Leaves the folder where it is, for whoever looks into a failure.
    pub(crate) fn keep(mut self) -> PathBuf {
        self.kept = true;
        self.folder.clone()
    }

    /// Gives the folder to the user; to be called when everything is in it.
    pub(crate) fn hand_over(&self) -> Result<()> {
        sh::run(
            sh::command(["chown", "--recursive", "--no-dereference", self.user_name()])
                .arg(&self.folder),
        )
    }

    /// The program, started in the folder, with these arguments to be added.
    pub(crate) fn isoforge(&self) -> Command {
        let here = self.circumstances;
        // The kernel's own: `hostname` and `mount` act on the namespaces alone.
        // libfaketime names what its processes share by their numbers, which
        // come again in other namespaces, and for other users.
        let script = "set -e; hostname \"$1\"; \
             mount -t tmpfs -o mode=1777 tmpfs /dev/shm; \
             mount --bind \"$2/mmdebstrap\" /usr/bin/mmdebstrap; \
             umask \"$3\"; cd \"$2\"; user=\"$4\"; shift 4; \
             exec runuser --user \"$user\" -- \"$@\"";
        let mut command = sh::command(["unshare", "--uts", "--mount", "sh", "-c", script, "sh"]);
        command
            .arg(here.host)
            .arg(&self.folder)
            .args([here.umask, self.user_name()])
            .args(["env", "-u", "SOURCE_DATE_EPOCH"])
            .arg(format!("TZ={}", here.zone))
            .arg(format!("LC_ALL={}", here.locale))
            .arg(format!("HOME={}", self.folder.join("home").display()))
            .arg(format!("ISOFORGE_JOBS={}", here.jobs))
            .args(match here.days_ahead {
                0 => Vec::new(),
                _ => self.faketime().to_vec(),
            })
            .arg(self.program());
        command
    }

    fn faketime(&self) -> [String; 4] {
        [
            format!("LD_PRELOAD={FAKETIME_DIR}/libfaketime.so.1"),
            format!("FAKETIME=+{}d", self.circumstances.days_ahead),
            "NO_FAKE_STAT=1".to_owned(),
            "DONT_FAKE_MONOTONIC=1".to_owned(),
        ]
    }

    /// mmdebstrap under the shifted clock. apt would refuse Release files that
    /// are a year old, so its date checks are off, here as elsewhere, since the
    /// options become part of the system. Where the clock is shifted, hooks fail
    /// where that is not seen, by programs of this machine and by those of the new
    /// root.
    fn write_stand_in(&self) -> Result<()> {
        let real = self.folder.join("mmdebstrap.real");
        sh::run(sh::command(["cp", "/usr/bin/mmdebstrap"]).arg(&real))?;
        let (exports, hooks) = match self.circumstances.days_ahead {
            0 => Default::default(),
            _ => self.shift()?,
        };
        let text = format!(
            r#"#!/bin/sh
{exports}exec {real} \
	--aptopt='Acquire::Check-Valid-Until "false"' \
	--aptopt='Acquire::Check-Date "false"' \
{hooks}	"$@"
"#,
            real = real.display(),
        );
        let path = self.folder.join("mmdebstrap");
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    /// The environment and the hooks that shift mmdebstrap's clock. dracut asks
    /// `ldd` which libraries belong into the initrd; one that is preloaded does
    /// not, so it is given an `ldd` that has none.
    fn shift(&self) -> Result<(String, String)> {
        let today = sh::output(&mut sh::command(["date", "--utc", "+%s"]))?;
        let today: u64 = today.trim().parse().context("date gave no number")?;
        let earliest = today + u64::from(self.circumstances.days_ahead) * 86_400;
        let exports = self
            .faketime()
            .into_iter()
            .chain([format!("DRACUT_LDD={FAKETIME_DIR}/ldd")])
            .map(|variable| format!("export '{variable}'\n"))
            .collect();
        let hooks = format!(
            r##"	--setup-hook='mkdir -p "$1{FAKETIME_DIR}" && cp {FAKETIME_DIR}/libfaketime.so.1 "$1{FAKETIME_DIR}/"' \
	--setup-hook='printf "#!/bin/sh\nunset LD_PRELOAD\nexec ldd \"\$@\"\n" >"$1{FAKETIME_DIR}/ldd" && chmod 755 "$1{FAKETIME_DIR}/ldd"' \
	--customize-hook='test "$(date +%s)" -ge {earliest}' \
	--customize-hook='test "$(chroot "$1" date +%s)" -ge {earliest}' \
	--customize-hook='rm -r "$1{FAKETIME_DIR}"' \
"##
        );
        Ok((exports, hooks))
    }
}

impl Drop for Host<'_> {
    fn drop(&mut self) {
        if !self.kept {
            // What stays behind is in a folder for temporary files.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// Whether this process may make the namespaces and the user.
pub(crate) fn is_root() -> Result<bool> {
    Ok(sh::output(&mut sh::command(["id", "-u"]))?.trim() == "0")
}

/// A user with subordinate ids, as `useradd` gives them; removed when dropped.
struct User;

impl User {
    fn add() -> Result<Self> {
        if sh::succeeds(&mut sh::command(["id", OTHER_USER])) {
            // Left by a run that was killed.
            sh::run(&mut sh::command(["userdel", OTHER_USER]))?;
        }
        sh::run(&mut sh::command([
            "useradd",
            "--no-create-home",
            OTHER_USER,
        ]))?;
        let user = Self;
        let ids = std::fs::read_to_string("/etc/subuid").unwrap_or_default();
        if !ids.lines().any(|line| line.starts_with(OTHER_USER)) {
            bail!("useradd gave {OTHER_USER} no subordinate ids, which mmdebstrap needs");
        }
        Ok(user)
    }
}

impl Drop for User {
    fn drop(&mut self) {
        // A user that can't be removed now is removed by the next run.
        let _ = sh::run(&mut sh::command(["userdel", OTHER_USER]));
    }
}
