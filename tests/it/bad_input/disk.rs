//! Folders that can't be written to, disks that are full.

use std::process::Command;

use insta::assert_snapshot;
use isoforge_base::digest::Digest;

use super::{builds_again, failed};
use crate::support::bootable::{self, os_layer};
use crate::support::program::{Outcome, Project};

/// Mounts a small file system on the first argument, runs the rest, and lists
/// the files that are left there.
const ON_A_SMALL_DISK: &str = r#"
mount -t tmpfs -o size=2m tmpfs "$1" || exit 99
disk=$1; shift
"$@"; code=$?
find "$disk" -type f -path "$LEFT_OVER" >&2
exit $code
"#;

/// Runs the program with a file system of 2 MiB on the folder `small`; says
/// which files whose paths are like `left_over` are on it afterwards.
fn run_on_a_small_disk(project: &Project, left_over: &str, arguments: &[&str]) -> Outcome {
    std::fs::create_dir(project.path("small")).unwrap();
    let mut command = Command::new("unshare");
    command
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            ON_A_SMALL_DISK,
            "sh",
        ])
        .arg(project.path("small"))
        .arg(env!("CARGO_BIN_EXE_isoforge"))
        .args(arguments);
    project.prepare(&mut command);
    command.env("LEFT_OVER", left_over);
    let outcome = Outcome::of(
        command
            .output()
            .expect("unshare of the Debian package util-linux"),
    );
    assert!(
        outcome.code != Some(99) && !outcome.stderr.contains("unshare:"),
        "this test needs user and mount namespaces: {}",
        outcome.stderr
    );
    outcome
}

#[test]
fn not_enough_disk_for_the_output() {
    let project = Project::bootable();
    let outcome = run_on_a_small_disk(
        &project,
        "*",
        &["build", "profile.toml", "--output", "small"],
    );
    assert_snapshot!(outcome.error(), @r"
    exit 3
    error: not enough disk space at 'small/tiny-1.0.0': the ISO needs [N] bytes, [N] bytes are available
    hint: free some space, or name directories on a larger file system with --output and --cache-dir
    ");
    project.assert_store_sound();
    builds_again(&project);
}

#[test]
fn a_disk_that_fills_up_under_the_store() {
    let project = Project::bootable();
    // Eight megabytes that no compressor makes much smaller.
    let noise: String = (0..125_000_u32)
        .map(|number| Digest::of(&number.to_le_bytes()).hex())
        .collect();
    let layer = format!("{}\nfile usr/share/noise 0644 {noise}", os_layer("amd64"));
    let image = bootable::image("amd64", &layer);
    std::fs::remove_dir_all(project.path("os")).unwrap();
    bootable::write_image(&project.path("os"), &[&image]);
    let outcome = run_on_a_small_disk(
        &project,
        "*/v1/partial/*",
        &["build", "profile.toml", "--cache-dir", "small/cache"],
    );
    assert_snapshot!(outcome.error(), @r"
    exit 3
    error: oci:os can't be stored
      caused by: the store can't be read or written
      caused by: failed to write to file `small/cache/v1/partial/[HEX]`: No space left on device (os error 28)
    hint: free disk space, or put the store on another file system
    ");
    assert!(!project.path("dist").exists());
    builds_again(&project);
}

#[test]
fn a_file_where_the_output_folder_should_be() {
    let project = Project::bootable();
    project.write("dist", "a file");
    let outcome = project.run(&["build", "profile.toml"]);
    assert_snapshot!(outcome.error(), @r"
    exit 6
    error: the output directory 'dist/tiny-1.0.0' is not writable
      caused by: failed to create directory `dist/tiny-1.0.0`: Not a directory (os error 20)
    hint: name another directory with --output, or correct its owner and mode
    ");
    assert_eq!(std::fs::read(project.path("dist")).unwrap(), b"a file");
    project.assert_store_sound();
    std::fs::remove_file(project.path("dist")).unwrap();
    builds_again(&project);
}

#[test]
fn a_file_where_the_store_should_be() {
    let project = Project::bootable();
    project.write("cache", "a file");
    assert_snapshot!(failed(&project, &["--cache-dir", "cache"]), @r"
    exit 6
    error: the store can't be read or written
      caused by: failed to open file `cache/store.json`: Not a directory (os error 20)
    hint: name another folder with --cache-dir, or correct its owner and mode
    ");
    assert_eq!(std::fs::read(project.path("cache")).unwrap(), b"a file");
    builds_again(&project);
}
