//! GRUB's menu and the stubs that lead to it.
//!
//! An entry exists only where the tree can serve it: the two installers only
//! with an installer in the tree, rescue only with systemd's rescue target.
//! Text of the user's is quoted for GRUB's shell by the filter `grub`.
//!
//! With `[boot] password` menu and stubs begin with the lock, whatever the template says,
//! and the template's entries are free but for those that give a root shell by
//! themselves.

use serde::Serialize;
use tera::{Context, Kwargs, State, Tera};

use isoforge_base::error::{Class, Failure, Result};
use isoforge_base::tree::Tree;
use isoforge_contract::iso;
use isoforge_contract::machine::{Firmware, Flavor, InstallMode};
use isoforge_system::boot::Finding;
use isoforge_system::boot::cmdline::{self, Action, Args, Options};
use isoforge_system::boot::files;
use isoforge_system::boot::grub::{one_line, quote};
use isoforge_system::boot::lock::Lock;

/// Where a project's own template of the menu is, and what messages call it.
pub(crate) const MENU_TEMPLATE: &str = "templates/grub/menu.cfg.tera";
const STUB: &str = include_str!("../../templates/grub/stub.cfg.tera");

/// The program that installs and runs an appliance, in its tree.
const APPLIANCE: [&str; 2] = ["usr/bin/appliance", "usr/sbin/appliance"];

/// Kairos's installer: the agent, or the one program that newer images have.
const KAIROS_AGENT: [&str; 2] = ["usr/bin/kairos-agent", "usr/bin/kairos"];

/// GRUB's option of an entry that a locked menu starts without the password.
const UNRESTRICTED: &str = "--unrestricted";

/// What systemd starts for the rescue entry.
const RESCUE: &str = "usr/lib/systemd/system/rescue.target";

/// UEFI loaders of installed systems: first those of distributions, which know
/// their disk, then the removable medium's path.
const EFI_LOADERS: [&str; 11] = [
    "/EFI/debian/shimx64.efi",
    "/EFI/ubuntu/shimx64.efi",
    "/EFI/fedora/shimx64.efi",
    "/EFI/redhat/shimx64.efi",
    "/EFI/rocky/shimx64.efi",
    "/EFI/almalinux/shimx64.efi",
    "/EFI/opensuse/shim.efi",
    "/EFI/sles/shim.efi",
    "/EFI/Microsoft/Boot/bootmgfw.efi",
    "/EFI/BOOT/bootx64.efi",
    "/EFI/BOOT/bootaa64.efi",
];

/// Name of the entry in the menu file (`--id`).
fn id(action: Action) -> &'static str {
    match action {
        Action::InstallInteractive => "install",
        Action::InstallUnattended => "unattended",
        Action::Live => "live",
        Action::Disk => "disk",
        Action::Rescue => "rescue",
    }
}

fn title(action: Action, appliance: &str) -> String {
    match action {
        Action::InstallInteractive => format!("{appliance}: Interactive Installer"),
        Action::InstallUnattended => format!("{appliance}: Unattended Installer"),
        Action::Live => format!("{appliance}: live system, nothing is installed"),
        Action::Disk => "Boot from disk".to_owned(),
        Action::Rescue => format!("{appliance}: rescue shell"),
    }
}

/// What the profile says about the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Name of the appliance, and its version.
    pub title: String,
    /// The system's flavor.
    pub flavor: Flavor,
    /// Default entry where the tree has an installer.
    pub install_mode: InstallMode,
    /// How long the menu waits before it starts the default.
    pub timeout_seconds: u32,
    /// Puts the kernel in FIPS mode.
    pub fips: bool,
    /// `[boot] cmdline`.
    pub cmdline: Vec<String>,
    /// Whether there is a `[boot] password`.
    pub locked: bool,
}

#[derive(Serialize)]
struct Entry {
    id: &'static str,
    title: String,
    /// None for the disk, which has loaders of its own.
    args: Option<Args>,
    /// Whether a locked menu starts it without the password.
    unrestricted: bool,
}

/// Whether an entry gives whoever starts it no root shell. Kairos's live system logs
/// root in by itself, as its installers do; but those are what the medium is for.
fn is_free(action: Action, flavor: Flavor) -> bool {
    match action {
        Action::Rescue => false,
        Action::Live => flavor == Flavor::Appliance,
        Action::InstallInteractive | Action::InstallUnattended | Action::Disk => true,
    }
}

