//! An output directory: whether every output is what its manifest and its
//! checksum file say.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::Serialize;

use super::{MAX_DOCUMENT_BYTES, no_document, unreadable};
use isoforge_base::digest::Digest;
use isoforge_base::error::Result;
use isoforge_base::limit::read_within;
use isoforge_base::output::CHECKSUM_SUFFIX;
use isoforge_base::output::check_name;
use isoforge_base::progress::Progress;
use isoforge_base::regular;
use isoforge_contract::manifest::{self, Manifest};

/// What is in an output directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct DistReport {
    /// The build manifest.
    pub manifest: Manifest,
    /// The outputs that the manifest tells of, by name.
    pub files: BTreeMap<String, FileReport>,
    /// What does not hold.
    pub problems: Vec<String>,
}

/// An output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FileReport {
    /// Its size in bytes; none where it is missing.
    pub size: Option<u64>,
    /// Its digest; none where it is missing.
    pub digest: Option<Digest>,
    /// Whether it is what the manifest and its checksum file, if it has one,
    /// say.
    pub sound: bool,
}

pub(super) fn inspect(path: &Path, progress: &Progress) -> Result<DistReport> {
    let manifest_path = path.join(manifest::FILE_NAME);
    let text = document(&manifest_path).map_err(|error| unreadable(&manifest_path, error))?;
    let manifest = Manifest::from_json(&text)
        .map_err(|error| no_document(path, manifest::FILE_NAME, error))?;
    let mut problems = Vec::new();
    let mut files = BTreeMap::new();
    for (name, expected) in &manifest.outputs {
        let before = problems.len();
        if let Err(error) = check_name(name) {
            problems.push(error.to_string());
            continue;
        }
        let found = hash_file(&path.join(name), expected.size, progress);
        let (digest, size) = match found {
            Ok((digest, size)) => {
                if (digest, size) != (expected.digest, expected.size) {
                    problems.push(format!(
                        "{name}: has digest {digest} and {size} bytes; the manifest says {} and {} bytes",
                        expected.digest, expected.size
                    ));
                }
                check_checksum_file(path, name, digest, &mut problems);
                (Some(digest), Some(size))
            }
            Err(error) => {
                problems.push(format!("{name}: {error}"));
                (None, None)
            }
        };
        let sound = problems.len() == before;
        files.insert(
            name.clone(),
            FileReport {
                size,
                digest,
                sound,
            },
        );
    }
    Ok(DistReport {
        manifest,
        files,
        problems,
    })
}

fn document(path: &Path) -> io::Result<Vec<u8>> {
    let bytes = read_within(regular::open(path)?, MAX_DOCUMENT_BYTES)?;
    bytes.ok_or_else(|| io::Error::other(format!("it has more than {MAX_DOCUMENT_BYTES} bytes")))
}

fn hash_file(path: &Path, size: u64, progress: &Progress) -> io::Result<(Digest, u64)> {
    let file = regular::open(path)?;
    let name = path.file_name().unwrap_or(path.as_os_str());
    let task = progress.task(&format!("check {}", name.display()), Some(size));
    Digest::of_reader(task.reader(file))
}

/// `sha256sum` writes `<hex>  <name>`, or `<hex> *<name>` in its binary mode.
fn check_checksum_file(dir: &Path, name: &str, digest: Digest, problems: &mut Vec<String>) {
    let checksum_name = format!("{name}{CHECKSUM_SUFFIX}");
    let text = match document(&dir.join(&checksum_name)) {
        Ok(text) => String::from_utf8_lossy(&text).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => {
            problems.push(format!("{checksum_name}: {error}"));
            return;
        }
    };
    let line = text.trim_end_matches(['\n', '\r']);
    let said = line
        .split_once(' ')
        .filter(|(_, rest)| rest.strip_prefix([' ', '*']) == Some(name))
        .map(|(hex, _)| hex.to_ascii_lowercase());
    match said {
        None => problems.push(format!("{checksum_name}: it has no checksum of {name}")),
        Some(hex) if hex != digest.hex() => {
            problems.push(format!(
                "{checksum_name}: it says sha256:{hex}, not {digest}"
            ));
        }
        Some(_) => {}
    }
}
