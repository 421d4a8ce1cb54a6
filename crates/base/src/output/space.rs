//! Whether what a build will write fits on the disks, asked before it starts.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Error;

/// Room that a build needs at a place, which need not exist yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Where it will be written.
    pub path: PathBuf,
    /// How many bytes at most.
    pub bytes: u64,
    /// What for, as it reads before "needs … bytes".
    pub purpose: String,
}

/// What file systems say of themselves; tests put their own in its place.
pub trait FileSystems {
    /// A number that two paths share exactly when they share a file system.
    ///
    /// # Errors
    /// What the system says.
    fn device(&self, path: &Path) -> io::Result<u64>;

    /// Bytes that an unprivileged user can still write there.
    ///
    /// # Errors
    /// What the system says.
    fn available_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// The host's file systems.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostFileSystems;

impl FileSystems for HostFileSystems {
    fn device(&self, path: &Path) -> io::Result<u64> {
        Ok(fs_err::metadata(path)?.dev())
    }

    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// Checks that all `requirements` fit at the same time. Those on one file
/// system add up.
///
/// # Errors
/// [`Error::NoSpace`] for the first file system that is too small, in the order
/// of the requirements; [`Error::Io`] where one can't be asked.
pub fn check(requirements: &[Requirement], systems: &dyn FileSystems) -> Result<(), Error> {
    let mut devices: BTreeMap<u64, usize> = BTreeMap::new();
    let mut sums: Vec<Requirement> = Vec::new();
    for requirement in requirements {
        let path = nearest_existing(&requirement.path);
        let device = systems.device(&path)?;
        if let Some(sum) = devices.get(&device).and_then(|&at| sums.get_mut(at)) {
            sum.bytes = sum.bytes.saturating_add(requirement.bytes);
            sum.purpose = format!("{} and {}", sum.purpose, requirement.purpose);
        } else {
            devices.insert(device, sums.len());
            sums.push(Requirement {
                path,
                ..requirement.clone()
            });
        }
    }
    for sum in sums {
        let available_bytes = systems.available_bytes(&sum.path)?;
        if available_bytes < sum.bytes {
            return Err(Error::NoSpace {
                path: sum.path,
                purpose: sum.purpose,
                needed_bytes: sum.bytes,
                available_bytes,
            });
        }
    }
    Ok(())
}

/// The path itself or its nearest ancestor that exists.
fn nearest_existing(path: &Path) -> PathBuf {
    path.ancestors()
        // Of one that can't be looked at, asking for its space says why.
        .find(|ancestor| fs_err::exists(ancestor).unwrap_or(true))
        .filter(|ancestor| !ancestor.as_os_str().is_empty())
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Class, Diagnose};

    /// Says that everything below `big` is one file system and the rest
    /// another.
    struct Fake {
        big: PathBuf,
    }

    impl FileSystems for Fake {
        fn device(&self, path: &Path) -> io::Result<u64> {
            Ok(u64::from(path.starts_with(&self.big)))
        }

        fn available_bytes(&self, path: &Path) -> io::Result<u64> {
            Ok(if path.starts_with(&self.big) {
                1000
            } else {
                100
            })
        }
    }

    fn need(path: PathBuf, bytes: u64, purpose: &str) -> Requirement {
        Requirement {
            path,
            bytes,
            purpose: purpose.to_owned(),
        }
    }

    #[test]
    fn requirements_on_one_file_system_add_up() {
        let dir = tempfile::tempdir().unwrap();
        let big = dir.path().join("big");
        fs_err::create_dir(&big).unwrap();
        let fake = Fake { big: big.clone() };
        let iso = need(big.join("not/there/yet"), 600, "the ISO");
        let image = need(big.clone(), 401, "the provider image");
        check(std::slice::from_ref(&iso), &fake).unwrap();
        check(
            &[iso.clone(), need(dir.path().into(), 100, "the store")],
            &fake,
        )
        .unwrap();
        let error = check(&[iso, image], &fake).unwrap_err();
        assert_eq!(error.class(), Class::Environment);
        let message = error.to_string();
        assert!(
            message.ends_with(
                "the ISO and the provider image needs 1001 bytes, 1000 bytes are available"
            ),
            "{message}"
        );
        assert!(message.contains(big.to_str().unwrap()), "{message}");
    }

    #[test]
    fn the_host_has_room_for_a_byte_and_not_for_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new");
        check(&[need(path.clone(), 1, "x")], &HostFileSystems).unwrap();
        assert!(matches!(
            check(&[need(path, u64::MAX, "x")], &HostFileSystems),
            Err(Error::NoSpace { .. })
        ));
    }
}
