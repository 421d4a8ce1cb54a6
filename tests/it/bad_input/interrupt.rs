//! Ctrl-C while a registry keeps silent.

use std::io::Read as _;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::bootable::{self, os_layer};
use crate::support::program::{Project, files_below};
use crate::support::registry::{FakeRegistry, Fault};

/// Interrupts a build that has asked `registry` for `layer`; gives exit code and
/// the last line that it said.
fn interrupted(
    project: &Project,
    registry: &FakeRegistry,
    layer: &str,
    signal: Signal,
) -> (Option<i32>, String) {
    let mut child = project
        .command(&["build", "profile.toml", "--progress", "json"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    while registry.count(layer) == 0 {
        assert_eq!(child.try_wait().unwrap(), None, "it ended by itself");
        std::thread::yield_now();
    }
    assert!(project.path("dist/tiny-1.0.0").exists());
    kill_process(Pid::from_child(&child), signal).unwrap();
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    let last = rest.lines().last().unwrap_or_default().to_owned();
    (child.wait().unwrap().code(), last)
}

#[test]
fn an_interrupted_build_leaves_nothing_and_the_next_one_works() {
    for signal in [Signal::INT, Signal::TERM] {
        let registry = FakeRegistry::start();
        let image = bootable::image("amd64", &os_layer("amd64"));
        registry.put_image("edge/os", "1", &image);
        let layer = image.layers[0].digest().to_string();
        registry.fault(&layer, 1, Fault::Stall);
        let project = Project::bootable();
        project.change_profile("oci:os", &format!("{}/edge/os:1", registry.host()));

        let (code, said) = interrupted(&project, &registry, &layer, signal);
        assert_eq!(code, Some(130), "{said}");
        let last: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(
            (&last["event"], &last["exit_code"]),
            (&"failed".into(), &130.into())
        );
        let message = "interrupted: the output folder is as it was before";
        assert_eq!(last["message"], message);
        assert!(!project.path("dist").exists());
        project.assert_store_sound();
        assert!(files_below(&project.cache().join("v1/tmp")).is_empty());

        project.build();
        project.assert_store_sound();
    }
}
