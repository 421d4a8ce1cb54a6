//! Pipes that are closed early, as by `head`: no error, and no panic.

use std::process::{Command, Stdio};

use crate::support::program::Project;

/// Runs the program with its outputs as pipes that nobody reads any more.
fn closed(project: &Project, arguments: &[&str]) -> Option<i32> {
    let pipe = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    let mut command = project.command(arguments);
    command.stdout(pipe()).stderr(pipe());
    command.status().unwrap().code()
}

#[test]
fn every_command_ends_with_its_own_code() {
    let project = Project::bootable();
    for (arguments, code) in [
        (["--help"].as_slice(), 0),
        (&["--version"], 0),
        (&["help", "build"], 0),
        (&["build", "--help"], 0),
        (&["bild"], 2),
        (&[], 2),
        (&["validate", "profile.toml"], 0),
        (&["validate", "profile.toml", "--format", "json", "-v"], 0),
        (&["validate", "x.toml"], 2),
        (&["validate", "x.toml", "--progress", "json"], 2),
        (&["config", "show"], 0),
        (&["config", "path"], 0),
        (&["init", "new"], 0),
        (&["build", "profile.toml", "-v", "--progress", "plain"], 0),
        (&["inspect", "dist/tiny-1.0.0", "--format", "json"], 0),
        (&["inspect", "dist"], 2),
    ] {
        assert_eq!(closed(&project, arguments), Some(code), "{arguments:?}");
    }
    assert!(project.path("new/profile.toml").exists());
}

#[test]
fn what_a_build_leaves_does_not_depend_on_who_listens() {
    let project = Project::bootable();
    let build = |output: &str, flags: &[&str]| {
        let arguments = [&["build", "profile.toml", "--output", output], flags].concat();
        assert_eq!(closed(&project, &arguments), Some(0), "{arguments:?}");
        std::fs::read(project.path(output).join("tiny-1.0.0/manifest.json")).unwrap()
    };
    let first = build("a", &[]);
    assert_eq!(first, build("b", &["--progress", "json", "--verbose"]));
    assert_eq!(first, build("c", &["--format", "json", "--quiet"]));
    for folder in ["a", "b", "c"] {
        project.run(&["inspect", folder, "-q"]).assert_exit(2);
        project
            .run(&["inspect", &format!("{folder}/tiny-1.0.0")])
            .assert_exit(0);
    }
}

#[test]
fn a_shells_pipes() {
    let project = Project::bootable();
    project.build();
    let isoforge = env!("CARGO_BIN_EXE_isoforge");
    for (script, said) in [
        (
            "$0 inspect dist/tiny-1.0.0 --format json | head -n 1",
            "{\n",
        ),
        (
            "$0 --help | head -n 1",
            "Turns one infrastructure profile into a bootable installer ISO and a provider\n",
        ),
        ("$0 build profile.toml -v 2>&1 >/dev/null | true", ""),
        (
            "$0 build profile.toml --progress json 2>&1 | head -c 1",
            "{",
        ),
        // Closed instead of a pipe.
        ("$0 validate profile.toml >&- 2>&-", ""),
    ] {
        let mut shell = Command::new("bash");
        project.prepare(shell.args(["-c", &format!("set -o pipefail; {script}"), isoforge]));
        let output = shell.stderr(Stdio::piped()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{script}: {stderr}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), said, "{script}");
        assert!(!stderr.contains("panicked"), "{script}: {stderr}");
    }
}

#[test]
fn a_full_disk_behind_standard_output_is_an_error() {
    let project = Project::empty();
    for arguments in [["config", "show"], ["build", "--help"]] {
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let status = project
            .command(&arguments)
            .stdout(full)
            .stderr(Stdio::null())
            .status();
        assert_eq!(status.unwrap().code(), Some(3), "{arguments:?}");
    }
}
