//! Digests of the files of one file system, state after state: most files are as they
//! were, and hundreds of megabytes need not be hashed again.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::Result;

use super::check::overlap;
use crate::image::{Ext4, FilePlace};

/// Digests of files by name.
pub(super) type Files = BTreeMap<String, String>;

/// What was hashed, by path: where it lay, and its digest.
#[derive(Debug, Default)]
pub(super) struct Digests(BTreeMap<String, (FilePlace, String)>);

impl Digests {
    /// A file's digest; nothing where it is not there or can't be read whole.
    ///
    /// The same inode with the same blocks, none of which was written since, is the
    /// same file, by the journal too: ext4 has only metadata in it.
    pub(super) fn of(&mut self, fs: &Ext4, path: &str) -> Result<Option<String>> {
        let Some(place) = fs.place(path)? else {
            return Ok(None);
        };
        if let Some((known, digest)) = self.0.get(path)
            && *known == place
        {
            return Ok(Some(digest.clone()));
        }
        let digest = fs.digest(path)?;
        if let Some(digest) = &digest {
            let entry = (place, digest.clone());
            self.0.insert(path.to_owned(), entry);
        }
        Ok(digest)
    }

    /// Forgets the files of a partition that these changes of the disk touch.
    pub(super) fn forget(&mut self, changes: &[Range<u64>], part: &Range<u64>) {
        self.0.retain(|_, (place, _)| {
            !place.bytes.iter().any(|own| {
                let on_disk = part.start + own.start..part.start + own.end;
                changes.iter().any(|change| overlap(change, &on_disk))
            })
        });
    }
}
