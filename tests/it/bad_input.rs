//! What users get wrong, what images, registries and disks do to them: the exit
//! code, an error that names the thing and what to do, no partial output, a
//! sound store, and a good build after it.

mod content;
mod diff_id;
mod disk;
mod image;
mod interrupt;
mod profile;
mod pull;

use crate::support::bootable;
use crate::support::program::Project;

/// Runs a build that fails. The output folder is as before, and the store is
/// sound. Gives exit code and error.
fn failed(project: &Project, arguments: &[&str]) -> String {
    let outputs = project.outputs();
    let there = project.path("dist").exists();
    let outcome = project.run(&[["build", "profile.toml"].as_slice(), arguments].concat());
    assert_ne!(outcome.code, Some(0), "{}", outcome.stdout);
    assert_eq!(outcome.stdout, "");
    assert_eq!(project.outputs(), outputs);
    assert_eq!(project.path("dist").exists(), there);
    project.assert_store_sound();
    outcome.error()
}

/// With the same store, a good profile over good images builds.
fn builds_again(project: &Project) {
    for folder in ["os", "kubernetes"] {
        if project.path(folder).exists() {
            std::fs::remove_dir_all(project.path(folder)).unwrap();
        }
    }
    bootable::write_sources(&project.path(""), &["amd64"]);
    project.write("profile.toml", &bootable::profile(&["amd64"]));
    project.build();
    project.assert_store_sound();
}
