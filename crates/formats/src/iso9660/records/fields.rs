//! Numbers and dates as ECMA-119 sections 7 and 8.4.26.1 encode them.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::Error;

/// ECMA-119 7.2.3: both byte orders, little-endian first.
pub(in crate::iso9660) fn both_u16(out: &mut Vec<u8>, value: u16) {
    out.extend(value.to_le_bytes());
    out.extend(value.to_be_bytes());
}

/// ECMA-119 7.3.3: both byte orders, little-endian first.
pub(in crate::iso9660) fn both_u32(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_le_bytes());
    out.extend(value.to_be_bytes());
}

/// `text` filled up with spaces, or cut, to `width` bytes.
pub(in crate::iso9660) fn padded(out: &mut Vec<u8>, text: &[u8], width: usize) {
    out.extend(
        text.iter()
            .copied()
            .chain(std::iter::repeat(b' '))
            .take(width),
    );
}

/// The calendar's view of `epoch`, in UTC.
pub(super) fn civil(epoch: u32) -> Result<DateTime, Error> {
    let time = jiff::Timestamp::from_second(i64::from(epoch)).map_err(|source| {
        Error::unfit(format!("the time {epoch} can't be written into the ISO")).because(source)
    })?;
    Ok(TimeZone::UTC.to_datetime(time))
}

/// ECMA-119 9.1.5: seven bytes, in UTC. Every `u32` has one: years since 1900
/// fit in a byte until 2155.
pub(super) fn short_date(epoch: u32) -> [u8; 7] {
    civil(epoch).map_or([0; 7], |time| {
        [
            (time.year() - 1900) as u8,
            time.month() as u8,
            time.day() as u8,
            time.hour() as u8,
            time.minute() as u8,
            time.second() as u8,
            0,
        ]
    })
}

/// ECMA-119 8.4.26.1: sixteen digits and the offset from Greenwich.
pub(in crate::iso9660) fn long_date(epoch: u32) -> Result<[u8; 17], Error> {
    let text = format!("{}00", civil(epoch)?.strftime("%Y%m%d%H%M%S"));
    let mut out = [0_u8; 17];
    for (to, from) in out.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    Ok(out)
}

/// The date that ECMA-119 8.4.26.1 reads as "not specified".
pub(in crate::iso9660) const NO_DATE: [u8; 17] = *b"0000000000000000\0";
