//! The new image's own program: taken out of its layers, and asked.

use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use isoforge_base::process::Program;
use isoforge_base::progress::Progress;
use isoforge_contract::machine::PROGRAM_PATH;
use isoforge_formats::tar::Limits;
use isoforge_oci::layer::Layer;
use isoforge_oci::store::Store;
use isoforge_system::filtered::{self, Filter};
use isoforge_system::layer::{FileSink, read_tar};

use super::request::{Made, Request};

/// Most bytes that the new program may answer.
const MAX_ANSWER_BYTES: u64 = 1 << 20;

/// What it is called beside the store.
const NAME: &str = "appliance";
const REQUEST: &str = "request.json";

/// Takes the program out of `layers`, as they are together, into `folder`.
///
/// # Errors
/// Where there is none, or a layer is damaged.
pub(super) fn extract(
    store: &Store,
    layers: &[Layer],
    image: &str,
    folder: &Path,
    progress: &Progress,
) -> Result<PathBuf> {
    let only = Filter::new(&[PROGRAM_PATH.to_owned()], &[])?;
    let limits = Limits::DEFAULT;
    let layer = match filtered::filter_layers(store, layers, &only, image, &limits, progress) {
        Err(isoforge_system::Error::NoMatch { .. }) => {
            anyhow::bail!("{image} has no /{PROGRAM_PATH}: it is no image of an appliance")
        }
        other => other?,
    };
    let path = folder.join(NAME);
    let mut sink = Into {
        file: fs_err::File::create(&path)?,
        files: 0,
    };
    read_tar(store.open_blob(&layer.digest)?, &limits, &mut sink)?;
    if sink.files != 1 {
        anyhow::bail!("/{PROGRAM_PATH} of {image} is no file");
    }
    sink.file.sync_all()?;
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// Writes the files that it is given into one.
struct Into {
    file: fs_err::File,
    files: u32,
}

impl FileSink for Into {
    fn file(&mut self, _size: u64, data: &mut dyn Read) -> io::Result<()> {
        self.files += 1;
        io::copy(data, &mut self.file).map(drop)
    }
}

/// Has `program` do what the request says; what it tells meanwhile is passed on.
///
/// # Errors
/// Where it fails, or answers nothing sensible.
pub(super) fn ask(
    program: &Path,
    request: &Request,
    folder: &Path,
    progress: &Progress,
) -> Result<Made> {
    let path = folder.join(REQUEST);
    fs_err::write(&path, serde_json::to_vec_pretty(request)?)?;
    let name = program.to_str().context("the program's path is UTF-8")?;
    let answer = Program::new(name, "appliance")
        .args(["upgrade", "make-slot", "--request"])
        .arg(&path)
        .run(
            |out| {
                let mut bytes = Vec::new();
                out.take(MAX_ANSWER_BYTES).read_to_end(&mut bytes)?;
                Ok(bytes)
            },
            &mut |line| progress.note(line),
        )
        .context("the new system's own program can't make its slot")?;
    serde_json::from_slice(&answer).context("the new system's own program answers something else")
}
