//! What removes something from the layers below.

use super::*;

#[test]
fn whiteouts_opaque_marks_and_aufs_files() {
    let tar = Archive::default()
        .file("a/.wh.b", "")
        .file("a/.wh..wh..opq", "")
        .file(".wh..wh..opq", "")
        .file(".wh..wh.plnk/1.2", "")
        .file(".wh..wh.aufs", "data of a whiteout is skipped")
        .file("f", "x")
        .end();
    let (entries, files) = read(&tar, &Limits::default()).unwrap();
    assert_eq!(files, [b"x"]);
    let shown: Vec<_> = entries
        .iter()
        .map(|e| (display(&e.path), &e.kind))
        .collect();
    assert_eq!(shown[0], ("a/b".to_owned(), &EntryKind::Whiteout));
    assert_eq!(shown[1], ("a".to_owned(), &EntryKind::Opaque));
    assert_eq!(shown[2], (String::new(), &EntryKind::Opaque));
    assert_eq!(shown[3].0, "f");
    for path in ["a/.wh.", "a/.wh..", "a/.wh...", ".wh..."] {
        error(&Archive::default().file(path, "").end());
    }
}
