//! `isoforge config`: what holds, and who said so.

use std::process::Command;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::program::{Outcome, Project};

const FILE: &str = "home/.config/isoforge/isoforge.toml";

/// Writes the user's settings file.
fn settings(project: &Project, text: &str) {
    project.write(&format!("../{FILE}"), text);
}

fn run(project: &Project, arguments: &[&str], env: &[(&str, &str)]) -> Outcome {
    let mut command: Command = project.command(arguments);
    Outcome::of(command.envs(env.iter().copied()).output().unwrap())
}

/// Value and origin of one setting.
fn setting(outcome: &Outcome, name: &str) -> (Value, Value) {
    outcome.assert_exit(0);
    let all = outcome.json();
    let found = all["settings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|setting| setting["name"] == name)
        .unwrap_or_else(|| panic!("no {name}: {all}"))
        .clone();
    (found["value"].clone(), found["origin"].clone())
}

#[test]
fn without_any_settings() {
    let project = Project::empty();
    let outcome = project.run(&["config", "show"]);
    let cores = std::thread::available_parallelism().unwrap().to_string();
    let jobs = format!("jobs         {cores} ");
    assert!(outcome.stdout.contains(&jobs), "{}", outcome.stdout);
    let lines: Vec<_> = outcome
        .stdout
        .lines()
        .filter(|line| !line.starts_with("jobs "))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_snapshot!(lines.join("\n"), @r"
    config [DIR]/home/.config/isoforge/isoforge.toml default
    progress auto default
    cache_dir [DIR]/cache/isoforge default
    output dist default
    appliance amd64=[DIR]/home/appliance-amd64, arm64=[DIR]/home/appliance-arm64 ISOFORGE_APPLIANCE
    epoch the newest time of the inputs default
    credentials [DIR]/home/.config/containers/auth.json default
    credentials [DIR]/home/.docker/config.json default
    ");
    assert_eq!(outcome.stderr, "");
}

#[test]
fn every_source_has_its_rank() {
    let project = Project::empty();
    let show = ["config", "show", "--format", "json"];
    let value = |arguments: &[&str], env: &[(&str, &str)], name: &str| {
        let arguments = [show.as_slice(), arguments].concat();
        setting(&run(&project, &arguments, env), name)
    };
    let default = json!({"kind": "default"});
    let variable = |name: &str| json!({"kind": "variable", "name": name});
    let flag = |name: &str| json!({"kind": "flag", "name": name});
    let path = project.home().join(".config/isoforge/isoforge.toml");
    let file = |key: &str| json!({"kind": "file", "path": path, "key": key});
    // Name, key of the file with a value, variable and flag with theirs.
    let rows = [
        (
            "progress",
            "\"plain\"",
            "plain",
            "ISOFORGE_PROGRESS",
            "none",
            "--progress",
            "auto",
        ),
        ("jobs", "3", "3", "ISOFORGE_JOBS", "4", "--jobs", "5"),
        (
            "output",
            "\"a\"",
            "a",
            "ISOFORGE_OUTPUT",
            "b",
            "--output",
            "c",
        ),
        (
            "cache_dir",
            "\"/a\"",
            "/a",
            "ISOFORGE_CACHE_DIR",
            "/b",
            "--cache-dir",
            "/c",
        ),
    ];
    for (name, written, in_file, in_variable, of_variable, of_flag, in_flag) in rows {
        let same = |(found, origin): (Value, Value), wanted: &str| {
            let text = found
                .as_str()
                .map_or_else(|| found.to_string(), str::to_owned);
            assert_eq!(text, wanted, "{name}");
            origin
        };
        let _ = std::fs::remove_file(&path);
        assert_eq!(value(&[], &[], name).1, default);
        settings(&project, &format!("{name} = {written}\n"));
        assert_eq!(same(value(&[], &[], name), in_file), file(name));
        let env = [(in_variable, of_variable)];
        assert_eq!(
            same(value(&[], &env, name), of_variable),
            variable(in_variable)
        );
        let arguments = [of_flag, in_flag];
        assert_eq!(same(value(&arguments, &env, name), in_flag), flag(of_flag));
    }
}

#[test]
fn hosts_key_by_key() {
    let project = Project::empty();
    settings(
        &project,
        "[registries.\"quay.io\"]\nmirror = \"a.example/quay\"\nplain_http = true\n\
         [registries.\"ghcr.io\"]\nmirror = \"a.example\"\n",
    );
    let outcome = project.run(&[
        "config",
        "show",
        "--mirror",
        "quay.io=b.example",
        "--plain-http",
        "c.example",
    ]);
    let lines: Vec<_> = outcome
        .stdout
        .lines()
        .filter(|line| line.starts_with("registries"))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_snapshot!(lines.join("\n"), @r#"
    registries."c.example".plain_http true --plain-http
    registries."ghcr.io".mirrors a.example [DIR]/home/.config/isoforge/isoforge.toml: registries."ghcr.io".mirrors
    registries."quay.io".mirrors b.example --mirror
    registries."quay.io".plain_http true [DIR]/home/.config/isoforge/isoforge.toml: registries."quay.io".plain_http
    "#);
}

#[test]
fn secrets_are_not_shown() {
    let project = Project::empty();
    let env = [
        ("HTTPS_PROXY", "http://me:s3cret@proxy.example:3128"),
        ("no_proxy", "localhost,.example"),
        ("REGISTRY_AUTH_FILE", "/run/auth.json"),
        ("SOURCE_DATE_EPOCH", "1700000000"),
    ];
    for format in ["text", "json"] {
        let outcome = run(&project, &["config", "show", "--format", format], &env);
        outcome.assert_exit(0);
        assert!(!outcome.stdout.contains("s3cret"), "{}", outcome.stdout);
    }
    let outcome = run(&project, &["config", "show", "--format", "json"], &env);
    assert_eq!(
        setting(&outcome, "proxies.https_proxy"),
        (
            json!("http://[redacted]@proxy.example:3128"),
            json!({"kind": "variable", "name": "HTTPS_PROXY"})
        )
    );
    assert_eq!(
        setting(&outcome, "proxies.no_proxy").1,
        json!({"kind": "variable", "name": "no_proxy"})
    );
    assert_eq!(
        setting(&outcome, "credentials"),
        (
            json!("/run/auth.json"),
            json!({"kind": "variable", "name": "REGISTRY_AUTH_FILE"})
        )
    );
    assert_eq!(setting(&outcome, "epoch").0, json!(1_700_000_000));
}

#[test]
fn a_wrong_file_is_an_error_of_every_command_but_not_of_where_it_is() {
    let project = Project::bootable();
    settings(&project, "job = 2\n");
    assert_snapshot!(project.run(&["config", "show"]).all(), @r"
    exit 2
    --- stdout
    --- stderr
    error: unknown key 'job'
     --> [DIR]/home/.config/isoforge/isoforge.toml:1:1
      |
    1 | job = 2
      | ^^^
      = expected 'progress', 'jobs', 'cache_dir', 'output' or 'registries'
      = help: did you mean 'jobs'?

    1 problem in the settings file
    ");
    for command in [["validate", "profile.toml"], ["build", "profile.toml"]] {
        project.run(&command).assert_exit(2);
    }
    let outcome = project.run(&["config", "path"]);
    outcome.assert_exit(0);
    assert_eq!(
        outcome.stdout,
        format!(
            "{}\n",
            project
                .home()
                .join(".config/isoforge/isoforge.toml")
                .display()
        )
    );
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let project = Project::empty();
    assert_snapshot!(project.run(&["config", "show", "--config", "x.toml"]).all(), @r"
    exit 6
    --- stdout
    --- stderr
    error: can't read the settings file
      caused by: failed to open file `x.toml`: No such file or directory (os error 2)
    ");
    project.write("y.toml", "jobs = 7\ncache_dir = \"store\"\n");
    let show = [
        "config",
        "show",
        "--format",
        "json",
        "--config",
        "sub/../y.toml",
    ];
    std::fs::create_dir(project.path("sub")).unwrap();
    let outcome = project.run(&show);
    assert_eq!(setting(&outcome, "jobs").0, 7);
    // From the folder of the file that says it.
    assert_eq!(setting(&outcome, "cache_dir").0, "sub/../store");
}

#[test]
fn a_build_uses_what_show_says() {
    let project = Project::bootable();
    settings(
        &project,
        "output = \"from-settings\"\nprogress = \"none\"\njobs = 1\n",
    );
    let outcome = project.run(&["build", "profile.toml"]);
    outcome.assert_exit(0);
    assert_eq!(outcome.stderr, "");
    assert!(
        project
            .path("from-settings/tiny-1.0.0/manifest.json")
            .exists()
    );
}
