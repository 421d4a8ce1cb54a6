//! Reading bundles.

mod serve;
mod write;

use std::path::PathBuf;

use super::testing::{
    CNI, NODE, index, list, noise, sample, sample_builder, seekable_bytes, split, tar_bytes,
    write_folder, write_iso,
};
use super::*;
use isoforge_base::error::{Class, Diagnose as _};
use isoforge_oci::layout::{Builder, INDEX_FILE};
use isoforge_oci::media::{Family, MediaType};

/// The sample in every form that a bundle has.
fn forms(dir: &Path) -> Vec<PathBuf> {
    let layout = sample();
    let paths = |name: &str| dir.join(name);
    write_folder(&layout, &paths("folder"));
    fs_err::write(paths("a.tar"), tar_bytes(&layout)).unwrap();
    fs_err::write(paths("a.tar.zst"), seekable_bytes(&layout, 100_000)).unwrap();
    write_iso(&layout, isoforge_contract::iso::CONTENT, &paths("a.iso"));
    write_folder(
        &layout,
        &paths("mounted").join(isoforge_contract::iso::CONTENT),
    );
    fs_err::create_dir(paths("parts")).unwrap();
    split(
        &seekable_bytes(&layout, 100_000),
        &paths("parts"),
        "p.tar.zst",
        700_001,
    );
    fs_err::create_dir(paths("plain-parts")).unwrap();
    split(&tar_bytes(&layout), &paths("plain-parts"), "p.tar", 999_999);
    [
        "folder",
        "a.tar",
        "a.tar.zst",
        "a.iso",
        "mounted",
        "parts",
        "parts/p.tar.zst.parts.json",
        "parts/p.tar.zst.001",
        "parts/p.tar.zst.003",
        "parts/p.tar.zst",
        "plain-parts",
    ]
    .into_iter()
    .map(paths)
    .collect()
}

#[test]
fn a_pipe_where_a_file_should_be_is_refused_and_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["oci-layout", "index.json"] {
        let folder = dir.path().join(format!("with-{name}"));
        write_folder(&sample(), &folder);
        let pipe = folder.join(name);
        fs_err::remove_file(&pipe).unwrap();
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        for path in [&folder, &pipe] {
            let error = Bundle::open(path).unwrap_err();
            let error = format!("{:#}", isoforge_base::error::Failure::from(error));
            let expected = format!("{} is a named pipe, not a regular file", pipe.display());
            assert!(error.contains(&expected), "{error}");
        }
    }
}

#[test]
fn every_form_gives_the_same_roots_and_blobs() {
    let dir = tempfile::tempdir().unwrap();
    for path in forms(dir.path()) {
        let bundle = Bundle::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let names: Vec<&str> = bundle
            .roots()
            .iter()
            .map(|r| r.reference.as_str())
            .collect();
        assert_eq!(names, [CNI, NODE], "{}", path.display());
        assert_eq!(bundle.annotations(), &Annotations::default());
        for root in bundle.roots() {
            assert_eq!(root.kind, Kind::Image);
            let walked = bundle.walk(root).unwrap();
            assert_eq!(walked.last().unwrap().digest, root.descriptor.digest);
            let expected = if root.reference == NODE { 5 } else { 4 };
            assert_eq!(walked.len(), expected, "{}", path.display());
            for descriptor in walked {
                let (size, mut reader) = bundle.open_blob(&descriptor.digest).unwrap().unwrap();
                assert_eq!(size, descriptor.size);
                let mut bytes = Vec::new();
                reader.read_to_end(&mut bytes).unwrap();
                assert_eq!(Digest::of(&bytes), descriptor.digest);
            }
        }
        let shared = Digest::of(&noise(1, 3_000_000));
        let (size, mut rest) = bundle.open_blob_from(&shared, 2_999_990).unwrap().unwrap();
        let mut bytes = Vec::new();
        rest.read_to_end(&mut bytes).unwrap();
        assert_eq!((size, bytes.len()), (3_000_000, 10));
        assert_eq!(bytes, noise(1, 3_000_000)[2_999_990..]);
        let absent = Digest::of(b"absent");
        assert!(bundle.open_blob(&absent).unwrap().is_none());
        assert!(!bundle.has_blob(&absent).unwrap());
    }
}

