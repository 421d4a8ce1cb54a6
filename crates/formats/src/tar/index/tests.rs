use std::io::Write;

use super::*;

fn scanned(bytes: &[u8]) -> Result<BTreeMap<String, Found>, Error> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    index(&isoforge_base::read_at::FileAt::new(file).unwrap())
}

/// An archive with plain and long names and a link.
fn archive() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let long = format!("{}/layer.tar", "d".repeat(150));
    for (name, content) in [("./a", "one"), (&long, "two")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        archive
            .append_data(&mut header, name, content.as_bytes())
            .unwrap();
    }
    let records = [("path", b"p/c".as_slice()), ("comment", b"x")];
    archive.append_pax_extensions(records).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    archive.append_link(&mut header, "b/c", "../a").unwrap();
    archive.into_inner().unwrap()
}

#[test]
fn members_are_found_where_they_are() {
    let bytes = archive();
    let members = scanned(&bytes).unwrap();
    let read = |name: &str| match members.get(name) {
        Some(&Found::File { start, size }) => {
            let (start, size) = (start as usize, size as usize);
            String::from_utf8(bytes[start..start + size].to_vec()).unwrap()
        }
        other => format!("{other:?}"),
    };
    assert_eq!(read("a"), "one");
    assert_eq!(read(&format!("{}/layer.tar", "d".repeat(150))), "two");
    assert_eq!(members.get("p/c"), Some(&Found::Link("a".to_owned())));
    assert_eq!(members.len(), 3);
}

#[test]
fn cut_off_and_changed_archives_are_errors_or_shorter_but_never_panic() {
    let whole = archive();
    for length in 0..whole.len() {
        if let Ok(members) = scanned(&whole[..length]) {
            assert!(members.len() <= 3, "{length}");
        }
    }
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0xff;
        let _ = scanned(&changed);
    }
    for other in [&b""[..], &[0; 4096], &[b'x'; 4096]] {
        assert_eq!(scanned(other).unwrap_err().to_string(), NO_TAR);
    }
    let error = scanned(&whole[..514]).unwrap_err().to_string();
    assert!(error.starts_with("ends within the member"), "{error}");
}

#[test]
fn stated_sizes_are_not_believed() {
    let mut header = tar::Header::new_gnu();
    header.set_path("name").unwrap();
    for (kind, size) in [
        (
            tar::EntryType::GNULongName,
            Limits::DEFAULT.extended_header_bytes + 1,
        ),
        (tar::EntryType::Regular, u64::MAX),
        (tar::EntryType::XHeader, 1 << 40),
    ] {
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        assert!(scanned(&bytes).is_err(), "{kind:?}");
        bytes.resize(2 << 20, 0);
        assert!(scanned(&bytes).is_err(), "{kind:?}");
    }
}

#[test]
fn links_stay_inside_the_archive() {
    let target = |name: &str, target: &str| link_target(name.as_bytes(), target.as_bytes(), true);
    assert_eq!(
        target("b/layer.tar", "../a/layer.tar").unwrap(),
        "a/layer.tar"
    );
    assert_eq!(target("b/c", "/a").unwrap(), "a");
    assert_eq!(target("b", "../a"), None);
    assert_eq!(link_target(b"b/c", b"a/d", false).unwrap(), "a/d");
}

/// A value may hold what looks like the end of its record and another one.
#[test]
fn a_pax_value_with_a_newline_is_one_value() {
    let mut archive = tar::Builder::new(Vec::new());
    let sly = b"caps\n11 path=no\n".as_slice();
    let records = [("SCHILY.xattr.security.capability", sly), ("path", b"yes")];
    archive.append_pax_extensions(records).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_size(3);
    archive
        .append_data(&mut header, "short", &b"one"[..])
        .unwrap();
    let members = scanned(&archive.into_inner().unwrap()).unwrap();
    let names: Vec<_> = members.keys().map(String::as_str).collect();
    assert_eq!(names, ["yes"]);
}

#[test]
fn names_and_headers_of_all_members_have_a_limit_together() {
    let bytes = archive();
    let within = |names, headers| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let file = isoforge_base::read_at::FileAt::new(file).unwrap();
        index_within(&file, Budget::new(names), Budget::new(headers))
    };
    // "a", the long name, "p/c" and its target.
    let names = 1 + 160 + 3 + 1;
    assert_eq!(within(names, u64::MAX).unwrap().len(), 3);
    assert_eq!(
        within(names - 1, u64::MAX).unwrap_err().to_string(),
        "has more than 164 bytes of names"
    );
    // Extended headers are some, wherever their names are.
    assert_eq!(
        within(u64::MAX, 7 * 512 - 1).unwrap_err().to_string(),
        "has more than 3583 bytes of headers"
    );
}
