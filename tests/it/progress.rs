//! `--progress json` held to the schema in the documentation.

use std::collections::BTreeSet;
use std::process::Stdio;

use boon::{Compiler, SchemaIndex, Schemas};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::program::{Outcome, Project};

fn schema() -> Value {
    serde_json::from_str(include_str!("../../docs/progress.schema.json")).unwrap()
}

/// The schema, for its validator.
struct Validator {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Validator {
    fn new() -> Self {
        let mut schemas = Schemas::new();
        let mut compiler = Compiler::new();
        compiler.add_resource("progress.json", schema()).unwrap();
        let index = compiler.compile("progress.json", &mut schemas).unwrap();
        Self { schemas, index }
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        let checked = self.schemas.validate(value, self.index);
        checked.map_err(|error| format!("{error:#}"))
    }
}

/// The events of a run, each checked by itself and in the order.
#[track_caller]
fn events(stderr: &str) -> Vec<Value> {
    let validator = Validator::new();
    let events: Vec<Value> = stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    let mut elapsed = 0;
    let mut running = BTreeSet::new();
    for (seq, event) in events.iter().enumerate() {
        validator.check(event).unwrap();
        assert_eq!(event["seq"], seq);
        let now = event["elapsed_ms"].as_u64().unwrap();
        assert!(now >= elapsed);
        elapsed = now;
        let last = seq + 1 == events.len();
        let task = event["task"].as_u64();
        match event["event"].as_str().unwrap() {
            "begin" => assert_eq!(seq, 0),
            "start" => assert!(running.insert(task.unwrap()), "{event}"),
            "advance" => assert!(running.contains(&task.unwrap()), "{event}"),
            "finish" => assert!(running.remove(&task.unwrap()), "{event}"),
            "done" | "failed" => assert!(last, "{event} is not the last"),
            _ => {}
        }
        assert!(!last || running.is_empty(), "{running:?} have not ended");
    }
    assert_eq!(events[0]["event"], "begin");
    events
}

#[test]
fn the_check_finds_what_is_wrong() {
    let validator = Validator::new();
    let good = json!({"schema": 1, "seq": 3, "elapsed_ms": 0, "event": "finish", "task": 1, "done_bytes": 2});
    validator.check(&good).unwrap();
    for (key, value) in [
        ("schema", json!(2)),
        ("seq", json!(-1)),
        ("event", json!("finnish")),
        ("task", json!("1")),
        ("done_bytes", Value::Null),
        ("more", json!(1)),
    ] {
        let mut bad = good.clone();
        bad[key] = value;
        assert!(validator.check(&bad).is_err(), "{bad}");
    }
    let mut bad = good;
    bad.as_object_mut().unwrap().remove("task");
    assert!(validator.check(&bad).is_err());
}

#[test]
fn a_build_says_what_the_schema_says() {
    let project = Project::bootable();
    let outcome = project.run(&[
        "build",
        "profile.toml",
        "--progress",
        "json",
        "--verbose",
        "--format",
        "json",
    ]);
    outcome.assert_exit(0);
    let events = events(&outcome.stderr);
    let kinds: BTreeSet<_> = events
        .iter()
        .filter_map(|event| event["event"].as_str())
        .collect();
    for kind in ["begin", "stage", "start", "finish", "detail", "done"] {
        assert!(kinds.contains(kind), "{kind}");
    }
    let stages: Vec<_> = events
        .iter()
        .filter_map(|event| event["name"].as_str())
        .collect();
    assert_snapshot!(stages.join("\n"), @r"
    Gathering inputs
    Building the ISO for amd64
    Building the system with Kubernetes 1.32.3 for amd64
    Building the provider image
    ");
    let done = events.last().unwrap();
    assert_eq!(done["manifest"], "dist/tiny-1.0.0/manifest.json");
    assert!(project.path(done["manifest"].as_str().unwrap()).exists());
    assert_eq!(done["summary"], outcome.json());
}

#[test]
fn a_quiet_build_says_begin_and_end() {
    let project = Project::bootable();
    let outcome = project.run(&["build", "profile.toml", "--progress", "json", "--quiet"]);
    outcome.assert_exit(0);
    let kinds: Vec<_> = events(&outcome.stderr)
        .iter()
        .map(|event| event["event"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["begin", "done"]);
}

#[test]
fn a_failure_is_the_last_event() {
    let project = Project::empty();
    let outcome = project.run(&["validate", "x.toml", "--progress", "json"]);
    outcome.assert_exit(2);
    let events = events(&outcome.stderr);
    let last = events.last().unwrap();
    assert_eq!(
        (&last["event"], &last["exit_code"]),
        (&json!("failed"), &json!(2))
    );
    assert!(
        last["message"]
            .as_str()
            .unwrap()
            .contains("there is no such file")
    );
}

#[test]
fn a_command_without_a_build_ends_with_done_too() {
    let project = Project::empty();
    let outcome = project.run(&["config", "show", "--progress", "json"]);
    outcome.assert_exit(0);
    let events = events(&outcome.stderr);
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["command"], "config");
    assert_eq!(events[1]["summary"], Value::Null);
}

#[test]
fn a_reader_that_goes_away_stops_nothing() {
    let project = Project::bootable();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = project
        .command(&["build", "profile.toml", "--progress", "json"])
        .stderr(writer)
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    let outcome = Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::new(),
    };
    outcome.assert_exit(0);
    assert!(project.path("dist/tiny-1.0.0/tiny-1.0.0.iso").exists());
}
