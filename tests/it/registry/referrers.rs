//! What is about an image: signatures, SBOMs, signatures of those.

use std::num::NonZeroUsize;
use std::path::Path;

use isoforge_base::digest::Digest;
use isoforge_base::error::{Class, Diagnose};
use isoforge_base::progress::Progress;
use isoforge_oci::layout::Builder;
use isoforge_oci::media::Family;
use isoforge_oci::pull::{
    Limits, MAX_REFERRER_DEPTH, MAX_REFERRERS, MirroredReferrers, Platforms, mirror_image,
    mirror_referrers,
};
use serde_json::{Value, json};

use super::Puller;
use crate::support::docker_registry::DockerRegistry;
use crate::support::judge;
use crate::support::layers::{Blob, Image, index, write_layout};
use crate::support::registry::{FakeRegistry, Fault};

/// A manifest about `subject` with one blob of `text`.
fn about(subject: Option<&Blob>, text: &str) -> Image {
    let mut image = Image::from_blobs(
        Family::Oci,
        "linux/amd64",
        vec![Blob::new("text/plain", text.as_bytes().to_vec())],
        Vec::new(),
    );
    image.config = Blob::new("application/vnd.oci.empty.v1+json", b"{}".to_vec());
    image.seal(|manifest| {
        manifest["artifactType"] = json!("application/vnd.test.signature");
        if let Some(subject) = subject {
            manifest["subject"] = subject.descriptor();
        }
    });
    image
}

fn list(entries: &[&Image]) -> Blob {
    let entries: Vec<Value> = entries.iter().map(|i| i.manifest.descriptor()).collect();
    let media_type = "application/vnd.oci.image.index.v1+json";
    let document = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": entries });
    Blob::new(media_type, document.to_string().into_bytes())
}

fn mirror(puller: &Puller, source: &str) -> Result<MirroredReferrers, isoforge_oci::Error> {
    let source = source.parse().unwrap();
    let threads = NonZeroUsize::new(2).unwrap();
    let (limits, progress) = (Limits::default(), Progress::silent());
    let platforms = Platforms::Only(vec!["linux/amd64".parse().unwrap()]);
    let (client, store) = (&puller.client, &puller.store);
    let image = mirror_image(
        client, &source, &platforms, store, &limits, threads, &progress,
    )?;
    mirror_referrers(client, &source, &image, store, &limits, threads, &progress)
}

/// Subject, digest and tag of each.
fn found(mirrored: &MirroredReferrers) -> Vec<(Digest, Digest, Option<&str>)> {
    let rows = mirrored.referrers.iter();
    rows.map(|r| (r.subject, r.manifest.digest, r.tag.as_deref()))
        .collect()
}

/// An image behind an index, with a signature of the manifest, an SBOM of the
/// index and a signature of the SBOM.
struct Signed {
    root: Blob,
    image: Image,
    signature: Image,
    sbom: Image,
    of_sbom: Image,
}

impl Signed {
    fn new() -> Self {
        let image = Image::simple(&["file a 0644 'a'"]);
        let root = index(Family::Oci, &[&image]);
        let signature = about(Some(&image.manifest), "signature");
        let sbom = about(Some(&root), "sbom");
        let of_sbom = about(Some(&sbom.manifest), "signature of the sbom");
        Self {
            root,
            image,
            signature,
            sbom,
            of_sbom,
        }
    }

    fn images(&self) -> [&Image; 4] {
        [&self.image, &self.signature, &self.sbom, &self.of_sbom]
    }

    fn serve(&self, registry: &FakeRegistry) {
        for (n, image) in self.images().into_iter().enumerate() {
            registry.put_image("a", &format!("t{n}"), image);
        }
        registry.put_manifest("a", "1", &self.root);
    }

    fn expected(&self) -> Vec<(Digest, Digest, Option<&'static str>)> {
        let row = |subject: &Blob, of: &Image| (subject.digest(), of.manifest.digest(), None);
        vec![
            row(&self.root, &self.sbom),
            row(&self.image.manifest, &self.signature),
            row(&self.sbom.manifest, &self.of_sbom),
        ]
    }
}

#[test]
fn referrers_are_listed_by_the_registry_on_several_pages() {
    let registry = FakeRegistry::start();
    let signed = Signed::new();
    signed.serve(&registry);
    let stranger = about(Some(&signed.signature.manifest), "about something else");
    registry.put_image("a", "stranger", &stranger);
    let pages = [list(&[]), list(&[&signed.sbom]), list(&[&stranger])];
    registry.put_referrers("a", &signed.root.digest(), &pages);
    let pages = [list(&[&signed.signature])];
    registry.put_referrers("a", &signed.image.manifest.digest(), &pages);
    let pages = [list(&[&signed.of_sbom])];
    registry.put_referrers("a", &signed.sbom.manifest.digest(), &pages);
    let puller = Puller::new();
    let source = format!("{}/a:1", registry.host());
    registry.fault("/referrers/", 2, Fault::Status(503, ""));
    let mirrored = mirror(&puller, &source).unwrap();
    assert_eq!(found(&mirrored), signed.expected());
    assert_eq!(
        mirrored.blobs.len(),
        3 + 3 + 1,
        "manifests, blobs, one configuration"
    );
    for blob in &mirrored.blobs {
        puller.store.verify(&blob.digest).unwrap();
    }
    puller.assert_sound();

    // Written as a layout they are there to be found again, by us too.
    let image = mirror_image(
        &puller.client,
        &source.parse().unwrap(),
        &Platforms::All,
        &puller.store,
        &Limits::default(),
        NonZeroUsize::MIN,
        &Progress::silent(),
    )
    .unwrap();
    let mut builder = Builder::new();
    for blob in image.blobs.iter().chain(&mirrored.blobs) {
        builder.blob(blob.digest, blob.size);
    }
    builder.reference("v1", image.root);
    for referrer in &mirrored.referrers {
        builder.referrer(referrer.manifest.clone());
    }
    let folder = puller.root().join("out");
    builder.build().write_dir(&puller.store, &folder).unwrap();
    let again = mirror(&Puller::new(), &format!("oci:{}:v1", folder.display())).unwrap();
    assert_eq!(again, mirrored);
    let layout = format!("oci:{}:v1", folder.display());
    let raw = judge("skopeo", "skopeo", &["inspect", "--raw", &layout]);
    assert_eq!(raw.as_bytes(), signed.root.bytes);
}

