//! No text, however broken, makes the reader panic, and every problem can be
//! printed.

use fastrand::Rng;

use super::*;

const DEMO: &str = include_str!("../../../profiles/demo.toml");
const ROUNDS: u64 = 3000;
const CATALOG_ROUNDS: u64 = 500;

const SCRAPS: [&str; 16] = [
    "\"",
    "[",
    "]",
    "{",
    "}",
    "=",
    "\n",
    "+",
    "é",
    "{arch}",
    "[[layers]]\n",
    "'",
    "\\u",
    "-1",
    "1e999",
    "\u{7f}",
];

fn mutate(random: &mut Rng, text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=random.usize(..4) {
        let at = random.usize(..chars.len());
        match random.usize(..4) {
            0 => chars.truncate(at),
            1 => {
                let end = (at + random.usize(..12)).min(chars.len());
                chars.drain(at..end);
            }
            2 => {
                let scrap = SCRAPS[random.usize(..SCRAPS.len())];
                chars.splice(at..at, scrap.chars());
            }
            _ => {
                let from = random.usize(..chars.len());
                let end = (from + random.usize(..40)).min(chars.len());
                let copied = chars[from..end].to_vec();
                chars.splice(at..at, copied);
            }
        }
        if chars.is_empty() {
            break;
        }
    }
    chars.into_iter().collect()
}

fn try_load(files: &[(&str, &str)], sets: &[&str]) -> bool {
    match load_files(files, sets) {
        Ok(_) => true,
        Err(problems) => {
            assert!(!problems.list().is_empty());
            assert!(problems.to_string().starts_with("error: "));
            false
        }
    }
}

#[test]
fn every_truncation_is_survived() {
    for (end, _) in DEMO.char_indices().step_by(3) {
        try_load(&[("p/main.toml", &DEMO[..end])], &[]);
    }
}

#[test]
fn mutations_are_survived() {
    let mut random = Rng::with_seed(20_250);
    let mut right = 0;
    for _ in 0..ROUNDS {
        let main = mutate(&mut random, DEMO);
        right += u64::from(try_load(&[("p/main.toml", &main)], &[]));
        let over = format!(
            "extends = \"base.toml\"\n{}",
            mutate(&mut random, "\"+x\" = [1]\n[os]\nfips = true\n")
        );
        let set = mutate(&mut random, "registries.\"quay.io\".mirror=[\"x\"]");
        try_load(&[("p/main.toml", &over), ("p/base.toml", DEMO)], &[&set]);
    }
    // Some mutations hit comments; if all were refused the test would see nothing else.
    assert!(right > 0 && right < ROUNDS, "{right}");
}

#[test]
fn mutated_catalogs_are_survived() {
    const CATALOG: &str = include_str!("../../../profiles/catalog.toml");
    let main = format!("catalog = \"c.toml\"\n{MINIMAL}");
    let mut random = Rng::with_seed(7);
    for _ in 0..CATALOG_ROUNDS {
        let catalog = mutate(&mut random, CATALOG);
        try_load(&[("p/main.toml", &main), ("p/c.toml", &catalog)], &[]);
    }
}
