//! Artifacts with random damage, given to the program that reads them: whatever is in
//! them, it ends by itself, within little memory and time, with an answer or an error
//! that says what was wrong. Readers have mutation tests of their own beside them, which
//! know their formats; these go through all readers in the order in which a user's file
//! meets them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use isoforge_base::digest::Digest;

use crate::support::bootable;
use crate::support::layers::tar_layer;
use crate::support::program::{Outcome, Project};
use crate::support::{assert_nothing_wrong, is_long, on_each};

/// What a run may take: bytes of address space, and seconds of a processor.
const MAX_BYTES: u64 = 256 << 20;
const MAX_SECONDS: u64 = 5;
/// Damages of each artifact in `cargo xtask test`, and in `cargo xtask e2e`.
const FEW: u64 = 12;
const MANY: u64 = 1200;

/// A file that is damaged, and the command that reads it under a name that says so, or
/// whose profile has it as `damaged`.
struct Artifact {
    name: &'static str,
    /// The sound file, within the project.
    file: PathBuf,
    arguments: &'static [&'static str],
}

/// Files of a project that was built, and what reads them.
const READERS: &[(&str, &[&str])] = &[
    ("iso", &["inspect", "damaged"]),
    ("provider", &["inspect", "damaged"]),
    ("export", &["bundle", "inspect", "damaged"]),
    ("export", &["bundle", "verify", "damaged"]),
    (
        "export",
        &["cache", "import", "damaged", "--cache-dir", "imported"],
    ),
    ("bundle", &["bundle", "verify", "damaged"]),
    (
        "lock",
        &["lock", "profile.toml", "--check", "--lock", "damaged"],
    ),
    ("profile", &["plan", "damaged"]),
    ("manifests", &["content", "find", "damaged.yaml"]),
    (
        "rootfs",
        &[
            "build",
            "rootfs.toml",
            "--only",
            "iso",
            "--no-push",
            "--jobs",
            "1",
            "--force",
        ],
    ),
    ("layout", &["lock", "archive.toml", "--lock", "new.lock"]),
];

const MANIFESTS: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: a, annotations: {note: 'b: c'}}
spec:
  template:
    spec:
      containers:
        - {name: one, image: registry.example/one:1, args: [--image=registry.example/two:2]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: b}
data:
  pod.yaml: |
    apiVersion: v1
    kind: Pod
    metadata: {name: c}
    spec: {containers: [{name: x, image: 'registry.example/three:3'}]}
";

/// A project with a sound file of each kind.
struct Workshop {
    project: Project,
    files: BTreeMap<&'static str, &'static str>,
}

impl Workshop {
    fn new() -> Self {
        let project = Project::bootable();
        project.write("manifests.yaml", MANIFESTS);
        project.build();
        let run = |arguments: &[&str]| project.run(arguments).assert_exit(0);
        run(&["cache", "export", "profile.toml", "--output", "export.tar"]);
        let provider = "dist/tiny-1.0.0/tiny-1.0.0-provider.oci.tar";
        run(&[
            "bundle",
            "build",
            "profile.toml",
            "--provider",
            provider,
            "--output",
            "bundles",
        ]);
        std::fs::write(
            project.path("rootfs.tar"),
            tar_layer(&bootable::os_layer("amd64")),
        )
        .unwrap();
        let os = bootable::profile(&["amd64"]);
        project.write(
            "rootfs.toml",
            &os.replace("image = \"oci:os\"", "rootfs = \"damaged\""),
        );
        project.write("archive.toml", &os.replace("oci:os", "oci-archive:damaged"));
        let mut tar = tar::Builder::new(std::fs::File::create(project.path("layout.tar")).unwrap());
        tar.append_dir_all(".", project.path("os")).unwrap();
        tar.finish().unwrap();
        let files = BTreeMap::from([
            ("iso", "dist/tiny-1.0.0/tiny-1.0.0.iso"),
            ("provider", provider),
            ("export", "export.tar"),
            ("bundle", "bundles/tiny-1.0.0.tar.zst"),
            ("lock", "isoforge.lock"),
            ("profile", "profile.toml"),
            ("manifests", "manifests.yaml"),
            ("rootfs", "rootfs.tar"),
            ("layout", "layout.tar"),
        ]);
        Self { project, files }
    }

