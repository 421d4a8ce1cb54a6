//! Tar archives, read: member by member from a stream ([`Reader`]), and where
//! the members of an archive at rest are ([`index`]).
//!
//! Specification: POSIX.1-2017 `pax`, "ustar Interchange Format" and "pax
//! Interchange Format"; the GNU tar manual, "Basic Tar Format" and "Storing
//! Sparse Files".
//!
//! Why ours and not the crate `tar`: that one has no negative times, reads a PAX
//! value that holds a newline (as file capabilities may) as two records, and
//! believes what an archive states where two readers could see different
//! archives in the same bytes. Those are refused here: a PAX size that disagrees
//! with the header's, a hard link that claims data, a lone zero block followed
//! by more, a global header that changes entries.
//!
//! Non-goals: multi-volume archives and incremental dumps (refused), POSIX ACLs
//! in text form (`SCHILY.acl.*`, ignored: SquashFS cannot hold them), access and
//! change times (ignored), writing whole archives; the fields of a header and
//! PAX records are here for who does.
//!
//! Invariants:
//! - Paths with `..` or NUL are refused: no honest writer makes them.
//! - What follows the two zero blocks at the end is read to its end (it counts
//!   for a digest and the limits) and otherwise ignored, as container runtimes
//!   do. An archive that ends without them, but between two entries, is
//!   accepted, as they do.
//! - Every amount that the archive states is held to a [`Limits`] field before
//!   memory is set aside for it.

pub mod header;
mod index;
mod limits;
mod pax;
mod read;
mod source;
mod sparse;

pub use index::{Found, index};
pub use limits::{Limit, Limits};
pub use pax::{escape_keyword, record};
pub use read::{Kind, Member, Reader, unsafe_path};
