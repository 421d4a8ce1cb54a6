//! The program `appliance` that goes into a system: found, read once, and
//! checked to run on the machine that the system is for.
//!
//! A place that the user names is the only one that is looked at. Otherwise it
//! lies beside isoforge, or where packages put such programs.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Failure, Result};
use isoforge_contract::arch::{Arch, host};
use isoforge_contract::manifest::Content;
use isoforge_formats::elf::{self, Machine};

/// Largest program that is taken, in bytes; the real one has less than 15 MiB.
const MAX_BYTES: u64 = 64 << 20;

/// Where the user says that the program is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedProgram {
    /// For this architecture alone.
    pub arch: Option<Arch>,
    /// The file.
    pub path: PathBuf,
}

/// Where programs for machines are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProgramPlaces {
    /// What the user names; a later one wins.
    pub named: Vec<NamedProgram>,
    /// Folder of isoforge's own executable.
    pub beside: Option<PathBuf>,
}

/// A program that a system can carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    /// All of it.
    pub(super) bytes: Arc<[u8]>,
    pub(super) digest: Digest,
}

impl Program {
    /// What the manifest says of it.
    pub(super) fn content(&self) -> Content {
        Content {
            digest: self.digest,
            size: self.bytes.len() as u64,
        }
    }
}

impl ProgramPlaces {
    /// The programs for `archs`.
    pub(super) fn find(&self, archs: &[Arch]) -> Result<BTreeMap<Arch, Program>> {
        archs
            .iter()
            .map(|&arch| Ok((arch, self.find_one(arch)?)))
            .collect()
    }

    fn find_one(&self, arch: Arch) -> Result<Program> {
        let places = self.places(arch);
        for path in &places {
            match read(path) {
                Ok(bytes) => return checked(path, arch, bytes),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let message = format!("the program 'appliance' for {arch} can't be read");
                    return Err(Failure::from(error).context(message));
                }
            }
        }
        let places = places.iter();
        let places: String = places
            .map(|path| format!("\n    {}", path.display()))
            .collect();
        let message = format!("there is no program 'appliance' for {arch}; looked for:{places}");
        Err(Failure::new(Class::Environment, message).with_hint(
            "in isoforge's sources `cargo xtask build` makes it and puts it beside isoforge; \
             --appliance names one that is elsewhere",
        ))
    }

    /// Where the program for `arch` may be, most important first.
    fn places(&self, arch: Arch) -> Vec<PathBuf> {
        let named = |only: Option<Arch>| self.named.iter().rev().find(move |n| n.arch == only);
        if let Some(named) = named(Some(arch)).or_else(|| named(None)) {
            return vec![named.path.clone()];
        }
        let name = format!("appliance-{arch}");
        let Some(beside) = &self.beside else {
            return vec![PathBuf::from(name)];
        };
        let mut places = vec![beside.join(&name)];
        if arch.as_str() == host() {
            places.push(beside.join("appliance"));
        }
        let above = beside.parent().unwrap_or(beside);
        places.push(above.join("libexec/isoforge").join(name));
        places
    }
}

/// All bytes of a file, one more than [`MAX_BYTES`] at most.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    fs_err::File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn checked(path: &Path, arch: Arch, bytes: Vec<u8>) -> Result<Program> {
    let unfit = |why: String| {
        let path = path.display();
        let message = format!("'{path}' can't be the program 'appliance' for {arch}: {why}");
        Failure::new(Class::Verification, message).with_hint(
            "it is the statically linked program of isoforge's own version: `cargo xtask build` \
             makes it",
        )
    };
    let size = bytes.len() as u64;
    if size > MAX_BYTES {
        let why = format!("it has {size} bytes, more than {MAX_BYTES}");
        return Err(unfit(why));
    }
    let found = elf::read(&bytes).map_err(|error| unfit(error.to_string()))?;
    let wanted = match arch {
        Arch::Amd64 => Machine::X86_64,
        Arch::Arm64 => Machine::Aarch64,
    };
    if found.machine != wanted {
        return Err(unfit(format!("it is for {}", found.machine)));
    }
    if !found.is_static {
        return Err(unfit("it is linked dynamically".to_owned()));
    }
    Ok(Program {
        digest: Digest::of(&bytes),
        bytes: bytes.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_names_is_the_only_place() {
        let named = |arch, path: &str| NamedProgram {
            arch,
            path: path.into(),
        };
        let places = ProgramPlaces {
            named: vec![
                named(None, "any"),
                named(Some(Arch::Arm64), "first"),
                named(Some(Arch::Arm64), "second"),
            ],
            beside: Some("/opt/bin".into()),
        };
        assert_eq!(places.places(Arch::Arm64), [PathBuf::from("second")]);
        assert_eq!(places.places(Arch::Amd64), [PathBuf::from("any")]);
    }

    #[test]
    fn beside_isoforge_the_architecture_is_in_the_name_but_for_the_hosts_own() {
        let places = ProgramPlaces {
            named: Vec::new(),
            beside: Some("/opt/bin".into()),
        };
        let (own, other) = match host() {
            "amd64" => (Arch::Amd64, Arch::Arm64),
            _ => (Arch::Arm64, Arch::Amd64),
        };
        let text = |arch| {
            let places = places.places(arch);
            let places: Vec<_> = places.iter().map(|p| p.to_str().unwrap()).collect();
            places.join(" ").replace(arch.as_str(), "ARCH")
        };
        assert_eq!(
            text(own),
            "/opt/bin/appliance-ARCH /opt/bin/appliance /opt/libexec/isoforge/appliance-ARCH"
        );
        assert_eq!(
            text(other),
            "/opt/bin/appliance-ARCH /opt/libexec/isoforge/appliance-ARCH"
        );
    }
}
