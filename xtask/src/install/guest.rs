//! A running machine, as the steps use it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::access::{Access, PASSWORD, USER, remove};
use super::shell::{Shell, Ssh};
use super::status::Status;
use crate::boots::{BOOTING, DEADLINE};
use crate::qemu::{self, Console, FATAL, Firmware, Machine, Monitor, Wait};

/// How long an installation may take under emulation on a slow machine.
pub(crate) const INSTALLATION: Duration = Duration::from_secs(1800);

/// Said by the installer once it works without questions, with the disk after
/// it; when it is done; and when it could not do it.
pub(crate) const INSTALLING: &str = "Installing on ";
pub(crate) const INSTALLED: &str = "Installed on ";
pub(crate) const NOT_INSTALLED: &str = "Not installed: ";

/// Lines that a reason may have.
const REASON_LINES: usize = 6;

/// How long a machine that was told to end may take.
const ENDING: Duration = Duration::from_secs(240);

/// A machine that runs.
pub(crate) struct Guest {
    pub(crate) console: Console,
    pub(crate) name: String,
    socket: PathBuf,
    ssh: Option<Ssh>,
    start: Instant,
}

impl Guest {
    /// Starts a machine; `name` names its files in `target/e2e`.
    pub(crate) fn start(machine: Machine, access: &Access, name: &str) -> Result<Self> {
        // A path of 100 characters is too long for a socket.
        let socket = qemu::scratch(&format!("{name}.qmp"))?;
        remove(&socket)?;
        let vars = qemu::scratch(&format!("{name}.vars"))?;
        let ssh = match machine.network {
            qemu::Network::None => None,
            network => Some(Ssh::new(network.port()?, access, name)?),
        };
        let machine = machine.vars(&vars).monitor(&socket);
        println!("{name}: starting; log: target/e2e/{name}.log");
        Ok(Self {
            console: Console::start(machine.command()?, name)?,
            name: name.to_owned(),
            socket,
            ssh,
            start: Instant::now(),
        })
    }

    /// The monitor.
    pub(crate) fn monitor(&self) -> Result<Monitor> {
        Monitor::connect(&self.socket)
    }

    /// SSH to it.
    pub(crate) fn ssh(&self) -> Result<Ssh> {
        self.ssh.clone().context("this machine has no network card")
    }

    fn seconds(&self) -> u64 {
        self.start.elapsed().as_secs()
    }

    /// Waits until GRUB boots, tells the menu's entry, and gives it.
    pub(crate) fn entry(&mut self) -> Result<String> {
        self.says_entry(FATAL, DEADLINE)
    }

    /// The same where a boot has failed before, as it was meant to.
    pub(crate) fn next_entry(&mut self, time: Duration) -> Result<String> {
        self.says_entry(&[], time)
    }

    fn says_entry(&mut self, fatal: &[&str], time: Duration) -> Result<String> {
        let deadline = Instant::now() + time;
        self.console.wait(Wait {
            texts: &[BOOTING],
            fatal,
            deadline,
        })?;
        let entry = self.console.take_until("'", deadline)?;
        println!("{}: {} s: menu entry '{entry}'", self.name, self.seconds());
        Ok(entry)
    }

    /// Waits for what the console says first.
    pub(crate) fn says(&mut self, texts: &[&str], time: Duration) -> Result<usize> {
        let which = self.console.wait(Wait::new(texts, Instant::now() + time))?;
        let text = texts.get(which).copied().unwrap_or_default();
        println!("{}: {} s: '{text}'", self.name, self.seconds());
        Ok(which)
    }

    /// Waits until the screen shows one of these.
    pub(crate) fn shows(&mut self, texts: &[&str], time: Duration) -> Result<usize> {
        let wait = Wait::new(texts, Instant::now() + time);
        let which = self.console.wait_for_screen(wait);
        let which = which.with_context(|| format!("the screen:\n{}", self.console.screen()))?;
        let text = texts.get(which).copied().unwrap_or_default();
        let (name, seconds) = (&self.name, self.seconds());
        println!("{name}: {seconds} s: the screen shows '{text}'");
        Ok(which)
    }

    /// Waits for the login prompt of an installed system, and gives the menu
    /// entry that led to it.
    pub(crate) fn up(&mut self) -> Result<String> {
        let entry = self.entry()?;
        self.says(&[" login:"], DEADLINE)?;
        Ok(entry)
    }

