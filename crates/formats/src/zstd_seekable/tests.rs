use std::io::{Read as _, Write as _};

use super::*;
use isoforge_base::read_at::{FileAt, Window};

fn source(bytes: &[u8]) -> Arc<dyn ReadAt> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Arc::new(FileAt::new(file).unwrap())
}

fn noise(n: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    std::iter::repeat_with(|| random.u8(..)).take(n).collect()
}

fn sample() -> (Vec<u8>, Vec<u8>) {
    let frames = [
        vec![b'a'; 70_000],
        noise(300_000),
        Vec::new(),
        b"end".to_vec(),
    ];
    let mut encoder = Encoder::new().unwrap();
    let mut file = Vec::new();
    for (frame, effort) in frames.iter().zip([
        Effort::Normal,
        Effort::Stored,
        Effort::Normal,
        Effort::Normal,
    ]) {
        encoder.frame(frame, effort, &mut file).unwrap();
    }
    file.extend(encoder.table().unwrap());
    (file, frames.concat())
}

#[test]
fn any_range_of_the_content_can_be_read() {
    let (file, content) = sample();
    let reader = Reader::open(source(&file)).unwrap().unwrap();
    assert_eq!(reader.size(), content.len() as u64);
    let reader: Arc<dyn ReadAt> = Arc::new(reader);
    for (start, size) in [(0, content.len()), (69_990, 20), (369_999, 4), (370_003, 0)] {
        let mut read = Vec::new();
        Window::new(Arc::clone(&reader), start as u64, size as u64)
            .read_to_end(&mut read)
            .unwrap();
        assert_eq!(read, content[start..start + size], "{start}+{size}");
    }
    assert_eq!(reader.read_at(&mut [0; 4], 370_003).unwrap(), 0);
}

#[test]
fn what_is_compressed_already_costs_next_to_nothing_and_the_rest_shrinks() {
    let (file, content) = sample();
    assert!(file.len() < content.len() - 69_000, "{}", file.len());
    let mut encoder = Encoder::new().unwrap();
    let mut file = Vec::new();
    encoder
        .frame(&noise(1 << 20), Effort::Stored, &mut file)
        .unwrap();
    assert!(file.len() < (1 << 20) + 50, "{}", file.len());
}

#[test]
fn other_decoders_read_it_as_one_file() {
    let (file, content) = sample();
    assert_eq!(zstd::stream::decode_all(file.as_slice()).unwrap(), content);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.zst");
    fs_err::write(&path, &file).unwrap();
    #[allow(clippy::disallowed_methods)]
    let out = std::process::Command::new("zstd")
        .args(["-d", "-c", "-q"])
        .arg(&path)
        .output()
        .expect("zstd of the Debian package zstd is needed");
    assert!(out.status.success(), "{out:?}");
    assert_eq!(out.stdout, content);
}

#[test]
fn files_without_a_table_are_told_from_damaged_ones() {
    let plain = zstd::bulk::compress(b"one", 3).unwrap();
    assert!(Reader::open(source(&plain)).unwrap().is_none());
    assert!(Reader::open(source(b"")).unwrap().is_none());
    let (file, content) = sample();
    // Cut in front, the frames no longer fill what is before the table.
    for cut in [1, 1000, file.len() - 20] {
        assert_damaged_table(&file[cut..]);
    }
    let mut later = file.clone();
    let at = later.len() - 5;
    later[at] = 4;
    assert_damaged_table(&later);
    // The table's checksums are skipped.
    let (table_at, count) = (file.len() - 9 - 3 * 8, 3_u32);
    let mut with = file[..table_at - 4].to_vec();
    with.extend((count * 12 + 9).to_le_bytes());
    for entry in file[table_at..file.len() - 9].chunks(8) {
        with.extend(entry);
        with.extend([0xff; 4]);
    }
    with.extend(count.to_le_bytes());
    with.push(0x80);
    with.extend(SEEKABLE_MAGIC.to_le_bytes());
    let reader = Reader::open(source(&with)).unwrap().unwrap();
    assert_eq!(reader.size(), content.len() as u64);
}

#[test]
fn damage_never_panics_and_never_gives_other_bytes() {
    let (file, content) = sample();
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..400 {
        let mut changed = file.clone();
        let near_end = random.bool();
        let at = if near_end {
            changed.len() - 1 - random.usize(..60)
        } else {
            random.usize(..changed.len())
        };
        changed[at] ^= 1 << random.u8(..8);
        if let Ok(Some(reader)) = Reader::open(source(&changed)) {
            let mut read = Vec::new();
            let whole = Window::whole(Arc::new(reader)).read_to_end(&mut read);
            assert!(whole.is_err() || read == content, "byte {at}");
        }
    }
}

fn assert_damaged_table(file: &[u8]) {
    let error = Reader::open(source(file)).unwrap_err().to_string();
    assert!(error.starts_with("has a damaged seek table"), "{error}");
}

#[test]
fn frames_that_say_more_than_zstandard_may_give_are_refused() {
    let entry = |compressed| [compressed, MAX_FRAME_BYTES];
    let entries = |compressed| [entry(compressed), entry(compressed)];
    let all = |compressed: u32| {
        let entries = entries(compressed);
        frames(
            entries.iter().map(<[u32; 2]>::as_slice),
            2 * u64::from(compressed),
        )
    };
    let enough = MAX_FRAME_BYTES / 10_000 + 1;
    assert!(all(enough).is_ok());
    let error = all(enough - 1).unwrap_err().to_string();
    assert_eq!(
        error,
        "has a damaged seek table: its frames have more than 10000 bytes for each compressed one"
    );
}