#[test]
fn annotations_and_kinds_are_read() {
    let mut builder = sample_builder();
    for (key, value) in [(NAME, "content"), (VERSION, "1.2"), (SCHEMA, "1")] {
        builder.annotate(key, value);
    }
    let base = Digest::of(b"base");
    builder.annotate(BASE, &base.to_string());
    let mut pack = testing::image(&mut builder, "amd64", &[]);
    pack.annotations.insert(KIND.to_owned(), "pack".to_owned());
    list(&mut builder, "docker.io/x/pack:1", pack.clone());
    pack.annotations.insert(KIND.to_owned(), "later".to_owned());
    builder.reference("bare-tag", {
        pack.annotations.remove(IMAGE_NAME);
        pack
    });
    let dir = tempfile::tempdir().unwrap();
    write_folder(&builder.build(), dir.path());
    let bundle = Bundle::open(dir.path()).unwrap();
    assert_eq!(
        bundle.annotations(),
        &Annotations {
            name: Some("content".to_owned()),
            version: Some("1.2".to_owned()),
            schema: Some(1),
            base: Some(base),
        }
    );
    assert!(bundle.lacks_base());
    let kinds: Vec<_> = bundle
        .roots()
        .iter()
        .map(|root| (root.reference.as_str(), root.kind.to_string()))
        .collect();
    let expected = [
        ("bare-tag", "later"),
        (CNI, "image"),
        (NODE, "image"),
        ("docker.io/x/pack:1", "pack"),
    ];
    assert_eq!(kinds, expected.map(|(name, kind)| (name, kind.to_owned())));
    assert!(bundle.roots()[0].parsed().is_none());
    assert_eq!(bundle.roots()[1].parsed().unwrap().to_string(), CNI);
}

/// The class and text of what opening gives.
fn refused(path: &Path) -> (Class, String) {
    let error = Bundle::open(path).unwrap_err();
    let text = error
        .to_string()
        .replace(&path.parent().unwrap().display().to_string(), "DIR");
    (error.class(), text)
}

