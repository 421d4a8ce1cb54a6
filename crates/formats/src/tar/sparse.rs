//! Sparse files of GNU tar: the map of what is stored, and a reader that puts
//! the holes back (GNU tar manual, "Storing Sparse Files").

use std::io::{self, Read};

/// What is stored of a sparse file: pairs of offset and length, in order,
/// without overlap, within the real size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SparseMap {
    segments: Vec<(u64, u64)>,
    pub(super) real_size: u64,
}

impl SparseMap {
    /// Checks the map; `stored` is the number of bytes that the archive holds.
    pub(super) fn new(
        segments: Vec<(u64, u64)>,
        real_size: u64,
        stored: u64,
    ) -> Result<Self, &'static str> {
        let mut end = 0;
        let mut total: u64 = 0;
        for &(offset, length) in &segments {
            if offset < end {
                return Err("its segments overlap or are out of order");
            }
            end = offset
                .checked_add(length)
                .filter(|&end| end <= real_size)
                .ok_or("a segment reaches beyond its size")?;
            total += length;
        }
        if total != stored {
            return Err("its segments are not as long as its data");
        }
        Ok(Self {
            segments,
            real_size,
        })
    }
}

/// Gives the file's bytes, holes as zeros, from a reader over what is stored;
/// without a map as they are stored.
#[derive(Debug)]
pub(super) struct SparseReader<'a, R> {
    stored: R,
    map: Option<&'a SparseMap>,
    segment: usize,
    position: u64,
}

impl<'a, R: Read> SparseReader<'a, R> {
    pub(super) fn new(stored: R, map: Option<&'a SparseMap>) -> Self {
        Self {
            stored,
            map,
            segment: 0,
            position: 0,
        }
    }

    /// Up to where the next bytes are of one kind, and whether they are stored.
    fn stretch(&mut self, map: &SparseMap) -> (u64, bool) {
        while let Some(&(offset, length)) = map.segments.get(self.segment) {
            if self.position < offset {
                return (offset, false);
            }
            // `SparseMap::new` checked that this does not overflow.
            if self.position < offset + length {
                return (offset + length, true);
            }
            self.segment += 1;
        }
        (map.real_size, false)
    }
}

impl<R: Read> Read for SparseReader<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(map) = self.map else {
            return self.stored.read(buf);
        };
        let (end, is_stored) = self.stretch(map);
        let length = usize::try_from(end - self.position)
            .unwrap_or(usize::MAX)
            .min(buf.len());
        let Some(buf) = buf.get_mut(..length).filter(|buf| !buf.is_empty()) else {
            return Ok(0);
        };
        let n = if is_stored {
            self.stored.read(buf)?
        } else {
            buf.fill(0);
            length
        };
        self.position += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_come_back_as_zeros() {
        let map = SparseMap::new(vec![(2, 3), (5, 0), (8, 1), (10, 0)], 10, 4).unwrap();
        let mut out = Vec::new();
        SparseReader::new(&b"abcd"[..], Some(&map))
            .read_to_end(&mut out)
            .unwrap();
        assert_eq!(out, b"\0\0abc\0\0\0d\0");
    }

    #[test]
    fn maps_that_do_not_hold_together_are_refused() {
        for (segments, real_size, stored) in [
            (vec![(0, 4), (3, 1)], 10, 5),
            (vec![(5, 1), (0, 1)], 10, 2),
            (vec![(8, 3)], 10, 3),
            (vec![(u64::MAX, 1)], u64::MAX, 1),
            (vec![(0, 3)], 10, 4),
        ] {
            assert!(SparseMap::new(segments, real_size, stored).is_err());
        }
    }
}
