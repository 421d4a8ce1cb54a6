//! The program killed (SIGKILL) in the middle of pulling and building: no output
//! under its final name is incomplete, every blob of the store is whole, and the
//! next build ends as one that was never disturbed. And builds beside each other
//! on one store.
//!
//! Points are not times: a build is killed when it has said so many lines of
//! progress, or when so many bytes of a layer are in the store and the registry is
//! silent.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use isoforge_base::digest::Digest;

use crate::support::bootable::{self, kubernetes_layer, os_layer};
use crate::support::layers::Image;
use crate::support::program::{Project, files_below};
use crate::support::registry::{FakeRegistry, Fault};

/// Points in the middle of a layer's transfer.
const PULL_POINTS: usize = 40;
/// Points in the whole build.
const BUILD_POINTS: usize = 60;
const SEED: u64 = 4;
const OUTPUT: &str = "dist/tiny-1.0.0";

/// A project whose images come from a registry, and the digests of its outputs
/// where nothing disturbs the build.
struct Fixture {
    project: Project,
    registry: FakeRegistry,
    layer: Image,
    undisturbed: BTreeMap<String, Digest>,
}

impl Fixture {
    fn new() -> Self {
        let registry = FakeRegistry::start();
        // One and a half megabytes that no compressor makes much smaller: so the layer is
        // one that is resumed.
        let noise: String = (0..45_000_u32)
            .map(|number| Digest::of(&number.to_le_bytes()).hex())
            .collect();
        let os = format!("{}\nfile usr/share/noise 0644 {noise}", os_layer("amd64"));
        let layer = bootable::image("amd64", &os);
        registry.put_image("edge/os", "1", &layer);
        let kubernetes = bootable::image("amd64", &kubernetes_layer("amd64"));
        registry.put_image("edge/kubernetes", "1", &kubernetes);
        let project = Project::empty();
        let image = |name: &str| format!("{}/edge/{name}:1", registry.host());
        let profile = bootable::profile_of(&["amd64"], &image("os"), &image("kubernetes"));
        project.write("profile.toml", &profile);
        project.build();
        let undisturbed = digests(&project, OUTPUT);
        assert_eq!(undisturbed.len(), 5, "{undisturbed:?}");
        let fixture = Self {
            project,
            registry,
            layer,
            undisturbed,
        };
        fixture.forget();
        fixture
    }

