//! Registries that are not there or do not deliver.

use std::net::{Ipv4Addr, TcpListener};

use insta::assert_snapshot;

use super::{builds_again, failed};
use crate::support::bootable::{self, os_layer};
use crate::support::layers::Image;
use crate::support::program::Project;
use crate::support::registry::{FakeRegistry, Fault};

/// More often than the program tries.
const ALWAYS: usize = 100;

/// A project whose operating system comes from a registry.
fn pulled() -> (Project, FakeRegistry, Image) {
    let registry = FakeRegistry::start();
    let image = bootable::image("amd64", &os_layer("amd64"));
    registry.put_image("edge/os", "1", &image);
    let project = Project::bootable();
    project.change_profile("oci:os", &format!("{}/edge/os:1", registry.host()));
    (project, registry, image)
}

#[test]
fn a_registry_builds_too() {
    let (project, registry, _) = pulled();
    project.build();
    assert_eq!(registry.count("/manifests/1"), 1);
    project.assert_store_sound();
}

#[test]
fn an_unreachable_registry() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let project = Project::bootable();
    project.change_profile("oci:os", &format!("{address}/edge/os:1"));
    assert_snapshot!(failed(&project, &[]), @r"
    exit 4
    error: 127.0.0.1:[PORT]/edge/os:1 can't be pulled
      caused by: http://127.0.0.1:[PORT]/v2/edge/os/manifests/1: io: Connection refused (os error 111)
    hint: check the network and the host's name; a mirror for the host can be set
    ");
    builds_again(&project);
}

#[test]
fn an_image_that_the_registry_does_not_have() {
    let (project, registry, _) = pulled();
    project.change_profile("edge/os:1", "edge/os:2");
    assert_snapshot!(failed(&project, &[]), @r"
    exit 4
    error: 127.0.0.1:[PORT]/edge/os:2 can't be pulled
      caused by: http://127.0.0.1:[PORT]/v2/edge/os/manifests/2: not found, the registry says MANIFEST_UNKNOWN: as told
    hint: check the image's name and tag
    ");
    assert_eq!(registry.count("/manifests/2"), 1, "that is not tried again");
    builds_again(&project);
}

#[test]
fn a_digest_that_does_not_match() {
    let (project, registry, image) = pulled();
    let layer = image.layers[0].digest().to_string();
    registry.fault(&layer, ALWAYS, Fault::Garble);
    assert_snapshot!(failed(&project, &[]), @"
    exit 5
    error: 127.0.0.1:[PORT]/edge/os:1@sha256:[DIGEST] can't be stored
      caused by: digest mismatch: expected sha256:[DIGEST], got sha256:[DIGEST]
    hint: do not trust this source: push the image again, or pull it from elsewhere
    ");
    builds_again(&project);
}

#[test]
fn a_truncated_blob() {
    let (project, registry, image) = pulled();
    let layer = image.layers[0].digest().to_string();
    registry.fault(&layer, ALWAYS, Fault::Truncate(100));
    assert_snapshot!(failed(&project, &[]), @"
    exit 4
    error: 127.0.0.1:[PORT]/edge/os:1@sha256:[DIGEST] can't be pulled
      caused by: http://127.0.0.1:[PORT]/v2/edge/os/blobs/sha256:[DIGEST]: ended after 100 of [N] bytes
    hint: the registry or something on the way to it is at fault: build again later, or set a mirror
    ");
    assert!(registry.count(&layer) > 1, "it is tried again");
    builds_again(&project);
}