/// The entries that `tree` can serve, in the menu's order, and the default.
#[must_use]
pub(crate) fn actions(tree: &Tree, settings: &Settings) -> (Vec<Action>, Action) {
    let has = |paths: &[&str]| paths.iter().any(|path| files::at(tree, path).is_some());
    let installer = match settings.flavor {
        Flavor::Appliance => has(&APPLIANCE),
        Flavor::Kairos => has(&KAIROS_AGENT),
    };
    let mut actions = Vec::new();
    if installer {
        actions.extend([Action::InstallInteractive, Action::InstallUnattended]);
    }
    actions.extend([Action::Live, Action::Disk]);
    if has(&[RESCUE]) {
        actions.push(Action::Rescue);
    }
    let default = match (installer, settings.install_mode) {
        (false, _) => Action::Live,
        (true, InstallMode::Interactive) => Action::InstallInteractive,
        (true, InstallMode::Unattended) => Action::InstallUnattended,
    };
    (actions, default)
}

/// The menu file for the system in `tree`, from the text of
/// [`MENU_TEMPLATE`], with `lock` before it.
///
/// # Errors
/// Where the template is wrong, all of its entries would ask for the password, or the
/// profile's kernel arguments can't be used.
pub(crate) fn menu(
    tree: &Tree,
    settings: &Settings,
    template: &str,
    lock: Option<&Lock>,
) -> Result<String> {
    cmdline::check(&settings.cmdline)?;
    let options = options(tree, settings);
    let (actions, default) = actions(tree, settings);
    let entries: Vec<Entry> = actions
        .into_iter()
        .map(|action| Entry {
            id: id(action),
            title: title(action, &settings.title),
            args: (action != Action::Disk).then(|| cmdline::args(action, &options)),
            unrestricted: settings.locked && is_free(action, settings.flavor),
        })
        .collect();
    let mut context = Context::new();
    context.insert("title", &settings.title);
    context.insert("default", id(default));
    context.insert("timeout_seconds", &settings.timeout_seconds);
    context.insert("consoles", &cmdline::consoles(settings.flavor));
    context.insert("entries", &entries);
    context.insert("efi_loaders", &EFI_LOADERS);
    let menu = render(MENU_TEMPLATE, template, &context)?;
    let Some(lock) = lock else {
        return Ok(menu);
    };
    if !menu.contains(UNRESTRICTED) {
        let problem = format!(
            "with [boot] password no entry of '{MENU_TEMPLATE}' would start without it: none has \
             {UNRESTRICTED}"
        );
        return Err(Failure::new(Class::Profile, problem).with_hint(
            "write behind the titles: {% if entry.unrestricted %} --unrestricted{% endif %}",
        ));
    }
    Ok(lock.of_menu() + &menu)
}

fn options<'s>(tree: &Tree, settings: &'s Settings) -> Options<'s> {
    Options {
        flavor: settings.flavor,
        fips: settings.fips,
        selinux: cmdline::has_selinux(tree),
        extra: &settings.cmdline,
        locked: settings.locked,
    }
}

/// An error where an entry for the system in `tree` gives the kernel a longer line than
/// it takes. What a template of the project's own adds is not counted.
pub(crate) fn too_long(tree: &Tree, settings: &Settings, firmware: &[Firmware]) -> Option<Finding> {
    /// The kernel as GRUB finds it, on a medium with a partition table.
    const KERNEL: &str = "(hd0,msdos2)/boot/kernel";
    let consoles = cmdline::consoles(settings.flavor);
    let consoles = firmware.iter().map(|firmware| match firmware {
        Firmware::Bios => consoles.bios,
        Firmware::Uefi => consoles.uefi,
    });
    let consoles = consoles.max_by_key(|text| text.len()).unwrap_or_default();
    let options = options(tree, settings);
    let (mut actions, _) = actions(tree, settings);
    actions.retain(|action| *action != Action::Disk);
    actions.into_iter().find_map(|action| {
        let Args { before, after } = cmdline::args(action, &options);
        let words = before.iter().map(String::as_str);
        let words = words
            .chain([consoles])
            .chain(after.iter().map(String::as_str));
        let of = format!("the menu entry '{}'", id(action));
        cmdline::too_long(&of, KERNEL, words)
    })
}

