//! From what the user names to one image in the store.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use isoforge_base::digest::Digest;
use isoforge_base::progress::Progress;
use isoforge_oci::layout::{has_name, typed_names};
use isoforge_oci::platform::Platform;
use isoforge_oci::pull::{self, Limits, ResolvedImage};
use isoforge_oci::reference::ImageSource;
use isoforge_oci::registry::{Client, WholeLayout};
use isoforge_oci::store::Store;

use super::labels::Labels;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// As the user wrote it.
    pub source: &'a str,
    /// Which image of several.
    pub tag: Option<&'a str>,
    /// For which machine.
    pub platform: &'a Platform,
    /// Version of Kubernetes that runs here, which decides between several.
    pub kubernetes: Option<&'a str>,
}

/// An image that was found, its layers not fetched yet.
#[derive(Debug)]
pub struct Found {
    /// Where it is.
    pub source: ImageSource,
    /// Its manifests.
    pub resolved: ResolvedImage,
    /// What it says of itself.
    pub labels: Labels,
}

/// Reads a source: `oci:DIR`, `oci-archive:FILE` or a reference, and paths
/// without such a prefix.
///
/// # Errors
/// Where it is none of them.
pub fn parse(text: &str) -> Result<ImageSource> {
    let path = Path::new(text);
    let is_path = text.starts_with(['/', '.']);
    if is_path && !fs_err::exists(path)? {
        bail!("there is nothing at {text}");
    }
    if path.is_dir() && (is_path || fs_err::exists(path.join("oci-layout"))?) {
        return Ok(ImageSource::OciDir {
            dir: path.to_owned(),
            tag: None,
        });
    }
    if path.is_file() {
        return Ok(ImageSource::OciArchive {
            file: path.to_owned(),
            tag: None,
        });
    }
    if is_path {
        bail!("{text} is no folder or archive in OCI layout");
    }
    text.parse()
        .with_context(|| format!("'{text}' names no provider image"))
}

/// Finds the image.
///
/// # Errors
/// Where there is none, or several and nothing says which.
pub fn find(
    client: &Client,
    store: &Store,
    asked: &Asked<'_>,
    progress: &Progress,
) -> Result<Found> {
    let source = parse(asked.source)?;
    let resolve = |source| resolve(client, store, source, asked.platform, progress);
    let path = match &source {
        ImageSource::OciDir { dir, tag: None } => dir.clone(),
        ImageSource::OciArchive { file, tag: None } => file.clone(),
        _ if asked.tag.is_some() => bail!("write the tag into the source: {}", asked.source),
        _ => return resolve(source),
    };
    let (_, entries) = WholeLayout::open(&path, store.temp_dir())?.index()?;
    let names: Vec<&String> = typed_names(&entries).map(|(name, _)| name).collect();
    if let Some(tag) = asked.tag {
        let called = entries.iter().filter(|entry| has_name(entry, tag));
        let called: BTreeSet<Digest> = called.map(|entry| entry.digest).collect();
        if called.len() != 1 {
            bail!("{}", not_one(asked.source, tag, called.len(), names));
        }
        return resolve(tagged(source, tag));
    }
    if names.len() < 2 {
        return resolve(source);
    }
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        found.push((name.clone(), resolve(tagged(source.clone(), name))?));
    }
    choose(found, asked)
}

/// The manifests of an image, and what it says of itself.
pub(super) fn resolve(
    client: &Client,
    store: &Store,
    source: ImageSource,
    platform: &Platform,
    progress: &Progress,
) -> Result<Found> {
    let limits = Limits::DEFAULT;
    let resolved = pull::resolve_image(client, &source, platform, store, &limits, progress)?;
    let labels = Labels::parse(&resolved.image.config)?;
    Ok(Found {
        source,
        resolved,
        labels,
    })
}

fn tagged(source: ImageSource, tag: &str) -> ImageSource {
    let tag = Some(tag.to_owned());
    match source {
        ImageSource::OciDir { dir, .. } => ImageSource::OciDir { dir, tag },
        ImageSource::OciArchive { file, .. } => ImageSource::OciArchive { file, tag },
        other => other,
    }
}