    /// Waits until the account is let in by SSH.
    pub(crate) fn reachable(&self) -> Result<Ssh> {
        let ssh = self.ssh()?;
        ssh.wait(Instant::now() + DEADLINE)?;
        println!("{}: {} s: SSH by key works", self.name, self.seconds());
        Ok(ssh)
    }

    /// The root shell that was opened on the console.
    pub(crate) fn root_shell(&mut self) -> Result<Shell<'_>> {
        Shell::open(&mut self.console)
    }

    /// Waits until the system that runs on trial is good.
    pub(crate) fn confirmed(&self) -> Result<Status> {
        Status::wait_for_confirmation(&self.reachable()?)
    }

    /// The same for a machine that has new host keys.
    pub(crate) fn known_anew(&mut self, access: &Access) -> Result<Ssh> {
        let port = self.ssh()?.port();
        self.ssh = Some(Ssh::new(port, access, &format!("{}-anew", self.name))?);
        self.reachable()
    }

    /// Logs in on the console, which asks who is there.
    pub(crate) fn login(&mut self) -> Result<Shell<'_>> {
        let shell = Shell::login(&mut self.console, USER, PASSWORD)?;
        println!("{}: '{USER}' is logged in on the console", self.name);
        Ok(shell)
    }

    /// Waits until an installation without questions is done.
    pub(crate) fn installs(&mut self) -> Result<()> {
        self.says(&[INSTALLING], DEADLINE)?;
        let said = self.says(&[INSTALLED, NOT_INSTALLED], INSTALLATION)?;
        ensure!(said == 0, "the installer says: {}", self.reason()?);
        Ok(())
    }

    /// Waits until an installation without questions is refused or fails, for a
    /// reason that names all of `words`, in any case of letters.
    pub(crate) fn refuses(&mut self, words: &[&str]) -> Result<()> {
        let said = self.says(&[NOT_INSTALLED, INSTALLED], INSTALLATION)?;
        ensure!(said == 0, "it was installed, and should have been refused");
        let reason = self.reason()?;
        println!("{}: refused: {reason}", self.name);
        let lower = reason.to_lowercase();
        for word in words {
            ensure!(
                lower.contains(&word.to_lowercase()),
                "the reason does not name '{word}': {reason}"
            );
        }
        Ok(())
    }

    /// What the console says after [`NOT_INSTALLED`].
    fn reason(&mut self) -> Result<String> {
        self.console.listen(Duration::from_secs(5))?;
        let rest = self.console.rest();
        let lines: Vec<_> = rest.lines().take(REASON_LINES).map(str::trim).collect();
        Ok(lines.join(" "))
    }

    /// Waits until the machine has powered off, or would reboot.
    pub(crate) fn ended(self) -> Result<()> {
        self.ends_within(ENDING)
    }

    /// The same, in this time.
    pub(crate) fn ends_within(mut self, time: Duration) -> Result<()> {
        let status = self.console.wait_for_end(Instant::now() + time)?;
        ensure!(status.success(), "QEMU ended with {status}");
        Ok(())
    }

    /// Powers off through SSH.
    pub(crate) fn power_off(self) -> Result<()> {
        self.ssh()?.end("poweroff")?;
        self.ended()
    }
}

/// A disk of the steps, empty.
pub(crate) fn new_disk(name: &str, bytes: u64) -> Result<PathBuf> {
    let path = qemu::scratch(&format!("{name}.raw"))?;
    remove(&path)?;
    crate::image::blank(&path, bytes)?;
    Ok(path)
}

/// A copy of a disk, for a step to change.
pub(crate) fn copied_disk(from: &Path, name: &str) -> Result<PathBuf> {
    let path = qemu::scratch(&format!("{name}.raw"))?;
    remove(&path)?;
    crate::image::copy(from, &path)?;
    Ok(path)
}

/// What a step says about the firmware.
pub(crate) fn firmware_name(firmware: Firmware) -> &'static str {
    match firmware {
        Firmware::Bios => "BIOS",
        Firmware::Uefi => "UEFI",
        Firmware::UefiSecureBoot => "UEFI with Secure Boot",
    }
}
