//! `isoforge cache`: what it says, and what it does to a store.

mod air_gap;
mod export;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use insta::assert_snapshot;
use isoforge_oci::store::Store;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::bootable;
use crate::support::program::{Outcome, Project, files_below};

const DAY: u64 = 24 * 60 * 60;

/// With what a build has put into the store.
fn built() -> Project {
    let project = Project::bootable();
    project.build();
    project
}

/// All that was said, without days and versions of slabs.
fn text(outcome: &Outcome) -> String {
    let hidden = |word: &str| {
        let parts: Vec<&str> = word.split('-').collect();
        match parts[..] {
            [year, _, _] if year.len() == 4 && year.starts_with("20") => "[DAY]".to_owned(),
            [hex, "zstd", ..] if hex.len() == 64 => format!("{hex}-[SETTINGS]"),
            _ => word.to_owned(),
        }
    };
    let lines = outcome.all();
    let lines: Vec<String> = lines
        .lines()
        .map(|line| line.split(' ').map(hidden).collect::<Vec<_>>().join(" "))
        .collect();
    lines.join("\n")
}

/// The store of a project, open: nobody may remove from it meanwhile.
fn open_store(project: &Project) -> Store {
    Store::open(&project.cache()).unwrap()
}

fn files(project: &Project, folder: &str) -> Vec<PathBuf> {
    let folder = project.cache().join("v1").join(folder);
    let files = files_below(&folder).into_iter();
    files.map(|file| folder.join(file)).collect()
}

/// All blobs, slabs and facts by their paths in the store.
fn everything(project: &Project) -> Vec<PathBuf> {
    ["blobs", "slabs", "facts"]
        .iter()
        .flat_map(|folder| files(project, folder))
        .collect()
}

