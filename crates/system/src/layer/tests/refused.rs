//! Archives that are damaged, cut off, or read differently by different readers.

use super::*;

fn assert_refused(tar: &[u8], problem: &str) {
    let text = error(tar).to_string();
    assert!(text.contains(problem), "{text}");
}

#[test]
fn unsafe_paths_are_refused_by_name() {
    for archive in [
        Archive::default().file("../etc/passwd", "x"),
        Archive::default().file("a/../../b", "x"),
        Archive::default().dir(".."),
        Archive::default().hardlink("a", "../../etc/shadow"),
        Archive::default()
            .pax(&[("path", b"a/../b")])
            .file("ok", ""),
        Archive::default().pax(&[("path", b"a\0b")]).file("ok", ""),
        Archive::default()
            .pax(&[("linkpath", b"..")])
            .hardlink("ok", "ok"),
        Archive::default()
            .member(b'L', b"l", b"", b"../x\0")
            .file("ok", ""),
    ] {
        assert_refused(&archive.end(), "unsafe entry '");
    }
    let error = error(&Archive::default().file("../etc/passwd", "x").end()).in_layer("sha256:0123");
    assert_eq!(
        error.to_string(),
        "layer sha256:0123: unsafe entry '../etc/passwd': path '../etc/passwd' has a '..' component"
    );
    assert_eq!(error.class(), Class::Verification);
    assert!(error.hint().is_some());
}

#[test]
fn two_readings_of_one_archive_are_refused() {
    // The attack that such parsers fell for: the header says 0, the record
    // 1024, and an archive hides in the difference.
    let hidden = Archive::default().file("hidden", "").0;
    let differs = Archive::default()
        .pax(&[("size", b"512")])
        .header(plain(b'0', b"f", b"", 0), &hidden);
    assert_refused(
        &differs.end(),
        "has two sizes: 0 in its header, 512 in its extended header",
    );
    let link = Archive::default().member(b'1', b"l", b"f", b"data");
    assert_refused(&link.end(), "is a hard link and states 4 bytes of data");
    let mut lone = Archive::default().file("a", "").0;
    lone.extend_from_slice(&[0; 512]);
    let lone = Archive(lone).file("b", "").end();
    assert_refused(&lone, "goes on after a single zero block at byte 512");
    let global = Archive::default()
        .member(b'g', b"g", b"", &record(b"path", b"x"))
        .file("a", "");
    assert_refused(&global.end(), "the extended header at byte ");
    let names = Archive::default()
        .member(b'L', b"l", b"", b"one\0")
        .pax(&[("path", b"two")])
        .file("a", "");
    assert_refused(&names.end(), "the extended header at byte ");
    let twice = Archive::default()
        .pax(&[("uid", b"1")])
        .pax(&[("uid", b"2")])
        .file("a", "");
    assert_refused(&twice.end(), "the extended header at byte ");
}

#[test]
fn a_size_beyond_the_octal_field_comes_from_the_record() {
    for stated in [0, 0o777_7777_7777] {
        let tar = Archive::default()
            .pax(&[("size", b"8589934592")])
            .header(plain(b'0', b"f", b"", stated), b"")
            .0;
        assert!(matches!(error(&tar), Error::Format(Bad::Truncated { .. })));
    }
}

#[test]
fn truncation_is_found_wherever_it_is() {
    let tar = Archive::default()
        .pax(&[("path", b"some/long/name")])
        .file("f", &"data".repeat(300))
        .file("g", "x")
        .end();
    let whole = entries(&tar);
    let blocks_between = [0, 1024 + 512 + 1536, tar.len() - 1024, tar.len() - 512];
    // Between the data of a member and what fills its block.
    let without_padding = [1024 + 512 + 1200, 3072 + 512 + 1];
    for length in 0..tar.len() {
        match read(&tar[..length], &Limits::default()) {
            Ok((entries, _)) => {
                let all = [blocks_between.as_slice(), &without_padding].concat();
                assert!(all.contains(&length), "{length}");
                assert_eq!(entries, whole[..entries.len()]);
            }
            Err(Error::Format(Bad::Truncated { .. })) => {}
            Err(other) => panic!("{length}: {other}"),
        }
    }
}

#[test]
fn an_archive_may_end_with_the_last_byte_of_data() {
    let tar = Archive::default().file("f", "four").0;
    let entries = entries(&tar[..512 + 4]);
    assert_eq!(entries[0].path, b"f");
    let error = error(&tar[..512 + 3]);
    assert!(
        matches!(error, Error::Format(Bad::Truncated { .. })),
        "{error}"
    );
}

#[test]
fn what_follows_the_end_is_read_and_ignored() {
    let mut tar = Archive::default().file("a", "").end();
    tar.extend_from_slice(&Archive::default().file("b", "").0);
    tar.push(1);
    let mut rest = &tar[..];
    let entries = read_tar(&mut rest, &Limits::default(), &mut Kept::default()).unwrap();
    assert_eq!((entries.len(), rest.len()), (1, 0));
}

#[test]
fn malformed_headers_are_errors() {
    let root_file = Archive::default().file("./", "").0;
    assert_eq!(
        entries(&Archive(root_file).end())[0].kind,
        EntryKind::Directory
    );
    for (archive, message) in [
        (
            Archive::default().symlink("/", "x"),
            "makes the root something other than a directory",
        ),
        (Archive::default().symlink("s", ""), "link target is empty"),
        (Archive::default().hardlink("h", ""), "link target is empty"),
        (
            Archive::default().hardlink("h", "./"),
            "link target is empty",
        ),
        (
            Archive::default()
                .pax(&[("linkpath", b"a\0b")])
                .symlink("s", "x"),
            "NUL byte",
        ),
        (
            Archive::default().member(b'M', b"more", b"", b""),
            "type 'M'",
        ),
        (
            Archive::default().member(b'D', b"dump", b"", b""),
            "type 'D'",
        ),
        (
            Archive::default().member(0xff, b"x", b"", b""),
            r"type '\xff'",
        ),
        (
            Archive::default().file("dir/", "data"),
            "is a directory and states 4 bytes",
        ),
        (
            Archive::default()
                .pax(&[("path", &[b'n'; 256])])
                .file("x", ""),
            "longer than 255 bytes",
        ),
        (
            Archive::default()
                .pax(&[("uid", b"4294967296")])
                .file("x", ""),
            "'uid' is out of range",
        ),
        (
            Archive::default()
                .member(b'x', b"p", b"", b"zz")
                .file("x", ""),
            "a record has no length",
        ),
    ] {
        let text = error(&archive.end()).to_string();
        assert!(text.contains(message), "{text}");
    }
    let mut tar = Archive::default().file("a", "").end();
    tar[3] ^= 1;
    assert!(matches!(
        error(&tar),
        Error::Format(Bad::Checksum { offset: 0 })
    ));
    let mut bad_mode = plain(b'0', b"f", b"", 0);
    bad_mode.as_old_mut().mode = *b"worldrw\0";
    let text = error(&Archive::default().header(bad_mode, b"").end()).to_string();
    assert_eq!(text, "entry 'f' at byte 0: mode is not an octal number");
}
