//! From one store to a machine without any network: a network namespace that has
//! no interface that is up.

use std::path::Path;
use std::process::Command;

use isoforge_base::digest::Digest;

use crate::support::bootable::{self, os_layer};
use crate::support::program::{Outcome, Project, files_below};
use crate::support::registry::FakeRegistry;

/// Programs that a build could run to make what it lacks.
const PROGRAMS: [&str; 3] = [
    "/usr/bin/grub-mkimage",
    "/usr/bin/mmdebstrap",
    "/usr/lib/apt/apt-helper",
];

/// How lines of [`os_layer`] begin that give the OS image a core image.
const CORE_IMAGE: &str = "fill usr/lib/isoforge/i386-pc/";

/// GRUB's BIOS modules of this machine, as an archive to be laid over the OS.
fn write_modules(path: &Path) {
    const MODULES: &str = "usr/lib/grub/i386-pc";
    let mut names: Vec<_> = std::fs::read_dir(format!("/{MODULES}"))
        .expect("GRUB's BIOS modules are needed (Debian package grub-pc-bin)")
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "eltorito.img")
        .collect();
    names.sort();
    let mut archive = tar::Builder::new(std::fs::File::create(path).unwrap());
    for name in names {
        let name = format!("{MODULES}/{name}");
        let bytes = std::fs::read(format!("/{name}")).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_700_000_000);
        archive
            .append_data(&mut header, name, bytes.as_slice())
            .unwrap();
    }
    archive.finish().unwrap();
}

/// A profile on images of `registry`, whose core image has to be made of the
/// modules in a local archive.
fn project(registry: &FakeRegistry) -> Project {
    let os: String = os_layer("amd64")
        .lines()
        .filter(|line| !line.starts_with(CORE_IMAGE))
        .map(|line| format!("{line}\n"))
        .collect();
    registry.put_image("edge/os", "1", &bootable::image("amd64", &os));
    let kubernetes = bootable::image("amd64", &bootable::kubernetes_layer("amd64"));
    registry.put_image("edge/kubernetes", "1", &kubernetes);
    let project = Project::empty();
    let reference = |name: &str| format!("{}/edge/{name}:1", registry.host());
    project.write(
        "profile.toml",
        &bootable::profile_of(&["amd64"], &reference("os"), &reference("kubernetes")),
    );
    project.add_to_profile("\n[[layers]]\narchive = \"grub.tar\"\n");
    write_modules(&project.path("grub.tar"));
    project
}

/// Runs a shell script where no connection can be made and none of [`PROGRAMS`]
/// can be run.
fn cut_off(project: &Project, script: &str) -> Outcome {
    let nothing = project.path("nothing");
    std::fs::write(&nothing, b"").unwrap();
    let hide: String = PROGRAMS
        .iter()
        .filter(|program| Path::new(program).exists())
        .map(|program| format!("mount --bind '{}' {program}\n", nothing.display()))
        .collect();
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "--mount", "sh", "-euc"]);
    command.arg(format!("{hide}{script}"));
    command.args(["sh", env!("CARGO_BIN_EXE_isoforge")]);
    project.prepare(&mut command);
    Outcome::of(command.output().unwrap())
}

fn digests(project: &Project) -> Vec<(String, Digest)> {
    let digest =
        |name: &String| Digest::of(&std::fs::read(project.path("dist").join(name)).unwrap());
    let outputs = project.outputs();
    outputs
        .iter()
        .map(|name| (name.clone(), digest(name)))
        .collect()
}

#[test]
fn an_export_is_all_that_an_air_gapped_build_needs_beside_its_profile() {
    let registry = FakeRegistry::start();
    let first = project(&registry);
    first.build();
    let outcome = first.run(&["cache", "export", "profile.toml", "-o", "input.tar"]);
    outcome.assert_exit(0);
    // Beside the images the archive's layer, and the core images of ISO and disk.
    assert!(
        outcome.stdout.contains("3 further parts"),
        "{}",
        outcome.stdout
    );
    let asked = registry.count("");

    let second = Project::empty();
    for name in ["profile.toml", "input.tar"] {
        std::fs::copy(first.path(name), second.path(name)).unwrap();
    }
    let outcome = cut_off(
        &second,
        "! grub-mkimage --version 2>/dev/null
         \"$1\" cache import input.tar --lock-to isoforge.lock
         \"$1\" build profile.toml --offline --locked",
    );
    outcome.assert_exit(0);
    assert_eq!(digests(&second), digests(&first));
    assert_eq!(registry.count(""), asked, "nothing could be asked");
    let lock = |project: &Project| std::fs::read(project.path("isoforge.lock")).unwrap();
    assert_eq!(lock(&second), lock(&first));
    second.run(&["cache", "verify"]).assert_exit(0);

    // What the lock names is enough: without all the rest it builds again.
    let before = files_below(&second.cache()).len();
    second
        .run(&["cache", "gc", "--all-but-locks", "isoforge.lock"])
        .assert_exit(0);
    assert!(files_below(&second.cache()).len() < before);
    std::fs::remove_dir_all(second.path("dist")).unwrap();
    let outcome = cut_off(&second, "\"$1\" build profile.toml --offline --locked");
    outcome.assert_exit(0);
    assert_eq!(digests(&second), digests(&first));
}

#[test]
fn without_the_import_the_same_build_fails_in_the_same_place() {
    let registry = FakeRegistry::start();
    let first = project(&registry);
    first.build();
    let second = Project::empty();
    for name in ["profile.toml", "grub.tar", "isoforge.lock"] {
        std::fs::copy(first.path(name), second.path(name)).unwrap();
    }
    // So it is the import that made the other test work, not a hole in the wall.
    let online = cut_off(&second, "\"$1\" build profile.toml");
    online.assert_exit(4);
    let offline = cut_off(&second, "\"$1\" build profile.toml --offline --locked");
    offline.assert_exit(4);
    assert!(second.outputs().is_empty());
}
