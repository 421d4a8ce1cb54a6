//! The public collection of packs, spectrocloud/pack-central, where
//! `ISOFORGE_TEST_PACKS` names the folder of its packs. Nothing of it is here.

use std::path::PathBuf;

use isoforge_content::find::{Method, Options, Target};
use isoforge_content::macros::Answers;
use isoforge_content::pack;
use isoforge_oci::reference::Reference;

/// Its packs; says so where they are not at hand.
fn packs() -> Vec<PathBuf> {
    let Some(folder) = std::env::var_os("ISOFORGE_TEST_PACKS") else {
        println!("skipped: no packs; name the folder of many with ISOFORGE_TEST_PACKS");
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join(pack::FILE).is_file())
        .collect();
    assert!(found.len() > 100, "{} packs", found.len());
    found.sort();
    found
}

#[test]
fn every_pack_is_linted() {
    let packs = packs();
    let problems: usize = packs.iter().map(|path| pack::lint(path).len()).sum();
    println!("{} packs, {problems} problems", packs.len());
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
    let packs = packs();
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
    assert!(packs.is_empty() || count > 900, "{count}");
}