/// What is wrong where `called` images, not one, have the name that was asked for.
pub(super) fn not_one(
    source: &str,
    tag: &str,
    called: usize,
    names: impl IntoIterator<Item = impl AsRef<str>>,
) -> String {
    let problem = match called {
        0 => format!("{source} holds no image '{tag}'"),
        _ => format!("{source} holds several images '{tag}'"),
    };
    let list: String = names
        .into_iter()
        .map(|name| format!("\n    {}", name.as_ref()))
        .collect();
    match list.as_str() {
        "" => format!("{problem}, and none with a name that leads to one alone"),
        list => format!("{problem}; choose one with --tag:{list}"),
    }
}

/// Of several images the one with the Kubernetes that runs here, else the one
/// with its minor version: Kubernetes allows no jumps, so nothing else is taken
/// without being asked for. Where none runs here it is the one without.
pub(super) fn choose(found: Vec<(String, Found)>, asked: &Asked<'_>) -> Result<Found> {
    let list: String = found
        .iter()
        .map(|(tag, found)| {
            let kubernetes = found.labels.kubernetes.as_deref();
            let kubernetes = kubernetes.map_or_else(
                || "no Kubernetes".to_owned(),
                |version| format!("Kubernetes {version}"),
            );
            format!("\n    {tag} ({kubernetes})")
        })
        .collect();
    let mut chosen = Vec::new();
    for fits in [same as fn(&str, &str) -> bool, same_minor] {
        chosen = matching(&found, asked.kubernetes, fits);
        if !chosen.is_empty() {
            break;
        }
    }
    let [only] = chosen.as_slice() else {
        bail!(
            "{} holds several images, and none of them alone has the Kubernetes version that runs here{}; choose one with --tag:{list}",
            asked.source,
            asked
                .kubernetes
                .map_or_else(String::new, |version| format!(" ({version})")),
        );
    };
    let only = *only;
    found
        .into_iter()
        .nth(only)
        .map(|(_, found)| found)
        .context("the chosen image is one of those found")
}

fn matching(
    found: &[(String, Found)],
    running: Option<&str>,
    fits: fn(&str, &str) -> bool,
) -> Vec<usize> {
    let version = |found: &Found| found.labels.kubernetes.clone();
    (0..)
        .zip(found)
        .filter(|(_, (_, found))| match (running, version(found)) {
            (Some(running), Some(has)) => fits(running, &has),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        })
        .map(|(at, _)| at)
        .collect()
}

fn same(running: &str, offered: &str) -> bool {
    running == offered
}

fn same_minor(running: &str, offered: &str) -> bool {
    let minor = |text: &str| {
        let mut parts = text.trim_start_matches('v').split('.').map(str::to_owned);
        (parts.next(), parts.next())
    };
    let running = minor(running);
    running.1.is_some() && running == minor(offered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minor_versions_are_compared_as_such() {
        assert!(same_minor("1.32.3", "v1.32.9+k3s1"));
        assert!(!same_minor("1.32.3", "1.33.0"));
        assert!(!same_minor("1.3", "1.32"));
        assert!(!same_minor("1", "1"));
    }

    #[test]
    fn a_source_is_a_path_or_a_reference() {
        let dir = tempfile::tempdir().unwrap();
        let text = |source: &str| parse(source).map(|source| source.to_string());
        let path = dir.path().display().to_string();
        assert_eq!(text(&path).unwrap(), format!("oci:{path}"));
        let file = dir.path().join("image.tar");
        fs_err::write(&file, "x").unwrap();
        let file = file.display();
        assert_eq!(
            text(&file.to_string()).unwrap(),
            format!("oci-archive:{file}")
        );
        assert_eq!(text("oci:x:1").unwrap(), "oci:x:1");
        assert_eq!(
            text("registry.example/edge/tiny:1").unwrap(),
            "registry.example/edge/tiny:1"
        );
        assert_eq!(
            text("/no/such/place").unwrap_err().to_string(),
            "there is nothing at /no/such/place"
        );
        assert!(text("Not A Reference").is_err());
    }
}
