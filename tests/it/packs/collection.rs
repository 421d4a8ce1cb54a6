//! The public collection of packs, spectrocloud/pack-central, where
//! `ISOFORGE_TEST_PACKS` names the folder of its packs. Nothing of it is here.

use std::path::{Path, PathBuf};

use isoforge_content::find::{Method, Options, Target};
use isoforge_content::macros::Answers;
use isoforge_content::pack::{self, Pack, Severity};
use isoforge_oci::reference::Reference;
use serde_json::Value;

/// Its packs; without them the test is skipped.
fn packs() -> Option<Vec<PathBuf>> {
    let folder = isoforge_judges::named_by("ISOFORGE_TEST_PACKS", "folder of packs")?;
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join(pack::FILE).is_file())
        .collect();
    assert!(found.len() > 100, "{} packs", found.len());
    found.sort();
    Some(found)
}

/// What is wrong with a pack by `pack.json` and the files beside it, in lint's words.
fn wrong_by_its_files(pack: &Path) -> Vec<String> {
    let text = std::fs::read(pack.join(pack::FILE)).unwrap();
    let meta: Value = serde_json::from_slice(&text).unwrap();
    let mut wrong = Vec::new();
    for (key, what) in [("charts", "chart"), ("kubeManifests", "manifest")] {
        let paths = meta[key].as_array().into_iter().flatten();
        for path in paths.filter_map(Value::as_str) {
            if !pack.join(path).exists() {
                let path = path.trim_start_matches("./");
                wrong.push(format!("there is no {what} '{path}'"));
            }
        }
    }
    for key in ["name", "displayName", "version", "layer"] {
        if meta.get(key).is_none() {
            wrong.push(format!("a pack must have '{key}'"));
        }
    }
    for file in ["logo.png", "values.yaml"] {
        if !pack.join(file).exists() {
            wrong.push(format!("there is no {file}"));
        }
    }
    wrong.sort();
    wrong
}

#[test]
fn lint_tells_of_every_pack_what_its_files_say() {
    let Some(packs) = packs() else { return };
    let (mut of_files, mut without_tag, mut clean) = (0, 0, 0);
    for path in &packs {
        let problems = pack::lint(path);
        let name = path.display().to_string();
        for problem in &problems {
            assert!(problem.file.starts_with(&name), "{problem}");
            if let Some(line) = problem.line.filter(|_| Path::new(&problem.file).is_file()) {
                let text = std::fs::read_to_string(&problem.file).unwrap();
                assert!(
                    (1..=text.lines().count() as u64 + 1).contains(&line),
                    "{problem}"
                );
            }
        }
        let messages = problems.iter().map(|problem| problem.message.clone());
        let mut told: Vec<String> = messages.clone().collect();
        told.retain(|text| {
            text.starts_with("there is no ") || text.starts_with("a pack must have ")
        });
        told.sort();
        let wrong = wrong_by_its_files(path);
        assert_eq!(told, wrong, "{name}");
        of_files += wrong.len();
        let values = std::fs::read_to_string(path.join(pack::VALUES_FILE)).unwrap_or_default();
        if values.contains("\npack:") || values.starts_with("pack:") {
            for image in declared(&values) {
                if !image.rsplit('/').next().unwrap().contains([':', '@']) {
                    let untagged = format!("'{image}' has no tag: 'latest' moves");
                    assert!(messages.clone().any(|text| text == untagged), "{untagged}");
                    without_tag += 1;
                }
            }
        }
        // Lint's errors are what hinders packing, and nothing less.
        let is_clean = problems.iter().all(|one| one.severity != Severity::Error);
        if is_clean {
            let pack = Pack::open(path).unwrap();
            assert!(pack.broken().is_empty(), "{name}: {:?}", pack.broken());
            clean += 1;
        }
        assert_eq!(pack::build(path).is_ok(), is_clean, "{name}");
    }
    let found = format!("{of_files} of files, {without_tag} without a tag, {clean} clean");
    println!("{} packs: {found}", packs.len());
    assert!(of_files > 0 && without_tag > 0 && clean > 100, "{found}");
}

/// What a text search says that a pack declares: `- image: …` below the first
/// `images:` of its values.
fn declared(text: &str) -> Vec<String> {
    let lines = text
        .lines()
        .skip_while(|line| line.trim() != "images:")
        .skip(1);
    let lines = lines.map(str::trim).filter(|line| !line.starts_with('#'));
    lines
        .take_while(|line| line.is_empty() || line.starts_with("- "))
        .filter_map(|line| line.strip_prefix("- image:"))
        .map(|image| {
            image
                .split(" #")
                .next()
                .unwrap()
                .trim()
                .trim_matches(['"', '\''])
                .to_owned()
        })
        .collect()
}

#[test]
fn every_image_that_a_pack_declares_is_found() {
    let options = Options {
        answers: Answers::for_kubernetes("1.32.3"),
        ..Options::default()
    };
    let mut count = 0;
    let Some(packs) = packs() else { return };
    for path in &packs {
        let text = std::fs::read_to_string(path.join(pack::VALUES_FILE)).unwrap();
        if !text.contains("\npack:") && !text.starts_with("pack:") {
            continue;
        }
        let found = Target::open(path).unwrap().images(&options).unwrap();
        for image in declared(&text) {
            let reference: Reference = image.parse().unwrap();
            let places = found.images.get(&reference.to_string());
            let places = places.unwrap_or_else(|| panic!("{}: {image}", path.display()));
            assert!(places.iter().any(|place| place.method == Method::Pack));
            count += 1;
        }
    }
    println!("{count} declared images of {} packs", packs.len());
    assert!(count > 900, "{count}");
}
