//! Volume descriptors (ECMA-119 8, Joliet, El Torito).

use super::super::layout::Layout;
use super::super::plan::Plan;
use super::super::records::{
    NO_DATE, both_u16, both_u32, fill_block, long_date, padded, root_record,
};
use super::super::{BLOCK_BYTES, Block, Error};

const TYPE_BOOT: u8 = 0;
const TYPE_PRIMARY: u8 = 1;
const TYPE_SUPPLEMENTARY: u8 = 2;
const TYPE_TERMINATOR: u8 = 255;

/// Who made the volume, in a-characters (ECMA-119 8.4.20).
const APPLICATION: &str = "ISOFORGE";

/// Escape sequence of UCS-2 level 3 (Joliet, "Escape Sequences").
const UCS2_LEVEL_3: &[u8] = b"%/E";

/// The descriptor set, in order.
pub(super) fn descriptors(layout: &Layout) -> Result<Vec<u8>, Error> {
    let mut out = volume(layout, &layout.primary, TYPE_PRIMARY)?;
    if let Some(block) = layout.catalog_block {
        out.extend(boot_record(block));
    }
    out.extend(volume(layout, &layout.joliet, TYPE_SUPPLEMENTARY)?);
    let mut end = start(TYPE_TERMINATOR);
    fill_block(&mut end);
    out.extend(end);
    Ok(out)
}

fn start(kind: u8) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend_from_slice(b"CD001\x01");
    out
}

/// El Torito figure 7.
fn boot_record(catalog: Block) -> Vec<u8> {
    let mut out = start(TYPE_BOOT);
    out.extend_from_slice(b"EL TORITO SPECIFICATION");
    out.resize(71, 0);
    out.extend(catalog.0.to_le_bytes());
    fill_block(&mut out);
    out
}

/// ECMA-119 8.4 and 8.5: a primary or a supplementary volume descriptor.
fn volume(layout: &Layout, plan: &Plan, kind: u8) -> Result<Vec<u8>, Error> {
    let wide = kind == TYPE_SUPPLEMENTARY;
    let mut out = start(kind);
    out.push(0);
    text(&mut out, "", 32, wide);
    text(&mut out, &layout.volume_id, 32, wide);
    out.extend([0; 8]);
    both_u32(&mut out, layout.blocks());
    let escapes = if wide { UCS2_LEVEL_3 } else { &[] };
    out.extend_from_slice(escapes);
    out.resize(out.len() + 32 - escapes.len(), 0);
    both_u16(&mut out, 1);
    both_u16(&mut out, 1);
    both_u16(&mut out, BLOCK_BYTES as u16);
    both_u32(&mut out, plan.path_table_bytes);
    let [little, big] = plan.path_table_blocks;
    out.extend(little.0.to_le_bytes());
    out.extend([0; 4]);
    out.extend(big.0.to_be_bytes());
    out.extend([0; 4]);
    out.extend(root_record(plan, layout.epoch));
    // Volume set, publisher, data preparer, application.
    for value in ["", "", "", APPLICATION] {
        text(&mut out, value, 128, wide);
    }
    // Copyright, abstract and bibliographic file.
    for _ in 0..3 {
        text(&mut out, "", 37, wide);
    }
    let time = long_date(layout.epoch)?;
    for date in [time, time, NO_DATE, NO_DATE] {
        out.extend(date);
    }
    const FILE_STRUCTURE_VERSION: u8 = 1;
    out.push(FILE_STRUCTURE_VERSION);
    fill_block(&mut out);
    Ok(out)
}

/// A text field: spaces behind it, and big-endian UCS-2 in the Joliet
/// descriptor, where a field of odd width ends in a zero.
fn text(out: &mut Vec<u8>, value: &str, width: usize, wide: bool) {
    if !wide {
        padded(out, value.as_bytes(), width);
        return;
    }
    let units = value
        .encode_utf16()
        .chain(std::iter::repeat(u16::from(b' ')));
    let end = out.len() + width;
    out.extend(units.take(width / 2).flat_map(u16::to_be_bytes));
    out.resize(end, 0);
}
