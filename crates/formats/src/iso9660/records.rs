//! Directories and path tables as bytes (ECMA-119 9), for a [`Plan`](super::plan::Plan).

mod directory;
mod fields;
mod susp;

pub(super) use directory::{encode, fill_block, path_table, root_record};
pub(super) use fields::{NO_DATE, both_u16, both_u32, long_date, padded};
