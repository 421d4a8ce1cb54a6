//! QEMU: its command line, and its serial console watched under a deadline.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::setup::{self, QEMU_MIN_MAJOR};

/// Memory of the machine, in MiB: the live system's files written are in it.
const MEMORY_MIB: &str = "2048";

/// How long the probe of KVM may take: the menu waits some seconds.
const PROBE: Duration = Duration::from_secs(40);

/// Lines of the console that a failure shows.
const TAIL_LINES: usize = 30;

/// What means that the boot has failed, long before any deadline.
const FATAL: [&str; 8] = [
    "Kernel panic",
    "Press Enter to continue",
    "Press Enter for maintenance",
    "You are in emergency mode",
    "Entering emergency mode",
    "Security Violation",
    "bad shim signature",
    "grub rescue>",
];

/// The machine's firmware.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Firmware {
    Bios,
    Uefi,
    UefiSecureBoot,
}

/// What the ISO is to the machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Medium {
    Cd,
    Disk,
    UsbStorage,
}

/// Who runs the guest's instructions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accel {
    Kvm,
    Tcg,
}

impl Accel {
    /// KVM where it starts a kernel, else emulation. A `/dev/kvm` that can be
    /// opened proves nothing: in some virtual machines every kernel dies of
    /// it. So the ISO itself is booted as far as its kernel's first line.
    pub(crate) fn probe(iso: &Path) -> Result<Self> {
        let openable = File::options().read(true).write(true).open("/dev/kvm");
        if openable.is_err() {
            println!("KVM: none here; emulating (TCG)");
            return Ok(Self::Tcg);
        }
        let machine = Machine {
            firmware: Firmware::Bios,
            medium: Medium::Cd,
            accel: Self::Kvm,
        };
        let mut console = Console::start(machine.command(iso, None)?, "kvm-probe")?;
        let start = Instant::now();
        match console.wait_for("Linux version", start + PROBE) {
            Ok(()) => {
                println!("KVM: works");
                Ok(Self::Kvm)
            }
            Err(_) => {
                println!("KVM: there, but started no kernel within {PROBE:?}; emulating (TCG)");
                Ok(Self::Tcg)
            }
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kvm => "KVM",
            Self::Tcg => "TCG",
        }
    }
}

/// A machine that boots an ISO. It has no network card.
#[derive(Clone, Copy)]
pub(crate) struct Machine {
    pub(crate) firmware: Firmware,
    pub(crate) medium: Medium,
    pub(crate) accel: Accel,
}

impl Machine {
    /// The command line, without a serial port. UEFI keeps its variables in
    /// `vars`, a file of this run.
    pub(crate) fn command(&self, iso: &Path, vars: Option<&Path>) -> Result<Command> {
        let mut command = bare(self.accel, self.firmware == Firmware::UefiSecureBoot);
        if let Some((code, template)) = self.ovmf() {
            let vars = vars.context("UEFI needs a file for its variables")?;
            std::fs::copy(template, vars)
                .with_context(|| format!("copying {template} (Debian package ovmf)"))?;
            pflash(&mut command, 0, Path::new(code), true);
            pflash(&mut command, 1, vars, false);
        }
        let drive = format!("if=none,id=medium,format=raw,file={}", escape(iso));
        command.arg("-drive");
        match self.medium {
            Medium::Cd => command
                .arg(drive + ",media=cdrom,readonly=on")
                .args(["-device", "ide-cd,drive=medium,bootindex=0"]),
            // Such disks can't be read-only; nothing is written to the ISO.
            Medium::Disk => command
                .arg(drive + ",snapshot=on")
                .args(["-device", "ide-hd,drive=medium,bootindex=0"]),
            Medium::UsbStorage => command.arg(drive + ",snapshot=on").args([
                "-device",
                "qemu-xhci",
                "-device",
                "usb-storage,drive=medium,removable=on,bootindex=0",
            ]),
        };
        Ok(command)
    }

    /// OVMF's code and its empty variables; those for Secure Boot have
    /// Microsoft's keys enrolled.
    fn ovmf(&self) -> Option<(&'static str, &'static str)> {
        match self.firmware {
            Firmware::Bios => None,
            Firmware::Uefi => Some((
                "/usr/share/OVMF/OVMF_CODE_4M.fd",
                "/usr/share/OVMF/OVMF_VARS_4M.fd",
            )),
            Firmware::UefiSecureBoot => Some((
                "/usr/share/OVMF/OVMF_CODE_4M.ms.fd",
                "/usr/share/OVMF/OVMF_VARS_4M.ms.fd",
            )),
        }
    }
}

/// A machine without firmware settings, disks and serial port.
pub(crate) fn bare(accel: Accel, secure: bool) -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    match accel {
        Accel::Kvm => command.args(["-accel", "kvm", "-cpu", "host"]),
        Accel::Tcg => command.args(["-accel", "tcg,thread=multi", "-cpu", "max"]),
    };
    command.args(["-smp", "2", "-m", MEMORY_MIB, "-display", "none"]);
    command.args(["-nic", "none", "-no-reboot", "-machine"]);
    if secure {
        // Only system management mode may write the variables.
        command.args([
            "q35,smm=on",
            "-global",
            "driver=cfi.pflash01,property=secure,value=on",
        ]);
    } else {
        command.arg("q35");
    }
    command
}

fn pflash(command: &mut Command, unit: u32, file: &Path, readonly: bool) {
    let readonly = if readonly { ",readonly=on" } else { "" };
    command.arg("-drive").arg(format!(
        "if=pflash,format=raw,unit={unit},file={}{readonly}",
        escape(file)
    ));
}

