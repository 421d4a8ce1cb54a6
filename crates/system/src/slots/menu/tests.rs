use insta::assert_snapshot;
use isoforge_base::process::Program;

use super::*;
use crate::slots::testing;

/// GRUB's own judgement of a script's syntax.
fn assert_grub_accepts(script: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("grub.cfg");
    fs_err::write(&path, script).unwrap();
    Program::new("grub-script-check", "grub-common")
        .arg(&path)
        .output(4096)
        .unwrap();
}

#[test]
fn grub_accepts_all_of_them() {
    let ids = testing::ids();
    let title = "A \"B\" $root 'C' \\ {x}; reboot # é\nhalt @STATE@";
    let mut config = testing::config();
    config.title = title.to_owned();
    config.boot.cmdline = vec!["a=$HOME;b&{c}|<d>".to_owned(), "@SLOT@".to_owned()];
    let lock = Lock::new("correct horse", "demo");
    for script in [
        menu(title, 5, &ids, None),
        menu(title, 5, &ids, Some(&lock)),
        esp_stub(&ids, None),
        esp_stub(&ids, Some(&lock)),
        slot_menu(&config, &ids, Slot::A),
    ] {
        assert_grub_accepts(&script);
    }
    let script = slot_menu(&config, &ids, Slot::B);
    assert!(
        script
            .contains("set title=\"A \\\"B\\\" \\$root 'C' \\\\ {x}; reboot # é halt @STATE@\"\n")
    );
    assert!(script.contains(" \"a=\\$HOME;b&{c}|<d>\" \"@SLOT@\" ") || script.contains(" @SLOT@ "));
}

#[test]
fn a_slot_is_started_with_all_that_finds_its_state() {
    let mut config = testing::config();
    config.boot.selinux = true;
    config.boot.fips = true;
    config.boot.cmdline = vec!["quiet".to_owned()];
    let script = slot_menu(&config, &testing::ids(), Slot::B);
    assert_snapshot!(script, @r#"
    # Slot b: told what is in it, and asked to start it where load is set.
    set title="demo 1.0.0"
    set files=($state)/slots/b
    if [ -n "$load" -a -f $files/kernel -a -f $files/initrd -a -f $files/state.cpio ]; then
    	if [ "$grub_platform" = efi ]; then
    		set consoles="console=ttyS0,115200n8 console=tty0"
    	else
    		set consoles="console=tty0 console=ttyS0,115200n8"
    	fi
    	if linux $files/kernel root=live:UUID=11111111-2222-4333-8444-555555555555 rd.live.dir=/slots/b rd.live.squashimg=rootfs.squashfs rd.live.overlay.overlayfs=1 selinux=0 fips=1 $consoles quiet appliance.slot=b appliance.persistent=22222222-2222-4333-8444-555555555555 appliance.oem=33333333-2222-4333-8444-555555555555 panic=10 rd.shell=0 rd.emergency=reboot $trial_argument; then
    		if initrd $files/initrd $files/state.cpio; then
    			boot
    		fi
    		set load=failed
    	fi
    fi
    "#);
}

#[test]
fn the_stub_finds_state_by_its_uuid() {
    assert_snapshot!(esp_stub(&testing::ids(), None), @r"
    # Finds the slots of this machine, wherever GRUB was started from.
    search --no-floppy --fs-uuid --set=root 11111111-2222-4333-8444-555555555555
    set prefix=($root)/grub
    configfile ($root)/grub/grub.cfg
    ");
}

#[test]
fn the_menu_names_no_version() {
    let config = testing::config();
    let seconds = config.boot.timeout_seconds;
    let text = menu(&config.name, seconds, &testing::ids(), None);
    assert!(!text.contains(&config.version));
    assert!(text.contains("--set=state 11111111-2222-4333-8444-555555555555\n"));
}
