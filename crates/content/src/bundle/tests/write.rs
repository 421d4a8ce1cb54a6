//! Writing bundles, and what readers of their own and others make of them.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::bundle::testing::{CNI, NODE, image, list, noise, sample, sample_builder};
use crate::bundle::*;
use isoforge_base::error::{Class, Diagnose as _};
use isoforge_base::progress::Progress;
use isoforge_oci::layout::{OciLayout, blob_path};

/// Has no blob: the sample's files have their bytes.
#[derive(Debug)]
struct Nothing;

impl Blobs for Nothing {
    fn open(&self, digest: &Digest, _: u64) -> Result<Box<dyn Read + Send>, Error> {
        panic!("{digest}")
    }
}

fn archive(layout: &OciLayout, folder: &Path, name: &str, part_bytes: Option<u64>) -> Written {
    let target = Target {
        folder,
        name,
        form: Form::Archive { part_bytes },
        replace: false,
    };
    write(layout, &Nothing, &target, &Progress::silent()).unwrap()
}

fn checked(path: &Path) -> Verification {
    verify(path, None, NonZeroUsize::MIN, &Progress::silent()).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs_err::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[allow(clippy::disallowed_methods)]
fn shell(script: &str, folder: &Path) -> String {
    let out = std::process::Command::new("sh")
        .args(["-ec", script])
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(out.status.success(), "{script}: {}", text(&out.stderr));
    // A warning about what was unpacked would be one.
    assert_eq!(text(&out.stderr), "", "{script}");
    text(&out.stdout)
}

#[test]
fn an_archive_is_the_same_each_time_and_plain_tools_unpack_it() {
    let dir = tempfile::tempdir().unwrap();
    let layout = sample();
    let one = archive(&layout, dir.path(), "one-1", None);
    let two = archive(&layout, dir.path(), "two-1", None);
    assert_eq!((one.digest, one.bytes), (two.digest, two.bytes));
    let names = names(dir.path());
    let expected = [
        "one-1.tar.zst",
        "one-1.tar.zst.sha256",
        "two-1.tar.zst",
        "two-1.tar.zst.sha256",
    ];
    assert_eq!(names, expected);
    shell("sha256sum -c --quiet *.sha256", dir.path());
    shell(
        "mkdir a b; zstd -q -d -c one-1.tar.zst | tar -x -C a; tar --zstd -x -f one-1.tar.zst -C b",
        dir.path(),
    );
    shell("diff -r a b", dir.path());
    for (path, bytes) in testing::files(&layout) {
        assert_eq!(
            fs_err::read(dir.path().join("a").join(path)).unwrap(),
            bytes
        );
    }
    for path in [&one.path, &dir.path().join("a")] {
        let found = checked(path);
        assert_eq!((found.faults, found.roots, found.blobs), (vec![], 2, 7));
    }
}

#[test]
fn a_split_archive_is_the_whole_one_in_pieces() {
    let dir = tempfile::tempdir().unwrap();
    let layout = sample();
    let whole = archive(&layout, dir.path(), "whole", None);
    let split = archive(&layout, dir.path(), "split", Some(1_000_000));
    assert_eq!(split.digest, whole.digest);
    assert_eq!(split.parts.len() as u64, whole.bytes.div_ceil(1_000_000));
    assert!(split.path.ends_with("split.tar.zst.parts.json"));
    shell(
        "sha256sum -c --quiet split.tar.zst.sha256; cat split.tar.zst.0?? | cmp - whole.tar.zst",
        dir.path(),
    );
    assert!(checked(&split.path).faults.is_empty());
    let bundle = Bundle::open(&dir.path().join("split.tar.zst.002")).unwrap();
    assert_eq!(bundle.roots().len(), 2);
    // What fits into one part is not split.
    let fits = archive(&layout, dir.path(), "fits", Some(1 << 30));
    assert_eq!(fits.parts, []);
    assert_eq!(fits.digest, whole.digest);
    assert!(fits.path.ends_with("fits.tar.zst"));

    let part = dir.path().join("split.tar.zst.002");
    let mut bytes = fs_err::read(&part).unwrap();
    bytes[5000] ^= 1;
    fs_err::write(&part, &bytes).unwrap();
    let found = checked(&split.path);
    assert!(found.faults[0].problem.contains("altered"), "{found}");
    assert!(
        found.faults[0].place.ends_with("split.tar.zst.002"),
        "{found}"
    );
    fs_err::write(&part, &bytes[1..]).unwrap();
    let found = checked(&split.path);
    assert!(found.faults[0].problem.contains("999999 bytes"), "{found}");
}

#[test]
fn what_is_there_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let layout = sample();
    archive(&layout, dir.path(), "a", None);
    fs_err::write(dir.path().join("a.tar.zst"), b"mine").unwrap();
    let mut target = Target {
        folder: dir.path(),
        name: "a",
        form: Form::Archive { part_bytes: None },
        replace: false,
    };
    let again = |target: &Target<'_>| write(&layout, &Nothing, target, &Progress::silent());
    let error = again(&target).unwrap_err();
    assert_eq!(error.class(), Class::Profile);
    assert!(error.hint().unwrap().contains("--force"));
    assert_eq!(fs_err::read(dir.path().join("a.tar.zst")).unwrap(), b"mine");
    target.replace = true;
    let written = again(&target).unwrap();
    assert!(checked(&written.path).faults.is_empty());
    let folder = Target {
        form: Form::Folder,
        ..target
    };
    let written = again(&folder).unwrap();
    assert!(checked(&written.path).faults.is_empty());
    assert!(again(&folder).is_err());
    assert_eq!(names(dir.path()), ["a", "a.tar.zst", "a.tar.zst.sha256"]);
    // In parts it takes the place of the one in one piece, and the other way round.
    target.form = Form::Archive {
        part_bytes: Some(2_000_000),
    };
    again(&target).unwrap();
    let parts = [
        "a.tar.zst.001",
        "a.tar.zst.002",
        "a.tar.zst.parts.json",
        "a.tar.zst.sha256",
    ];
    assert_eq!(names(dir.path())[1..], parts);
    target.form = Form::Archive { part_bytes: None };
    again(&target).unwrap();
    assert_eq!(names(dir.path()), ["a", "a.tar.zst", "a.tar.zst.sha256"]);
}

