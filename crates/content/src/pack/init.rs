//! A pack to start from.

use std::io;
use std::path::Path;

use crate::Error;
use isoforge_base::error::Failure;
use isoforge_base::output;

/// Files of the pack, by path. Explained in comments where their format has
/// such.
const FILES: [(&str, &str); 6] = [
    ("pack.json", include_str!("init/pack.json")),
    ("values.yaml", include_str!("init/values.yaml")),
    ("presets.yaml", include_str!("init/presets.yaml")),
    ("isoforge.toml", include_str!("init/isoforge.toml")),
    ("manifests/hello.yaml", include_str!("init/hello.yaml")),
    ("README.md", include_str!("init/README.md")),
];
/// Stands in the files for the pack's name.
const NAME: &str = "PACK_NAME";
/// Where the folder's name is none of a pack.
const DEFAULT_NAME: &str = "my-pack";

/// Writes a pack that works to `folder`, which must not be there or be empty. It
/// is named like the folder.
///
/// # Errors
/// [`Error`]; then nothing was written but, where they were missing, the
/// folders above.
pub fn init(folder: &Path) -> Result<(), Error> {
    let named = folder.file_name().and_then(|name| name.to_str());
    let is_name = |name: &&str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let name = named.filter(is_name).unwrap_or(DEFAULT_NAME);
    if let Some(above) = folder.parent() {
        fs_err::create_dir_all(above).map_err(not_written)?;
    }
    let written = output::new_folder(folder, |folder| -> Result<(), Error> {
        for (path, text) in FILES {
            let path = folder.join(path);
            if let Some(parent) = path.parent() {
                fs_err::create_dir_all(parent).map_err(not_written)?;
            }
            fs_err::write(path, text.replace(NAME, name)).map_err(not_written)?;
        }
        Ok(())
    });
    written.map_err(|error| match error {
        Error::Output(output::Error::NotWritable { source, .. })
            if source.kind() == io::ErrorKind::DirectoryNotEmpty =>
        {
            Error::asked(format!("'{}' is not empty", folder.display()))
                .with_hint("name a folder that is empty or not there; nothing is overwritten")
                .into()
        }
        error => error,
    })
}

fn not_written(error: io::Error) -> Error {
    Failure::from(error)
        .context("the pack can't be written")
        .into()
}
