use std::path::Path;

use insta::assert_snapshot;

use super::*;
use crate::profile::ImageMethod;
use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Failure};

/// A lock as the first version of the format had it. It stays as it is.
const VERSION_1: &str = include_str!("../../tests/fixtures/lock/version-1.lock");

fn lock() -> Lock {
    parse(VERSION_1, Path::new("isoforge.lock")).unwrap()
}

fn error(text: &str) -> Failure {
    parse(text, Path::new("isoforge.lock")).unwrap_err()
}

fn lines(old: &Lock, new: &Lock) -> String {
    let drifts = compare(old, new);
    let lines: Vec<String> = drifts.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn a_lock_of_version_1_is_read_with_all_that_it_says() {
    let lock = lock();
    assert_eq!((lock.version, lock.revision), (1, 0));
    assert_eq!(lock.profile, "appliance.toml");
    assert_eq!(lock.time.epoch, 1_700_000_000);
    assert_eq!(lock.flags.set, ["appliance.version=1.2.0"]);
    assert_eq!(lock.project.len(), 2);
    assert_eq!(lock.inputs, Lock::inputs_digest(&lock.project, &lock.flags));
    let image = lock.image("docker.io/calico/cni:v3.29.2").unwrap();
    assert_eq!(image.pin("amd64"), image.index);
    let mut single = image.clone();
    single.index = None;
    assert_eq!(single.pin("amd64"), Some(image.manifests["amd64"]));
    assert_eq!(single.pin("arm64"), None);
    assert_eq!(lock.archives[0].newest_seconds, Some(1_699_999_999));
    let made = &lock.bootstraps[0];
    assert_eq!(made.layer().diff_id, made.layer);
    assert_eq!(made.packages["bash"].version, "5.2.37-2");
    assert_eq!(made.packages["bash"].digest.unwrap().hex(), "c".repeat(64));
    assert_eq!(made.packages["local"].digest, None);
    assert_eq!(lock.core_images[0].made_by, "grub-mkimage (GRUB) 2.12");
}

#[test]
fn the_text_is_the_same_for_the_same_lock_whatever_its_order() {
    let lock = lock();
    assert_eq!(lock.to_toml().unwrap(), VERSION_1);
    let mut shuffled = lock.clone();
    shuffled.project.reverse();
    shuffled.project.push(shuffled.project[0].clone());
    assert_eq!(shuffled.to_toml().unwrap(), VERSION_1);
}

#[test]
fn another_version_is_an_error_that_names_both() {
    let text = VERSION_1.replace("version = 1\n", "version = 7\nentirely = \"else\"\n");
    let error = error(&text);
    assert_eq!(error.class(), Class::Profile);
    assert_snapshot!(error, @"'isoforge.lock' is a lock file of version 7; this isoforge reads version 1");
    assert!(error.hint().unwrap().contains("newer isoforge"));
}

#[test]
fn a_later_revision_is_read_and_not_written() {
    let text = VERSION_1.replace("revision = 0\n", "revision = 3\nadded = true\n");
    let lock = parse(&text, Path::new("isoforge.lock")).unwrap();
    assert_eq!(lock.images, super::tests::lock().images);
    let error = lock
        .check_rewritable(Path::new("isoforge.lock"))
        .unwrap_err();
    assert_eq!(error.class(), Class::Profile);
    assert_snapshot!(error, @"'isoforge.lock' is a lock file of revision 3, of which this isoforge knows 0; writing it would lose what is new in it");
    super::tests::lock()
        .check_rewritable(Path::new("x"))
        .unwrap();
}

#[test]
fn what_is_no_lock_says_where() {
    let messages: Vec<String> = [
        VERSION_1.replace("revision = 0\n", "revision = 0\nadded = true\n"),
        VERSION_1.replace("made_by = \"mm", "made_on = \"x\"\nmade_by = \"mm"),
        VERSION_1.replace("sha256:222", "sha256:xyz"),
        VERSION_1.replace("[[file]]", "<<<<<<< HEAD"),
        VERSION_1.replace("kind = \"overlay\"", "kind = \"plugin\""),
        "text".to_owned(),
        String::new(),
    ]
    .iter()
    .map(|text| {
        let error = error(text);
        assert_eq!(error.class(), Class::Profile);
        error.to_string()
    })
    .collect();
    assert_snapshot!(messages.join("\n"), @r"
    'isoforge.lock' is no sound lock file: unknown key 'added'
    'isoforge.lock' is no sound lock file: unknown key 'bootstrap.made_on'
    'isoforge.lock' is no sound lock file: line 18: 'sha256:xyz2222222222222222222222222222222222222222222222222222222222222' is not a digest of the form sha256:<64 lower-case hex digits>
    'isoforge.lock' is no sound lock file: line 40: key with no value, expected `=`
    'isoforge.lock' is no sound lock file: line 21: unknown variant `plugin`, expected one of `profile`, `include`, `catalog`, `template`, `cloud-config`, `overlay`, `keyring`, `program`, `pack`, `chart`, `manifest`
    'isoforge.lock' is no sound lock file: line 1: key with no value, expected `=`
    'isoforge.lock' is no sound lock file: line 1: missing field `version`
    ");
}

#[test]
fn a_missing_lock_and_one_that_is_too_large_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("isoforge.lock");
    assert_eq!(read_if_there(&path).unwrap(), None);
    let error = read(&path).unwrap_err();
    assert_eq!(error.class(), Class::LockDrift);
    let file = fs_err::File::create(&path).unwrap();
    file.set_len(MAX_LOCK_BYTES + 1).unwrap();
    assert_eq!(read(&path).unwrap_err().class(), Class::Profile);
    assert_eq!(read(dir.path()).unwrap_err().class(), Class::Io);
}

#[test]
fn equal_locks_have_no_drift() {
    assert_eq!(compare(&lock(), &lock()), []);
}

#[test]
fn each_input_that_moved_is_named() {
    let old = lock();
    let mut new = old.clone();
    let other = |text: &str| Digest::of(text.as_bytes());
    new.time.epoch += 1;
    new.flags.set.clear();
    new.project[0].path = "other.toml".into();
    new.project[1].digest = other("overlay");
    new.components[0].method = ImageMethod::Profile;
    new.components[0].images.clear();
    new.images[0].index = None;
    new.images[0]
        .manifests
        .insert("amd64".into(), other("manifest"));
    new.images[0]
        .manifests
        .insert("arm64".into(), other("other manifest"));
    new.files.clear();
    new.archives[0].digest = other("archive");
    let packages = &mut new.bootstraps[0].packages;
    packages.insert("bash".into(), "5.3-1".parse().unwrap());
    packages.insert("dash".into(), "0.5-1".parse().unwrap());
    packages.remove("local");
    new.bootstraps[0].layer = other("layer");
    new.core_images[0].digest = other("core");
    assert_snapshot!(lines(&old, &new), @"
    --set: 'appliance.version=1.2.0' → none
    appliance.toml: gone, only in the lock
    other.toml: new, not in the lock
    overlays/base: sha256:3333333333333333333333333333333333333333333333333333333333333333 → sha256:b4b33d2441645d4dd0a0694b5989a0a14a5cc22fe9865e6b7b7eae966e0de36c
    cni calico 3.29.2: source of its images moved from the catalog to the profile
    cni calico 3.29.2: list of images moved from docker.io/calico/cni:v3.29.2 to none
    docker.io/calico/cni:v3.29.2: manifest for amd64 moved from sha256:5555555555555555555555555555555555555555555555555555555555555555 to sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f
    docker.io/calico/cni:v3.29.2 manifest for arm64: new, not in the lock
    https://example.test/kubelet: gone, only in the lock
    rootfs.tar.zst: sha256:7777777777777777777777777777777777777777777777777777777777777777 → sha256:0eb3e36bfb24dcd9bb1d1bece1531216b59539a8fde17ee80224af0653c92aa3
    package bash: 5.2.37-2 → 5.3-1
    package dash: new, not in the lock
    package local: gone, only in the lock
    GRUB core image for amd64: sha256:eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee (grub-mkimage (GRUB) 2.12) → sha256:0d45f5fd462b8c70bffb10021ac1bcff3f58f29b1faf7568595095427d42812c (grub-mkimage (GRUB) 2.12)
    time stamp: 1700000000 (newest image configuration) → 1700000001 (newest image configuration)
    ");
    let all = refuse(Path::new("isoforge.lock"), &compare(&old, &new)).unwrap_err();
    assert_eq!(all.class(), Class::LockDrift);
    assert!(all.to_string().contains("\n  package dash: new"), "{all}");
}

#[test]
fn what_no_single_entry_explains_is_drift_all_the_same() {
    let old = lock();
    let mut index = old.clone();
    index.images[0].index = None;
    let mut layer = old.clone();
    layer.bootstraps[0].layer = Digest::of(b"");
    let mut file = old.clone();
    file.bootstraps[0].packages.insert(
        "bash".into(),
        format!("5.2.37-2 {}", Digest::of(b"")).parse().unwrap(),
    );
    let mut merged = old.clone();
    merged.profile_digest = Digest::of(b"");
    let mut edited = old.clone();
    edited.inputs = Digest::of(b"");
    let mut spec = old.clone();
    spec.bootstraps[0].spec = Digest::of(b"");
    let mut key = old.clone();
    key.core_images[0].key = Digest::of(b"");
    let mut roles = old.clone();
    roles.archives[0]
        .roles
        .push(isoforge_contract::manifest::Role::Content);
    let changed = [index, layer, file, merged, edited, spec, key, roles];
    let text: Vec<String> = changed.iter().map(|new| lines(&old, new)).collect();
    assert_snapshot!(text.join("\n"), @"
    docker.io/calico/cni:v3.29.2: index moved from sha256:4444444444444444444444444444444444444444444444444444444444444444 to none
    bootstrap for amd64: layer moved from sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa to sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    package bash: file of 5.2.37-2 moved from sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc to sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    profile: merged values moved from sha256:1111111111111111111111111111111111111111111111111111111111111111 to sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    inputs: sha256:f85f424076c244707fc0e46b7a1979ca518f46a4108c28aa1098a3a8d884fb71 → sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    bootstrap for amd64: what is asked for moved from sha256:9999999999999999999999999999999999999999999999999999999999999999 to sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    GRUB core image for amd64: what it is made of moved from sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd to sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    rootfs.tar.zst: use moved from [layer] to [layer, content]
    ");
}

#[test]
fn an_archive_index_without_digests_is_no_drift_of_a_package() {
    let old = lock();
    let mut new = old.clone();
    new.bootstraps[0]
        .packages
        .insert("bash".into(), "5.2.37-2".parse().unwrap());
    assert_eq!(compare(&old, &new), []);
}

#[test]
fn two_profiles_of_a_folder_have_two_locks() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (one, two) = (at("appliance.toml"), at("b.toml"));
    assert_eq!(locate(&one, None).unwrap(), at("isoforge.lock"));
    fs_err::write(at("isoforge.lock"), VERSION_1).unwrap();
    assert_eq!(locate(&one, None).unwrap(), at("isoforge.lock"));
    assert_eq!(locate(&two, None).unwrap(), at("b.isoforge.lock"));
    assert_eq!(locate(&two, Some(Path::new("x"))).unwrap(), Path::new("x"));
    fs_err::write(at("appliance.isoforge.lock"), "").unwrap();
    assert_eq!(locate(&one, None).unwrap(), at("appliance.isoforge.lock"));
    // What can't be understood is not passed over in silence.
    fs_err::write(at("isoforge.lock"), "<<<<").unwrap();
    assert_eq!(locate(&two, None).unwrap(), at("isoforge.lock"));
}
