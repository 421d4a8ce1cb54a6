//! Upgrades of a machine that is a folder, from provider images that isoforge
//! makes. Only mounting and freezing are stood in for; the new image's program
//! is run as on a machine.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod image;
mod machine;

use appliance::upgrade::state::{Operation, environment, record};
use appliance::upgrade::{confirm, last, reset, rollback, status};
use image::{Built, Variant};
use insta::assert_snapshot;
use isoforge_base::digest::Digest;
use isoforge_contract::machine::Health;
use isoforge_system::slots::{Slot, file};
use machine::{Folder, Room};

fn name(operation: &Operation) -> String {
    match operation {
        Operation::Environment(environment) => {
            let trial = environment.trial.map_or("none", Slot::name);
            format!("environment: good {}, trial {trial}", environment.good)
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn the_other_slot_is_written_before_it_is_named() {
    let built = Built::new(&Variant::default());
    let folder = Folder::new();
    let outcome = folder
        .upgrade(&built.archive(), &mut folder.volume())
        .unwrap();
    assert_eq!(outcome.slot, Slot::B);
    assert_eq!(
        (outcome.from.as_str(), outcome.to.as_str()),
        ("1.0.0", "2.0.0")
    );
    let state = &folder.machine.state;
    let slot = state.join("slots/b");
    let rootfs = fs_err::read(slot.join(file::ROOTFS)).unwrap();
    assert_eq!(Digest::of(&rootfs), built.digest);
    let told = record(state, Slot::B).unwrap();
    assert_eq!(told.squashfs.digest, built.digest);
    assert_eq!(told.version, "2.0.0");
    assert_eq!(told.kubernetes.as_deref(), Some("1.32.3"));
    assert_eq!(told.kernel, Digest::of(image::KERNEL));
    assert_eq!(
        fs_err::read(slot.join(file::INITRD)).unwrap(),
        image::INITRD
    );
    let config = fs_err::read_to_string(slot.join(file::CONFIG)).unwrap();
    assert!(
        config.contains("root=live:UUID=1111 rd.live.dir=/slots/b "),
        "{config}"
    );
    assert!(
        config.contains(" new=argument appliance.slot=b "),
        "{config}"
    );
    // Nothing of the upgrade stays on PERSISTENT but what tells of it.
    let own: Vec<_> = fs_err::read_dir(folder.machine.data_folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(!own.contains(&"store".to_owned()), "{own:?}");
    let mut volume = folder.volume();
    // Once more, over the trial that waits: that is taken back first.
    folder.upgrade(&built.folder(), &mut volume).unwrap();
    let operations: Vec<String> = volume.operations.iter().map(name).collect();
    assert_snapshot!(operations.join("\n"), @r#"
    Writable
    environment: good a, trial none
    Settle
    Make("slots/b.new")
    Sync("slots/b.new")
    Remove("slots/b")
    Rename("slots/b.new", "slots/b")
    Settle
    environment: good a, trial b
    Settle
    ReadOnly
    "#);
}

/// The new version's profile decides, as with the rest of the menu.
#[test]
fn the_menus_lock_is_the_new_versions() {
    use std::os::unix::fs::PermissionsExt as _;
    const HASH: &str = "grub.pbkdf2.sha512.10000.AB.CD";
    let folder = Folder::new();
    let menu = folder.machine.state.join(isoforge_contract::disk::MENU);
    let mode = |path: &std::path::Path| {
        let permissions = fs_err::metadata(path).unwrap().permissions();
        permissions.mode() & 0o777
    };
    for lock in [Some(HASH), Some("grub.pbkdf2.sha512.10000.AB.EF\n"), None] {
        let variant = Variant {
            lock,
            ..Variant::default()
        };
        let archive = Built::new(&variant).archive();
        folder.upgrade(&archive, &mut folder.volume()).unwrap();
        let text = fs_err::read_to_string(&menu).unwrap();
        match lock {
            Some(hash) => {
                let line = format!("\npassword_pbkdf2 root {}\n", hash.trim_end());
                assert!(text.contains(&line), "{text}");
                assert!(text.contains("\nset superusers=root\nexport superusers\n"));
            }
            None => assert!(!text.contains("superusers"), "{text}"),
        }
        assert_eq!(mode(&menu), 0o600);
        for name in [file::ROOTFS, file::KERNEL, file::INITRD] {
            let path = folder.machine.state.join("slots/b").join(name);
            assert_eq!(mode(&path), 0o600, "{name}");
        }
    }
    // No lock is lost for what can't be read.
    let variant = Variant {
        lock: Some("grub.pbkdf2.sha512.10000.AB.CD; set superusers="),
        ..Variant::default()
    };
    let archive = Built::new(&variant).archive();
    assert!(folder.upgrade(&archive, &mut folder.volume()).is_err());
}

#[test]
fn an_older_version_is_refused_unless_it_is_asked_for() {
    let built = Built::new(&Variant::default());
    let mut folder = Folder::new();
    folder.set_version("2.0.1");
    let before = folder.content();
    let mut volume = folder.volume();
    let error = folder.upgrade(&built.archive(), &mut volume).unwrap_err();
    assert_snapshot!(error, @"version 2.0.0 is older than 2.0.1, which runs; 'appliance rollback' goes back to the other slot, and --allow-downgrade takes an older image");
    assert_eq!(folder.content(), before);
    assert_eq!(volume.operations.len(), 0);
    folder.downgrade = true;
    let outcome = folder.upgrade(&built.archive(), &mut volume).unwrap();
    assert_eq!(outcome.to, "2.0.0");
}

/// Else its content would be taken, and then its system refused.
#[test]
fn a_bundle_with_an_older_system_is_refused_before_anything_is_taken() {
    let built = Built::new(&Variant::default());
    let mut folder = Folder::new();
    let bundle = built.folder();
    mark_as_system(&bundle);
    folder.check_bundle(&bundle).unwrap();
    folder.set_version("2.0.1");
    let error = folder.check_bundle(&bundle).unwrap_err().to_string();
    assert!(error.contains("--allow-downgrade"), "{error}");
    folder.downgrade = true;
    folder.check_bundle(&bundle).unwrap();
    folder
        .upgrade_by_bundle(&bundle, &mut folder.volume())
        .unwrap();
}

/// Makes the provider image of a layout what a bundle carries as such.
fn mark_as_system(folder: &str) {
    let path = std::path::Path::new(folder).join("index.json");
    let text = fs_err::read_to_string(&path).unwrap();
    let mut index: serde_json::Value = serde_json::from_str(&text).unwrap();
    for entry in index["manifests"].as_array_mut().unwrap() {
        let tag = entry["annotations"]["org.opencontainers.image.ref.name"].take();
        entry["annotations"] = serde_json::json!({
            "org.opencontainers.image.ref.name":
                format!("registry.example/edge/tiny:{}", tag.as_str().unwrap()),
            "io.isoforge.bundle.kind": "provider",
        });
    }
    fs_err::write(path, index.to_string()).unwrap();
}

#[test]
fn a_bundle_brings_the_system_with_it() {
    let built = Built::new(&Variant::default());
    let folder = Folder::new();
    let bundle = built.folder();
    let error = folder
        .upgrade_by_bundle(&bundle, &mut folder.volume())
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("carries no system; 'appliance content import'"),
        "{text}"
    );
    mark_as_system(&bundle);
    let outcome = folder
        .upgrade_by_bundle(&bundle, &mut folder.volume())
        .unwrap();
    assert_eq!((outcome.slot, outcome.to.as_str()), (Slot::B, "2.0.0"));
    let told = record(&folder.machine.state, Slot::B).unwrap();
    assert_eq!(told.squashfs.digest, built.digest);
    built.truncate_a_layer(&bundle);
    let before = folder.content();
    let error = folder
        .upgrade_by_bundle(&bundle, &mut folder.volume())
        .unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("is damaged"), "{text}");
    assert_eq!(folder.content(), before);
}

#[test]
fn a_digest_that_is_not_the_recorded_one_changes_nothing() {
    let built = Built::new(&Variant {
        label: Some(Digest::of(b"another")),
        ..Variant::default()
    });
    let folder = Folder::new();
    let before = folder.content();
    let mut volume = folder.volume();
    let error = folder.upgrade(&built.archive(), &mut volume).unwrap_err();
    let text = error.to_string();
    assert!(text.ends_with("; nothing was changed"), "{text}");
    assert!(text.contains(&built.digest.to_string()), "{text}");
    assert_eq!(volume.operations, []);
    assert_eq!(folder.content(), before);
}

#[test]
fn the_image_is_made_by_its_own_program() {
    // Stands for a later version that writes SquashFS otherwise: it compresses
    // with another level than it is asked to.
    let script = "sed -i s/zstd:3/zstd:1/ \"$4\"; exec APPLIANCE \"$@\"";
    let variant = Variant {
        script: Some(script),
        made_with: "zstd:1",
        ..Variant::default()
    };
    let built = Built::new(&variant);
    let folder = Folder::new();
    folder
        .upgrade(&built.archive(), &mut folder.volume())
        .unwrap();
    let told = record(&folder.machine.state, Slot::B).unwrap();
    assert_eq!(told.squashfs.digest, built.digest);

    let honest = Built::new(&Variant {
        made_with: "zstd:3",
        ..variant
    });
    let folder = Folder::new();
    let error = folder
        .upgrade(&honest.archive(), &mut folder.volume())
        .unwrap_err();
    assert!(error.to_string().contains("has the digest"), "{error}");
}

#[test]
fn a_program_that_writes_something_else_than_it_says_is_found_out() {
    let script = "APPLIANCE \"$@\" || exit; \
        target=$(sed -n 's/.*\"target\": \"\\(.*\\)\".*/\\1/p' \"$4\"); \
        if [ -n \"$target\" ]; then echo >> \"$target/rootfs.squashfs\"; fi";
    let built = Built::new(&Variant {
        script: Some(script),
        ..Variant::default()
    });
    let folder = Folder::new();
    let before = folder.content();
    let error = folder
        .upgrade(&built.archive(), &mut folder.volume())
        .unwrap_err();
    assert!(error.to_string().contains("has the digest"), "{error}");
    assert_eq!(folder.content(), before);
}

#[test]
fn a_program_that_fails_is_told_with_its_own_words() {
    let built = Built::new(&Variant {
        script: Some("echo no such thing >&2; exit 3"),
        ..Variant::default()
    });
    let folder = Folder::new();
    let error = folder
        .upgrade(&built.archive(), &mut folder.volume())
        .unwrap_err();
    let text = format!("{error:#}");
    assert!(text.starts_with("the new system's own program can't make its slot"));
    assert!(text.ends_with("no such thing"), "{text}");
}

#[test]
fn a_truncated_layer_changes_nothing() {
    let built = Built::new(&Variant::default());
    let source = built.folder();
    built.truncate_a_layer(&source);
    let folder = Folder::new();
    let before = folder.content();
    let error = folder.upgrade(&source, &mut folder.volume()).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("bytes"), "{text}");
    assert_eq!(folder.content(), before);
}

#[test]
fn too_little_room_is_told_before_anything_is_written() {
    let built = Built::new(&Variant::default());
    let folder = Folder::new();
    let before = folder.content();
    let mut volume = folder.volume();
    let persistent = Room {
        persistent: 10,
        state: u64::MAX,
    };
    let error = folder
        .upgrade_in(&built.archive(), &mut volume, &persistent)
        .unwrap_err();
    assert!(error.to_string().contains("the upgrade needs"), "{error}");
    let state = Room {
        persistent: u64::MAX,
        state: 10,
    };
    let error = folder
        .upgrade_in(&built.archive(), &mut volume, &state)
        .unwrap_err();
    assert!(
        error.to_string().contains("on the partition STATE"),
        "{error}"
    );
    assert_eq!(folder.content(), before);
}

#[test]
fn where_both_do_not_fit_the_old_system_goes_first() {
    let built = Built::new(&Variant::default());
    let folder = Folder::new();
    folder.pad_other_slot(8 << 20);
    let mut volume = folder.volume();
    let room = Room {
        persistent: u64::MAX,
        state: 1 << 20,
    };
    folder
        .upgrade_in(&built.archive(), &mut volume, &room)
        .unwrap();
    let names: Vec<String> = volume.operations.iter().map(name).collect();
    let at = |wanted: &str| names.iter().position(|name| name == wanted);
    assert!(
        at("Remove(\"slots/b\")") < at("Make(\"slots/b.new\")"),
        "{names:?}"
    );
    assert_eq!(
        environment(&folder.machine.state).unwrap().trial,
        Some(Slot::B)
    );
}

/// Wherever the power goes off, the good slot is whole and boots, and the other
/// is tried only where it is whole.
#[test]
fn an_end_at_any_point_leaves_the_good_slot() {
    let built = Built::new(&Variant::default());
    let source = built.archive();
    let folder = Folder::new();
    let good = folder.content_of("slots/a");
    for at in 0.. {
        let mut volume = folder.volume();
        volume.ends_at = Some(at);
        let ended = folder.upgrade(&source, &mut volume).is_err();
        let state = &folder.machine.state;
        let environment = environment(state).unwrap();
        assert_eq!(environment.good, Slot::A);
        assert_eq!(folder.content_of("slots/a"), good);
        if let Some(trial) = environment.trial {
            assert_eq!(trial, Slot::B);
            let rootfs = fs_err::read(state.join("slots/b/rootfs.squashfs")).unwrap();
            assert_eq!(Digest::of(&rootfs), built.digest);
            for file in file::ALL {
                assert!(state.join("slots/b").join(file).is_file());
            }
        }
        if !ended {
            assert!(at > 6, "only {at} operations");
            break;
        }
    }
}

#[test]
fn what_runs_decides_what_may_be_written() {
    let built = Built::new(&Variant::default());
    let archive = built.archive();
    let mut texts = Vec::new();
    for (slot, trial, good) in [
        ("recovery", false, Slot::A),
        ("b", true, Slot::A),
        ("b", false, Slot::A),
    ] {
        let folder = Folder::new();
        folder.boot(slot, trial);
        folder.set_good(good);
        let error = folder.upgrade(&archive, &mut folder.volume()).unwrap_err();
        texts.push(error.to_string());
    }
    assert_snapshot!(texts.join("\n"), @r"
    recovery is running; boot the appliance and upgrade it there, or start over with 'appliance reset'
    the system in slot b is on trial; upgrade once it counts as good ('appliance status' tells), or go back with 'appliance rollback' and a reboot
    slot b runs, but slot a is the one that boots by itself; keep the running system with 'appliance confirm', or reboot
    ");
}

#[test]
fn of_several_images_the_one_with_the_running_kubernetes_is_taken() {
    let built = Built::several(&["1.31.9", "1.32.7", "1.33.0"]);
    let archive = built.archive();
    let folder = Folder::new();
    let outcome = folder.upgrade(&archive, &mut folder.volume()).unwrap();
    assert_eq!(outcome.kubernetes.as_deref(), Some("1.32.7"));
    folder.set_kubernetes("1.30.1");
    let error = folder.upgrade(&archive, &mut folder.volume()).unwrap_err();
    let text = error.to_string().replace(&archive, "SOURCE");
    assert_snapshot!(text, @r"
    SOURCE holds several images, and none of them alone has the Kubernetes version that runs here (1.30.1); choose one with --tag:
        pxk-e-1.31.9-2.0.0 (Kubernetes 1.31.9)
        pxk-e-1.32.7-2.0.0 (Kubernetes 1.32.7)
        pxk-e-1.33.0-2.0.0 (Kubernetes 1.33.0)
    ");
    let outcome = folder
        .upgrade_to(&archive, Some("pxk-e-1.31.9-2.0.0"), &mut folder.volume())
        .unwrap();
    assert_eq!(outcome.kubernetes.as_deref(), Some("1.31.9"));
}

#[test]
fn an_image_is_chosen_by_a_name_that_leads_to_it_alone() {
    let built = Built::several(&["1.31.9", "1.32.7"]);
    let layout = built.folder();
    let folder = Folder::new();
    let fails = |tag: &str| {
        let tag = (!tag.is_empty()).then_some(tag);
        let error = folder.upgrade_to(&layout, tag, &mut folder.volume());
        error.unwrap_err().to_string().replace(&layout, "SOURCE")
    };
    let unknown = fails("pxk-e-1.30.1-2.0.0");
    let path = std::path::Path::new(&layout).join("index.json");
    let text = fs_err::read_to_string(&path).unwrap();
    let name = |entry: &mut serde_json::Value, short: &str, full: &str| {
        entry["annotations"]["org.opencontainers.image.ref.name"] = short.into();
        entry["annotations"]["io.containerd.image.name"] = full.into();
    };
    // Two repositories with one tag.
    let mut index: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (at, full) in ["q.io/a:v1", "q.io/b:v1"].into_iter().enumerate() {
        name(&mut index["manifests"][at], "v1", full);
    }
    fs_err::write(&path, index.to_string()).unwrap();
    folder.set_kubernetes("1.30.1");
    assert_snapshot!([unknown, fails("v1"), fails("")].join("\n"), @"");
    let outcome = folder
        .upgrade_to(&layout, Some("q.io/a:v1"), &mut folder.volume())
        .unwrap();
    assert_eq!(outcome.kubernetes.as_deref(), Some("1.31.9"));
    // Two names of one image are one image.
    let mut index: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut again = index["manifests"][0].clone();
    name(&mut again, "latest", "q.io/a:latest");
    index["manifests"].as_array_mut().unwrap().push(again);
    fs_err::write(&path, index.to_string()).unwrap();
    let folder = Folder::new();
    folder.set_kubernetes("1.31.9");
    let outcome = folder.upgrade(&layout, &mut folder.volume()).unwrap();
    assert_eq!(outcome.kubernetes.as_deref(), Some("1.31.9"));
}

struct Told {
    healthy_after: u64,
    now: u64,
}

impl confirm::Checks for Told {
    fn command(&mut self, line: &str, _seconds: u64) -> Option<String> {
        (self.now < self.healthy_after).then(|| format!("'{line}' failed"))
    }
    fn unit(&mut self, name: &str) -> Option<String> {
        (self.now < self.healthy_after).then(|| format!("{name} is not active"))
    }
    fn uptime_seconds(&mut self) -> anyhow::Result<u64> {
        Ok(self.now)
    }
    fn pause(&mut self) {
        self.now += 5;
    }
}

fn health() -> Health {
    Health {
        checks: vec!["true".to_owned()],
        units: vec!["kubelet.service".to_owned()],
        time_limit_seconds: 100,
    }
}

#[test]
fn a_trial_whose_checks_hold_becomes_the_good_slot() {
    let built = Built::new(&Variant::default());
    let folder = Folder::new();
    folder
        .upgrade(&built.archive(), &mut folder.volume())
        .unwrap();
    let text = |folder: &Folder| status::status(&folder.machine).unwrap().text();
    assert_snapshot!(text(&folder), @r"
    a         tiny 1.0.0, Kubernetes 1.32.3  [running; good]
    b         tiny 2.0.0, Kubernetes 1.32.3  [boots next, once]
    recovery  tiny 1.0.0, Kubernetes 1.32.3

    Last upgrade, slot b: 1.0.0 to 2.0.0 is tried at the next boot.
    ");
    folder.boot_trial();
    assert_snapshot!(text(&folder), @r"
    a         tiny 1.0.0, Kubernetes 1.32.3  [good]
    b         tiny 2.0.0, Kubernetes 1.32.3  [running, on trial]
    recovery  tiny 1.0.0, Kubernetes 1.32.3

    Last upgrade, slot b: 1.0.0 to 2.0.0 is on trial.
    ");
    let mut checks = Told {
        healthy_after: 60,
        now: 20,
    };
    let verdict = confirm::watch(&health(), &mut checks).unwrap();
    assert_eq!(verdict, confirm::Verdict::Good);
    let mut volume = folder.volume();
    confirm::make_good(&folder.machine, &mut volume).unwrap();
    let operations: Vec<String> = volume.operations.iter().map(name).collect();
    assert_snapshot!(operations.join("\n"), @r"
    Writable
    environment: good b, trial none
    Settle
    ReadOnly
    ");
    assert_snapshot!(text(&folder), @r"
    a         tiny 1.0.0, Kubernetes 1.32.3
    b         tiny 2.0.0, Kubernetes 1.32.3  [running; good]
    recovery  tiny 1.0.0, Kubernetes 1.32.3

    Last upgrade, slot b: 1.0.0 to 2.0.0 is good.
    ");
    // And back again, as a trial.
    let decision = rollback::run(&folder.machine, &mut folder.volume()).unwrap();
    assert_eq!(decision, rollback::Decision::Tried(Slot::A));
    let decision = rollback::run(&folder.machine, &mut folder.volume()).unwrap();
    assert_eq!(decision, rollback::Decision::Withdrawn(Slot::A));
    let now = environment(&folder.machine.state).unwrap();
    assert_eq!((now.good, now.trial), (Slot::B, None));
}

#[test]
fn a_trial_whose_checks_do_not_hold_in_time_is_bad() {
    let mut checks = Told {
        healthy_after: 500,
        now: 20,
    };
    let verdict = confirm::watch(&health(), &mut checks).unwrap();
    let confirm::Verdict::Bad(problems) = verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!(problems, ["kubelet.service is not active", "'true' failed"]);
    assert_eq!(checks.now, 100);

    let folder = Folder::new();
    folder.boot("b", true);
    let overdue = |uptime| confirm::overdue(&folder.machine, &health(), uptime).unwrap();
    assert!(!overdue(160));
    assert!(overdue(161));
    folder.boot("a", false);
    assert!(!overdue(161));
}

#[test]
fn a_machine_that_went_back_by_itself_tells_so() {
    let built = Built::new(&Variant::default());
    let folder = Folder::new();
    folder
        .upgrade(&built.archive(), &mut folder.volume())
        .unwrap();
    folder.boot_trial();
    last::Last::reach(
        &folder.machine,
        last::Stage::Failed,
        vec!["the unit kubelet.service is not active".to_owned()],
    )
    .unwrap();
    folder.boot("a", false);
    let status = status::status(&folder.machine).unwrap();
    assert_snapshot!(status.text(), @r"
    a         tiny 1.0.0, Kubernetes 1.32.3  [running; good]
    b         tiny 2.0.0, Kubernetes 1.32.3
    recovery  tiny 1.0.0, Kubernetes 1.32.3

    Last upgrade, slot b: 1.0.0 to 2.0.0 did not come up; the machine went back by itself.
        the unit kubelet.service is not active
    ");
    let json = serde_json::to_value(&status).unwrap();
    assert_eq!(json["last_upgrade"]["result"], "fell-back");
    assert_eq!(json["booted"], "a");
    assert_eq!(json["slots"]["b"]["version"], "2.0.0");
}

#[test]
fn a_reset_starts_over_from_recovery_alone() {
    let folder = Folder::new();
    fs_err::write(&folder.machine.config, image::config()).unwrap();
    let state = folder.machine.state.clone();
    let everything = reset::Options {
        keep_persistent: false,
        system: true,
    };
    let mut cleared = Vec::new();
    let mut format = |device: &std::path::Path, uuid: &str| {
        cleared.push((device.to_owned(), uuid.to_owned()));
        Ok(())
    };
    let mut volume = folder.volume();
    let error = reset::run(&folder.machine, &mut volume, &mut format, everything).unwrap_err();
    assert_snapshot!(error, @"slot a is running, and can't be reset while it does; choose recovery in the boot menu, or run 'appliance reset --boot-recovery' and reboot");
    assert_eq!(volume.operations, []);
    reset::boot_recovery(&folder.machine, &mut volume).unwrap();
    assert_eq!(environment(&state).unwrap().trial, Some(Slot::Recovery));

    folder.boot("recovery", false);
    fs_err::remove_dir_all(state.join("slots/a")).unwrap();
    // Damaged: nothing is named good that is not there, and nothing is cleared.
    let rootfs = state.join("slots/recovery/rootfs.squashfs");
    let whole = fs_err::read(&rootfs).unwrap();
    fs_err::write(&rootfs, b"damaged").unwrap();
    let error = reset::run(&folder.machine, &mut volume, &mut format, everything).unwrap_err();
    assert!(error.to_string().contains("is damaged"), "{error}");
    assert_eq!(environment(&state).unwrap().good, Slot::B);
    fs_err::write(&rootfs, &whole).unwrap();
    reset::run(&folder.machine, &mut volume, &mut format, everything).unwrap();
    assert_eq!(
        cleared,
        [(folder.machine.by_uuid.join("2222"), "2222".to_owned())]
    );
    let now = environment(&state).unwrap();
    assert_eq!((now.good, now.trial), (Slot::A, None));
    assert_eq!(
        fs_err::read(state.join("slots/a/rootfs.squashfs")).unwrap(),
        whole
    );
    let config = fs_err::read_to_string(state.join("slots/a/slot.cfg")).unwrap();
    assert!(config.contains("rd.live.dir=/slots/a "), "{config}");
}
