//! The index of an HTTP chart repository.
//!
//! Specification: Helm's "The Chart Repository Guide", `index.yaml` of
//! `apiVersion: v1`: `entries: {NAME: [{version, urls, digest}]}`. URLs may be
//! relative to the repository. Digests are sha256 in hex, with or without
//! `sha256:` in front.

use crate::yaml;
use isoforge_base::digest::Digest;
use isoforge_base::yaml::{Node, Refused, Value};

/// Largest index, in bytes: large repositories have some 20 MiB.
pub(super) const MAX_INDEX_BYTES: u64 = 128 * 1024 * 1024;

/// An index, read.
#[derive(Debug)]
pub(super) struct Index(Node);

/// A version of a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where its archive lies; relative ones are relative to the repository.
    pub(super) url: String,
    /// Digest of the archive, where the index gives one.
    pub(super) digest: Option<Digest>,
}

impl Index {
    /// Reads the text of an index.
    ///
    /// # Errors
    /// [`Refused`].
    pub(super) fn parse(text: &str) -> Result<Self, Refused> {
        let node = yaml::document(text)?;
        if node.get("entries").is_none() {
            return Err(Refused {
                line: 1,
                column: 1,
                problem: "an index of charts must have 'entries'".to_owned(),
            });
        }
        Ok(Self(node))
    }

    /// The entry of a chart; `None` where the repository does not have it.
    pub(super) fn find(&self, name: &str, version: &str) -> Option<Entry> {
        let versions = self.0.get("entries")?.get(name)?.items();
        let entry = versions.iter().find(|entry| has_version(entry, version))?;
        let url = entry.get("urls")?.items().first()?.text()?.to_owned();
        let digest = entry.text_at("digest").and_then(|text| {
            let hex = text.trim().trim_start_matches("sha256:");
            format!("sha256:{}", hex.to_ascii_lowercase()).parse().ok()
        });
        Some(Entry { url, digest })
    }

    /// The versions of a chart, as the index lists them.
    pub(super) fn versions(&self, name: &str) -> Vec<String> {
        let entries = self.0.get("entries");
        let versions = entries.and_then(|entries| entries.get(name));
        let versions = versions.map(Node::items).unwrap_or_default();
        let texts = versions.iter().filter_map(|entry| entry.text_at("version"));
        texts.map(str::to_owned).collect()
    }
}

/// Whether it is that version; a `v` in front of one of the two does not part
/// them, as for Helm.
fn has_version(entry: &Node, version: &str) -> bool {
    let bare = |text: &str| text.trim_start_matches('v').to_owned();
    match entry.get("version").map(|node| &node.value) {
        Some(Value::Text(text)) => bare(text) == bare(version),
        Some(Value::Number(number, _)) => number.to_string() == bare(version),
        _ => false,
    }
}

/// The URL of an entry whose index lies below `repository`.
pub(super) fn absolute(repository: &str, url: &str) -> String {
    if url.contains("://") {
        return url.to_owned();
    }
    let repository = repository.trim_end_matches('/');
    match url.strip_prefix('/') {
        // From the root of the host.
        Some(path) => {
            let scheme_end = repository.find("://").map_or(0, |at| at + 3);
            let rest = repository.get(scheme_end..).unwrap_or_default();
            let host_end = rest.find('/').unwrap_or(rest.len());
            let origin = repository
                .get(..scheme_end + host_end)
                .unwrap_or(repository);
            format!("{origin}/{path}")
        }
        None => format!("{repository}/{}", url.trim_start_matches("./")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_name_and_version() {
        let hex = "A".repeat(64);
        let text = format!(
            "apiVersion: v1\nentries:\n  zot:\n  - version: 0.1.67\n    digest: {hex}\n    \
             urls: [zot-0.1.67.tgz, other]\n  - version: v0.1.66\n    urls: [\"https://x/y.tgz\"]\n"
        );
        let index = Index::parse(&text).unwrap();
        let entry = index.find("zot", "0.1.67").unwrap();
        assert_eq!(entry.url, "zot-0.1.67.tgz");
        assert_eq!(entry.digest.unwrap().hex(), hex.to_lowercase());
        assert_eq!(index.find("zot", "0.1.66").unwrap().digest, None);
        assert_eq!(index.find("zot", "1"), None);
        assert_eq!(index.find("other", "0.1.67"), None);
        assert_eq!(index.versions("zot"), ["0.1.67", "v0.1.66"]);
        assert!(Index::parse("<html>").is_err());
    }

    #[test]
    fn relative_urls_are_relative_to_the_repository() {
        for (url, absolute_url) in [
            ("x.tgz", "https://h/a/b/x.tgz"),
            ("./x.tgz", "https://h/a/b/x.tgz"),
            ("/x.tgz", "https://h/x.tgz"),
            ("http://other/x.tgz", "http://other/x.tgz"),
        ] {
            assert_eq!(absolute("https://h/a/b/", url), absolute_url);
        }
    }
}
