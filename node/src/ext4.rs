//! Errors that the kernel found on ext4 file systems.
//!
//! `/sys/fs/ext4/<device>/errors_count` (Linux, `Documentation/ABI/testing/
//! sysfs-fs-ext4`) is from the superblock: it outlives reboots, until e2fsck has
//! mended the file system. Only what is mounted is there.

use std::path::Path;

/// Errors of every mounted ext4 file system that has some, by the kernel's name of
/// its device, such as `vda5`.
pub(crate) fn damaged(sys: &Path) -> Vec<(String, u64)> {
    let Ok(entries) = fs_err::read_dir(sys.join("fs/ext4")) else {
        return Vec::new();
    };
    let names = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    let mut found: Vec<(String, u64)> = names
        .filter_map(|name| {
            let errors = errors_of(sys, &name);
            (errors > 0).then_some((name, errors))
        })
        .collect();
    found.sort();
    found
}

/// Errors of the file system on `device`, whose path may be a link; 0 where it is not
/// mounted.
pub(crate) fn errors(sys: &Path, device: &Path) -> u64 {
    kernel_name(device).map_or(0, |name| errors_of(sys, &name))
}

/// The kernel's name of a device, whose path may be a link.
pub(crate) fn kernel_name(device: &Path) -> Option<String> {
    let device = fs_err::canonicalize(device).ok()?;
    Some(device.file_name()?.to_str()?.to_owned())
}

fn errors_of(sys: &Path, name: &str) -> u64 {
    let path = sys.join("fs/ext4").join(name).join("errors_count");
    // The folder of all features has no such file.
    let text = fs_err::read_to_string(path).unwrap_or_default();
    text.trim().parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rustix::mount::MountFlags;

    use super::*;
    use crate::disks::fixture::shell;
    use crate::mount::Mounted;

    /// e2fsprogs makes a file system that had errors, as the kernel notes them.
    #[test]
    fn the_kernel_tells_what_it_noted_until_e2fsck_has_run() {
        if !isoforge_judges::can_loop() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        let script = "truncate -s 8M $1; mke2fs -q -t ext4 $1; \
            debugfs -w -R 'ssv error_count 3' $1 2>/dev/null; \
            debugfs -w -R 'ssv state 2' $1 2>/dev/null; losetup -f --show $1";
        let device = shell(script, &[&image]);
        let device = Path::new(device.trim());
        let link = dir.path().join("uuid");
        std::os::unix::fs::symlink(device, &link).unwrap();
        let sys = Path::new("/sys");
        let told = || {
            let folder = dir.path().join("mounted");
            let flags = MountFlags::RDONLY;
            let mounted = Mounted::new(device, &folder, "ext4", flags, None).unwrap();
            let name = kernel_name(&link).unwrap();
            let listed = damaged(sys).into_iter().find(|(it, _)| *it == name);
            let told = (errors(sys, &link), listed.map(|(_, errors)| errors));
            mounted.unmount().unwrap();
            told
        };
        let before = told();
        // 1: errors were mended.
        shell("e2fsck -f -p $1 >/dev/null || test $? = 1", &[device]);
        let after = told();
        shell("losetup -d $1", &[device]);
        assert_eq!((before, after), ((3, Some(3)), (0, None)));
        assert_eq!(errors(sys, &link), 0, "it is not mounted");
    }

    #[test]
    fn folders_that_are_no_file_systems_have_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(damaged(dir.path()), []);
        let folder = dir.path().join("fs/ext4");
        for (name, text) in [("vda5", "12\n"), ("vda4", "0\n"), ("odd", "many\n")] {
            fs_err::create_dir_all(folder.join(name)).unwrap();
            fs_err::write(folder.join(name).join("errors_count"), text).unwrap();
        }
        fs_err::create_dir_all(folder.join("features")).unwrap();
        assert_eq!(damaged(dir.path()), [("vda5".to_owned(), 12)]);
    }
}