fn flip_a_byte(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// As if it had not been used for so many days.
fn make_older(path: &Path, days: u64) {
    let file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    let time = SystemTime::now() - Duration::from_secs(days * DAY);
    file.set_modified(time).unwrap();
}

/// The blob of the only layer of the layout `name`.
fn layer_of(project: &Project, name: &str) -> PathBuf {
    let architecture = "amd64";
    let layer = match name {
        "os" => bootable::os_layer(architecture),
        _ => bootable::kubernetes_layer(architecture),
    };
    let digest = bootable::image(architecture, &layer).layers[0].digest();
    open_store(project).blob_path(&digest)
}

#[test]
fn ls_says_what_there_is_of_each_kind() {
    let project = built();
    assert_snapshot!(text(&project.run(&["cache", "ls"])), @r"
    exit 0
    --- stdout
    [DIR]/cache/isoforge [SIZE]
      blobs                      17 [SIZE]  last used [DAY]
        configuration             3 [SIZE]  last used [DAY]
        index                     3 [SIZE]  last used [DAY]
        layer                     2 [SIZE]  last used [DAY]
        manifest                  3 [SIZE]  last used [DAY]
        own layer                 6 [SIZE]  last used [DAY]
      facts                       7 [SIZE]  last used [DAY]
        diff-id                   2 [SIZE]  last used [DAY]
        origin                    2 [SIZE]  last used [DAY]
        provider-layer            3 [SIZE]  last used [DAY]
      slabs                       5 [SIZE]  last used [DAY]
    --- stderr
    ");
}

#[test]
fn ls_names_every_file_and_what_it_belongs_to() {
    let project = built();
    let outcome = project.run(&["cache", "ls", "--all"]);
    outcome.assert_exit(0);
    let listed = outcome.stdout.lines();
    assert_eq!(
        listed.filter(|line| line.contains(" blob sha256:")).count(),
        files(&project, "blobs").len()
    );
    let outcome = project.run(&["cache", "ls", "--format", "json"]);
    outcome.assert_exit(0);
    let report = outcome.json();
    assert_eq!(report["schema"], 1);
    let entries = report["entries"].as_array().unwrap();
    assert_eq!(entries.len(), everything(&project).len());
    let sizes: u64 = entries.iter().map(|e| e["size"].as_u64().unwrap()).sum();
    assert_eq!(report["bytes"], sizes);
    let layer = layer_of(&project, "os");
    let name = format!("sha256:{}", layer.file_name().unwrap().to_str().unwrap());
    let entry = entries.iter().find(|entry| entry["name"] == name).unwrap();
    assert_eq!(entry["what"], "layer");
    assert_eq!(entry["of"], serde_json::json!(["oci:os"]));
    assert_eq!(entry["size"], std::fs::metadata(&layer).unwrap().len());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let last_use = entry["last_use"].as_u64().unwrap();
    assert!(now.unwrap().as_secs() - last_use < DAY, "{last_use}");
}

#[test]
fn an_empty_store_is_listed_checked_and_cleared() {
    let project = Project::empty();
    assert_snapshot!(text(&project.run(&["cache", "ls"])), @r"
    exit 0
    --- stdout
    [DIR]/cache/isoforge [SIZE]
    --- stderr
    ");
    assert_snapshot!(text(&project.run(&["cache", "verify"])), @r"
    exit 0
    --- stdout
    [DIR]/cache/isoforge  0 files, [SIZE]
    everything is as it was written
    --- stderr
    ");
    assert_snapshot!(text(&project.run(&["cache", "gc"])), @r"
    exit 0
    --- stdout
    removed 0 files, [SIZE]; left: 0 files, [SIZE]
    --- stderr
    ");
}

#[test]
fn verify_finds_damage_says_what_it_is_and_repairs() {
    let project = built();
    assert_snapshot!(text(&project.run(&["cache", "verify"])), @r"
    exit 0
    --- stdout
    [DIR]/cache/isoforge  29 files, [SIZE]
    everything is as it was written
    --- stderr
    ");

    flip_a_byte(&layer_of(&project, "os"), 100);
    let slab = &files(&project, "slabs")[0];
    flip_a_byte(slab, 20);
    let fact = project.cache().join("v1/facts/diff-id/broken.json");
    std::fs::write(&fact, b"{").unwrap();
    let stranger = project.cache().join("v1/slabs/folder/mine.txt");
    std::fs::create_dir_all(stranger.parent().unwrap()).unwrap();
    std::fs::write(&stranger, b"").unwrap();
    let outcome = project.run(&["cache", "verify"]);
    for part in [
        slab.file_name().unwrap().to_str().unwrap(),
        layer_of(&project, "os")
            .file_name()
            .unwrap()
            .to_str()
            .unwrap(),
    ] {
        assert!(outcome.stdout.contains(part), "{}", outcome.stdout);
    }
    assert_snapshot!(text(&outcome), @r"
    exit 5
    --- stdout
    [DIR]/cache/isoforge  30 files, [SIZE]
      DAMAGED blob sha256:[DIGEST] (layer of oci:os): its digest is sha256:[DIGEST]
      DAMAGED slab [HEX]-[SETTINGS] the block at offset 0 of its data does not have its hash
      DAMAGED slab [HEX]-[SETTINGS] it is made of sha256:[DIGEST], which is damaged
      DAMAGED fact diff-id/[HEX]: it is made of sha256:[DIGEST], which is damaged
      DAMAGED fact diff-id/broken: EOF while parsing an object at line 1 column 1
      not isoforge's, left alone: [DIR]/cache/isoforge/v1/slabs/folder/mine.txt
    --- stderr
    error: damaged in the store: 5 of 30 files
    hint: remove them with `isoforge cache verify --repair`; they are fetched or made anew
    ");

    let json = project.run(&["cache", "verify", "--format", "json"]);
    json.assert_exit(5);
    assert_eq!(json.json()["damaged"].as_array().unwrap().len(), 5);
    assert!(slab.exists() && fact.exists(), "nothing is removed unasked");

    let outcome = project.run(&["cache", "verify", "--repair"]);
    assert_snapshot!(text(&outcome), @r"
    exit 5
    --- stdout
    [DIR]/cache/isoforge  30 files, [SIZE]
      removed blob sha256:[DIGEST] (layer of oci:os): its digest is sha256:[DIGEST]
      removed slab [HEX]-[SETTINGS] the block at offset 0 of its data does not have its hash
      removed slab [HEX]-[SETTINGS] it is made of sha256:[DIGEST], which is damaged
      removed fact diff-id/[HEX]: it is made of sha256:[DIGEST], which is damaged
      removed fact diff-id/broken: EOF while parsing an object at line 1 column 1
      not isoforge's, left alone: [DIR]/cache/isoforge/v1/slabs/folder/mine.txt
    --- stderr
    error: damaged in the store: 5 of 30 files; removed
    hint: what is needed of them is fetched or made anew by the next build
    ");
    assert!(!slab.exists() && !fact.exists());
    assert!(!layer_of(&project, "os").exists());
    assert!(stranger.exists());
    project.run(&["cache", "verify"]).assert_exit(0);
    project.build();
    project.run(&["cache", "verify"]).assert_exit(0);
    project.assert_store_sound();
}

#[test]
fn what_was_made_of_a_damaged_blob_goes_with_it() {
    let project = built();
    let layer = layer_of(&project, "os");
    let hex = layer.file_name().unwrap().to_str().unwrap().to_owned();
    let fact = project.cache().join(format!("v1/facts/diff-id/{hex}.json"));
    let text = std::fs::read_to_string(&fact).unwrap();
    let fact_text: serde_json::Value = serde_json::from_str(&text).unwrap();
    let diff_id = fact_text["diff_id"].as_str().unwrap().to_owned();
    let diff_id = diff_id.strip_prefix("sha256:").unwrap();
    let slabs = || files(&project, "slabs").into_iter();
    let is_of_it = |path: &PathBuf| path.to_str().unwrap().contains(diff_id);
    assert_eq!(slabs().filter(is_of_it).count(), 1);
    let others = slabs().filter(|path| !is_of_it(path)).count();
    flip_a_byte(&layer, 100);
    // Nothing is made of it, though its diffID was noted and its slab is lost.
    let slab = slabs().find(is_of_it).unwrap();
    let kept = std::fs::read(&slab).unwrap();
    std::fs::remove_file(&slab).unwrap();
    let outcome = project.run(&["build", "profile.toml"]);
    outcome.assert_exit(5);
    assert!(
        outcome.stderr.contains("verify --repair"),
        "{}",
        outcome.stderr
    );
    assert!(!slab.exists());
    std::fs::write(&slab, kept).unwrap();

    let outcome = project.run(&["cache", "verify", "--repair"]);
    outcome.assert_exit(5);
    assert!(
        outcome.stdout.contains("it is made of sha256:"),
        "{}",
        outcome.stdout
    );
    assert!(!layer.exists() && !fact.exists());
    assert_eq!(slabs().filter(is_of_it).count(), 0);
    assert_eq!(slabs().count(), others, "what was made of others stays");
    project.run(&["cache", "verify"]).assert_exit(0);
    project.build();
    assert_eq!(slabs().filter(is_of_it).count(), 1);
}

#[test]
fn a_slab_that_holds_something_else_than_its_layer_is_found_by_a_deep_check() {
    let project = built();
    let deep = project.run(&["cache", "verify", "--deep"]);
    deep.assert_exit(0);
    // A slab of another layer under this one's name: it is whole.
    let slabs = files(&project, "slabs");
    std::fs::copy(&slabs[0], &slabs[1]).unwrap();
    let other = slabs[2].to_str().unwrap().replacen("-1-", "-0-", 1);
    std::fs::copy(&slabs[2], &other).unwrap();
    project.run(&["cache", "verify"]).assert_exit(0);
    let outcome = project.run(&["cache", "verify", "--deep", "--repair"]);
    assert_snapshot!(text(&outcome), @r"
    exit 5
    --- stdout
    [DIR]/cache/isoforge  30 files, [SIZE]
      removed slab [HEX]-[SETTINGS] it is not what its layer gives
      not proven: slab [HEX]-[SETTINGS] another version of isoforge made it
    --- stderr
    error: damaged in the store: 1 of 30 files; removed
    hint: what is needed of them is fetched or made anew by the next build
    ");
    assert!(!slabs[1].exists() && slabs[0].exists() && Path::new(&other).exists());
    project.run(&["cache", "verify", "--deep"]).assert_exit(0);
}

#[test]
fn a_slab_with_a_damaged_block_is_made_again_by_the_build() {
    let project = built();
    let slabs = files(&project, "slabs");
    let whole: Vec<_> = slabs
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    for slab in &slabs {
        flip_a_byte(slab, 20);
    }
    let outcome = project.run(&["build", "profile.toml"]);
    outcome.assert_exit(0);
    assert!(
        outcome.stderr.contains("made again from its layer"),
        "{}",
        outcome.stderr
    );
    let now: Vec<_> = slabs
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    assert!(now == whole);
}

#[test]
fn gc_removes_what_was_unused_for_long_and_keeps_what_is_young() {
    let project = built();
    let before = everything(&project);
    assert_snapshot!(text(&project.run(&["cache", "gc"])), @r"
    exit 0
    --- stdout
    removed 0 files, [SIZE]; left: 29 files, [SIZE]
    --- stderr
    ");
    assert_eq!(everything(&project), before);

    let old = layer_of(&project, "os");
    make_older(&old, 40);
    let dry = project.run(&["cache", "gc", "--dry-run"]);
    assert_snapshot!(text(&dry), @r"
    exit 0
    --- stdout
     [SIZE]  [DAY]  blob sha256:[DIGEST]  layer of oci:os
    would remove 1 file, [SIZE]; left: 28 files, [SIZE]
    --- stderr
    ");
    assert!(old.exists());
    let kept = project.run(&["cache", "gc", "--older-than", "41d"]);
    kept.assert_exit(0);
    assert!(old.exists());
    assert_snapshot!(text(&project.run(&["cache", "gc"])), @r"
    exit 0
    --- stdout
     [SIZE]  [DAY]  blob sha256:[DIGEST]  layer of oci:os
    removed 1 file, [SIZE]; left: 28 files, [SIZE]
    --- stderr
    ");
    let mut wanted = before;
    wanted.retain(|path| *path != old);
    assert_eq!(everything(&project), wanted);
    // A build has it again.
    project.build();
    assert!(old.exists());
}

#[test]
fn what_a_build_uses_is_young_again() {
    let project = built();
    for path in everything(&project) {
        make_older(&path, 40);
    }
    project.build();
    let outcome = project.run(&["cache", "gc", "--format", "json"]);
    outcome.assert_exit(0);
    for removed in outcome.json()["removed"].as_array().unwrap() {
        let used = ["layer", "manifest", "index", "configuration"];
        let known = removed["known"].as_str().unwrap();
        assert!(
            !used.iter().any(|used| known.starts_with(used)),
            "{removed}"
        );
        assert_ne!(removed["kind"], "slab", "{removed}");
    }
}

#[test]
fn gc_keeps_what_locks_name() {
    let project = built();
    std::fs::rename(project.path("isoforge.lock"), project.path("kept.lock")).unwrap();
    let other = open_store(&project).put_blob(b"of no lock").unwrap();
    let other = open_store(&project).blob_path(&other);
    let inputs = |project: &Project| {
        let mut paths = vec![layer_of(project, "os"), layer_of(project, "kubernetes")];
        paths.retain(|path| path.exists());
        paths.len()
    };
    for path in everything(&project) {
        make_older(&path, 400);
    }
    let dry = project.run(&["cache", "gc", "--keep-lock", "kept.lock", "--dry-run"]);
    dry.assert_exit(0);
    assert!(other.exists());
    let outcome = project.run(&["cache", "gc", "--keep-lock", "kept.lock"]);
    outcome.assert_exit(0);
    assert!(!other.exists());
    assert_eq!(inputs(&project), 2);
    // Index, manifest, configuration and layer of both images.
    assert_eq!(files(&project, "blobs").len(), 8);
    assert_eq!(files(&project, "slabs").len(), 2, "of the images' layers");

    project.build();
    let young = files(&project, "blobs").len();
    assert!(young > 8);
    project
        .run(&["cache", "gc", "--all-but-locks", "kept.lock"])
        .assert_exit(0);
    assert_eq!(files(&project, "blobs").len(), 8);
    project.run(&["cache", "verify"]).assert_exit(0);
    // The room that is allowed is less than the lock's input takes.
    let outcome = project.run(&[
        "cache",
        "gc",
        "--max-size",
        "1B",
        "--keep-lock",
        "kept.lock",
    ]);
    assert_snapshot!(text(&outcome), @r"
    exit 0
    --- stdout
    removed 0 files, [SIZE]; left: 14 files, [SIZE]
    --- stderr
    warning: the locks name [SIZE], which is more than --max-size
    ");
    assert_eq!(inputs(&project), 2);
    assert_snapshot!(project.run(&["cache", "gc", "--keep-lock", "no.lock"]).error(), @r"
    exit 7
    error: there is no lock file 'no.lock'
    hint: write one with `isoforge lock`
    ");
}

#[test]
fn gc_shrinks_the_store_by_what_was_unused_for_longest() {
    let project = Project::empty();
    let store = open_store(&project);
    let blobs: Vec<PathBuf> = (0..5_u8)
        .map(|n| store.blob_path(&store.put_blob(&[n; 1000]).unwrap()))
        .collect();
    drop(store);
    for (days, path) in [3, 1, 5, 2, 4].into_iter().zip(&blobs) {
        make_older(path, days);
    }
    let there = || -> Vec<bool> { blobs.iter().map(|path| path.exists()).collect() };
    let outcome = project.run(&["cache", "gc", "--max-size", "3500"]);
    outcome.assert_exit(0);
    assert_eq!(there(), [true, true, false, true, false]);
    let outcome = project.run(&["cache", "gc", "--max-size", "0"]);
    outcome.assert_exit(0);
    assert_eq!(there(), [false; 5]);
}

#[test]
fn gc_waits_for_a_running_build_and_can_be_interrupted_meanwhile() {
    let project = built();
    let layer = layer_of(&project, "os");
    make_older(&layer, 40);
    let store = open_store(&project);
    let gc = || {
        let mut child = project
            .command(&["cache", "gc"])
            .stderr(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        assert_eq!(line, "  waiting: another isoforge works with the store\n");
        (child, stderr)
    };
    let (mut child, mut stderr) = gc();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{line}");
    assert!(layer.exists());

    let (mut child, _stderr) = gc();
    assert_eq!(child.try_wait().unwrap(), None);
    assert!(layer.exists(), "it is open to the build");
    drop(store);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!layer.exists());
}

#[test]
fn wrong_usage() {
    let project = Project::empty();
    for arguments in [
        ["cache", "gc", "--older-than", "soon"].as_slice(),
        &["cache", "gc", "--max-size", "20GB"],
        &["cache", "gc", "--max-size", "1", "--all-but-locks", "a"],
        &["cache", "export", "--output", "a.tar"],
        &["cache"],
    ] {
        project.run(arguments).assert_exit(2);
    }
}