/// A folder and an archive of the sample, to be damaged.
fn to_be_damaged(dir: &Path) -> (PathBuf, PathBuf) {
    let folder = dir.join("folder");
    testing::write_folder(&sample(), &folder);
    (folder, archive(&sample(), dir, "a", None).path)
}

#[test]
fn an_altered_or_missing_blob_is_named_with_digest_and_place() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, archive) = to_be_damaged(dir.path());
    let layer = Digest::of(&noise(1, 3_000_000));
    let small = Digest::of(b"cni");
    let path = folder.join(blob_path(&layer));
    let mut bytes = fs_err::read(&path).unwrap();
    bytes[1_000_000] ^= 1;
    fs_err::write(&path, bytes).unwrap();
    fs_err::remove_file(folder.join(blob_path(&small))).unwrap();
    let found = checked(&folder);
    let faults: Vec<_> = found
        .faults
        .iter()
        .map(|fault| (fault.digest.unwrap(), fault.place.as_str()))
        .collect();
    let place = |digest: &Digest| folder.join(blob_path(digest)).display().to_string();
    assert_eq!(
        faults,
        [
            (layer, place(&layer).as_str()),
            (small, place(&small).as_str())
        ]
    );
    assert!(found.faults[0].problem.contains("altered"));
    assert!(found.faults[1].problem.contains("missing") && found.faults[1].problem.contains(CNI));

    // In an archive the frame's own checksum finds it first.
    let mut bytes = fs_err::read(&archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs_err::write(&archive, bytes).unwrap();
    let found = checked(&archive);
    assert_eq!(found.faults.len(), 1, "{found}");
    assert_eq!(found.faults[0].digest, Some(layer));
    assert!(
        found.faults[0]
            .place
            .ends_with(&format!("a.tar.zst/{}", blob_path(&layer)))
    );
}

#[test]
fn an_altered_manifest_is_one_fault() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, _) = to_be_damaged(dir.path());
    let root = Bundle::open(&folder).unwrap().roots()[0].descriptor.digest;
    let path = folder.join(blob_path(&root));
    let mut bytes = fs_err::read(&path).unwrap();
    bytes[20] ^= 1;
    fs_err::write(&path, bytes).unwrap();
    let found = checked(&folder);
    assert_eq!(found.faults.len(), 1, "{found}");
    assert_eq!(found.faults[0].digest, Some(root));
}

#[test]
fn an_archive_that_was_cut_short_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = archive(&sample(), dir.path(), "a", None).path;
    let whole = fs_err::read(&path).unwrap();
    for keep in [whole.len() / 2, whole.len() - 1, 600] {
        fs_err::write(&path, &whole[..keep]).unwrap();
        let error = Bundle::open(&path).unwrap_err();
        assert_eq!(error.class(), Class::Verification);
        assert!(error.to_string().contains("cut short"), "{error}");
    }
}

