//! The systems that are installed and upgraded to. They share all packages, so
//! one bootstrap serves them all; they differ in a few files.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::access::{Access, USER};
use crate::demo;
use crate::qemu::scratch;

/// Which system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum System {
    /// Version 1, installed without questions.
    First,
    /// The same, but nobody has an account, and the installer asks.
    Asking,
    /// The same, and the boot menu is locked with [`BOOT_PASSWORD`].
    Locked,
    /// Version 2.
    Second,
    /// The same as the first, with pages on its consoles.
    Console,
    /// Version 3. It can be broken by what is added to its command line.
    Third,
}

impl System {
    const ALL: [Self; 6] = [
        Self::First,
        Self::Asking,
        Self::Console,
        Self::Locked,
        Self::Second,
        Self::Third,
    ];

    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::First | Self::Asking | Self::Console | Self::Locked => "1.0.0",
            Self::Second => "2.0.0",
            Self::Third => "3.0.0",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Asking => "asking",
            Self::Console => "console",
            Self::Locked => "locked",
            Self::Second => "second",
            Self::Third => "third",
        }
    }

    fn asks(self) -> bool {
        self == Self::Asking
    }
}

/// What opens the editor of a locked menu.
pub(crate) const BOOT_PASSWORD: &str = "correct horse battery";

/// The file with it, beside the profile.
const BOOT_PASSWORD_FILE: &str = "boot-password.txt";

/// The appliance's name.
pub(crate) const NAME: &str = "e2e";

/// Holds the version, below /etc.
pub(crate) const VERSION_FILE: &str = "/etc/e2e-version";

/// Bytes that no compression makes smaller, so that they can be found on the
/// ISO as they are; a file of the root file system that nothing reads.
const BALLAST: &str = "usr/lib/e2e/ballast";
const BALLAST_BYTES: usize = 384 << 10;

/// What breaks version 3, each where the kernel's command line has its name.
pub(crate) mod broken {
    /// PID 1 starts nothing and says nothing.
    pub(crate) const HANG: &str = "init=/usr/lib/e2e/hang";
    /// The kernel panics while the system comes up.
    pub(crate) const PANIC: &str = "e2e.panic";
    /// A unit that everything waits for never ends.
    pub(crate) const STUCK: &str = "e2e.stuck";
    /// The system comes up, but is not well.
    pub(crate) const SICK: &str = "e2e.sick";
}

/// Seconds within which a system on trial must be well.
const TIME_LIMIT_SECONDS: u32 = 240;

/// Profiles and what was built of them.
#[derive(Debug)]
pub(crate) struct Systems {
    folder: PathBuf,
}

impl Systems {
    /// Writes the profiles.
    pub(crate) fn prepare(access: &Access) -> Result<Self> {
        let folder = std::path::absolute(scratch("systems")?)?;
        let this = Self { folder };
        for system in System::ALL {
            this.write(system, access)?;
        }
        Ok(this)
    }

    pub(crate) fn profile(&self, system: System) -> PathBuf {
        self.folder.join(system.name()).join("profile.toml")
    }

    fn output(&self, system: System) -> PathBuf {
        self.folder.join("dist").join(system.name())
    }

    fn write(&self, system: System, access: &Access) -> Result<()> {
        let folder = self.folder.join(system.name());
        let overlay = folder.join("overlay");
        put(&folder.join("profile.toml"), &profile(system, access)?)?;
        put(&folder.join("overlay.toml"), OVERLAY)?;
        put(&folder.join(BOOT_PASSWORD_FILE), BOOT_PASSWORD)?;
        let version = format!("{}\n", system.version());
        put(&overlay.join(&VERSION_FILE[1..]), &version)?;
        let units = overlay.join("usr/lib/systemd/system");
        put(&units.join("e2e-panic.service"), PANIC)?;
        put(&units.join("e2e-stuck.service"), STUCK)?;
        let hang = overlay.join("usr/lib/e2e/hang");
        put(&hang, HANG)?;
        std::fs::set_permissions(&hang, std::fs::Permissions::from_mode(0o755))?;
        std::fs::write(overlay.join(BALLAST), ballast())?;
        Ok(())
    }

    /// The installer ISO; built where this run has not built it yet.
    pub(crate) fn iso(&self, system: System) -> Result<PathBuf> {
        self.build(system, "iso")?;
        demo::iso_in(&self.folder_of(system))
    }

    /// The provider image, an archive in OCI layout.
    pub(crate) fn archive(&self, system: System) -> Result<PathBuf> {
        self.build(system, "provider")?;
        demo::provider_in(&self.folder_of(system))
    }

    fn folder_of(&self, system: System) -> PathBuf {
        self.output(system)
            .join(format!("{NAME}-{}", system.version()))
    }

    /// Builds; what has not changed is taken from the store, so this is cheap
    /// the second time.
    fn build(&self, system: System, only: &str) -> Result<()> {
        let out = self.output(system).join(only);
        demo::build_profile(&self.profile(system), only, &out)?;
        // Both outputs of a system lie side by side.
        let to = self.folder_of(system);
        std::fs::create_dir_all(&to)?;
        for file in demo::files_in(&out.join(to.file_name().context("a folder")?))? {
            let name = file.file_name().context("a file")?;
            std::fs::rename(&file, to.join(name))?;
        }
        Ok(())
    }
}

