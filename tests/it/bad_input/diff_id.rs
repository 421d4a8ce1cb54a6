//! Images whose configuration says of a layer that it is another: nothing may be
//! made of such a layer, nor may it pass for the other one.

use insta::{allow_duplicates, assert_snapshot};
use isoforge_base::digest::Digest;
use isoforge_oci::layer::LayerCompression::{self, Gzip, Plain, Zstd};
use isoforge_oci::media::{Family, MediaType};

use super::{builds_again, failed};
use crate::support::bootable::{self, kubernetes_layer};
use crate::support::layers::{Blob, Image, compress, tar_layer};
use crate::support::program::{Project, files_below};

const EVIL: &str = "file usr/bin/kubelet 0755 'not the kubelet'";

/// Puts an image into `folder` whose one layer `layer` is said to be `claimed`.
fn put(
    project: &Project,
    folder: &str,
    (layer, compression): (&str, LayerCompression),
    claimed: &str,
) {
    let media_type = MediaType::Layer(Family::Oci, compression);
    let blob = Blob::new(
        media_type.as_str(),
        compress(&tar_layer(layer), compression),
    );
    let claimed = vec![Digest::of(&tar_layer(claimed))];
    let image = Image::from_blobs(Family::Oci, "linux/amd64", vec![blob], claimed);
    if project.path(folder).exists() {
        std::fs::remove_dir_all(project.path(folder)).unwrap();
    }
    bootable::write_image(&project.path(folder), &[&image]);
}

/// The store's files of this kind that are named by the layer's diffID.
fn named_by(project: &Project, kind: &str, layer: &str) -> usize {
    let start = format!("v1/{kind}/{}", Digest::of(&tar_layer(layer)).hex());
    let files = files_below(&project.cache());
    files.iter().filter(|name| name.starts_with(&start)).count()
}

fn facts(project: &Project, kind: &str) -> Vec<String> {
    files_below(&project.cache().join("v1/facts").join(kind))
}

#[test]
fn a_layer_that_is_not_what_the_image_says() {
    for compression in [Gzip, Zstd, Plain] {
        let project = Project::bootable();
        let claimed = kubernetes_layer("amd64");
        put(&project, "kubernetes", (EVIL, compression), &claimed);
        let first = failed(&project, &[]);
        allow_duplicates!(assert_snapshot!(first, @r"
    exit 5
    error: Kubernetes 1.32.3: layer sha256:[DIGEST] unpacks to sha256:[DIGEST], but the configuration gives sha256:[DIGEST]
    hint: the image was built or changed wrongly; build and push it again
    "));
        for layer in [claimed.as_str(), EVIL] {
            assert_eq!(named_by(&project, "slabs", layer), 0, "{compression:?}");
        }
        assert_eq!(failed(&project, &[]), first, "it is not forgiven");
        builds_again(&project);
    }
}

#[test]
fn a_layer_that_claims_to_be_one_whose_slab_is_there() {
    for compression in [Gzip, Zstd, Plain] {
        let project = Project::bootable();
        project.build();
        let claimed = kubernetes_layer("amd64");
        assert_eq!(named_by(&project, "slabs", &claimed), 1);
        put(&project, "kubernetes", (EVIL, compression), &claimed);
        let first = failed(&project, &[]);
        allow_duplicates!(assert_snapshot!(first, @r"
    exit 5
    error: Kubernetes 1.32.3: layer sha256:[DIGEST] unpacks to sha256:[DIGEST], but the configuration gives sha256:[DIGEST]
    hint: the image was built or changed wrongly; build and push it again
    "));
        // What is known of the blob by then changes nothing.
        put(&project, "kubernetes", (EVIL, compression), EVIL);
        project.build();
        put(&project, "kubernetes", (EVIL, compression), &claimed);
        assert_eq!(failed(&project, &[]), first);
        builds_again(&project);
    }
}

#[test]
fn a_bomb_that_claims_to_be_a_layer_whose_slab_is_there() {
    let project = Project::bootable();
    project.build();
    let bomb = ("fill usr/zeros 0644 0*70000000", Zstd);
    put(&project, "kubernetes", bomb, &kubernetes_layer("amd64"));
    assert_snapshot!(failed(&project, &[]), @r"
    exit 5
    error: Kubernetes 1.32.3: layer sha256:[DIGEST] ([N] bytes) has [N] uncompressed bytes or more; the limit ratio is 200
    hint: if the image can be trusted, raise 'ratio' under [limits] in the profile
    ");
    builds_again(&project);
}

#[test]
fn a_layer_that_files_are_taken_out_of() {
    const AGENT: &str = "file usr/bin/agent 0755 agent\nfile usr/share/doc 0644 doc";
    const OTHER: &str = "file usr/bin/agent 0755 'another agent'";
    let filtered = "\n[[layers]]\nimage = \"oci:agent\"\ninclude = [\"usr/bin/agent\"]\n";
    let project = Project::bootable();
    project.add_to_profile(filtered);
    put(&project, "agent", (OTHER, Gzip), AGENT);
    let first = failed(&project, &[]);
    assert_snapshot!(first, @r"
    exit 5
    error: oci:agent: layer sha256:[DIGEST] unpacks to sha256:[DIGEST], but the configuration gives sha256:[DIGEST]
    hint: the image was built or changed wrongly; build and push it again
    ");
    assert_eq!(facts(&project, "filtered-layer"), [""; 0]);
    put(&project, "agent", (AGENT, Gzip), AGENT);
    project.build();
    assert_eq!(facts(&project, "filtered-layer").len(), 1);
    // The filtered layer would be found by the diffID that is claimed.
    put(&project, "agent", (OTHER, Gzip), AGENT);
    assert_eq!(failed(&project, &[]), first);
    assert_eq!(facts(&project, "filtered-layer").len(), 1);
    builds_again(&project);
}