#[test]
fn a_delta_holds_what_is_new_and_makes_the_whole_of_its_base() {
    let dir = tempfile::tempdir().unwrap();
    let store = isoforge_oci::store::Store::open(&dir.path().join("store")).unwrap();
    let composed = |new: bool| {
        let mut builder = sample_builder();
        let mut composer = Composer::new("content", if new { "2" } else { "1" });
        if new {
            let extra = image(
                &mut builder,
                "amd64",
                &[noise(1, 3_000_000), b"new".to_vec()],
            );
            list(&mut builder, "docker.io/x/new:1", extra);
        }
        let folder = dir.path().join(if new { "new" } else { "old" });
        testing::write_folder(&builder.build(), &folder);
        let bundle = Bundle::open(&folder).unwrap();
        for root in bundle.roots() {
            composer
                .adopt(&bundle, root, &root.reference, &root.kind)
                .unwrap();
        }
        (composer, bundle)
    };
    let to = |name: &'static str| Target {
        folder: dir.path(),
        name,
        form: Form::Archive { part_bytes: None },
        replace: false,
    };
    let silent = Progress::silent();
    let (composer, source) = composed(false);
    let base = write(&composer.build(), &source, &to("base"), &silent).unwrap();
    let (composer, source) = composed(true);
    let sources = [source];
    let combined = Combined {
        store: &store,
        bundles: &sources,
    };
    let full = write(&composer.clone().build(), &combined, &to("full"), &silent).unwrap();
    let old = Bundle::open(&base.path).unwrap();
    let delta = write(
        &composer.since(&old).unwrap(),
        &combined,
        &to("delta"),
        &silent,
    )
    .unwrap();
    assert!(
        delta.bytes < 5_000 && full.bytes > 3_000_000,
        "{}",
        delta.bytes
    );
    let bundle = Bundle::open(&delta.path).unwrap();
    assert_eq!(bundle.annotations().base, Some(old.digest()));
    assert_eq!(bundle.roots().len(), 3);
    assert!(checked(&delta.path).faults.is_empty());

    let both = Bundle::open_with_base(&delta.path, &base.path).unwrap();
    let whole = write(&applied(&both).unwrap(), &both, &to("applied"), &silent).unwrap();
    assert_eq!(whole.digest, full.digest);

    let error = Bundle::open_with_base(&delta.path, &full.path).unwrap_err();
    let text = error.to_string();
    let wrong = Bundle::open(&full.path).unwrap().digest();
    assert!(text.contains(&old.digest().to_string()) && text.contains(&wrong.to_string()));
    let (composer, _) = composed(true);
    let error = composer.since(&bundle).unwrap_err().to_string();
    assert!(
        error.ends_with("is a delta itself, and no base for another"),
        "{error}"
    );

    let shown = difference(&old, &Bundle::open(&full.path).unwrap()).unwrap();
    insta::assert_snapshot!(shown.to_string(), @r"
    + docker.io/x/new:1  92854088dc74
    new: 2 blobs, 559 B
    gone: 0 blobs, 0 B
    shared: 7 blobs, 3.0 MiB
    ");
    let mut shown = inspect(&both).unwrap();
    shown.path = "delta.tar.zst".into();
    insta::assert_snapshot!(shown.to_string(), @r"
    content 2  3.0 MiB  delta.tar.zst
      sha256:59be2cc3fbd7d4c19c5df3b5e7e0224e47eb1e567c6ef0c9a0c774f7935c689e
      delta to sha256:97815b5b232e0c931071580d6fb256a2e4a00faf4a2966e54a27a09c55c73aee
    docker.io/calico/cni:v3.29.2  2.8 MiB
      sha256:12776ae24214ab8c8f58d7e74874bc4f2e2549e855630019d1c09ca096c722ce
      linux/amd64  2.8 MiB
    docker.io/calico/node:v3.29.2  3.0 MiB
      sha256:b76e43e0240dd65e6bd3cef05dbdec0ef338dc59e3aa573229caf5e7196464a8
      linux/amd64  3.0 MiB
      left out: linux/arm64
    docker.io/x/new:1  2.8 MiB
      sha256:92854088dc746e148f6263baba35b120fd7f0b9f8774e00d8fcce9ce958de9f9
      linux/amd64  2.8 MiB
    ");
    insta::assert_snapshot!(
        serde_json::to_string_pretty(&inspect(&old).unwrap().roots[1]).unwrap(), @r#"
    {
      "reference": "docker.io/calico/node:v3.29.2",
      "kind": "image",
      "digest": "sha256:b76e43e0240dd65e6bd3cef05dbdec0ef338dc59e3aa573229caf5e7196464a8",
      "platforms": [
        {
          "platform": "linux/amd64",
          "digest": "sha256:d523d7e2a36545ee7b92ebfe1b0033b11c518b1777df952d106e213d84d28c89",
          "bytes": 3200639
        }
      ],
      "left_out": [
        "linux/arm64"
      ],
      "bytes": 3201130
    }
    "#);
}

#[test]
fn one_reference_names_one_thing() {
    let mut composer = Composer::new("a", "1");
    let mut builder = sample_builder();
    let one = image(&mut builder, "amd64", &[]);
    let two = image(&mut builder, "arm64", &[]);
    composer.root(NODE, &Kind::Image, one.clone()).unwrap();
    composer.root(NODE, &Kind::Image, one).unwrap();
    let error = composer.root(NODE, &Kind::Image, two).unwrap_err();
    assert!(error.to_string().contains(" names two things: "), "{error}");
}

#[test]
fn a_flipped_bit_is_told_and_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = archive(&sample(), dir.path(), "a", None).path;
    let whole = fs_err::read(&path).unwrap();
    let mut random = fastrand::Rng::with_seed(3);
    let mut missed = 0;
    for round in 0..60 {
        let mut bytes = whole.clone();
        // Half of them where headers, small blobs and the table are.
        let at = match round % 2 {
            0 => random.usize(..bytes.len()),
            _ => {
                let end = random.usize(..2_000);
                if random.bool() {
                    end
                } else {
                    bytes.len() - 1 - end
                }
            }
        };
        bytes[at] ^= 1 << random.u8(..8);
        fs_err::write(&path, &bytes).unwrap();
        match verify(&path, None, NonZeroUsize::MIN, &Progress::silent()) {
            Ok(found) if found.faults.is_empty() => missed += 1,
            Ok(_) => {}
            // Without its magic number it is no archive.
            Err(Error::OnePiece { .. }) => {}
            Err(error) => assert_eq!(error.class(), Class::Verification, "byte {at}: {error}"),
        }
    }
    // Of the table's descriptor and of a frame's header some bits mean nothing.
    assert!(missed <= 2, "{missed}");
}

#[test]
fn a_blob_that_is_not_what_its_digest_says_gets_into_no_bundle() {
    #[derive(Debug)]
    struct Wrong;
    impl Blobs for Wrong {
        fn open(&self, _: &Digest, size: u64) -> Result<Box<dyn Read + Send>, Error> {
            Ok(Box::new(std::io::repeat(7).take(size)))
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let digest = Digest::of(b"right");
    let mut composer = Composer::new("a", "1");
    composer.blob(digest, 5);
    let layout = composer.build();
    for form in [Form::Folder, Form::Archive { part_bytes: None }] {
        let target = Target {
            folder: dir.path(),
            name: "a",
            form,
            replace: false,
        };
        let error = write(&layout, &Wrong, &target, &Progress::silent()).unwrap_err();
        assert_eq!(error.class(), Class::Verification);
        assert!(error.to_string().contains(&digest.to_string()), "{error}");
        assert_eq!(names(dir.path()), [""; 0]);
    }
}

#[test]
fn verify_says_where_it_did_not_look_for_what_the_base_has() {
    let dir = tempfile::tempdir().unwrap();
    let base = archive(&sample(), dir.path(), "base", None);
    let base = Bundle::open(&base.path).unwrap();
    let mut composer = Composer::new("a", "2");
    for root in base.roots() {
        composer
            .adopt(&base, root, &root.reference, &root.kind)
            .unwrap();
    }
    // A blob given by its bytes is left out as well, where the base has it.
    composer.bytes(b"cni".to_vec());
    let delta = archive(&composer.since(&base).unwrap(), dir.path(), "delta", None);
    let found = checked(&delta.path);
    assert_eq!((found.blobs, found.base), (0, Some(base.digest())));
    assert!(found.faults.is_empty() && found.to_string().contains("not looked for"));
    let found = verify(
        &delta.path,
        Some(base.path()),
        NonZeroUsize::MIN,
        &Progress::silent(),
    );
    assert_eq!(found.unwrap().base, None);
}
