//! Every spelling of names, every type of member.

use super::*;

#[test]
fn names_in_every_spelling() {
    let long = [b"d/".as_slice(), &[b'n'; 250]].concat();
    let mut prefixed = plain(b'0', b"name", b"", 0);
    prefixed.as_ustar_mut().unwrap().prefix[..3].copy_from_slice(b"a/b");
    let mut gnu = tar::Header::new_gnu();
    gnu.as_old_mut().name[..4].copy_from_slice(b"name");
    // What a prefix would be, GNU's format uses for times.
    gnu.as_gnu_mut().unwrap().set_atime(7);
    gnu.set_size(0);
    for (archive, path) in [
        (Archive::default().file("./a//b/", ""), &b"a/b"[..]),
        (Archive::default().file("/abs", ""), b"abs"),
        (
            Archive::default().member(b'0', b"\xff\xfe", b"", b""),
            b"\xff\xfe",
        ),
        (
            Archive::default().member(b'0', &[b'x'; 100], b"", b""),
            &[b'x'; 100],
        ),
        (Archive::default().header(prefixed, b""), b"a/b/name"),
        (Archive::default().header(gnu, b""), b"name"),
        (
            Archive::default().pax(&[("path", &long)]).file("cut", ""),
            &long,
        ),
        (
            Archive::default()
                .member(b'L', b"././@LongLink", b"", &[&long[..], b"\0"].concat())
                .file("cut", ""),
            &long,
        ),
    ] {
        assert_eq!(display(&one(archive).path), display(path));
    }
}

#[test]
fn types_and_numbers() {
    let mut device = plain(b'3', b"null", b"", 0);
    device.set_device_major(1).unwrap();
    device.set_device_minor(3).unwrap();
    device.as_old_mut().mode = *b"0020666\0";
    let mut large = plain(b'0', b"large", b"", 0);
    large.set_uid(3_000_000_000);
    large.as_old_mut().mtime = [0xff; 12];
    let tar = Archive::default()
        .dir("./")
        .file("v7dir/", "")
        .member(b'\0', b"old", b"", b"x")
        .member(b'7', b"contiguous", b"", b"yz")
        .member(b'6', b"fifo", b"", b"")
        .header(device, b"")
        .header(large, b"")
        .symlink("s", "/../target")
        .hardlink("h", "./old")
        .member(b'V', b"label", b"", b"")
        .member(b'g', b"g", b"", &record(b"comment", b"0123"))
        .pax(&[
            ("uid", b"5"),
            ("gid", b"6"),
            ("mtime", b"7.9"),
            ("atime", b"1"),
        ])
        .file("pax", "")
        .end();
    let (entries, files) = read(&tar, &Limits::default()).unwrap();
    assert_eq!(files, [&b"x"[..], b"yz", b"", b""]);
    let shown: Vec<String> = entries
        .iter()
        .map(|e| {
            let m = &e.meta;
            format!(
                "/{} {:o} {}:{} {} {:?}",
                display(&e.path),
                m.mode,
                m.uid,
                m.gid,
                m.mtime,
                e.kind
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    / 755 0:0 1 Directory
    /v7dir 644 0:0 1 Directory
    /old 644 0:0 1 File { file: 0, size: 1 }
    /contiguous 644 0:0 1 File { file: 1, size: 2 }
    /fifo 644 0:0 1 Fifo
    /null 666 0:0 1 CharDevice(Device { major: 1, minor: 3 })
    /large 644 3000000000:0 -1 File { file: 2, size: 0 }
    /s 644 0:0 1 Symlink([47, 46, 46, 47, 116, 97, 114, 103, 101, 116])
    /h 644 0:0 1 Hardlink([111, 108, 100])
    /pax 644 5:6 7 File { file: 3, size: 0 }
    ");
}
