//! Further disks and media: what an upgrade comes from, and a site's
//! configuration.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::qemu::scratch;
use crate::sh;

/// Label of the disk with an upgrade.
pub(crate) const UPGRADE: &str = "UPGRADE";

/// Room on such a disk beside its files.
const SPARE_MIB: u64 = 64;

/// An ext4 disk with the layout that an archive holds, in the folder `layout`.
pub(crate) fn layout_disk(archive: &Path, name: &str) -> Result<PathBuf> {
    let folder = scratch(&format!("{name}.layout"))?;
    sh::empty_folder(&folder)?;
    std::fs::create_dir(folder.join("layout"))?;
    let mut unpack = sh::command(["tar", "--extract", "--file"]);
    unpack.arg(archive).arg("--directory");
    sh::output(unpack.arg(folder.join("layout")))?;
    let disk = ext4_disk(&folder, UPGRADE, name)?;
    std::fs::remove_dir_all(&folder)?;
    Ok(disk)
}

/// An ext4 disk with these files.
pub(crate) fn file_disk(files: &[&Path], name: &str) -> Result<PathBuf> {
    let folder = scratch(&format!("{name}.files"))?;
    sh::empty_folder(&folder)?;
    for file in files {
        let to = folder.join(file.file_name().context("a file")?);
        std::fs::hard_link(file, &to).with_context(|| file.display().to_string())?;
    }
    let disk = ext4_disk(&folder, UPGRADE, name)?;
    std::fs::remove_dir_all(&folder)?;
    Ok(disk)
}

/// An ext4 disk with the content of a folder.
pub(crate) fn folder_disk(folder: &Path, name: &str) -> Result<PathBuf> {
    ext4_disk(folder, UPGRADE, name)
}

/// An ISO with the archive itself.
pub(crate) fn archive_iso(archive: &Path, name: &str) -> Result<PathBuf> {
    let iso = scratch(&format!("{name}.iso"))?;
    let mut make = sh::command(["xorriso", "-as", "mkisofs", "-quiet", "-R", "-V", UPGRADE]);
    make.arg("-o").arg(&iso).arg("-graft-points");
    sh::output(make.arg(format!("/upgrade.oci.tar={}", archive.display())))?;
    Ok(iso)
}

/// A FAT disk labelled `cidata` with a site's configuration.
pub(crate) fn cidata(user_data: &str, name: &str) -> Result<PathBuf> {
    let disk = scratch(&format!("{name}.cidata"))?;
    let text = scratch(&format!("{name}.user-data"))?;
    std::fs::write(&text, user_data)?;
    crate::image::blank(&disk, 8 << 20)?;
    sh::output(sh::command(["mkfs.fat", "-n", "CIDATA"]).arg(&disk))?;
    for (file, name) in [(&*text, "user-data"), (Path::new("/dev/null"), "meta-data")] {
        let mut copy = sh::command(["mcopy", "-i"]);
        sh::output(copy.arg(&disk).arg(file).arg(format!("::{name}")))?;
    }
    Ok(disk)
}

fn ext4_disk(folder: &Path, label: &str, name: &str) -> Result<PathBuf> {
    let disk = scratch(&format!("{name}.disk"))?;
    super::access::remove(&disk)?;
    let size = sh::output(sh::command(["du", "--summarize", "--block-size=1M"]).arg(folder))?;
    let size = size.split_whitespace().next().context("du said nothing")?;
    let mib = size.parse::<u64>()? * 11 / 10 + SPARE_MIB;
    let mut make = sh::command(["mke2fs", "-q", "-t", "ext4", "-m", "0", "-L", label, "-d"]);
    make.arg(folder).arg(&disk).arg(format!("{mib}M"));
    sh::output(&mut make)?;
    Ok(disk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_hold_what_they_are_made_of() {
        sh::to_workspace_root().unwrap();
        let folder = scratch("test-media").unwrap();
        sh::empty_folder(&folder).unwrap();
        std::fs::create_dir(folder.join("blobs")).unwrap();
        std::fs::write(folder.join("blobs/one"), "layer").unwrap();
        let archive = scratch("test-media.tar").unwrap();
        let mut pack = sh::command(["tar", "--create", "--file"]);
        pack.arg(&archive).arg("--directory").arg(&folder);
        sh::output(pack.arg(".")).unwrap();

        let disk = layout_disk(&archive, "test-media").unwrap();
        let mut read = sh::command(["debugfs", "-R", "cat /layout/blobs/one"]);
        assert_eq!(sh::output(read.arg(&disk)).unwrap(), "layer");
        let disk = folder_disk(&folder, "test-media").unwrap();
        let mut read = sh::command(["debugfs", "-R", "cat /blobs/one"]);
        assert_eq!(sh::output(read.arg(&disk)).unwrap(), "layer");
        let iso = archive_iso(&archive, "test-media").unwrap();
        let mut list = sh::command(["isoinfo", "-R", "-f", "-i"]);
        assert_eq!(sh::output(list.arg(&iso)).unwrap(), "/upgrade.oci.tar\n");
        let disk = cidata("#cloud-config\n", "test-media").unwrap();
        let mut read = sh::command(["mtype", "-i"]);
        let text = sh::output(read.arg(&disk).arg("::user-data")).unwrap();
        assert_eq!(text, "#cloud-config\n");
    }
}
