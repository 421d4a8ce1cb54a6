//! Manifests that are about another one: signatures, SBOMs, attestations.
//!
//! OCI Image Specification v1.1, "Image Manifest" (`subject`) and OCI Distribution
//! Specification v1.1, "Listing Referrers" with its "Referrers Tag Schema"; and the
//! tags that cosign makes beside an image
//! (`sha256-<hex>.sig`), whose manifests name no subject.

use serde::Deserialize;

use isoforge_base::digest::Digest;

/// What cosign puts behind [`tag`]: signatures, attestations, SBOMs.
pub(crate) const COSIGN_SUFFIXES: [&str; 3] = ["sig", "att", "sbom"];

/// The digest that a manifest or index names as its subject.
#[must_use]
pub fn subject(raw: &[u8]) -> Option<Digest> {
    #[derive(Deserialize)]
    struct Subject {
        digest: Digest,
    }
    #[derive(Deserialize)]
    struct Document {
        subject: Option<Subject>,
    }
    let document: Document = serde_json::from_slice(raw).ok()?;
    document.subject.map(|subject| subject.digest)
}

/// The tag under which registries without the listing have a manifest's referrers.
#[must_use]
pub fn tag(subject: &Digest) -> String {
    format!("sha256-{}", subject.hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_found_where_there_is_one() {
        let digest = Digest::of(b"x");
        let with = format!(r#"{{"subject":{{"digest":"{digest}","size":1}},"layers":[]}}"#);
        assert_eq!(subject(with.as_bytes()), Some(digest));
        for text in ["{}", "no JSON", r#"{"subject":{"digest":"md5:0"}}"#] {
            assert_eq!(subject(text.as_bytes()), None, "{text}");
        }
        assert_eq!(tag(&digest), format!("sha256-{}", digest.hex()));
    }
}