    fn artifacts(&self) -> impl Iterator<Item = Artifact> {
        READERS.iter().map(|&(name, arguments)| Artifact {
            name,
            file: self.project.path(self.files[name]),
            arguments,
        })
    }

    /// Reads `bytes` as `damaged`; gives how it ended, or what was wrong.
    fn read(&self, artifact: &Artifact, bytes: &[u8]) -> Result<i32, String> {
        let given = artifact
            .arguments
            .iter()
            .find(|word| word.starts_with("damaged"));
        let name = given.unwrap_or(&"damaged");
        std::fs::write(self.project.path(name), bytes).unwrap();
        let mut command = Command::new("prlimit");
        command.args([format!("--as={MAX_BYTES}"), format!("--cpu={MAX_SECONDS}")]);
        command
            .arg(env!("CARGO_BIN_EXE_isoforge"))
            .args(artifact.arguments);
        self.project.prepare(&mut command);
        let outcome = Outcome::of(command.output().expect("util-linux is installed"));
        let said = outcome.stderr.contains("error: ") || !outcome.stdout.is_empty();
        match outcome.code {
            Some(0) => Ok(0),
            // 1 means a defect, 101 a panic; a signal is a limit that was reached.
            Some(code) if code != 1 && code != 101 && said => Ok(code),
            _ => Err(outcome.all()),
        }
    }
}

/// Changes a few bytes, copies a part over another, or cuts off; mostly near the
/// beginning and the end, where structure is.
fn damage(random: &mut fastrand::Rng, sound: &[u8]) -> Vec<u8> {
    const STRUCTURE: usize = 4096;
    let mut bytes = sound.to_vec();
    for _ in 0..random.usize(1..5) {
        let near = STRUCTURE.min(bytes.len());
        let at = match random.u32(..4) {
            0 => random.usize(..near),
            1 => bytes.len() - 1 - random.usize(..near),
            // A sector's or a header's beginning.
            2 => random.usize(..bytes.len()) / 512 * 512,
            _ => random.usize(..bytes.len()),
        };
        let length = random.usize(1..64).min(bytes.len() - at);
        match random.u32(..6) {
            0 => bytes[at] ^= 1 << random.u32(..8),
            1 => bytes[at] = 0xff,
            2 => bytes[at..at + length].fill(0xff),
            3 => bytes[at..at + length].fill(0),
            4 => bytes[at] = random.u8(..),
            _ => {
                let from = random.usize(..=bytes.len() - length);
                bytes.copy_within(from..from + length, at);
            }
        }
    }
    if random.u32(..10) == 0 {
        bytes.truncate(random.usize(1..bytes.len()));
    }
    bytes
}

/// Reads each artifact `rounds` times, on two processors; each damage from its seed.
fn read_damaged(rounds: u64) {
    let workshops = [Workshop::new(), Workshop::new()];
    let mut wrong = Vec::new();
    for (which, artifact) in (0..).zip(workshops[0].artifacts()) {
        let sound = std::fs::read(&artifact.file).unwrap();
        let (name, arguments) = (artifact.name, artifact.arguments.join(" "));
        let ended_well = workshops[0].read(&artifact, &sound);
        assert_eq!(ended_well, Ok(0), "{name}, {arguments}, sound");
        let well = AtomicU64::new(0);
        let seeds: Vec<u64> = (0..rounds).map(|round| round * 100 + which).collect();
        wrong.extend(on_each(&workshops, &seeds, |workshop, &seed| {
            let bytes = damage(&mut fastrand::Rng::with_seed(seed), &sound);
            let code = workshop.read(&artifact, &bytes).map_err(|text| {
                let digest = Digest::of(&bytes);
                format!("{name}, {arguments}, seed {seed}, {digest}: {text}")
            })?;
            well.fetch_add(u64::from(code == 0), Ordering::Relaxed);
            Ok(())
        }));
        let well = well.into_inner();
        println!("{rounds} damages of {name}, {arguments}: {well} made no difference");
    }
    assert_nothing_wrong(&wrong);
}

#[test]
fn damaged_artifacts_are_answered() {
    read_damaged(FEW);
}

#[test]
fn damaged_artifacts_are_answered_many_times() {
    if is_long("mutated") {
        read_damaged(MANY);
    }
}
