//! The second initrd of a slot: one unit, which starts the slot's own program
//! before the root is switched.
//!
//! Its archive is in the format `newc` (Linux, "initramfs buffer format"), with
//! nothing in it that differs between builds. It must never hold `lib/` or
//! anything else that is a symbolic link in the image's initrd: unpacked over
//! it, the directory would replace the link and kill the boot.

use isoforge_formats::cpio;

/// Where the unit lies in the initrd.
const UNIT: &str = "etc/systemd/system/appliance-state.service";
const UNIT_TEXT: &str = include_str!("appliance-state.service");

/// What makes systemd start it in every initrd.
const LINK: &str = "etc/systemd/system/initrd.target.requires/appliance-state.service";
const LINK_TARGET: &str = "../appliance-state.service";

const DIRECTORIES: [&str; 4] = [
    "etc",
    "etc/systemd",
    "etc/systemd/system",
    "etc/systemd/system/initrd.target.requires",
];

const MODE_DIRECTORY: u32 = 0o040_755;
const MODE_FILE: u32 = 0o100_644;
const MODE_LINK: u32 = 0o120_777;

/// The archive ends on a multiple of this, as other cpio writers have it.
const BLOCK_BYTES: usize = 512;

/// The archive `state.cpio`; equal for all slots and machines.
#[must_use]
pub fn state_cpio() -> Vec<u8> {
    let mut archive = cpio::Writer::default();
    for directory in DIRECTORIES {
        archive.entry(directory, MODE_DIRECTORY, &[]);
    }
    archive.entry(UNIT, MODE_FILE, UNIT_TEXT.as_bytes());
    archive.entry(LINK, MODE_LINK, LINK_TARGET.as_bytes());
    let mut archive = archive.finish();
    archive.resize(archive.len().next_multiple_of(BLOCK_BYTES), 0);
    archive
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use isoforge_base::process::Program;

    use super::*;

    /// GNU cpio unpacks what the kernel would.
    #[test]
    fn another_program_unpacks_the_unit_and_its_link() {
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("state.cpio");
        fs_err::write(&archive, state_cpio()).unwrap();
        let root = dir.path().join("root");
        fs_err::create_dir(&root).unwrap();
        Program::new("cpio", "cpio")
            .args(["--extract", "--quiet", "--no-absolute-filenames", "-D"])
            .arg(&root)
            .arg("-F")
            .arg(&archive)
            .output(4096)
            .unwrap();
        let unit = fs_err::read_to_string(root.join(UNIT)).unwrap();
        assert_eq!(unit, UNIT_TEXT);
        assert_eq!(fs_err::read_to_string(root.join(LINK)).unwrap(), UNIT_TEXT);
        let directory = fs_err::metadata(root.join("etc/systemd")).unwrap();
        assert_eq!(directory.mode(), 0o040_755);
    }

    #[test]
    fn nothing_in_it_is_a_link_in_an_initrd() {
        let archive = state_cpio();
        assert_eq!(archive, state_cpio());
        assert_eq!(archive.len() % BLOCK_BYTES, 0);
        let text = String::from_utf8_lossy(&archive);
        assert!(!text.contains("\0lib") && !text.contains("usr/lib/dracut"));
        for name in DIRECTORIES {
            assert!(name.starts_with("etc"));
        }
    }
}
