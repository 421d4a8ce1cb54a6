//! Sparse files, and limits.

use super::*;

#[test]
fn sparse_files_of_every_version() {
    let expected = b"\0\0\0abc\0\0de\0";
    let mut old = tar::Header::new_gnu();
    old.set_entry_type(tar::EntryType::GNUSparse);
    old.as_old_mut().name[..1].copy_from_slice(b"f");
    old.set_size(5);
    let gnu = old.as_gnu_mut().unwrap();
    gnu.set_real_size(11);
    gnu.sparse[0].set_offset(3);
    gnu.sparse[0].set_length(3);
    let mut extended = old.clone();
    extended.as_gnu_mut().unwrap().set_is_extended(true);
    let mut extension = tar::GnuExtSparseHeader::new();
    extension.sparse[0].set_offset(8);
    extension.sparse[0].set_length(2);
    let mut raw = Archive::default().header(extended, b"").0;
    raw.extend_from_slice(extension.as_bytes());
    raw.extend_from_slice(b"abcde");
    raw.resize(raw.len().next_multiple_of(512), 0);
    old.as_gnu_mut().unwrap().sparse[1].set_offset(8);
    old.as_gnu_mut().unwrap().sparse[1].set_length(2);
    let mut map = b"2\n3\n3\n8\n2\n".to_vec();
    map.resize(512, 0);
    for archive in [
        Archive::default().header(old, b"abcde"),
        Archive(raw),
        Archive::default()
            .pax(&[
                ("GNU.sparse.size", b"11"),
                ("GNU.sparse.numblocks", b"2"),
                ("GNU.sparse.offset", b"3"),
                ("GNU.sparse.numbytes", b"3"),
                ("GNU.sparse.offset", b"8"),
                ("GNU.sparse.numbytes", b"2"),
            ])
            .file("f", "abcde"),
        Archive::default()
            .pax(&[
                ("GNU.sparse.size", b"11"),
                ("GNU.sparse.numblocks", b"2"),
                ("GNU.sparse.name", b"f"),
                ("GNU.sparse.map", b"3,3,8,2"),
            ])
            .file("GNUSparseFile.0/f", "abcde"),
        Archive::default()
            .pax(&[
                ("GNU.sparse.major", b"1"),
                ("GNU.sparse.minor", b"0"),
                ("GNU.sparse.name", b"f"),
                ("GNU.sparse.realsize", b"11"),
            ])
            .member(
                b'0',
                b"GNUSparseFile.0/f",
                b"",
                &[&map[..], b"abcde"].concat(),
            ),
    ] {
        let (entries, files) = read(&archive.file("next", "n").end(), &Limits::default()).unwrap();
        assert_eq!(entries[0].path, b"f");
        assert_eq!(entries[0].kind, EntryKind::File { file: 0, size: 11 });
        assert_eq!(files, [&expected[..], b"n"]);
    }
}

#[test]
fn sparse_maps_are_bounded_and_checked() {
    let with = |records: &[(&str, &[u8])], data: &str| {
        error(&Archive::default().pax(records).file("f", data).end()).to_string()
    };
    assert!(with(&[("GNU.sparse.map", b"0,1")], "a").contains("size is missing"));
    assert!(
        with(
            &[("GNU.sparse.size", b"9"), ("GNU.sparse.map", b"0,1,2")],
            "a"
        )
        .contains("another length")
    );
    assert!(
        with(
            &[("GNU.sparse.size", b"9"), ("GNU.sparse.map", b"8,2")],
            "ab"
        )
        .contains("beyond its size")
    );
    let v1: [(&str, &[u8]); 3] = [
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.realsize", b"9"),
    ];
    assert!(with(&v1, "").contains("longer than its data"));
    assert!(
        with(&v1, &format!("999999999999\n{}", "\0".repeat(499)))
            .contains("segments in a sparse file")
    );
    assert!(with(&v1, &"x".repeat(2048)).contains("other than numbers"));
    // An archive of two blocks must not make an exabyte.
    let huge = with(
        &[
            ("GNU.sparse.size", b"1152921504606846976"),
            ("GNU.sparse.map", b""),
        ],
        "",
    );
    assert!(huge.contains("uncompressed bytes"), "{huge}");
}

#[test]
fn limits_hold_and_say_their_name() {
    let tar = Archive::default()
        .pax(&[("SCHILY.xattr.user.x", &[7; 100])])
        .file("some/path", "data")
        .file("b", "")
        .end();
    let base = Limits::default();
    for (limits, limit) in [
        (Limits { entries: 1, ..base }, Limit::Entries),
        (
            Limits {
                path_length: 8,
                ..base
            },
            Limit::PathLength,
        ),
        (
            Limits {
                layer_bytes: 1024,
                ..base
            },
            Limit::LayerBytes,
        ),
        (
            Limits {
                xattr_bytes: 100,
                ..base
            },
            Limit::XattrBytes,
        ),
        (
            Limits {
                extended_header_bytes: 100,
                ..base
            },
            Limit::ExtendedHeaderBytes,
        ),
        (
            Limits {
                metadata_bytes: 100,
                ..base
            },
            Limit::MetadataBytes,
        ),
    ] {
        match read(&tar, &limits).unwrap_err() {
            Error::Format(Bad::Limit { limit: found, .. }) => assert_eq!(found, limit),
            other => panic!("{limit:?}: {other}"),
        }
    }
    let at_the_limit = Limits {
        entries: 2,
        path_length: 9,
        xattr_bytes: 106,
        ..base
    };
    assert!(read(&tar, &at_the_limit).is_ok());
}

#[test]
fn a_bomb_in_an_archive_is_stopped_with_its_entry() {
    use std::io::Write as _;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let file = plain(b'0', b"zeros", b"", 1 << 30);
    gzip.write_all(&Archive::default().header(file, b"").0)
        .unwrap();
    for _ in 0..64 {
        gzip.write_all(&[0; 1 << 16]).unwrap();
    }
    let bomb = gzip.finish().unwrap();
    let limits = Limits {
        inflation_floor_bytes: 1 << 20,
        ..Limits::default()
    };
    let compression = isoforge_oci::layer::LayerCompression::Gzip;
    let tar = decompress(&bomb[..], compression, &limits).unwrap();
    let error = read_tar(tar, &limits, &mut Kept::default()).unwrap_err();
    assert!(matches!(
        error,
        Error::Format(Bad::Limit {
            limit: Limit::InflationRatio,
            ..
        })
    ));
    assert_eq!(error.class(), Class::Verification);
}
