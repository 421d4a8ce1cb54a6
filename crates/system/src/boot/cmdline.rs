//! The kernel's command line on the medium.
//!
//! The root file system is `/rootfs.squashfs` on the ISO; dracut's
//! dmsquash-live mounts it and lays a writable overlay in memory over it
//! (dracut.cmdline(7), "Booting live images").

use super::{Finding, files};
use crate::Error;
use crate::error::unfit;
use isoforge_base::tree::Tree;
use isoforge_contract::iso::VOLUME_ID;
use isoforge_contract::machine::{Flavor, INSTALL_ARGUMENT};

/// What systemd starts instead of its default, for the installer.
const INSTALL_UNIT: &str = "systemd.unit=appliance-install.target";

/// SELinux's configuration.
const SELINUX: &str = "etc/selinux/config";

/// Most bytes of a command line that the kernel takes: `COMMAND_LINE_SIZE` of x86
/// and arm64 is 2048, of which the last ends it.
const LINE_MAX_BYTES: usize = 2047;

/// Keeps dracut from giving a root shell to whoever makes the boot fail.
const NO_SHELL: [&str; 2] = ["rd.shell=0", "rd.emergency=reboot"];

/// What a menu entry does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Installs, asking.
    InstallInteractive,
    /// Installs by the configuration.
    InstallUnattended,
    /// Runs from the medium.
    Live,
    /// Starts what is installed on a disk.
    Disk,
    /// A root shell on the medium's system.
    Rescue,
}

/// What decides the arguments beside the menu entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options<'a> {
    /// The system's flavor.
    pub flavor: Flavor,
    /// Puts the kernel in FIPS mode.
    pub fips: bool,
    /// The root file system has SELinux's configuration. Its files carry no
    /// labels, so SELinux has to stay off.
    pub selinux: bool,
    /// The profile's `[boot] cmdline`; checked with [`check`].
    pub extra: &'a [String],
    /// The menu is locked ([`lock`](super::lock)): a medium that is pulled out must not
    /// end in a shell of the initrd.
    pub locked: bool,
}

/// Arguments of one entry, around the consoles that the menu chooses by
/// firmware. The profile's come last, so that they win.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Args {
    /// Before the consoles.
    pub before: Vec<String>,
    /// After them.
    pub after: Vec<String>,
}

/// Consoles by firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Consoles {
    /// Under BIOS.
    pub bios: &'static str,
    /// Under UEFI.
    pub uefi: &'static str,
}

/// Checks the profile's arguments: each is one word that GRUB and the kernel
/// take as it is.
///
/// # Errors
/// For the first that is not.
pub fn check(extra: &[String]) -> Result<(), Error> {
    for argument in extra {
        let why = if argument.is_empty() {
            "is empty"
        } else if argument.contains(char::is_whitespace) {
            "contains white space"
        } else if argument.contains(char::is_control) {
            "contains a control character"
        } else if argument.contains(['"', '\'', '\\']) {
            "contains a quote or backslash"
        } else {
            continue;
        };
        let argument = argument.escape_debug();
        let problem = format!("[boot] cmdline: '{argument}' can't be a kernel argument: it {why}");
        let hint = "write each argument as an element of its own: [\"quiet\", \"splash\"]";
        return Err(unfit(problem).with_hint(hint).into());
    }
    Ok(())
}

/// An error where the whole line of `words` is longer than the kernel takes. `of`
/// tells what it starts, and `kernel` is its path as GRUB has it, which stands
/// first in the line.
#[must_use]
pub fn too_long<'a>(
    of: &str,
    kernel: &str,
    words: impl IntoIterator<Item = &'a str>,
) -> Option<Finding> {
    let first = "BOOT_IMAGE=".len() + kernel.len();
    let rest = words.into_iter().filter(|word| !word.is_empty());
    let bytes = first + rest.map(|word| 1 + word.len()).sum::<usize>();
    (bytes > LINE_MAX_BYTES).then(|| {
        Finding::error(
            format!(
                "the kernel's command line of {of} has {bytes} bytes, and the kernel takes \
                 {LINE_MAX_BYTES}: it cuts off the rest without a word"
            ),
            "shorten [boot] cmdline: what is long can be a file of an overlay or of the \
             cloud-config",
        )
    })
}

/// Whether `tree` has SELinux's configuration; its files carry no labels.
#[must_use]
pub fn has_selinux(tree: &Tree) -> bool {
    files::at(tree, SELINUX).is_some()
}

/// Which consoles the kernel uses: screen and first serial port. The last is
/// also `/dev/console`; under UEFI that is the screen, under BIOS the serial
/// port, as Kairos and its relatives have it.
#[must_use]
pub fn consoles(flavor: Flavor) -> Consoles {
    Consoles {
        uefi: "console=ttyS0,115200n8 console=tty0",
        bios: match flavor {
            Flavor::Appliance => "console=tty0 console=ttyS0,115200n8",
            Flavor::Kairos => "console=tty1 console=ttyS0,115200n8 vga=795 nomodeset",
        },
    }
}

/// The arguments for a menu entry that starts the kernel.
#[must_use]
pub fn args(action: Action, options: &Options<'_>) -> Args {
    let mut before: Vec<&str> = Vec::new();
    let root = format!("root=live:CDLABEL={VOLUME_ID}");
    let image = ["rd.live.dir=/", "rd.live.squashimg=rootfs.squashfs"];
    match options.flavor {
        Flavor::Kairos => {
            before.extend(["cdroot", &root]);
            before.extend(image);
            before.extend(["net.ifnames=1", "rd.cos.disable", "selinux=0"]);
            before.push("rd.live.overlay.overlayfs");
        }
        Flavor::Appliance => {
            before.push(&root);
            before.extend(image);
            before.push("rd.live.overlay.overlayfs=1");
            if options.selinux {
                before.push("selinux=0");
            }
        }
    }
    if options.fips {
        before.push("fips=1");
    }
    if options.locked && action != Action::Rescue {
        before.extend(NO_SHELL);
    }
    let mut after: Vec<String> = options.extra.to_vec();
    after.extend(action_args(action, options.flavor));
    Args {
        before: before.into_iter().map(str::to_owned).collect(),
        after,
    }
}