#[test]
fn cosigns_tags_are_found_beside_the_image() {
    let registry = FakeRegistry::start();
    let signed = Signed::new();
    signed.serve(&registry);
    let tag = |subject: &Blob, suffix: &str| format!("sha256-{}.{suffix}", subject.digest().hex());
    let (signature, attestation) = (about(None, "cosign"), about(None, "attested"));
    let tags = [tag(&signed.root, "sig"), tag(&signed.image.manifest, "att")];
    registry.put_image("a", &tags[0], &signature);
    registry.put_image("a", &tags[1], &attestation);
    let mirrored = mirror(&Puller::new(), &format!("{}/a:1", registry.host())).unwrap();
    let expected = [
        (
            signed.root.digest(),
            signature.manifest.digest(),
            Some(tags[0].as_str()),
        ),
        (
            signed.image.manifest.digest(),
            attestation.manifest.digest(),
            Some(tags[1].as_str()),
        ),
    ];
    assert_eq!(found(&mirrored), expected);
}

#[test]
fn depth_and_number_have_limits() {
    let registry = FakeRegistry::start();
    let image = Image::simple(&["file a 0644 'a'"]);
    registry.put_image("a", "1", &image);
    let mut subject = image.manifest.clone();
    for n in 0..MAX_REFERRER_DEPTH + 2 {
        let next = about(Some(&subject), &format!("number {n}"));
        registry.put_image("a", &format!("n{n}"), &next);
        registry.put_referrers("a", &subject.digest(), &[list(&[&next])]);
        subject = next.manifest;
    }
    let source = format!("{}/a:1", registry.host());
    let mirrored = mirror(&Puller::new(), &source).unwrap();
    assert_eq!(mirrored.referrers.len(), MAX_REFERRER_DEPTH);
    let many: Vec<Image> = (0..=MAX_REFERRERS)
        .map(|n| about(Some(&image.manifest), &format!("one of many: {n}")))
        .collect();
    for one in &many {
        registry.put_image("a", "many", one);
    }
    let all = list(&many.iter().collect::<Vec<_>>());
    registry.put_referrers("a", &image.manifest.digest(), &[all]);
    let error = mirror(&Puller::new(), &source).unwrap_err();
    assert_eq!(error.class(), Class::Verification);
    assert!(
        error.to_string().contains("more than 256 referrers"),
        "{error}"
    );
    // A list that never ends.
    let digest = image.manifest.digest();
    registry.put_referrers("a", &digest, &vec![list(&[]); 20]);
    let error = mirror(&Puller::new(), &source).unwrap_err();
    assert!(
        super::chain(&error).contains("more than 16 pages"),
        "{error:?}"
    );
}

/// Pushes the image `tag` of the layout as it is.
fn push(layout: &Path, tag: &str, to: &str) {
    judge(
        "skopeo",
        "skopeo",
        &[
            "copy",
            "-q",
            "--all",
            "--preserve-digests",
            "--dest-tls-verify=false",
            &format!("oci:{}:{tag}", layout.display()),
            &format!("docker://{to}"),
        ],
    );
}

#[test]
fn a_real_registry_without_the_list_has_them_by_tag() {
    let puller = Puller::new();
    let registry = DockerRegistry::start(puller.root(), false);
    let signed = Signed::new();
    let by_cosign = about(None, "cosign");
    let tag = |subject: &Blob| format!("sha256-{}", subject.digest().hex());
    let lists = [
        (tag(&signed.image.manifest), list(&[&signed.signature])),
        (tag(&signed.root), list(&[&signed.sbom])),
        (tag(&signed.sbom.manifest), list(&[&signed.of_sbom])),
    ];
    let cosign_tag = format!("{}.sig", tag(&signed.image.manifest));
    let mut roots = vec![("v1", &signed.root), (&cosign_tag, &by_cosign.manifest)];
    roots.extend(lists.iter().map(|(name, list)| (name.as_str(), list)));
    let folder = puller.root().join("layout");
    let mut images = signed.images().to_vec();
    images.push(&by_cosign);
    write_layout(&folder, &roots, &images);
    for (name, _) in &roots {
        push(&folder, name, &format!("{}/os:{name}", registry.host));
    }
    let mirrored = mirror(&puller, &format!("{}/os:v1", registry.host)).unwrap();
    let mut expected = signed.expected();
    let digest = by_cosign.manifest.digest();
    let subject = signed.image.manifest.digest();
    expected.insert(2, (subject, digest, Some(&cosign_tag)));
    assert_eq!(found(&mirrored), expected);
    puller.assert_sound();
}
