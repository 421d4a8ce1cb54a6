//! Damaged archives: any outcome is fine but a panic, or more output than the
//! limits allow.

use super::*;

fn seed_archive() -> Vec<u8> {
    let mut map = b"1\n2\n3\n".to_vec();
    map.resize(512, 0);
    let mut sparse = tar::Header::new_gnu();
    sparse.set_entry_type(tar::EntryType::GNUSparse);
    sparse.as_old_mut().name[..1].copy_from_slice(b"f");
    sparse.set_size(3);
    sparse.as_gnu_mut().unwrap().set_real_size(11);
    sparse.as_gnu_mut().unwrap().sparse[0].set_offset(3);
    sparse.as_gnu_mut().unwrap().sparse[0].set_length(3);
    Archive::default()
        .dir("d")
        .file("d/f", "some data")
        .header(sparse, b"abc")
        .pax(&[
            ("path", b"d/g"),
            ("mtime", b"1.5"),
            ("SCHILY.xattr.user.x", b"v\n"),
        ])
        .file("g", "more")
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"sparse"),
            ("GNU.sparse.realsize", b"9"),
        ])
        .member(b'0', b"x", b"", &[&map[..], b"abc"].concat())
        .member(b'L', b"l", b"", b"d/long\0")
        .symlink("s", "d")
        .hardlink("s/h", "d/f")
        .file("d/.wh.f", "")
        .file("d/.wh..wh..opq", "")
        .end()
}

/// Sets the checksum of every block that could be a header, so that damage
/// reaches the code behind that check.
fn mend_checksums(tar: &mut [u8]) {
    for block in tar.chunks_exact_mut(512) {
        if block[257..262] != *b"ustar" {
            continue;
        }
        block[148..156].copy_from_slice(b"        ");
        let sum: u32 = block.iter().map(|&b| u32::from(b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

#[test]
fn damaged_archives_give_errors_and_nothing_worse() {
    struct Counting(u64);
    impl FileSink for Counting {
        fn file(&mut self, _: u64, data: &mut dyn Read) -> io::Result<()> {
            self.0 += io::copy(data, &mut io::sink())?;
            Ok(())
        }
    }
    let limits = Limits {
        layer_bytes: 1 << 20,
        ..Limits::default()
    };
    let seed = seed_archive();
    assert!(merged(std::slice::from_ref(&seed)).is_ok());
    let mut random = fastrand::Rng::with_seed(0xbad_5eed);
    let (mut fine, mut broken) = (0, 0);
    for _ in 0..20_000 {
        let mut tar = seed.clone();
        for _ in 0..=random.u64(..4) {
            let at = random.usize(..tar.len());
            match random.u64(..12) {
                0..4 => tar[at] = random.u8(..),
                4..7 => tar[at] ^= 1 << random.u64(..8),
                7..10 => tar[at] = b"0179\n =./\0\xff\x80"[random.usize(..12)],
                10 => tar.truncate(at.max(1)),
                _ => {
                    let from = random.usize(..tar.len()) & !511;
                    let block = tar[from..(from + 512).min(tar.len())].to_vec();
                    let to = at & !511;
                    tar.splice(to..to, block);
                }
            }
        }
        if random.u64(..4) > 0 {
            mend_checksums(&mut tar);
        }
        let mut sink = Counting(0);
        let mut tree = Tree::new();
        let result = read_tar(&tar[..], &limits, &mut sink)
            .and_then(|entries| apply(&mut tree, LayerId(0), &entries));
        assert!(sink.0 <= limits.layer_bytes);
        match result {
            Ok(()) => fine += 1,
            Err(error) => {
                assert_eq!(error.class(), Class::Verification, "{error}");
                broken += 1;
            }
        }
    }
    assert!(fine > 1000 && broken > 1000, "{fine} fine, {broken} broken");
}
