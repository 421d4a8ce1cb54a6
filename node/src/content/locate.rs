//! Where the bundle is on what a person names: a file, a folder, or the device of
//! a medium.

use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use isoforge_content::bundle::Bundle;
use isoforge_oci::layout::LAYOUT_FILE;

use super::source::OfBundle;
use crate::disks::Sysfs;
use crate::media::{Attached, Opened};

/// Most names that an error lists.
const NAMES_MAX: usize = 10;

/// An opened bundle, and the medium that it lies on.
#[derive(Debug)]
pub struct Located {
    pub bundle: OfBundle,
    /// Where it is.
    pub path: PathBuf,
    /// Unmounts the medium, once the bundle is closed.
    pub medium: Option<Opened>,
}

/// Opens the bundle at `path`. A device is mounted, read-only.
///
/// # Errors
/// Where there is none, or there are several.
pub fn locate(path: &Path) -> Result<Located> {
    let metadata = fs_err::metadata(path)?;
    let medium = if metadata.file_type().is_block_device() {
        let sys = Sysfs::default();
        Some(Attached { sys: &sys }.mount(path)?)
    } else {
        None
    };
    let (path, on_medium) = match &medium {
        Some(opened) => (opened.folder.clone(), true),
        None => (path.to_owned(), false),
    };
    let path = if metadata.is_dir() || on_medium {
        find(&path)?
    } else {
        path
    };
    let bundle = OfBundle::open(&path)?;
    Ok(Located {
        bundle,
        path,
        medium,
    })
}

/// The bundle that a folder is, or the only one in it.
fn find(folder: &Path) -> Result<PathBuf> {
    let of_iso = folder.join(isoforge_contract::iso::CONTENT);
    for path in [folder, &of_iso] {
        if path.join(LAYOUT_FILE).is_file() {
            return Ok(path.to_owned());
        }
    }
    // The parts of one.
    if Bundle::open(folder).is_ok() {
        return Ok(folder.to_owned());
    }
    let mut found = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        // Each part of a bundle opens all of it.
        if let Ok(bundle) = Bundle::open(&path)
            && seen.insert(bundle.digest())
        {
            found.push(path);
        }
    }
    found.sort();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => bail!("there is no bundle in {}", folder.display()),
        several => {
            let names = several.iter().take(NAMES_MAX);
            let names: Vec<String> = names
                .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
                .collect();
            Err(anyhow::anyhow!("name one of them: {}", names.join(", "))).with_context(|| {
                format!(
                    "there are {} bundles in {}",
                    several.len(),
                    folder.display()
                )
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(folder: &Path, annotation: &str) {
        fs_err::create_dir_all(folder).unwrap();
        fs_err::write(
            folder.join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )
        .unwrap();
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[],"annotations":{{"io.isoforge.bundle.name":"{annotation}"}}}}"#
        );
        fs_err::write(folder.join("index.json"), index).unwrap();
    }

    #[test]
    fn a_medium_is_looked_through_for_the_one_bundle() {
        let dir = tempfile::tempdir().unwrap();
        let error = locate(dir.path()).unwrap_err().to_string();
        assert!(error.starts_with("there is no bundle in"), "{error}");
        layout(&dir.path().join("one"), "one");
        fs_err::write(dir.path().join("note.txt"), "nothing").unwrap();
        assert_eq!(locate(dir.path()).unwrap().path, dir.path().join("one"));
        layout(&dir.path().join("two"), "two");
        let error = format!("{:#}", locate(dir.path()).unwrap_err());
        assert!(error.ends_with("name one of them: one, two"), "{error}");
        // An ISO's own content comes first.
        layout(&dir.path().join("isoforge/content"), "iso");
        let path = locate(dir.path()).unwrap().path;
        assert_eq!(path, dir.path().join("isoforge/content"));
        layout(dir.path(), "itself");
        assert_eq!(locate(dir.path()).unwrap().path, dir.path());
    }
}