pub(super) fn put(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text).with_context(|| path.display().to_string())
}

/// The profile: the demo's, with SSH, an account and a network.
fn profile(system: System, access: &Access) -> Result<String> {
    let demo = std::path::absolute(demo::PROFILE)?;
    let mode = if system.asks() {
        "interactive"
    } else {
        "unattended"
    };
    let mut text = format!(
        r#"extends = {demo:?}

[appliance]
name = "{NAME}"
version = "{version}"

[os.bootstrap]
"+packages" = ["openssh-server", "sudo"]

[overlays]
rootfs = ["overlay"]

[install]
mode = "{mode}"

[health]
checks = ["! grep -qw {sick} /proc/cmdline"]
time_limit = {TIME_LIMIT_SECONDS}

[[network.adapters]]
name = "rest"
interface = "e*"
"#,
        version = system.version(),
        sick = broken::SICK,
    );
    if !system.asks() {
        text.push_str(&format!(
            r#"
[[vars.users]]
name = "{USER}"
passwd = "{}"
groups = ["sudo"]
shell = "/bin/bash"
ssh_keys = ["{}"]
"#,
            access.hash, access.public
        ));
    }
    if system == System::Console {
        text.push_str("\n[console]\nenabled = true\n");
    }
    if system == System::Locked {
        // Long enough for somebody to be at the keyboard.
        text.push_str(&format!(
            "\n[boot]\ntimeout = 20\npassword = {{ file = \"{BOOT_PASSWORD_FILE}\" }}\n"
        ));
    }
    ensure!(!text.contains('\r'), "a key of several lines");
    Ok(text)
}

/// Units that break the system where they are asked to.
const OVERLAY: &str = r#"[[links]]
path = "etc/systemd/system/sysinit.target.wants/e2e-panic.service"
target = "/usr/lib/systemd/system/e2e-panic.service"

[[links]]
path = "etc/systemd/system/sysinit.target.wants/e2e-stuck.service"
target = "/usr/lib/systemd/system/e2e-stuck.service"
"#;

const PANIC: &str = "[Unit]
Description=A kernel panic, where it is asked for
ConditionKernelCommandLine=e2e.panic
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo c >/proc/sysrq-trigger'
";

const STUCK: &str = "[Unit]
Description=Never done, where it is asked to be
ConditionKernelCommandLine=e2e.stuck
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/bin/sleep infinity
";

const HANG: &str = "#!/bin/sh
# In the place of systemd.
echo 'e2e: init hangs' >/dev/console
while :; do sleep 1000; done
";

fn ballast() -> Vec<u8> {
    noise(0x5eed, BALLAST_BYTES)
}

/// The same bytes for every run.
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

/// A copy of an ISO, its SquashFS damaged where nothing reads it before the
/// installer copies it.
pub(crate) fn damaged(iso: &Path, to: &Path) -> Result<()> {
    let mut bytes = std::fs::read(iso).with_context(|| iso.display().to_string())?;
    let ballast = ballast();
    let middle = ballast.len() / 2;
    let sample = ballast.get(middle..middle + 64).context("a sample")?;
    let at = bytes
        .windows(sample.len())
        .position(|window| window == sample)
        .context("the ISO does not hold the ballast as it is")?;
    for byte in bytes.iter_mut().skip(at).take(sample.len()) {
        *byte = !*byte;
    }
    std::fs::write(to, bytes).with_context(|| to.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sh;

    #[test]
    fn the_profiles_differ_in_what_they_are_to_differ_in() {
        sh::to_workspace_root().unwrap();
        let access = Access {
            key: PathBuf::new(),
            public: "ssh-ed25519 AAAA e2e".to_owned(),
            hash: "$6$x$y".to_owned(),
        };
        let first = profile(System::First, &access).unwrap();
        let asking = profile(System::Asking, &access).unwrap();
        let second = profile(System::Second, &access).unwrap();
        assert!(first.contains("passwd = \"$6$x$y\"\n"));
        assert!(first.contains("mode = \"unattended\""));
        assert!(!asking.contains("users"));
        assert_eq!(first.replace("1.0.0", "2.0.0"), second);
    }

    #[test]
    fn the_ballast_is_found_and_changed() {
        sh::to_workspace_root().unwrap();
        let (iso, damaged_iso) = (
            scratch("test-ballast.iso").unwrap(),
            scratch("test-ballast.bad").unwrap(),
        );
        let mut bytes = vec![0; 5000];
        bytes.extend(ballast());
        std::fs::write(&iso, &bytes).unwrap();
        damaged(&iso, &damaged_iso).unwrap();
        let found = std::fs::read(&damaged_iso).unwrap();
        let differ = bytes.iter().zip(&found).filter(|(a, b)| a != b).count();
        assert_eq!(differ, 64);
        std::fs::write(&iso, [0; 5000]).unwrap();
        assert!(damaged(&iso, &damaged_iso).is_err());
    }
}