/// QEMU's options are parted by commas; a comma in a path is doubled.
pub(crate) fn escape(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

/// Says what is wrong with the installed QEMU.
pub(crate) fn check_version() -> Result<()> {
    let major = setup::qemu_major()?;
    if major < QEMU_MIN_MAJOR {
        bail!(
            "QEMU {major} is too old: before version {QEMU_MIN_MAJOR} its emulation corrupts flags \
             in cmpxchg16b, and Linux 6.12 dies of it within a minute; `cargo xtask setup` takes a \
             newer one from Debian 12's backports"
        );
    }
    Ok(())
}

/// A file of the boots' logs and variables.
pub(crate) fn scratch(name: &str) -> Result<PathBuf> {
    let folder = crate::sh::target_dir().join("e2e");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder.join(name))
}

/// A running QEMU and what its serial port has said. Dropped, QEMU ends.
pub(crate) struct Console {
    child: Child,
    chunks: Receiver<Vec<u8>>,
    seen: Vec<u8>,
    /// How much of `seen` earlier waits have used up.
    used: usize,
    log: File,
    log_path: PathBuf,
}

impl Console {
    /// Starts QEMU; `name` names the log file.
    pub(crate) fn start(mut command: Command, name: &str) -> Result<Self> {
        let log_path = scratch(&format!("{name}.log"))?;
        let errors = File::create(scratch(&format!("{name}.qemu"))?)?;
        let mut child = command
            .args(["-serial", "stdio", "-monitor", "none"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .context("can't start qemu-system-x86_64 (Debian package qemu-system-x86)")?;
        let mut pipe = child
            .stdout
            .take()
            .context("QEMU without standard output")?;
        let (sender, chunks) = channel();
        // Ends with QEMU, or when nobody listens any more.
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = pipe.read(&mut buffer) {
                if sender
                    .send(buffer.get(..n).unwrap_or_default().to_vec())
                    .is_err()
                {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            chunks,
            seen: Vec::new(),
            used: 0,
            log: File::create(&log_path)?,
            log_path,
        })
    }

    /// Waits until the console has said `text`, after what earlier calls
    /// waited for.
    pub(crate) fn wait_for(&mut self, text: &str, deadline: Instant) -> Result<()> {
        loop {
            if let Some(at) = self.find(text) {
                self.used += at + text.len();
                return Ok(());
            }
            if let Some(fatal) = FATAL.iter().find(|fatal| self.find(fatal).is_some()) {
                return Err(self.failure(text, &format!("the console said '{fatal}'")));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.chunks.recv_timeout(left) {
                Ok(chunk) => {
                    self.log.write_all(&chunk)?;
                    self.seen.extend(chunk);
                }
                Err(RecvTimeoutError::Timeout) => return Err(self.failure(text, "time is up")),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.failure(text, "QEMU ended"));
                }
            }
        }
    }

    /// All that the console said, without what only moves a cursor.
    pub(crate) fn text(&self) -> String {
        plain(&self.seen)
    }

    /// Where the console is logged.
    pub(crate) fn log(&self) -> &Path {
        &self.log_path
    }

    fn find(&self, text: &str) -> Option<usize> {
        let rest = self.seen.get(self.used..)?;
        rest.windows(text.len())
            .position(|window| window == text.as_bytes())
    }

    fn failure(&self, text: &str, why: &str) -> anyhow::Error {
        let said = self.text();
        let lines: Vec<_> = said
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let tail = lines
            .get(lines.len().saturating_sub(TAIL_LINES)..)
            .unwrap_or_default();
        let errors = std::fs::read_to_string(self.log_path.with_extension("qemu"));
        anyhow::anyhow!(
            "waiting for '{text}': {why}; log: {}\n{}\n{}",
            self.log_path.display(),
            tail.join("\n"),
            errors.unwrap_or_default()
        )
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Text without control sequences (ECMA-48, "CSI") and carriage returns.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            if chars.next_if_eq(&'[').is_some() {
                // Parameters, then one final byte.
                for c in chars.by_ref() {
                    if ('@'..='~').contains(&c) {
                        break;
                    }
                }
            } else {
                chars.next();
            }
        } else if c != '\r' {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_go_and_text_stays() {
        assert_eq!(
            plain(b"\x1b[0;32m  OK  \x1b[0m Reached\r\nx\x1b[!py\x1bcz"),
            "  OK   Reached\nxyz"
        );
    }

    fn console(script: &str, name: &str) -> Console {
        // The options that are added for QEMU become the script's arguments.
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]);
        crate::sh::to_workspace_root().unwrap();
        Console::start(command, name).unwrap()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn a_console_is_waited_for_in_order() {
        let mut console = console(
            "printf 'one two '; printf three; cat >/dev/null",
            "test-order",
        );
        console.wait_for("two", soon()).unwrap();
        console.wait_for("three", soon()).unwrap();
        let error = console.wait_for("two", soon()).unwrap_err().to_string();
        assert!(error.contains("QEMU ended"), "{error}");
        assert!(error.contains("one two three"), "{error}");
    }

    #[test]
    fn a_panic_ends_the_wait_at_once_and_a_deadline_does_too() {
        let mut panics = console(
            "echo 'Kernel panic - not syncing'; exec sleep 600",
            "test-panic",
        );
        let error = panics.wait_for("login:", soon()).unwrap_err().to_string();
        assert!(error.contains("'Kernel panic'"), "{error}");
        let mut silent = console("exec sleep 600", "test-deadline");
        let error = silent
            .wait_for("login:", Instant::now())
            .unwrap_err()
            .to_string();
        assert!(error.contains("time is up"), "{error}");
    }
}