/// Path on the ISO (absolute) of the file that only the build with this
/// `digest` (hexadecimal) has.
#[must_use]
pub(crate) fn marker_path(digest: &str) -> String {
    format!("/{}/{digest}", iso::MARKERS)
}

/// The stub: finds the medium that has `marker`, an absolute path, and opens
/// the menu there, with `lock` before it. Its length depends on that of `marker` and
/// on whether there is a lock.
///
/// # Errors
/// The template is wrong.
pub(crate) fn stub(marker: &str, lock: Option<&Lock>) -> Result<String> {
    let mut context = Context::new();
    context.insert("marker", marker);
    let stub = render("templates/grub/stub.cfg.tera", STUB, &context)?;
    Ok(lock.map(Lock::of_stub).unwrap_or_default() + &stub)
}

fn render(name: &'static str, template: &str, context: &Context) -> Result<String> {
    let mut tera = Tera::default();
    tera.register_filter("grub", |text: &str, _: Kwargs, _: &State| quote(text));
    tera.register_filter("comment", |text: &str, _: Kwargs, _: &State| one_line(text));
    tera.render_str(template, context, false).map_err(|error| {
        let message = format!("the boot menu's template '{name}' can't be rendered");
        Failure::caused(Class::Profile, message, error)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    const MENU: &str = include_str!("../../templates/grub/menu.cfg.tera");
    use insta::assert_snapshot;
    use isoforge_judges::trees::tree;

    fn settings(flavor: Flavor) -> Settings {
        Settings {
            title: "demo 1.0.0".to_owned(),
            flavor,
            install_mode: InstallMode::Interactive,
            timeout_seconds: 5,
            fips: false,
            cmdline: vec!["console=ttyS0,115200n8".to_owned()],
            locked: false,
        }
    }

    /// GRUB's own judgement of a script's syntax.
    fn assert_grub_accepts(script: &str) {
        #[allow(clippy::disallowed_methods)]
        let mut child = Command::new("grub-script-check")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("grub-script-check is needed (Debian package grub-common)");
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(script.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}\n{script}");
    }

    #[test]
    fn without_an_installer_the_live_system_is_the_default() {
        let menu = menu(
            &tree("usr/bin/kairos-agent"),
            &settings(Flavor::Appliance),
            MENU,
            None,
        )
        .unwrap();
        assert_grub_accepts(&menu);
        assert_snapshot!(menu, @r#"
        # The boot menu of demo 1.0.0
        set default=live
        set timeout=5
        set timeout_style=menu

        # UEFI's own console reaches screen and serial line alike; BIOS's only the
        # screen, so there GRUB drives the first serial port itself.
        if [ "$grub_platform" = efi ]; then
        	set consoles="console=ttyS0,115200n8 console=tty0"
        else
        	set consoles="console=tty0 console=ttyS0,115200n8"
        	if serial --unit=0 --speed=115200; then
        		terminal_input --append serial
        		terminal_output --append serial
        	fi
        fi

        menuentry "demo 1.0.0: live system, nothing is installed" --id live {
        	linux ($root)/boot/kernel root=live:CDLABEL=COS_LIVE rd.live.dir=/ rd.live.squashimg=rootfs.squashfs rd.live.overlay.overlayfs=1 $consoles console=ttyS0,115200n8
        	initrd ($root)/boot/initrd
        }

        menuentry "Boot from disk" --id disk {
        	# Every disk but the one that this menu came from.
        	regexp --set=1:medium '^([^,]+)' "$root"
        	if [ "$grub_platform" = efi ]; then
        		for device in (*); do
        			regexp --set=1:disk '^\(([^,)]+)' "$device"
        			if [ "$disk" != "$medium" ]; then
        				for loader in /EFI/debian/shimx64.efi /EFI/ubuntu/shimx64.efi /EFI/fedora/shimx64.efi /EFI/redhat/shimx64.efi /EFI/rocky/shimx64.efi /EFI/almalinux/shimx64.efi /EFI/opensuse/shim.efi /EFI/sles/shim.efi /EFI/Microsoft/Boot/bootmgfw.efi /EFI/BOOT/bootx64.efi /EFI/BOOT/bootaa64.efi; do
        					if [ -f "$device$loader" ]; then
        						set root="$device"
        						if chainloader "$device$loader"; then
        							boot
        						fi
        					fi
        				done
        			fi
        		done
        	else
        		for disk in hd0 hd1 hd2 hd3 hd4 hd5 hd6 hd7; do
        			if [ "$disk" != "$medium" ]; then
        				set root="$disk"
        				if chainloader ($disk)+1; then
        					boot
        				fi
        			fi
        		done
        	fi
        	echo "No other disk has a boot loader; the firmware goes on."
        	sleep 3
        	exit
        }
        "#);
    }

    #[test]
    fn the_installer_in_the_tree_gives_its_entries_and_mode_the_default() {
        let kairos = tree("usr/bin/kairos-agent\nusr/lib/systemd/system/rescue.target");
        let appliance = tree("usr/bin/appliance");
        let mut settings = settings(Flavor::Kairos);
        assert_eq!(
            actions(&kairos, &settings),
            (
                vec![
                    Action::InstallInteractive,
                    Action::InstallUnattended,
                    Action::Live,
                    Action::Disk,
                    Action::Rescue
                ],
                Action::InstallInteractive
            )
        );
        settings.install_mode = InstallMode::Unattended;
        assert_eq!(actions(&kairos, &settings).1, Action::InstallUnattended);
        // The appliance's program in a Kairos image is not what installs it.
        assert_eq!(actions(&appliance, &settings).1, Action::Live);
        settings.flavor = Flavor::Appliance;
        assert_eq!(actions(&kairos, &settings).1, Action::Live);
        assert_eq!(actions(&appliance, &settings).1, Action::InstallUnattended);
        let text = menu(
            &kairos,
            &Settings {
                flavor: Flavor::Kairos,
                ..settings
            },
            MENU,
            None,
        )
        .unwrap();
        assert_grub_accepts(&text);
        let entries: Vec<_> = text
            .lines()
            .filter(|l| l.starts_with("menuentry"))
            .collect();
        assert_snapshot!(entries.join("\n"), @r#"
        menuentry "demo 1.0.0: Interactive Installer" --id install {
        menuentry "demo 1.0.0: Unattended Installer" --id unattended {
        menuentry "demo 1.0.0: live system, nothing is installed" --id live {
        menuentry "Boot from disk" --id disk {
        menuentry "demo 1.0.0: rescue shell" --id rescue {
        "#);
    }

    #[test]
    fn text_of_the_user_is_only_ever_text() {
        let mut settings = settings(Flavor::Appliance);
        settings.title = "A \"B\" $root 'C' \\ {x}; reboot # é\nhalt".to_owned();
        settings.cmdline = vec!["a=$HOME;b&{c}|<d>".to_owned()];
        let menu = menu(&tree("usr/bin/appliance"), &settings, MENU, None).unwrap();
        assert_grub_accepts(&menu);
        let lines: Vec<_> = menu
            .lines()
            .filter(|line| line.contains("reboot") || line.contains("HOME"))
            .collect();
        assert_snapshot!(lines.join("\n"), @r#"
        # The boot menu of A "B" $root 'C' \ {x}; reboot # é halt
        menuentry "A \"B\" \$root 'C' \\ {x}; reboot # é halt: Interactive Installer" --id install {
        	linux ($root)/boot/kernel root=live:CDLABEL=COS_LIVE rd.live.dir=/ rd.live.squashimg=rootfs.squashfs rd.live.overlay.overlayfs=1 $consoles "a=\$HOME;b&{c}|<d>" appliance.install=interactive systemd.unit=appliance-install.target
        menuentry "A \"B\" \$root 'C' \\ {x}; reboot # é halt: Unattended Installer" --id unattended {
        	linux ($root)/boot/kernel root=live:CDLABEL=COS_LIVE rd.live.dir=/ rd.live.squashimg=rootfs.squashfs rd.live.overlay.overlayfs=1 $consoles "a=\$HOME;b&{c}|<d>" appliance.install=unattended systemd.unit=appliance-install.target
        menuentry "A \"B\" \$root 'C' \\ {x}; reboot # é halt: live system, nothing is installed" --id live {
        	linux ($root)/boot/kernel root=live:CDLABEL=COS_LIVE rd.live.dir=/ rd.live.squashimg=rootfs.squashfs rd.live.overlay.overlayfs=1 $consoles "a=\$HOME;b&{c}|<d>"
        "#);
    }

    #[test]
    fn an_argument_that_is_none_is_refused() {
        let mut settings = settings(Flavor::Appliance);
        settings.cmdline = vec!["quiet splash".to_owned()];
        let error = menu(&Tree::new(), &settings, MENU, None).unwrap_err();
        assert_eq!(error.class(), Class::Profile);
        assert_snapshot!(error, @"[boot] cmdline: 'quiet splash' can't be a kernel argument: it contains white space");
    }

    #[test]
    fn the_stub_looks_for_its_own_medium() {
        let stub = stub(&marker_path(&"ab".repeat(32)), None).unwrap();
        assert_grub_accepts(&stub);
        assert_snapshot!(stub, @r"
        # Finds the medium of this very build, wherever GRUB was started from.
        search --no-floppy --file --set=root /isoforge/id/abababababababababababababababababababababababababababababababab
        set prefix=($root)/boot/grub2
        configfile ($root)/boot/grub2/grub.cfg
        ");
    }

    fn locked(flavor: Flavor, text: &str, template: &str) -> Result<String> {
        let lock = Lock::new("correct horse", "demo");
        let settings = Settings {
            locked: true,
            ..settings(flavor)
        };
        menu(&tree(text), &settings, template, Some(&lock))
    }

    #[test]
    fn a_locked_menu_is_free_but_for_root_shells() {
        let trees = [
            (Flavor::Appliance, "usr/bin/appliance"),
            (Flavor::Kairos, "usr/bin/kairos-agent"),
        ];
        let mut entries = Vec::new();
        for (flavor, installer) in trees {
            let text = format!("{installer}\nusr/lib/systemd/system/rescue.target");
            let menu = locked(flavor, &text, MENU).unwrap();
            assert_grub_accepts(&menu);
            let hash = Lock::new("correct horse", "demo");
            assert!(menu.starts_with(&hash.of_menu()), "{menu}");
            assert!(!menu.contains("correct horse"), "{menu}");
            let lines = menu.lines().filter(|line| line.starts_with("menuentry"));
            entries.extend(lines.map(str::to_owned));
        }
        assert_snapshot!(entries.join("\n"), @r#"
        menuentry "demo 1.0.0: Interactive Installer" --unrestricted --id install {
        menuentry "demo 1.0.0: Unattended Installer" --unrestricted --id unattended {
        menuentry "demo 1.0.0: live system, nothing is installed" --unrestricted --id live {
        menuentry "Boot from disk" --unrestricted --id disk {
        menuentry "demo 1.0.0: rescue shell" --id rescue {
        menuentry "demo 1.0.0: Interactive Installer" --unrestricted --id install {
        menuentry "demo 1.0.0: Unattended Installer" --unrestricted --id unattended {
        menuentry "demo 1.0.0: live system, nothing is installed" --id live {
        menuentry "Boot from disk" --unrestricted --id disk {
        menuentry "demo 1.0.0: rescue shell" --id rescue {
        "#);
    }

    #[test]
    fn a_template_whose_entries_would_all_ask_is_refused() {
        let template = "menuentry a { true }\n";
        let error = locked(Flavor::Appliance, "usr/bin/appliance", template).unwrap_err();
        assert_eq!(error.class(), Class::Profile);
        assert_snapshot!(error, @"with [boot] password no entry of 'templates/grub/menu.cfg.tera' would start without it: none has --unrestricted");
    }

    #[test]
    fn a_stub_is_locked_where_its_menu_can_not_be_found() {
        let lock = Lock::new("correct horse", "demo");
        let stub = stub(&marker_path(&"ab".repeat(32)), Some(&lock)).unwrap();
        assert_grub_accepts(&stub);
        assert!(stub.starts_with("set superusers=root\npassword_pbkdf2 root grub.pbkdf2."));
        // What is exported the menu could not take back.
        assert!(!stub.contains("export"), "{stub}");
    }
}