    /// Outputs and store are as they were before the first build.
    fn forget(&self) {
        std::fs::remove_dir_all(self.project.path("dist")).unwrap();
        std::fs::remove_dir_all(self.project.cache()).unwrap();
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let build = ["build", "profile.toml", "--progress", "json"];
        self.project
            .command(&[&build[..], arguments].concat())
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// What must hold after a kill, whenever it came.
    fn assert_nothing_partial(&self, point: &str) {
        for (name, digest) in digests(&self.project, OUTPUT) {
            if let Some(wanted) = self.undisturbed.get(&name) {
                assert_eq!(digest, *wanted, "{point}: {name} is incomplete");
            }
        }
        let cache = self.project.cache();
        for file in files_below(&cache.join("v1/blobs")) {
            let bytes = std::fs::read(cache.join("v1/blobs").join(&file)).unwrap();
            let hex = Digest::of(&bytes).hex();
            assert!(
                file.ends_with(&format!("/{hex}")),
                "{point}: {file} is {hex}"
            );
        }
    }

    /// The next build ends as the undisturbed one, and nothing of the killed one
    /// is left.
    fn assert_builds(&self, point: &str) {
        self.project.build();
        assert_eq!(digests(&self.project, OUTPUT), self.undisturbed, "{point}");
        self.project.assert_store_sound();
        let partial = files_below(&self.project.cache().join("v1/partial"));
        assert!(partial.is_empty(), "{point}: {partial:?}");
        self.forget();
    }
}

/// Name and digest of each file in an output folder.
fn digests(project: &Project, folder: &str) -> BTreeMap<String, Digest> {
    let folder = project.path(folder);
    let digest = |file: &String| Digest::of(&std::fs::read(folder.join(file)).unwrap());
    let files = files_below(&folder);
    files
        .into_iter()
        .map(|file| (file.clone(), digest(&file)))
        .collect()
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn killed_while_a_layer_comes_the_next_build_goes_on_from_there() {
    let fixture = Fixture::new();
    let mut random = fastrand::Rng::with_seed(SEED);
    let layer = &fixture.layer.layers[0];
    let target = format!("/blobs/{}", layer.digest());
    let partial = format!("v1/partial/{}", layer.digest().hex());
    let partial = fixture.project.cache().join(partial);
    for _ in 0..PULL_POINTS {
        let bytes = random.usize(1..layer.bytes.len());
        let point = format!("after {bytes} bytes");
        fixture.registry.fault(&target, 1, Fault::StallAfter(bytes));
        let mut child = fixture.start(&[]);
        while std::fs::metadata(&partial).map_or(0, |file| file.len()) < bytes as u64 {
            assert_eq!(
                child.try_wait().unwrap(),
                None,
                "{point}: it ended by itself"
            );
            std::thread::yield_now();
        }
        kill(child);
        fixture.assert_nothing_partial(&point);
        let before = fixture.registry.requests().len();
        fixture.assert_builds(&point);
        let asked = fixture.registry.requests().split_off(before);
        let again = asked
            .iter()
            .find(|request| request.target.contains(&target));
        let worth_it = bytes as u64 >= isoforge_oci::registry::config::RESUME_BYTES;
        assert_eq!(
            again.unwrap().offset(),
            worth_it.then_some(bytes),
            "{point}"
        );
    }
}

#[test]
fn killed_anywhere_the_next_build_ends_as_if_nothing_had_been() {
    let fixture = Fixture::new();
    let lines = BufReader::new(fixture.start(&[]).stderr.take().unwrap())
        .lines()
        .count();
    assert!(lines > 20, "{lines} lines of progress");
    fixture.forget();
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut killed = 0;
    for _ in 0..BUILD_POINTS {
        let after = random.usize(1..lines);
        let point = format!("after line {after} of {lines}");
        let mut child = fixture.start(&[]);
        let said = BufReader::new(child.stderr.take().unwrap()).lines();
        let seen = said.take(after).filter(|line| line.is_ok()).count();
        assert!(seen > 0, "{point}");
        killed += usize::from(child.try_wait().unwrap().is_none());
        kill(child);
        fixture.assert_nothing_partial(&point);
        fixture.assert_builds(&point);
    }
    assert!(
        killed > BUILD_POINTS / 2,
        "only {killed} were still at work"
    );
}

#[test]
fn two_builds_at_once_on_one_store_and_one_that_is_killed_beside_another() {
    let fixture = Fixture::new();
    let folder = |name: &str| format!("{name}/tiny-1.0.0");
    let builds = ["one", "two"].map(|name| (name, fixture.start(&["--output", name])));
    for (name, mut child) in builds {
        // Read to the end, or the program would wait for a reader.
        let said: Vec<_> = BufReader::new(child.stderr.take().unwrap())
            .lines()
            .collect();
        assert!(child.wait().unwrap().success(), "{said:?}");
        assert_eq!(
            digests(&fixture.project, &folder(name)),
            fixture.undisturbed
        );
    }
    fixture.project.assert_store_sound();
    let layer = format!("/blobs/{}", fixture.layer.layers[0].digest());
    std::fs::remove_dir_all(fixture.project.cache()).unwrap();
    // The first holds the layer's beginning when the second comes, which gets
    // the layer on its own.
    fixture
        .registry
        .fault(&layer, 1, Fault::StallAfter(1_200_000));
    let before = fixture.registry.count(&layer);
    let first = fixture.start(&["--output", "killed"]);
    while fixture.registry.count(&layer) == before {
        std::thread::yield_now();
    }
    let mut second = fixture.start(&["--output", "three"]);
    let said: Vec<_> = BufReader::new(second.stderr.take().unwrap())
        .lines()
        .collect();
    assert!(second.wait().unwrap().success(), "{said:?}");
    kill(first);
    assert_eq!(
        digests(&fixture.project, &folder("three")),
        fixture.undisturbed
    );
    assert!(
        digests(&fixture.project, &folder("killed"))
            .keys()
            .all(|name| !fixture.undisturbed.contains_key(name))
    );
    fixture.project.build();
    assert_eq!(digests(&fixture.project, OUTPUT), fixture.undisturbed);
}
