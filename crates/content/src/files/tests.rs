use super::*;
use crate::testing::{packed, write};
use isoforge_base::error::{Class, Diagnose as _};

#[test]
fn a_folder_and_its_archive_have_the_same_files() {
    let dir = tempfile::tempdir().unwrap();
    let files = [
        ("pack.json", "{}"),
        ("charts/x/Chart.yaml", "name: x"),
        (".git/config", "no"),
        ("._pack.json", "no"),
    ];
    write(dir.path(), &files);
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
    let folder = Files::open(dir.path()).unwrap();
    let names: Vec<_> = folder.iter().map(|(path, _)| path).collect();
    assert_eq!(names, ["charts/x/Chart.yaml", "pack.json"]);
    assert_eq!(folder.skipped()[0].path, "link");
    assert_eq!(folder.packed(), None);

    let bytes = packed(&[("p/pack.json", "{}"), ("p/charts/x/Chart.yaml", "name: x")]);
    let archive = Files::archive("p.tgz", &bytes)
        .unwrap()
        .rooted_at("pack.json");
    let names: Vec<_> = archive.iter().map(|(path, _)| path).collect();
    assert_eq!(names, ["charts/x/Chart.yaml", "pack.json"]);
    assert_eq!(archive.packed().unwrap().0, Digest::of(&bytes));
    assert_eq!(folder.digest(), archive.digest());
    assert_ne!(folder.digest(), folder.below("charts").digest());
    let chart = archive.below("charts/x");
    assert_eq!(chart.text("Chart.yaml").unwrap(), Some("name: x"));
    assert_eq!(chart.name("Chart.yaml"), "p.tgz/charts/x/Chart.yaml");
    assert!(archive.has_folder("charts") && !archive.has_folder("chart"));
}

#[test]
fn damaged_archives_and_such_that_lead_out_are_refused() {
    let whole = packed(&[("p/pack.json", &"x".repeat(5000))]);
    for bytes in [
        &whole[..whole.len() / 2],
        b"no archive at all".as_slice(),
        b"",
    ] {
        let error = Files::archive("p.tgz", bytes).unwrap_err();
        assert_eq!(error.class(), Class::Verification, "{error}");
        assert!(error.to_string().contains("p.tgz"), "{error}");
    }
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(1);
    header.set_entry_type(tar::EntryType::Regular);
    header.as_mut_bytes()[..9].copy_from_slice(b"../../etc");
    header.set_cksum();
    builder.append(&header, b"x".as_slice()).unwrap();
    let error = Files::archive("p.tar", &builder.into_inner().unwrap()).unwrap_err();
    assert!(matches!(error, Error::Escapes { .. }), "{error}");
}

#[test]
fn a_bomb_is_refused() {
    let zeros = "\0".repeat(usize::try_from(RATIO_FLOOR_BYTES).unwrap() * 2);
    let error = Files::archive("bomb.tgz", &packed(&[("zeros", &zeros)])).unwrap_err();
    assert!(matches!(error, Error::Archive { .. }), "{error}");
}

#[test]
fn what_is_not_there_is_said() {
    let error = Files::open(Path::new("/nowhere/at/all")).unwrap_err();
    assert_eq!(error.to_string(), "'/nowhere/at/all' does not exist");
    let bytes = packed(&[("a", "x")]);
    let files = Files::archive("a.tgz", &bytes).unwrap();
    assert_eq!(files.text("b").unwrap(), None);
}
