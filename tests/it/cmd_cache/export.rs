//! `cache export` and `cache import`.

use std::path::Path;

use insta::assert_snapshot;
use isoforge::lock::{self, Lock};
use isoforge_base::digest::Digest;

use super::{built, flip_a_byte, layer_of, text};
use crate::support::bootable;
use crate::support::judge;
use crate::support::program::{Outcome, Project, files_below};

const LOCK: &str = "isoforge.lock";

/// A project that was built, with its lock.
fn locked() -> (Project, Lock) {
    let project = built();
    let lock = lock::read(&project.path(LOCK)).unwrap();
    (project, lock)
}

fn export(project: &Project, to: &str, more: &[&str]) -> Outcome {
    let outcome =
        project.run(&[&["cache", "export", "--lock", LOCK, "--output", to], more].concat());
    outcome.assert_exit(0);
    outcome
}

/// Imports into a store of its own.
fn import(project: &Project, from: &str, more: &[&str]) -> Outcome {
    project.run(&[&["cache", "import", from, "--cache-dir", "other"], more].concat())
}

fn other(project: &Project, folder: &str) -> Vec<String> {
    files_below(&project.path("other/v1").join(folder))
}

/// The place of a blob's bytes in a tar archive.
fn place(archive: &Path, digest: &Digest) -> usize {
    let file = std::fs::File::open(archive).unwrap();
    let name = format!("blobs/sha256/{}", digest.hex());
    let mut tar = tar::Archive::new(file);
    let mut entries = tar.entries().unwrap().map(Result::unwrap);
    let entry = entries.find(|entry| entry.path().unwrap().to_str() == Some(&name));
    entry.unwrap().raw_file_position() as usize
}

fn digest_of(path: &Path) -> Digest {
    let name = path.file_name().unwrap().to_str().unwrap();
    format!("sha256:{name}").parse().unwrap()
}

