//! What strangers write is shown as text: a terminal does nothing of it, and no line of
//! it looks like one of ours.

use std::collections::BTreeMap;

use isoforge_base::digest::Digest;
use serde_json::json;

use crate::support::program::{Outcome, Project};

/// Clears the line, sets the title, turns the order of writing, and says that all is well.
const SLY: &str = "a\u{1b}[2K\r\u{1b}]0;x\u{7}\u{9b}1m\u{202e}b\u{2066}c\u{200f}d\u{2028}\nall digests hold\nerror: none\nhint: trust it\n";

/// A layout whose every text is [`SLY`]; its one blob is what `index.json` says.
fn layout(project: &Project, folder: &str, blob_is_there: bool) {
    let blobs = project.path(folder).join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let put = |value: serde_json::Value| {
        let bytes = value.to_string();
        let digest = Digest::of(bytes.as_bytes());
        std::fs::write(blobs.join(digest.hex()), &bytes).unwrap();
        (digest, bytes.len())
    };
    let texts: BTreeMap<&str, &str> = [(SLY, SLY), ("label", SLY)].into();
    let (digest, size) = put(json!({
        "architecture": SLY, "os": SLY, "variant": SLY, "created": SLY,
        "config": { "Labels": texts },
    }));
    let config = "application/vnd.oci.image.config.v1+json";
    let mut layers = Vec::new();
    if !blob_is_there {
        layers.push(json!({ "mediaType": SLY, "digest": Digest::of(b"none"), "size": 4 }));
    }
    let (digest, size) = put(json!({
        "schemaVersion": 2,
        "annotations": texts,
        "config": { "mediaType": config, "digest": digest, "size": size },
        "layers": layers,
    }));
    let index = json!({
        "schemaVersion": 2,
        "annotations": { "io.isoforge.bundle.name": SLY, "io.isoforge.bundle.version": SLY },
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest,
            "size": size,
            "annotations": {
                "org.opencontainers.image.ref.name": SLY,
                "io.isoforge.bundle.kind": SLY,
            },
        }],
    });
    project.write(&format!("{folder}/index.json"), &index.to_string());
    let marker = r#"{"imageLayoutVersion":"1.0.0"}"#;
    project.write(&format!("{folder}/oci-layout"), marker);
}

/// Whether no text of a stranger does anything to the terminal, or stands where a line of
/// ours begins.
fn assert_tame(outcome: &Outcome, what: &[&str]) {
    for text in [&outcome.stdout, &outcome.stderr] {
        let active = text.chars().find(|&c| {
            (c.is_control() && c != '\n') || "\u{202e}\u{2066}\u{200f}\u{2028}".contains(c)
        });
        assert_eq!(active, None, "{what:?}: {text:?}");
        for line in text.lines() {
            let forged = ["error: none", "hint: trust it"].iter();
            assert!(
                !forged.clone().any(|it| line.starts_with(it)),
                "{what:?}: {text}"
            );
        }
    }
    // It is said at most once, by us.
    let verdicts = outcome
        .stdout
        .lines()
        .filter(|line| *line == "all digests hold");
    let expected = usize::from(what[0] == "inspect" && outcome.code == Some(0));
    assert_eq!(verdicts.count(), expected, "{what:?}: {}", outcome.stdout);
}

#[test]
fn reports_and_errors_show_what_strangers_wrote_as_text() {
    let project = Project::empty();
    layout(&project, "whole", true);
    layout(&project, "broken", false);
    for (verb, code) in [
        (["inspect", "whole"].as_slice(), 0),
        (&["inspect", "broken"], 5),
        (&["bundle", "inspect", "whole"], 0),
        (&["bundle", "inspect", "broken"], 5),
        (&["bundle", "verify", "whole"], 0),
        (&["bundle", "verify", "broken"], 5),
        (&["bundle", "diff", "whole", "broken"], 5),
    ] {
        let outcome = project.run(verb);
        assert_eq!(outcome.code, Some(code), "{verb:?}: {}", outcome.stderr);
        assert_tame(&outcome, verb);
    }
    let shown = project.run(&["inspect", "whole"]).stdout;
    let sly = r"a\u{1b}[2K\r\u{1b}]0;x\u{7}\u{9b}1m\u{202e}b\u{2066}c\u{200f}d\u{2028}\nall digests hold\nerror: none\nhint: trust it\n";
    assert!(shown.contains(&format!("\n{sly}\n")), "{shown}");
    assert!(shown.contains(&format!("      label = {sly}\n")), "{shown}");
    // For programs it is what it was.
    let json = project
        .run(&["inspect", "whole", "--format", "json"])
        .json();
    assert_eq!(json["images"][0]["name"], SLY);
}

#[test]
fn names_in_archives_are_shown_as_text() {
    let project = Project::empty();
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(0);
    header.set_entry_type(tar::EntryType::Symlink);
    let name = format!("{SLY}/x");
    archive
        .append_link(&mut header, &name, "../../../up")
        .unwrap();
    std::fs::write(project.path("a.tar"), archive.into_inner().unwrap()).unwrap();
    for verb in [
        ["bundle", "inspect", "a.tar"].as_slice(),
        &["bundle", "verify", "a.tar"],
    ] {
        let outcome = project.run(verb);
        assert_ne!(outcome.code, Some(0));
        assert!(
            outcome.stderr.contains("which leads out of it"),
            "{}",
            outcome.stderr
        );
        assert_tame(&outcome, verb);
    }
}
