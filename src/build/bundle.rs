//! A bundle from a profile's content, from references, or from both.

mod gather;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::session::Session;
use super::{LockUse, Settings};
use crate::profile::Loaded;
use gather::gather;
use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Failure, Result};
use isoforge_base::output::check_name;
use isoforge_base::output::space::{self, HostFileSystems, Requirement};
use isoforge_base::progress::Progress;
use isoforge_content::bundle::{
    self, ArchivePart, Bundle, Combined, Composer, Form, Kind, Target, Written,
};
use isoforge_oci::layout::{INDEX_FILE, LayoutFile, OciLayout};
use isoforge_oci::platform::Platform;
use isoforge_oci::reference::Reference;

/// Version of the report's JSON.
const SCHEMA: u32 = 1;
/// Stands for the registry of images that were never in one, as podman has it.
const LOCAL_REGISTRY: &str = "localhost";

/// A bundle that is asked for.
#[derive(Debug, Clone)]
pub(crate) struct BundleRequest<'a> {
    /// A profile, whose content goes in, and where it was read from.
    pub profile: Option<(&'a Loaded, &'a Path)>,
    /// Further images.
    pub images: &'a [Reference],
    /// Platforms of all images; none: the profile's, without one all.
    pub platforms: &'a [Platform],
    /// Archives of provider images.
    pub providers: &'a [PathBuf],
    /// The bundle's name; none: the appliance's.
    pub name: Option<&'a str>,
    /// The bundle's version; none: the appliance's.
    pub version: Option<&'a str>,
    /// The bundle that it is to be the difference to.
    pub since: Option<&'a Path>,
    /// The folder that it gets into.
    pub output: &'a Path,
    /// As what.
    pub form: Form,
    /// Replace one of that name.
    pub replace: bool,
    /// How the profile's lock is used.
    pub lock: LockUse,
    /// Of the machine and its network.
    pub settings: Settings,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Built {
    /// Version of this format.
    pub schema: u32,
    /// The folder or archive, or the list of its parts.
    pub path: PathBuf,
    /// The bundle's name.
    pub name: String,
    pub version: String,
    /// Digest of its `index.json`.
    pub index: Digest,
    /// Of a delta, the digest of its base.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<Digest>,
    /// Digest of the archive; none of a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Bytes of the archive, or of the files in the folder.
    pub bytes: u64,
    /// Parts of a split archive.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<ArchivePart>,
    /// What it lists.
    pub roots: Vec<String>,
}

/// Builds what the request asks for: images, and the profile's packs, charts,
/// manifests and cluster definition beside them. Images that the profile's lock has
/// are asked for by digest.
///
/// # Errors
/// Of every stage; nothing of the bundle is there then.
pub(crate) fn build(request: &BundleRequest<'_>, progress: &Progress) -> Result<Built> {
    let (name, version) = identity(request)?;
    let file_name = format!("{name}-{version}");
    check_name(&file_name)?;
    let target = Target {
        folder: request.output,
        name: &file_name,
        form: request.form.fitting(request.output),
        replace: request.replace,
    };
    target.check()?;
    let base = request.since.map(Bundle::open).transpose()?;
    let providers: Vec<Bundle> = request
        .providers
        .iter()
        .map(|path| Bundle::open(path))
        .collect::<Result<_, _>>()?;
    let loaded = request.profile.map(|(loaded, _)| loaded);
    let session = Session::open(loaded, &request.settings, request.lock.offline, progress)?;
    let mut composer = Composer::new(&name, &version);
    let mut roots = gather(request, &session, &mut composer)?;
    roots.extend(add_providers(&providers, &name, &mut composer)?);
    if roots.is_empty() {
        let message = format!("nothing goes into the bundle {name}");
        return Err(Failure::new(Class::Profile, message)
            .with_hint("name a profile with content, or images with --image or --provider"));
    }
    roots.sort();
    let layout = match &base {
        Some(base) => composer.since(base)?,
        None => composer.build(),
    };
    let needed = Requirement {
        path: request.output.to_owned(),
        bytes: layout.size(),
        purpose: "the bundle".to_owned(),
    };
    space::check(&[needed], &HostFileSystems)?;
    progress.stage("Writing the bundle");
    let blobs = Combined {
        store: &session.store,
        bundles: &providers,
    };
    let written = bundle::write(&layout, &blobs, &target, progress)?;
    Ok(Built {
        base: base.map(|base| base.digest()),
        ..Built::of(written, &layout, (name, version), roots)
    })
}

impl Built {
    fn of(
        written: Written,
        layout: &OciLayout,
        (name, version): (String, String),
        roots: Vec<String>,
    ) -> Self {
        let index = layout.files.iter().find_map(|(path, file)| match file {
            LayoutFile::Bytes(bytes) if path == INDEX_FILE => Some(bytes.as_slice()),
            _ => None,
        });
        Self {
            schema: SCHEMA,
            index: Digest::of(index.unwrap_or_default()),
            base: None,
            path: written.path,
            name,
            version,
            digest: written.digest,
            bytes: written.bytes,
            parts: written.parts,
            roots,
        }
    }
}

fn nameless() -> Failure {
    Failure::new(
        Class::Profile,
        "a bundle without a profile needs a name and a version",
    )
    .with_hint("give --name and --version")
}

/// Name and version.
fn identity(request: &BundleRequest<'_>) -> Result<(String, String)> {
    let appliance = request.profile.map(|(loaded, _)| &loaded.profile.appliance);
    let name = request.name.or(appliance.map(|a| a.name.as_str()));
    let version = request.version.or(appliance.map(|a| a.version.as_str()));
    match (name, version) {
        (Some(name), Some(version)) => Ok((name.to_owned(), version.to_owned())),
        _ => Err(nameless()),
    }
}

/// Lists the images of provider archives. One that was built for no repository is
/// named after the bundle.
fn add_providers(providers: &[Bundle], name: &str, composer: &mut Composer) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for provider in providers {
        for root in provider.roots() {
            let reference = match root.parsed() {
                Some(reference) => reference,
                // What is about another one.
                None if root.reference.is_empty() => {
                    composer.adopt(provider, root, "", &Kind::Provider)?;
                    continue;
                }
                None => format!("{LOCAL_REGISTRY}/{name}:{}", root.reference).parse()?,
            };
            let reference = reference.to_string();
            composer.adopt(provider, root, &reference, &Kind::Provider)?;
            names.push(reference);
        }
    }
    Ok(names)
}

/// Makes a whole bundle of a delta and its base; gives the same as building it whole
/// would have.
///
/// # Errors
/// Where the base is another one, and what reading and writing give.
pub(crate) fn apply(
    base: &Path,
    delta: &Path,
    output: &Path,
    form: Form,
    replace: bool,
    progress: &Progress,
) -> Result<Built> {
    let whole = Bundle::open_with_base(delta, base)?;
    let annotations = whole.annotations();
    let (Some(name), Some(version)) = (&annotations.name, &annotations.version) else {
        return Err(nameless());
    };
    let file_name = format!("{name}-{version}");
    check_name(&file_name)?;
    let layout = bundle::applied(&whole)?;
    let target = Target {
        folder: output,
        name: &file_name,
        form: form.fitting(output),
        replace,
    };
    let written = bundle::write(&layout, &whole, &target, progress)?;
    let roots = whole.roots().iter().map(|root| root.reference.clone());
    let roots = roots.filter(|reference| !reference.is_empty()).collect();
    let identity = (name.clone(), version.clone());
    Ok(Built::of(written, &layout, identity, roots))
}
