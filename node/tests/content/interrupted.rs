//! Imports that do not come to their end.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use appliance::content::inspect::list;
use appliance::content::storage::Storage;
use appliance::content::verify::verify;
use appliance::content::zot::{Options, import};
use isoforge_base::output::space::FileSystems;
use isoforge_base::progress::Progress;

use crate::source::Memory;
use crate::{OPTIONS, bundle, fill};

#[test]
fn an_import_that_was_cut_off_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut source = eight();
    let mut before = 0;
    for broken_after in [250_000, 10_000, 300_000] {
        source.breaks_after = Some(broken_after.into());
        let error = fill(dir.path(), &source).unwrap_err();
        assert!(error.to_string().contains(": reading sha256:"), "{error}");
        let storage = Storage::open(dir.path()).unwrap();
        // Nothing shows, and what is there is whole.
        assert_eq!(list(&storage).unwrap().images, []);
        assert_eq!(verify(&storage, &Progress::silent()).unwrap().damage, []);
        let there = storage.blobs().unwrap().len();
        assert!(there >= before, "{there} < {before}");
        before = there;
    }
    source.breaks_after = None;
    let report = fill(dir.path(), &source).unwrap();
    assert!(report.filled.there > 4, "{report:?}");
    assert_eq!(
        report.filled.there + report.filled.copied,
        source.blobs.len() as u64
    );
    let again = fill(dir.path(), &source).unwrap();
    assert_eq!(again.filled.copied, 0);
    let storage = Storage::open(dir.path()).unwrap();
    assert_eq!(list(&storage).unwrap().images.len(), 8);
    assert_eq!(verify(&storage, &Progress::silent()).unwrap().damage, []);
}

/// Eight images of 100 kB.
fn eight() -> Memory {
    let mut source = Memory::default();
    for n in 0..8_u8 {
        let image = source.image(&[&vec![n; 100_000]]);
        source.root(&format!("r.example/a{n}:1"), &image);
    }
    source
}

/// Where this test is the process that is killed.
const CHILD: &str = "ISOFORGE_TEST_CHILD";

#[test]
fn an_import_that_is_killed_goes_on_where_it_was() {
    #[allow(clippy::disallowed_methods)]
    if let Some(root) = std::env::var_os(CHILD) {
        let mut source = eight();
        source.slow = true;
        fill(Path::new(&root), &source).unwrap();
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let source = eight();
    let mut most = 0;
    for milliseconds in [40, 90, 160, 250] {
        let name = "interrupted::an_import_that_is_killed_goes_on_where_it_was";
        #[allow(clippy::disallowed_methods)]
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(CHILD, dir.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // From when it begins to write.
        let start = Instant::now();
        while !dir.path().join("r.example").exists() && start.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(milliseconds));
        child.kill().unwrap();
        child.wait().unwrap();
        let storage = Storage::open(dir.path()).unwrap();
        assert_eq!(verify(&storage, &Progress::silent()).unwrap().damage, []);
        let partial = std::fs::read_dir(storage.work()).unwrap().count();
        most = most.max(storage.blobs().unwrap().len() + partial);
    }
    assert!(most > 1, "something came before");
    let report = fill(dir.path(), &source).unwrap();
    assert_eq!(
        report.filled.there + report.filled.copied,
        source.blobs.len() as u64
    );
    assert!(report.filled.there > 2, "{report:?}");
    let storage = Storage::open(dir.path()).unwrap();
    assert_eq!(verify(&storage, &Progress::silent()).unwrap().damage, []);
    assert_eq!(list(&storage).unwrap().images.len(), 8);
    let left = std::fs::read_dir(storage.work()).unwrap().count();
    assert_eq!(left, 2, "the lock, and which bundles came");
}

/// Runs a program; whether it went well.
fn run(program: &str, args: &[&str]) -> bool {
    #[allow(clippy::disallowed_methods)]
    let status = std::process::Command::new(program).args(args).status();
    status.is_ok_and(|status| status.success())
}

#[test]
fn a_storage_that_fills_up_stays_sound() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().display().to_string();
    if !run("mount", &["-t", "tmpfs", "-o", "size=600k", "tmpfs", &path]) {
        isoforge_judges::skip("it needs to mount");
        return;
    }
    let source = eight();
    let options = Options {
        room: &Small(u64::MAX),
        ..OPTIONS
    };
    let error = import(dir.path(), &source, &options, &Progress::silent());
    let storage = Storage::open(dir.path()).unwrap();
    let there = storage.blobs().unwrap().len();
    let sound = verify(&storage, &Progress::silent()).unwrap().damage;
    let images = list(&storage).unwrap().images;
    let grown = run("mount", &["-o", "remount,size=64m", &path]);
    let again = fill(dir.path(), &source);
    assert!(run("umount", &[&path]) && grown);
    let error = error.unwrap_err();
    assert!(
        error.to_string().contains("is full: writing sha256:"),
        "{error}"
    );
    assert_eq!((sound, images), (vec![], vec![]));
    assert!(there > 0);
    let report = again.unwrap();
    assert_eq!(report.filled.there, there as u64);
}

struct Small(u64);

impl FileSystems for Small {
    fn device(&self, _: &Path) -> io::Result<u64> {
        Ok(0)
    }
    fn available_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(self.0)
    }
}

#[test]
fn too_little_room_is_told_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        room: &Small(1000),
        ..OPTIONS
    };
    let error = import(dir.path(), &bundle(), &options, &Progress::silent()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(", 1000 are available"), "{text}");
    assert!(
        Storage::open(dir.path())
            .unwrap()
            .blobs()
            .unwrap()
            .is_empty()
    );
}