#[test]
fn an_export_says_what_is_in_it_and_has_the_same_bytes_each_time() {
    let (project, _) = locked();
    assert_snapshot!(text(&export(&project, "input.tar", &[])), @r"
    exit 0
    --- stdout
    input.tar [SIZE]
      sha256:[DIGEST]
      image oci:kubernetes
      image oci:os
      the lock, 0 further parts
    --- stderr
    ");
    let first = std::fs::read(project.path("input.tar")).unwrap();
    export(&project, "input.tar", &["--jobs", "1"]);
    assert!(first == std::fs::read(project.path("input.tar")).unwrap());

    assert_snapshot!(text(&import(&project, "input.tar", &["--lock-to", "imported.lock"])), @r"
    exit 0
    --- stdout
    input.tar  the input of profile.toml
      image oci:kubernetes
      image oci:os
      8 new blobs, [SIZE]; 0 were there
      lock imported.lock
    --- stderr
    ");
    let read = |name| std::fs::read(project.path(name)).unwrap();
    assert!(read(LOCK) == read("imported.lock"));
    // From the other store: the same again.
    export(&project, "again.tar", &["--cache-dir", "other"]);
    assert!(first == read("again.tar"));
    assert_snapshot!(text(&import(&project, "input.tar", &[])), @r"
    exit 0
    --- stdout
    input.tar  the input of profile.toml
      image oci:kubernetes
      image oci:os
      0 new blobs, [SIZE]; 8 were there
    --- stderr
    ");
    project
        .run(&["cache", "verify", "--cache-dir", "other"])
        .assert_exit(0);
    let report = export(&project, "input.tar", &["--format", "json"]).json();
    let digest = Digest::of(&first).to_string();
    assert_eq!(report["digest"], digest);
    assert_eq!(
        report["images"],
        serde_json::json!(["oci:kubernetes", "oci:os"])
    );
}

#[test]
fn a_folder_is_a_layout_that_other_tools_read() {
    let (project, lock) = locked();
    export(&project, "input", &[]);
    let folder = project.path("input");
    let layout = folder.to_str().unwrap();
    let tags = judge("umoci", "umoci", &["ls", "--layout", layout]);
    let tags: Vec<&str> = tags.lines().collect();
    assert_eq!(tags, ["isoforge-input", "oci:kubernetes", "oci:os"]);
    let copied = project.path("copied");
    for image in &lock.images {
        let source = format!("oci:{layout}:{}", image.reference);
        judge(
            "skopeo",
            "skopeo",
            &[
                "--insecure-policy",
                "copy",
                &source,
                &format!("dir:{}", copied.display()),
            ],
        );
        let manifest = std::fs::read(copied.join("manifest.json")).unwrap();
        assert_eq!(Digest::of(&manifest), image.manifests["amd64"]);
    }
    // The same files as in the archive, and taken in the same way.
    assert_snapshot!(text(&import(&project, "input", &[])), @r"
    exit 0
    --- stdout
    input  the input of profile.toml
      image oci:kubernetes
      image oci:os
      8 new blobs, [SIZE]; 0 were there
    --- stderr
    ");
    assert!(other(&project, "slabs").is_empty());
    let again = project.run(&["cache", "export", "--lock", LOCK, "-o", "input"]);
    assert_snapshot!(again.error(), @r"
    exit 6
    error: the output directory 'input' is not writable
      caused by: directory not empty
    hint: name another directory with --output, or correct its owner and mode
    ");
}

#[test]
fn an_index_is_kept_with_the_locked_platforms_alone() {
    let project = Project::empty();
    bootable::write_sources(&project.path(""), &["amd64", "arm64"]);
    project.write("profile.toml", &bootable::profile(&["amd64"]));
    project.build();
    let lock = lock::read(&project.path(LOCK)).unwrap();
    export(&project, "input", &[]);
    let blob = |digest: &Digest| project.path("input/blobs/sha256").join(digest.hex());
    let image = lock.image("oci:os").unwrap();
    let index = std::fs::read(blob(&image.index.unwrap())).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    let platforms: Vec<(&str, bool)> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let digest = entry["digest"].as_str().unwrap().parse().unwrap();
            let architecture = entry["platform"]["architecture"].as_str().unwrap();
            (architecture, blob(&digest).exists())
        })
        .collect();
    assert_eq!(platforms, [("amd64", true), ("arm64", false)]);
    import(&project, "input", &[]).assert_exit(0);
    judge(
        "skopeo",
        "skopeo",
        &[
            "--insecure-policy",
            "--override-arch",
            "amd64",
            "copy",
            &format!("oci:{}:oci:os", project.path("input").display()),
            &format!("dir:{}", project.path("copied").display()),
        ],
    );
    let manifest = std::fs::read(project.path("copied/manifest.json")).unwrap();
    assert_eq!(Digest::of(&manifest), image.manifests["amd64"]);
}

#[test]
fn the_archive_has_no_trace_of_the_host_or_the_clock() {
    let (project, _) = locked();
    export(&project, "input.tar", &[]);
    let file = std::fs::File::open(project.path("input.tar")).unwrap();
    let mut names = Vec::new();
    for entry in tar::Archive::new(file).entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        // 1980-01-01, as in every bundle.
        assert_eq!(header.mtime().unwrap(), 315_532_800);
        assert_eq!((header.uid().unwrap(), header.mode().unwrap()), (0, 0o644));
        names.push(entry.path().unwrap().display().to_string());
    }
    let mut sorted = names[2..].to_vec();
    sorted.sort();
    assert_eq!(names[..2], ["oci-layout", "index.json"]);
    assert_eq!(names[2..], sorted);
    // No facts, and nothing but what the lock names: eight blobs of the two
    // images, the lock, the empty configuration and the artifact.
    assert_eq!(sorted.len(), 11);
}

#[test]
fn everything_that_is_missing_is_named_and_nothing_is_written() {
    let (project, _) = locked();
    std::fs::write(project.path("input.tar"), b"an older one").unwrap();
    let mut paths = vec![layer_of(&project, "os"), layer_of(&project, "kubernetes")];
    paths
        .iter()
        .for_each(|path| std::fs::remove_file(path).unwrap());
    let before = files_below(&project.path(""));
    let outcome = project.run(&["cache", "export", "--lock", LOCK, "-o", "input.tar"]);
    assert_snapshot!(outcome.error(), @r"
    exit 6
    error: the store lacks 2 of what 'isoforge.lock' names:
        sha256:[DIGEST] a blob of oci:os
        sha256:[DIGEST] a blob of oci:kubernetes
    hint: bring it into the store with `isoforge pull PROFILE`
    ");
    for path in paths.drain(..) {
        let digest = digest_of(&path).to_string();
        assert!(outcome.stderr.contains(&digest), "{}", outcome.stderr);
    }
    assert_eq!(files_below(&project.path("")), before);
    assert_eq!(
        std::fs::read(project.path("input.tar")).unwrap(),
        b"an older one"
    );
}

#[test]
fn damage_in_the_store_does_not_get_into_an_export() {
    let (project, _) = locked();
    flip_a_byte(&layer_of(&project, "os"), 50);
    let outcome = project.run(&["cache", "export", "--lock", LOCK, "-o", "input.tar"]);
    outcome.assert_exit(5);
    assert!(!project.path("input.tar").exists());
    let left = files_below(&project.path(""));
    assert!(
        !left.iter().any(|name| name.contains("partial")),
        "{left:?}"
    );
}

#[test]
fn a_tampered_archive_adds_nothing_wrong() {
    let (project, lock) = locked();
    export(&project, "input.tar", &[]);
    let archive = project.path("input.tar");
    let whole = std::fs::read(&archive).unwrap();
    let layer = digest_of(&layer_of(&project, "os"));
    let manifest = lock.images[1].manifests["amd64"];
    let index = lock.images[1].index.unwrap();
    let fresh = || {
        std::fs::write(&archive, &whole).unwrap();
        let _ = std::fs::remove_dir_all(project.path("other"));
    };
    for (name, digest) in [("layer", layer), ("manifest", manifest), ("index", index)] {
        fresh();
        flip_a_byte(&archive, place(&archive, &digest) + 30);
        let outcome = import(&project, "input.tar", &["--lock-to", "out.lock"]);
        outcome.assert_exit(5);
        assert!(
            outcome.stderr.contains(&digest.to_string()),
            "{name}: {}",
            outcome.stderr
        );
        if name == "layer" {
            assert_snapshot!(text(&outcome), @r"
            exit 5
            --- stdout
            --- stderr
            error: the blob sha256:[DIGEST] in 'input.tar' can't be taken
              caused by: digest mismatch: expected sha256:[DIGEST], got sha256:[DIGEST]
            hint: the export was changed or damaged: copy it again
            ");
        }
        assert!(!project.path("out.lock").exists(), "{name}");
        assert!(
            !other(&project, "blobs")
                .iter()
                .any(|file| file.ends_with(&digest.hex()))
        );
        project
            .run(&["cache", "verify", "--cache-dir", "other"])
            .assert_exit(0);
    }
    fresh();
    for length in [0, 1000, whole.len() / 2, whole.len() - 2000] {
        std::fs::write(&archive, &whole[..length]).unwrap();
        assert_ne!(import(&project, "input.tar", &[]).code, Some(0), "{length}");
    }
    project
        .run(&["cache", "verify", "--cache-dir", "other"])
        .assert_exit(0);
}

#[test]
fn an_export_is_a_bundle() {
    let (project, _) = locked();
    export(&project, "input.tar", &[]);
    let inspected = project.run(&["bundle", "inspect", "input.tar", "--format", "json"]);
    inspected.assert_exit(0);
    let report = inspected.json();
    assert_eq!(report["name"], "profile.toml");
    let roots: Vec<(&str, &str)> = report["roots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|root| {
            let text = |key: &str| root[key].as_str().unwrap();
            (text("reference"), text("kind"))
        })
        .collect();
    assert_eq!(
        roots,
        [
            ("isoforge-input", "input"),
            ("oci:kubernetes", "image"),
            ("oci:os", "image")
        ]
    );
    let verified = project.run(&["bundle", "verify", "input.tar"]);
    verified.assert_exit(0);
}

#[test]
fn what_is_no_export_and_a_lock_in_the_way_are_refused() {
    let (project, _) = locked();
    assert_snapshot!(import(&project, "os", &[]).error(), @r"
    exit 2
    error: 'os' holds no lock: it is not what `isoforge cache export` writes
    hint: name the archive or folder of an export
    ");
    assert_snapshot!(import(&project, "nothing.tar", &[]).error(), @r"
    exit 2
    error: there is no nothing.tar
    ");
    export(&project, "input.tar", &[]);
    project.write("mine.lock", "mine");
    let outcome = import(&project, "input.tar", &["--lock-to", "mine.lock"]);
    assert_snapshot!(outcome.error(), @r"
    exit 6
    error: 'mine.lock' is there already, and it is another lock
    hint: name another file with --lock-to
    ");
    assert_eq!(std::fs::read(project.path("mine.lock")).unwrap(), b"mine");
    // Over the same lock is no harm.
    import(&project, "input.tar", &["--lock-to", LOCK]).assert_exit(0);
}
