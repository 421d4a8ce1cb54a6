//! The `index.json` of a repository in Zot's storage: an OCI image index whose
//! entries are manifests, with their tags as annotations.

use isoforge_base::digest::Digest;
use isoforge_oci::layout::REF_NAME;
use isoforge_oci::media::MediaType;
use serde_json::{Map, Value, json};

/// A repository's `index.json`. What is not understood stays as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Index {
    document: Map<String, Value>,
    /// Its manifests, in its order.
    pub entries: Vec<Entry>,
}

/// A manifest that a repository lists.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub digest: Digest,
    pub media_type: MediaType,
    /// Its size in bytes.
    pub size: u64,
    pub tag: Option<String>,
    /// All of it.
    value: Map<String, Value>,
}

impl Default for Index {
    fn default() -> Self {
        let mut document = Map::new();
        document.insert("schemaVersion".to_owned(), json!(2));
        let media_type = MediaType::Index(isoforge_oci::media::Family::Oci);
        document.insert("mediaType".to_owned(), json!(media_type.as_str()));
        document.insert("manifests".to_owned(), json!([]));
        Self {
            document,
            entries: Vec::new(),
        }
    }
}

impl Index {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut document: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let manifests = match document.insert("manifests".to_owned(), json!([])) {
            Some(Value::Array(manifests)) => manifests,
            // Zot writes `null` where a repository has none.
            None | Some(Value::Null) => Vec::new(),
            Some(_) => return Err("its 'manifests' are no list".to_owned()),
        };
        let entries = manifests.into_iter().map(Entry::parse);
        Ok(Self {
            document,
            entries: entries.collect::<Result<_, _>>()?,
        })
    }

    /// The file's bytes.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut document = self.document.clone();
        let entries = self.entries.iter().map(|entry| entry.value.clone().into());
        document.insert("manifests".to_owned(), Value::Array(entries.collect()));
        Value::Object(document).to_string().into_bytes()
    }

    /// The manifest that a tag leads to.
    #[must_use]
    pub fn tagged(&self, tag: &str) -> Option<&Entry> {
        let mut entries = self.entries.iter();
        entries.find(|entry| entry.tag.as_deref() == Some(tag))
    }

    /// Whether a manifest is listed.
    #[must_use]
    pub fn lists(&self, digest: &Digest) -> bool {
        self.entries.iter().any(|entry| entry.digest == *digest)
    }
}

impl Entry {
    /// An entry as Zot makes it of a push.
    #[must_use]
    pub fn new(digest: Digest, media_type: MediaType, size: u64, tag: Option<&str>) -> Self {
        let mut value = Map::new();
        value.insert("mediaType".to_owned(), json!(media_type.as_str()));
        value.insert("digest".to_owned(), json!(digest));
        value.insert("size".to_owned(), json!(size));
        if let Some(tag) = tag {
            value.insert("annotations".to_owned(), json!({ REF_NAME: tag }));
        }
        Self {
            digest,
            media_type,
            size,
            tag: tag.map(str::to_owned),
            value,
        }
    }

    fn parse(value: Value) -> Result<Self, String> {
        let Value::Object(value) = value else {
            return Err("an entry is no object".to_owned());
        };
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        let digest = text("digest");
        let annotation = value.get("annotations").and_then(|all| all.get(REF_NAME));
        Ok(Self {
            digest: digest
                .parse()
                .map_err(|error: isoforge_base::digest::ParseDigestError| error.to_string())?,
            media_type: MediaType::parse(text("mediaType")),
            size: value
                .get("size")
                .and_then(Value::as_u64)
                .unwrap_or_default(),
            tag: annotation.and_then(Value::as_str).map(str::to_owned),
            value,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_zot_writes_is_read_and_stays() {
        let text = r#"{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:2b2c40a6706d9e5f320d553628313833e3668d8b0c8f5b0a25a2ca7d926df6d4","size":3,"annotations":{"org.opencontainers.image.ref.name":"1","more":"x"},"artifactType":"a/b"}],"other":1}"#;
        let index = Index::parse(text.as_bytes()).unwrap();
        let entry = index.tagged("1").unwrap();
        assert_eq!((entry.size, index.entries.len()), (3, 1));
        let again: Value = serde_json::from_slice(&index.to_json()).unwrap();
        assert_eq!(again, serde_json::from_str::<Value>(text).unwrap());
        let empty = r#"{"schemaVersion":2,"manifests":null}"#;
        assert_eq!(Index::parse(empty.as_bytes()).unwrap().entries, []);
        for bad in ["", "[]", r#"{"manifests":1}"#, r#"{"manifests":[{}]}"#] {
            assert!(Index::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