#[test]
fn what_is_no_bundle_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs_err::create_dir(at("empty")).unwrap();
    fs_err::write(at("text"), b"no archive").unwrap();
    let tar = tar_bytes(&sample());
    fs_err::write(at("stream.tar.zst"), zstd::bulk::compress(&tar, 1).unwrap()).unwrap();
    fs_err::write(at("half.tar"), &tar[..tar.len() / 2]).unwrap();
    let seekable = seekable_bytes(&sample(), 65_536);
    fs_err::write(at("half.tar.zst"), &seekable[..seekable.len() / 2]).unwrap();
    write_iso(&sample(), "elsewhere", &at("bare.iso"));
    let mut builder = sample_builder();
    builder.annotate(SCHEMA, "2");
    write_folder(&builder.build(), &at("later"));
    let names = [
        "none",
        "empty",
        "text",
        "stream.tar.zst",
        "half.tar",
        "half.tar.zst",
        "bare.iso",
        "later",
    ];
    let said: Vec<String> = names
        .into_iter()
        .map(|name| {
            let (class, text) = refused(&at(name));
            format!("{class:?}: {text}")
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    Profile: there is no DIR/none
    Verification: DIR/empty is no bundle: it has no oci-layout, no isoforge/content and no list of parts
    Verification: DIR/text is no bundle: it is no tar archive
    Profile: DIR/stream.tar.zst is compressed in one piece, so it can't be read in place
    Verification: DIR/half.tar is no bundle: it ends within the member at byte 4096
    Profile: DIR/half.tar.zst is compressed in one piece, so it can't be read in place
    Verification: DIR/bare.iso is no bundle: it is an ISO image without isoforge/content
    Verification: DIR/later has version 2 of the bundle format; this isoforge reads up to 1
    ");
}

#[test]
fn a_part_that_is_missing_cut_short_or_in_doubt_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let parts = dir.path().join("parts");
    fs_err::create_dir(&parts).unwrap();
    split(&tar_bytes(&sample()), &parts, "p.tar", 1_000_000);
    let second = parts.join("p.tar.002");
    let bytes = fs_err::read(&second).unwrap();
    fs_err::write(&second, &bytes[1..]).unwrap();
    let cut = refused(&parts);
    fs_err::remove_file(&second).unwrap();
    let missing = refused(&parts);
    fs_err::write(&second, bytes).unwrap();
    let list = parts.join("p.tar.parts.json");
    let text = fs_err::read_to_string(&list).unwrap();
    fs_err::write(&list, text.replace("p.tar.003", "../p.tar.003")).unwrap();
    let outside = refused(&parts);
    fs_err::write(&list, &text[..100]).unwrap();
    let malformed = refused(&parts);
    fs_err::write(&list, &text).unwrap();
    fs_err::write(parts.join("q.parts.json"), text).unwrap();
    let two = refused(&parts);
    let said =
        [cut, missing, outside, malformed, two].map(|(class, text)| format!("{class:?}: {text}"));
    insta::assert_snapshot!(said.join("\n"), @r"
    Verification: part 2 of 4 of a split bundle, DIR/parts/p.tar.002: it has 999999 bytes, not 1000000
    Verification: part 2 of 4 of a split bundle, DIR/parts/p.tar.002: it is missing
    Verification: DIR/parts/p.tar.parts.json is no bundle: '../p.tar.003' is no name of a part
    Verification: DIR/parts/p.tar.parts.json is no bundle: the list of its parts is malformed: EOF while parsing a string at line 1 column 100
    Verification: DIR/parts is no bundle: it has 2 lists of parts (*.parts.json): name one of them
    ");
}

#[test]
fn a_walk_finds_what_a_manifest_lacks_and_forgives_an_index() {
    let dir = tempfile::tempdir().unwrap();
    write_folder(&sample(), dir.path());
    let open = || Bundle::open(dir.path()).unwrap();
    let gone = dir
        .path()
        .join(isoforge_oci::layout::blob_path(&Digest::of(b"cni")));
    fs_err::remove_file(gone).unwrap();
    let bundle = open();
    assert!(bundle.walk(&bundle.roots()[1]).is_ok());
    let error = bundle.walk(&bundle.roots()[0]).unwrap_err();
    assert_eq!(error.class(), Class::Verification);
    let text = error.to_string();
    assert!(
        text.contains(&Digest::of(b"cni").hex()) && text.contains(CNI),
        "{text}"
    );
    let root = bundle.roots()[1].clone();
    let path = dir
        .path()
        .join(isoforge_oci::layout::blob_path(&root.descriptor.digest));
    fs_err::remove_file(path).unwrap();
    assert!(matches!(bundle.walk(&root), Err(Error::NoBlob { .. })));
    // What a delta lacks, its base has.
    let text = fs_err::read_to_string(dir.path().join(INDEX_FILE)).unwrap();
    let base = format!(
        r#""annotations":{{"{BASE}":"{}"}},"manifests""#,
        Digest::of(b"")
    );
    let text = text.replace(r#""manifests""#, &base);
    fs_err::write(dir.path().join(INDEX_FILE), text).unwrap();
    let bundle = open();
    assert_eq!(bundle.walk(&bundle.roots()[0]).unwrap().len(), 3);
    assert_eq!(bundle.walk(&bundle.roots()[1]).unwrap(), []);
}

#[test]
fn an_altered_manifest_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    write_folder(&sample(), dir.path());
    let bundle = Bundle::open(dir.path()).unwrap();
    let root = &bundle.roots()[1];
    let path = dir
        .path()
        .join(isoforge_oci::layout::blob_path(&root.descriptor.digest));
    let mut bytes = fs_err::read(&path).unwrap();
    bytes[10] ^= 1;
    fs_err::write(&path, bytes).unwrap();
    let error = bundle.walk(root).unwrap_err();
    assert_eq!(error.class(), Class::Verification);
    assert!(
        error
            .to_string()
            .contains(&root.descriptor.digest.to_string())
    );
}

#[test]
fn a_delta_is_read_through_its_base_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (base, delta, other) = (
        dir.path().join("base"),
        dir.path().join("delta"),
        dir.path().join("other"),
    );
    write_folder(&sample(), &base);
    write_folder(&Builder::new().build(), &other);
    // The delta has only what is new: an index over a manifest of the base.
    let old = Bundle::open(&base).unwrap();
    let old_manifest = old.roots()[0].descriptor.clone();
    let mut builder = Builder::new();
    builder.annotate(BASE, &old.digest().to_string());
    let entry = Descriptor::new(
        MediaType::Manifest(Family::Oci),
        old_manifest.digest,
        old_manifest.size,
    );
    let new = index(&mut builder, &[entry]);
    list(&mut builder, "docker.io/calico/new:1", new);
    write_folder(&builder.build(), &delta);

    let alone = Bundle::open(&delta).unwrap();
    assert_eq!(alone.walk(&alone.roots()[0]).unwrap().len(), 1);
    let both = Bundle::open_with_base(&delta, &base).unwrap();
    assert!(!both.lacks_base());
    assert_eq!(both.walk(&both.roots()[0]).unwrap().len(), 5);
    assert!(both.has_blob(&Digest::of(b"cni")).unwrap());

    let error = Bundle::open_with_base(&delta, &other).unwrap_err();
    assert_eq!(error.class(), Class::Verification);
    let found = Bundle::open(&other).unwrap().digest();
    let text = error.to_string();
    assert!(
        text.contains(&old.digest().to_string()) && text.contains(&found.to_string()),
        "{text}"
    );
    let error = Bundle::open_with_base(&base, &delta).unwrap_err();
    assert!(
        error.to_string().ends_with("is no delta: it needs no base"),
        "{error}"
    );
}