/// What makes the started system do what the entry says.
fn action_args(action: Action, flavor: Flavor) -> Vec<String> {
    let install = |mode| {
        vec![
            format!("{INSTALL_ARGUMENT}={mode}"),
            INSTALL_UNIT.to_owned(),
        ]
    };
    let fixed: &[&str] = match (action, flavor) {
        // Both names: which one counts depends on the agent's version.
        (Action::InstallInteractive, Flavor::Kairos) => {
            &["interactive-install", "install-mode-interactive"]
        }
        (Action::InstallUnattended, Flavor::Kairos) => &["install-mode"],
        (Action::InstallInteractive, Flavor::Appliance) => return install("interactive"),
        (Action::InstallUnattended, Flavor::Appliance) => return install("unattended"),
        // Who starts the medium owns the machine, and the image's root account
        // may be locked: the shell asks for no password.
        (Action::Rescue, _) => &[
            "systemd.unit=rescue.target",
            "systemd.setenv=SYSTEMD_SULOGIN_FORCE=1",
        ],
        (Action::Live | Action::Disk, _) => &[],
    };
    fixed.iter().map(|&argument| argument.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;
    use isoforge_base::error::{Class, Diagnose as _};

    fn line(action: Action, options: &Options<'_>) -> String {
        let args = args(action, options);
        [args.before, vec!["…".to_owned()], args.after]
            .concat()
            .join(" ")
    }

    #[test]
    fn lines_of_both_flavors() {
        let extra = ["console=ttyS0,115200n8".to_owned()];
        let appliance = Options {
            flavor: Flavor::Appliance,
            fips: true,
            selinux: true,
            extra: &extra,
            locked: false,
        };
        assert_snapshot!(line(Action::InstallUnattended, &appliance), @"root=live:CDLABEL=COS_LIVE rd.live.dir=/ rd.live.squashimg=rootfs.squashfs rd.live.overlay.overlayfs=1 selinux=0 fips=1 … console=ttyS0,115200n8 appliance.install=unattended systemd.unit=appliance-install.target");
        assert_snapshot!(line(Action::Rescue, &appliance), @"root=live:CDLABEL=COS_LIVE rd.live.dir=/ rd.live.squashimg=rootfs.squashfs rd.live.overlay.overlayfs=1 selinux=0 fips=1 … console=ttyS0,115200n8 systemd.unit=rescue.target systemd.setenv=SYSTEMD_SULOGIN_FORCE=1");
        let kairos = Options {
            flavor: Flavor::Kairos,
            fips: false,
            selinux: false,
            extra: &[],
            locked: false,
        };
        assert_snapshot!(line(Action::InstallInteractive, &kairos), @"cdroot root=live:CDLABEL=COS_LIVE rd.live.dir=/ rd.live.squashimg=rootfs.squashfs net.ifnames=1 rd.cos.disable selinux=0 rd.live.overlay.overlayfs … interactive-install install-mode-interactive");
        assert_snapshot!(line(Action::Live, &kairos), @"cdroot root=live:CDLABEL=COS_LIVE rd.live.dir=/ rd.live.squashimg=rootfs.squashfs net.ifnames=1 rd.cos.disable selinux=0 rd.live.overlay.overlayfs …");
    }

    #[test]
    fn a_locked_menu_leads_to_no_shell_of_the_initrd() {
        let options = |flavor| Options {
            flavor,
            fips: false,
            selinux: false,
            extra: &[],
            locked: true,
        };
        let actions = [
            Action::InstallInteractive,
            Action::InstallUnattended,
            Action::Live,
        ];
        for flavor in [Flavor::Appliance, Flavor::Kairos] {
            for action in actions {
                let line = line(action, &options(flavor));
                assert!(line.contains(" rd.shell=0 rd.emergency=reboot …"), "{line}");
            }
            // Who started it has the password.
            let line = line(Action::Rescue, &options(flavor));
            assert!(!line.contains("rd.shell"), "{line}");
        }
    }

    #[test]
    fn a_line_that_the_kernel_would_cut_is_an_error() {
        let length = |bytes: usize| {
            // "BOOT_IMAGE=/k" and " quiet " take 20 bytes.
            let long = "a".repeat(bytes - 20);
            too_long("a test", "/k", ["quiet", "", &long]).map(|found| found.message)
        };
        assert_eq!(length(2047), None);
        assert_snapshot!(length(2048).unwrap(), @"the kernel's command line of a test has 2048 bytes, and the kernel takes 2047: it cuts off the rest without a word");
    }

    #[test]
    fn an_argument_is_one_plain_word() {
        for (argument, why) in [
            ("quiet splash", "contains white space"),
            ("", "is empty"),
            ("a=\"b\"", "contains a quote or backslash"),
            ("a\u{7}", "contains a control character"),
        ] {
            let error = check(&[argument.to_owned()]).unwrap_err();
            assert!(error.to_string().ends_with(why), "{error}");
            assert_eq!(error.class(), Class::Profile);
        }
        let good = ["console=ttyS0,115200n8", "a=$HOME;b&{c}", "x#y"];
        check(&good.map(str::to_owned)).unwrap();
    }
}
