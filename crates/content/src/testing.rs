//! What tests of packs, charts and manifests begin with.

use std::path::Path;

use crate::tarball;

/// The archive of these files.
pub(crate) fn packed<B: AsRef<[u8]>>(files: &[(&str, B)]) -> Vec<u8> {
    let files = files.iter().map(|(path, bytes)| (*path, bytes.as_ref()));
    tarball::gzip(files).unwrap()
}

/// Writes these files, and the folders on the way to them.
pub(crate) fn write<B: AsRef<[u8]>>(folder: &Path, files: &[(&str, B)]) {
    for (path, bytes) in files {
        let path = folder.join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, bytes).unwrap();
    }
}
