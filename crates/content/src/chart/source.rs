//! Where charts come from, as text.
//!
//! | form | a chart |
//! |---|---|
//! | `oci://HOST/REPOSITORY:VERSION` | in an OCI registry |
//! | `https://HOST/PATH#NAME:VERSION` | of an HTTP chart repository, by its `index.yaml` |
//! | `https://HOST/PATH/NAME-VERSION.tgz` | an archive by URL |
//! | `PATH` | a folder or archive on the disk |
//!
//! `@sha256:…` behind any of the first three pins the archive. As in Helm, a `+`
//! of a version stands as `_` in the tag of a registry.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::Error;
use isoforge_base::digest::Digest;
use isoforge_oci::reference::Reference;
use isoforge_oci::registry::ShownUrl;

const OCI: &str = "oci://";

/// Where a chart comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An OCI registry.
    Oci {
        /// Repository and tag.
        reference: Reference,
        /// Digest of the chart's archive, where it is pinned.
        digest: Option<Digest>,
    },
    /// An HTTP chart repository.
    Repository {
        /// The URL that `index.yaml` lies below.
        url: String,
        /// Name of the chart.
        name: String,
        /// Its version.
        version: String,
        /// Digest of its archive, where it is pinned.
        digest: Option<Digest>,
    },
    /// An archive by URL.
    Url {
        /// The URL.
        url: String,
        /// Its digest, where it is pinned.
        digest: Option<Digest>,
    },
    /// A folder or archive on the disk.
    Path(PathBuf),
}

impl Source {
    /// The digest that the chart's archive must have.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        match self {
            Self::Oci { digest, .. }
            | Self::Repository { digest, .. }
            | Self::Url { digest, .. } => *digest,
            Self::Path(_) => None,
        }
    }

    /// The same, pinned. A path stays as it is.
    #[must_use]
    pub fn pinned(mut self, to: Digest) -> Self {
        match &mut self {
            Self::Oci { digest, .. }
            | Self::Repository { digest, .. }
            | Self::Url { digest, .. } => *digest = Some(to),
            Self::Path(_) => {}
        }
        self
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Oci { reference, .. } => write!(f, "{OCI}{reference}")?,
            Self::Repository {
                url, name, version, ..
            } => write!(f, "{}#{name}:{version}", ShownUrl::of(url))?,
            Self::Url { url, .. } => write!(f, "{}", ShownUrl::of(url))?,
            Self::Path(path) => write!(f, "{}", path.display())?,
        }
        match self.digest() {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(|problem| {
            let failure = Error::asked(format!("'{text}' names no chart: {problem}"));
            let hint = "write oci://HOST/REPOSITORY:VERSION, https://HOST/PATH#NAME:VERSION, the URL \
                        of a .tgz, or a path";
            failure.with_hint(hint).into()
        })
    }
}

fn parse(text: &str) -> Result<Source, String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    let is_http = text.starts_with("https://") || text.starts_with("http://");
    if !is_http && !text.starts_with(OCI) {
        if text.contains("://") {
            return Err("there is no such kind of source".to_owned());
        }
        return Ok(Source::Path(text.into()));
    }
    let (place, digest) = match text.rsplit_once("@sha256:") {
        Some((place, hex)) => {
            let digest = format!("sha256:{hex}");
            let digest: Digest = digest
                .parse()
                .map_err(|_| format!("'{digest}' is no digest"))?;
            (place, Some(digest))
        }
        None => (text, None),
    };
    if let Some(place) = place.strip_prefix(OCI) {
        let last = place.rsplit('/').next().unwrap_or_default();
        let Some((_, version)) = last.split_once(':') else {
            return Err("its version is missing".to_owned());
        };
        let tag = version.replace('+', "_");
        let name = place.strip_suffix(version).unwrap_or(place);
        let reference = format!("{name}{tag}").parse();
        let reference = reference.map_err(isoforge_oci::Error::into_problem)?;
        return Ok(Source::Oci { reference, digest });
    }
    match place.split_once('#') {
        Some((url, chart)) => {
            let (name, version) = chart
                .split_once(':')
                .filter(|(name, version)| !name.is_empty() && !version.is_empty())
                .ok_or("behind '#' belong name and version, as in #calico:3.29.2")?;
            Ok(Source::Repository {
                url: url.trim_end_matches('/').to_owned(),
                name: name.to_owned(),
                version: version.to_owned(),
                digest,
            })
        }
        None => Ok(Source::Url {
            url: place.to_owned(),
            digest,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_round_trip() {
        let digest = format!("@sha256:{}", "0".repeat(64));
        for text in [
            "oci://ghcr.io/x/charts/y:1.2.3".to_owned(),
            "https://charts.example/stable#zot:0.1.67".to_owned(),
            "https://charts.example/zot-0.1.67.tgz".to_owned(),
            "charts/zot".to_owned(),
            format!("oci://ghcr.io/x/y:1.2.3{digest}"),
            format!("https://charts.example/stable#zot:0.1.67{digest}"),
        ] {
            let source: Source = text.parse().unwrap();
            assert_eq!(source.to_string(), text);
        }
        let source: Source = "oci://r.io/x:1.2.3+up1".parse().unwrap();
        assert_eq!(source.to_string(), "oci://r.io/x:1.2.3_up1");
    }

    #[test]
    fn what_names_no_chart_is_said() {
        let problems: Vec<String> = [
            "",
            "ftp://x/y",
            "oci://ghcr.io/x/y",
            "oci://ghcr.io/X:1",
            "https://x/y#zot",
            "https://x/y#zot:1@sha256:12",
        ]
        .iter()
        .map(|text| text.parse::<Source>().unwrap_err().to_string())
        .collect();
        insta::assert_snapshot!(problems.join("\n"), @r"
        '' names no chart: it is empty
        'ftp://x/y' names no chart: there is no such kind of source
        'oci://ghcr.io/x/y' names no chart: its version is missing
        'oci://ghcr.io/X:1' names no chart: repository names are lower-case, 'X' is not
        'https://x/y#zot' names no chart: behind '#' belong name and version, as in #calico:3.29.2
        'https://x/y#zot:1@sha256:12' names no chart: 'sha256:12' is no digest
        ");
    }
}
