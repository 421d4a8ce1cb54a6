//! Packs, charts, manifests and the cluster definition among a bundle's images:
//! artifacts under references of a registry that is none.
//!
//! What comes from a registry keeps no name of it: a chart or pack is what its
//! digest says, wherever it came from. So all of them stand under
//! [`REGISTRY`], where no image can be.

use super::Error;
use super::chart::{self, Chart};
use super::definition::Definition;
use super::pack::{self, Pack};
use isoforge_base::digest::Digest;
use isoforge_oci::artifact::{Artifact, ArtifactFile, TITLE, VERSION};
use isoforge_oci::reference::Reference;

/// The registry of content that is no image; the top-level domain `internal` is
/// reserved for private use.
pub const REGISTRY: &str = "isoforge.internal";

const MANIFEST_TYPE: &str = "application/vnd.isoforge.manifest.v1+yaml";
const DEFINITION_TYPE: &str = "application/vnd.isoforge.definition.v1+yaml";
const CHART_CONFIG_TYPE: &str = "application/vnd.cncf.helm.config.v1+json";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";

/// A pack.
///
/// # Errors
/// [`Error::Archive`] where a path can't be said in an archive.
pub fn of_pack(pack: &Pack) -> Result<Artifact, Error> {
    let meta = &pack.meta;
    let archive = pack.to_archive()?;
    Ok(Artifact {
        kind: Some("pack"),
        ..pack::artifact(pack, archive, &name("packs", &meta.name, &meta.version))
    })
}

/// A chart, in the form that Helm gives it in a registry.
///
/// # Errors
/// [`Error::Archive`] where a path can't be said in an archive.
pub fn of_chart(chart: &Chart) -> Result<Artifact, Error> {
    let meta = &chart.meta;
    let config = serde_json::json!({
        "name": meta.name,
        "version": meta.version,
        "appVersion": meta.app_version,
    });
    let file = format!("{}-{}.tgz", meta.name, meta.version);
    Ok(artifact(
        "chart",
        name("charts", &meta.name, &meta.version),
        (&meta.name, &meta.version),
        CHART_CONFIG_TYPE,
        part(CHART_CONFIG_TYPE, None, config.to_string().into_bytes()),
        part(chart::CONTENT_TYPE, Some(&file), chart.to_archive()?),
    ))
}

/// A manifest; `file` is the name of its file.
#[must_use]
pub fn of_manifest(file: &str, text: &str) -> Artifact {
    let file = file.rsplit('/').next().unwrap_or(file);
    let version = Digest::of(text.as_bytes()).short();
    artifact(
        "manifest",
        name("manifests", file, &version),
        (file, &version),
        MANIFEST_TYPE,
        part(EMPTY_TYPE, None, b"{}".to_vec()),
        part(MANIFEST_TYPE, Some(file), text.as_bytes().to_vec()),
    )
}

/// A cluster definition.
///
/// # Errors
/// A value that YAML can't have.
pub fn of_definition(definition: &Definition) -> Result<Artifact, Error> {
    let text = definition.to_yaml()?.into_bytes();
    let (named, version) = (&definition.name, &definition.version);
    Ok(artifact(
        "definition",
        name("cluster", named, version),
        (named, version),
        DEFINITION_TYPE,
        part(EMPTY_TYPE, None, b"{}".to_vec()),
        part(DEFINITION_TYPE, Some("definition.yaml"), text),
    ))
}

fn artifact(
    kind: &'static str,
    name: String,
    (title, version): (&str, &str),
    artifact_type: &str,
    config: ArtifactFile,
    layer: ArtifactFile,
) -> Artifact {
    Artifact {
        name,
        kind: Some(kind),
        artifact_type: artifact_type.to_owned(),
        config,
        layers: vec![layer],
        annotations: vec![
            (TITLE.to_owned(), title.to_owned()),
            (VERSION.to_owned(), version.to_owned()),
        ],
    }
}

fn part(media_type: &str, title: Option<&str>, bytes: Vec<u8>) -> ArtifactFile {
    ArtifactFile {
        media_type: media_type.to_owned(),
        title: title.map(str::to_owned),
        bytes,
    }
}

/// The reference of content that is no image. What a reference can't have in it
/// becomes a dash.
fn name(folder: &str, name: &str, version: &str) -> String {
    let fitting = |text: &str| -> String {
        let plain = |c: char| match c {
            'a'..='z' | '0'..='9' | '.' => c,
            _ => '-',
        };
        let text: String = text.to_ascii_lowercase().chars().map(plain).collect();
        let text = text.trim_matches(['-', '.']).replace("..", "-");
        match text.as_str() {
            "" => "unnamed".to_owned(),
            _ => text,
        }
    };
    let tag: String = version
        .chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') => c,
            _ => '_',
        })
        .take(isoforge_oci::reference::MAX_TAG_BYTES)
        .collect();
    let tag = tag.trim_start_matches(['.', '-']);
    let text = format!("{REGISTRY}/{folder}/{}:{tag}", fitting(name));
    match text.parse::<Reference>() {
        Ok(reference) => reference.to_string(),
        // Runs of dots and dashes that a part of a name can't have.
        Err(_) => {
            let digest = Digest::of(format!("{name} {version}").as_bytes());
            format!("{REGISTRY}/{folder}/{}", digest.short())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tarball;

    #[test]
    fn every_name_is_a_reference() {
        for (given, version, shown) in [
            (
                "piraeus-operator",
                "2.8.1",
                "isoforge.internal/packs/piraeus-operator:2.8.1",
            ),
            (
                "Web_UI",
                "1.0+up1",
                "isoforge.internal/packs/web-ui:1.0_up1",
            ),
            ("-.x", "v1 beta", "isoforge.internal/packs/x:v1_beta"),
        ] {
            assert_eq!(name("packs", given, version), shown);
        }
        for (given, version) in [("", ""), ("a.-b", "1"), ("ä", "..")] {
            let text = name("packs", given, version);
            assert!(text.parse::<Reference>().is_ok(), "{text}");
        }
    }

    #[test]
    fn a_chart_keeps_its_archives_digest() {
        let archive =
            tarball::gzip([("x/Chart.yaml", b"name: x\nversion: 1.0.0\n".as_slice())]).unwrap();
        let chart = Chart::archive("x.tgz", &archive).unwrap();
        let artifact = of_chart(&chart).unwrap();
        assert_eq!(
            Digest::of(&artifact.layers[0].bytes),
            chart.digest().unwrap()
        );
        assert_eq!(artifact.name, "isoforge.internal/charts/x:1.0.0");
    }
}
