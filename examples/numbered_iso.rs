//! Writes an ISO with one large file, `/numbered.bin`, each 2,048-byte block of
//! which begins with its number (64 bits, big-endian). An ISO 9660 implementation
//! that mixes up the extents of files over 4 GiB gives the wrong number at the
//! place where it went wrong.
//!
//! ```text
//! cargo run --example numbered_iso -- numbered.iso 5368709120
//! ```

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;

use isoforge_base::error::{Context as _, Result};
use isoforge_formats::iso9660::BLOCK_BYTES;
use isoforge_formats::iso9660::layout::{Boot, Layout, Options};
use isoforge_formats::iso9660::tree::IsoTree;
use isoforge_formats::iso9660::write::{DataWriter, HEAD_OFFSET, head};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let usage = "usage: numbered_iso FILE BYTES";
    let path = args.next().context(usage)?;
    let bytes: u64 = args
        .next()
        .and_then(|bytes| bytes.parse().ok())
        .context(usage)?;

    let mut tree = IsoTree::new();
    let file = tree.file(b"numbered.bin", 0o444, bytes)?;
    let options = Options {
        volume_id: "NUMBERED",
        epoch: 0,
        boot: Boot::default(),
        tail_blocks: 0,
    };
    let layout = Layout::new(&tree, &options)?;
    let out = File::create(&path).with_context(|| format!("creating {path}"))?;
    out.set_len(layout.bytes())?;
    out.write_all_at(&head(&tree, &layout)?, HEAD_OFFSET)?;

    let writer = DataWriter::new(&out, &tree, &layout, file)?;
    let mut writer = BufWriter::with_capacity(1 << 20, writer);
    let mut left = bytes;
    for number in 0..bytes.div_ceil(BLOCK_BYTES) {
        let mut block = [0_u8; BLOCK_BYTES as usize];
        block[..8].copy_from_slice(&number.to_be_bytes());
        let part = &block[..left.min(BLOCK_BYTES) as usize];
        writer.write_all(part)?;
        left -= part.len() as u64;
    }
    let writer = writer
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)?;
    writer.finish()?;
    Ok(())
}
