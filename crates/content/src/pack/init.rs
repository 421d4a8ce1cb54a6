//! A pack to start from.

use std::io;
use std::path::{Path, PathBuf};

use isoforge_base::error::{Class, Diagnose};
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

/// Why there is no pack.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The folder has something in it.
    #[error("'{}' is not empty", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// The folder can't be written.
    #[error(transparent)]
    Output(#[from] output::Error),
    /// A file can't be written.
    #[error("the pack can't be written")]
    Io(#[from] io::Error),
}

impl Diagnose for InitError {
    fn class(&self) -> Class {
        match self {
            Self::NotEmpty { .. } => Class::Profile,
            Self::Output(error) => error.class(),
            Self::Io(_) => Class::Io,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotEmpty { .. } => {
                Some("name a folder that is empty or not there; nothing is overwritten".to_owned())
            }
            Self::Output(error) => error.hint(),
            Self::Io(_) => None,
        }
    }
}

/// Writes a pack that works to `folder`, which must not be there or be empty. It
/// is named like the folder.
///
/// # Errors
/// [`InitError`]; then nothing was written but, where they were missing, the
/// folders above.
pub fn init(folder: &Path) -> Result<(), InitError> {
    let named = folder.file_name().and_then(|name| name.to_str());
    let is_name = |name: &&str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let name = named.filter(is_name).unwrap_or(DEFAULT_NAME);
    if let Some(above) = folder.parent() {
        fs_err::create_dir_all(above)?;
    }
    let written = output::new_folder(folder, |folder| -> Result<(), InitError> {
        for (path, text) in FILES {
            let path = folder.join(path);
            if let Some(parent) = path.parent() {
                fs_err::create_dir_all(parent)?;
            }
            fs_err::write(path, text.replace(NAME, name))?;
        }
        Ok(())
    });
    written.map_err(|error| match error {
        InitError::Output(output::Error::NotWritable { source, .. })
            if source.kind() == io::ErrorKind::DirectoryNotEmpty =>
        {
            InitError::NotEmpty {
                path: folder.to_owned(),
            }
        }
        error => error,
    })
}
