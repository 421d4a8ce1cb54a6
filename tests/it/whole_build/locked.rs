//! Builds whose boot menu is locked with a password.

use std::path::Path;

use isoforge_oci::layer::LayerCompression::Gzip;
use isoforge_oci::media::Family;

use super::{Built, Project, SMALL, kairos_layer, on_iso};
use crate::support::bootable;
use crate::support::judge;
use crate::support::layers::Image;

const PASSWORD: &str = "correct horse battery";
const PASSWORD_FILE: &str = "boot-password.txt";

/// A signed GRUB that knows passwords, and Kairos's menu for a disk.
const LOCKABLE: &str =
    "file usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed 0644 'MZ password_pbkdf2'
     file etc/cos/grub.cfg 0644 'set timeout=10\\nmenuentry \"Kairos\" --id cos {\\n  true\\n}\\n'";

/// The small system with what `more` adds, and a password.
fn project(more: &str) -> Project {
    let project = Project::new();
    let layers = [
        bootable::os_layer("amd64"),
        kairos_layer("amd64"),
        more.to_owned(),
    ];
    let layers: Vec<_> = layers.iter().map(|text| (text.as_str(), Gzip)).collect();
    project.layout("os", &Image::new(Family::Oci, "linux/amd64", &layers));
    project.write("kubernetes/usr/bin/kubelet", "kubelet");
    project.write(PASSWORD_FILE, format!("{PASSWORD}\n"));
    let boot = format!("\n[boot]\npassword = {{ file = \"{PASSWORD_FILE}\" }}\n");
    project.write("profile.toml", SMALL.to_owned() + &boot);
    project
}

/// The hash that the menu of the ISO has; its form is GRUB's.
fn hash(built: &Built) -> String {
    let menu = String::from_utf8(on_iso(&built.iso(), "/boot/grub2/grub.cfg")).unwrap();
    let mut lines = menu.lines().skip(1);
    assert_eq!(lines.next(), Some("set superusers=root"));
    assert_eq!(lines.next(), Some("export superusers"));
    let line = lines.next().unwrap();
    let hash = line.strip_prefix("password_pbkdf2 root ").unwrap();
    assert!(hash.starts_with("grub.pbkdf2.sha512.210000."), "{line}");
    for stub in ["/boot/grub/grub.cfg", "/EFI/BOOT/grub.cfg"] {
        let stub = String::from_utf8(on_iso(&built.iso(), stub)).unwrap();
        assert!(stub.starts_with("set superusers=root\n"), "{stub}");
        assert!(stub.contains(hash), "{stub}");
    }
    hash.to_owned()
}

/// The files below `folder` that hold `text`, but for the password's own.
fn holding(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.unwrap();
        if !entry.file_type().is_file() || entry.file_name() == PASSWORD_FILE {
            continue;
        }
        let bytes = std::fs::read(entry.path()).unwrap();
        if bytes.windows(text.len()).any(|at| at == text.as_bytes()) {
            let path = entry.path().strip_prefix(folder).unwrap();
            found.push(path.to_str().unwrap().to_owned());
        }
    }
    found
}

/// A file of the ISO's root file system.
fn in_root(project: &Project, built: &Built, path: &str) -> String {
    let file = project.squashfs_file(&built.iso());
    let arguments = ["-cat", file.to_str().unwrap(), path];
    judge("squashfs-tools", "unsquashfs", &arguments)
}

#[test]
fn an_appliance_is_locked_by_a_hash_and_nothing_has_the_password() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = project(LOCKABLE);
    let flavor = ["--set", "os.flavor=appliance"];
    let built = project.build(
        "profile.toml",
        &[&flavor[..], &["--output", "one"]].concat(),
    );
    let hash = hash(&built);
    let kept = in_root(&project, &built, "usr/lib/appliance/boot-password");
    assert_eq!(kept, format!("{hash}\n"));
    let listing = project.squashfs_listing(&built);
    let file = listing
        .lines()
        .find(|line| line.ends_with("/boot-password"));
    assert!(file.unwrap().starts_with("-rw------- 0/0 "), "{file:?}");
    assert_eq!(holding(&project.path(""), PASSWORD), [] as [String; 0]);
    // The hash is in what needs it, for the store's owner alone, and nowhere beside.
    for name in holding(&project.path(""), &hash) {
        let path = project.path(&name);
        let mode = path.metadata().unwrap().permissions().mode();
        let is_output = name.ends_with(".iso") || name.ends_with(".oci.tar");
        assert!(is_output || mode & 0o077 == 0, "{name}: {mode:o}");
    }
    for name in built.names() {
        if name.ends_with(".json") || name.ends_with(".sha256") {
            assert!(holding(&built.folder.join(name), &hash).is_empty());
        }
    }
    let lock = std::fs::read_to_string(project.path("isoforge.lock")).unwrap_or_default();
    assert!(!lock.contains("grub.pbkdf2"));
    // Another store, the same bytes.
    let again = ["--output", "two", "--cache-dir", "other"];
    let again = project.build("profile.toml", &[&flavor[..], &again].concat());
    assert_eq!(again.digests(), built.digests());
}

#[test]
fn a_disk_of_kairos_gets_the_images_menu_with_the_lock() {
    let project = project(LOCKABLE);
    let outcome = project
        .program
        .run(&["build", "profile.toml", "--format", "json"]);
    let built = Built::of(&outcome, &project.path(""));
    let told = "Kairos's live system and installers give a root shell";
    assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    let hash = hash(&built);
    let menu = in_root(&project, &built, "etc/cos/grub.cfg");
    assert!(
        menu.contains(&format!("password_pbkdf2 root {hash}\n")),
        "{menu}"
    );
    assert!(
        menu.contains("\nmenuentry \"Kairos\" --id cos --unrestricted {\n"),
        "{menu}"
    );
    assert_eq!(holding(&project.path(""), PASSWORD), [] as [String; 0]);
}

#[test]
fn a_disk_of_kairos_that_is_not_locked_is_told() {
    let grub = LOCKABLE.lines().next().unwrap();
    let project = project(grub);
    let outcome = project.program.run(&["build", "profile.toml"]);
    outcome.assert_exit(0);
    let told = "'boot.password' does not lock the menu of an installed disk: the image has no \
                /etc/cos/grub.cfg";
    assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
}

#[test]
fn a_grub_that_knows_no_passwords_is_refused() {
    let project = project("file etc/more 0644 more");
    let outcome = project.program.run(&["build", "profile.toml"]);
    outcome.assert_exit(2);
    let told = "gcdx64.efi.signed has no module password_pbkdf2";
    assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    let outcome = project.program.run(&["build", "profile.toml", "--force"]);
    outcome.assert_exit(0);
    assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
}

#[test]
fn a_password_that_can_not_be_one_is_told_with_its_place() {
    let project = project(LOCKABLE);
    project.write(PASSWORD_FILE, "pässword\n");
    let outcome = project.program.run(&["validate", "profile.toml"]);
    outcome.assert_exit(2);
    for told in [
        "'boot.password': it has characters that GRUB's keyboard has not",
        "password = { file = \"boot-password.txt\" }",
        "= help: letters, digits and signs of ASCII",
    ] {
        assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    }
    assert!(!outcome.all().contains("pässword"), "{}", outcome.stderr);
}
