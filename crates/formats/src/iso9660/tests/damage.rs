//! The reader against images that are not what they should be.

use super::*;

#[test]
fn damage_never_panics_the_reader() {
    let mut sample = Sample::new();
    for n in 0..30 {
        sample.file(
            &format!("dir{}/{}", n % 3, "x".repeat(n * 8 + 1)),
            &[n as u8; 100],
        );
    }
    sample.tree.symlink(b"dir1/link", &[b'y'; 600]).unwrap();
    let core = sample.file("core", &[0; 3000]);
    let dir = scratch();
    let (path, _) = image_path(&dir);
    let layout = sample.write(
        &path,
        Boot {
            bios: Some(core),
            uefi: None,
        },
    );
    let good = fs_err::read(&path).unwrap();
    let metadata = HEAD_OFFSET as usize..layout.data_block().offset() as usize;
    let mut random = fastrand::Rng::with_seed(0x1234_5678_9ABC_DEF1);
    let limits = Limits {
        entries: 10_000,
        ..Limits::default()
    };
    let mut failures = 0;
    for _ in 0..4000 {
        let mut bad = good.clone();
        for _ in 0..=random.usize(..6) {
            let at = metadata.start + random.usize(..metadata.len());
            bad[at] = match random.usize(..4) {
                0 => 0,
                1 => 0xFF,
                2 => bad[at] ^ (1 << random.usize(..8)),
                _ => random.u8(..),
            };
        }
        if random.usize(..10) == 0 {
            bad.truncate(random.usize(..bad.len()));
        }
        failures += usize::from(walk(bad, limits).is_err());
    }
    assert!(walk(good, limits).is_ok());
    assert!(
        failures > 100,
        "only {failures} of the damaged images were refused"
    );
}

fn walk(bytes: Vec<u8>, limits: Limits) -> Result<(), Error> {
    let mut image = Image::open(std::io::Cursor::new(bytes), limits)?;
    image.boot_entries()?;
    for namespace in [Namespace::Primary, Namespace::Joliet] {
        for entry in image.entries(namespace)? {
            image.read_file(&entry, 1 << 20)?;
        }
    }
    Ok(())
}

#[test]
fn a_directory_within_itself_is_refused() {
    let mut sample = Sample::new();
    sample.file("a/b", b"x");
    let dir = scratch();
    let (path, _) = image_path(&dir);
    sample.write(&path, Boot::default());
    let mut image = open(&path);
    let entry = image.find(b"a").unwrap().unwrap();
    let mut bytes = fs_err::read(&path).unwrap();
    // Points /a at the root directory.
    let root = u32::from_le_bytes(bytes[0x8000 + 158..][..4].try_into().unwrap());
    let record = entry.records[0] as usize;
    bytes[record + 2..record + 6].copy_from_slice(&root.to_le_bytes());
    let error = walk(bytes, Limits::default()).unwrap_err().to_string();
    assert!(
        error.contains("a directory is in the tree twice"),
        "{error}"
    );
}

#[test]
fn names_and_directories_of_a_tree_have_a_limit_together() {
    let mut sample = Sample::new();
    for n in 0..20 {
        sample.file(&format!("{}/{n}", ["d"; 20].join("/")), b"x");
    }
    sample.tree.symlink(b"link", &[b'y'; 600]).unwrap();
    let dir = scratch();
    let (path, _) = image_path(&dir);
    sample.write(&path, Boot::default());
    let bytes = fs_err::read(&path).unwrap();
    let said = |limits| walk(bytes.clone(), limits).unwrap_err().to_string();
    assert!(walk(bytes.clone(), Limits::default()).is_ok());
    // Each path has those of all directories above it, and a link its target.
    assert_eq!(
        said(Limits {
            name_bytes: 1800,
            ..Limits::default()
        }),
        "the ISO image has more than 1800 bytes of names"
    );
    // Twenty directories of a block each.
    assert_eq!(
        said(Limits {
            directory_bytes: 16 * 2048,
            ..Limits::default()
        }),
        "the ISO image has more than 32768 bytes in its directories"
    );
}
