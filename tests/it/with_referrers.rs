//! `build --with-referrers`: signatures travel on the ISO beside the images that
//! they are about.

use isoforge_oci::media::Family;
use serde_json::json;

use crate::support::layers::{Blob, Image};
use crate::support::program::Project;
use crate::support::registry::FakeRegistry;

/// An artifact with one blob of text.
fn artifact(text: &str, subject: Option<&Blob>) -> Image {
    let blob = Blob::new("text/plain", text.as_bytes().to_vec());
    let mut image = Image::from_blobs(Family::Oci, "linux/amd64", vec![blob], Vec::new());
    image.seal(|manifest| {
        if let Some(subject) = subject {
            manifest["subject"] = subject.descriptor();
        }
    });
    image
}

/// Names of the content that the inspector finds on the ISO.
fn content(project: &Project) -> Vec<String> {
    let iso = "dist/tiny-1.0.0/tiny-1.0.0.iso";
    let outcome = project.run(&["inspect", iso, "--format", "json"]);
    outcome.assert_exit(0);
    let report = outcome.json();
    assert_eq!(report["problems"], json!([]), "{report}");
    let rows = report["content"].as_array().unwrap().iter();
    let mut names: Vec<String> = rows
        .map(|row| row["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn signatures_travel_with_the_content_where_that_is_asked_for() {
    let registry = FakeRegistry::start();
    let image = Image::simple(&["file a 0644 'a'"]);
    registry.put_image("net/node", "v1", &image);
    let digest = image.manifest.digest();
    let sbom = artifact("an SBOM", Some(&image.manifest));
    registry.put_image("net/node", "sbom", &sbom);
    let list = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [sbom.manifest.descriptor()],
    });
    let list = Blob::new(
        "application/vnd.oci.image.index.v1+json",
        list.to_string().into_bytes(),
    );
    registry.put_referrers("net/node", &digest, &[list]);
    let tag = format!("sha256-{}.sig", digest.hex());
    registry.put_image("net/node", &tag, &artifact("a signature", None));
    let name = |tag: &str| format!("{}/net/node:{tag}", registry.host());

    let project = Project::bootable();
    project.add_to_profile(&format!("\n[content]\nimages = [\"{}\"]\n", name("v1")));
    project.build();
    assert_eq!(content(&project), [name("v1")]);
    assert_eq!(registry.count("/referrers/"), 0, "nobody asked");

    let arguments = ["build", "profile.toml", "--with-referrers"];
    project.run(&arguments).assert_exit(0);
    let mut expected = vec![name("v1"), name(&tag), format!("referrer of {digest}")];
    expected.sort();
    assert_eq!(content(&project), expected);
}
