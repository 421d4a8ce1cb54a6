//! `isoforge build`: what it says and leaves.

use insta::assert_snapshot;

use crate::support::program::Project;

#[test]
fn the_summary_names_folder_files_and_components() {
    let project = Project::bootable();
    assert_snapshot!(project.build().all(), @r"
    exit 0
    --- stdout
    tiny 1.0.0
      debian  13
      pxk-e   1.32.3
    dist/tiny-1.0.0
           10.1 MiB  [SHORT]  tiny-1.0.0.iso
            0.0 MiB  [SHORT]  tiny-1.0.0-provider.oci.tar
      provider image registry.example/edge/tiny:pxk-e-1.32.3-1.0.0
    time stamp 1714557600 (newest image configuration)
    --- stderr
    Gathering inputs
    Building the ISO for amd64
    Building the system with Kubernetes 1.32.3 for amd64
    Building the provider image
    ");
    assert_snapshot!(project.outputs().join("\n"), @r"
    tiny-1.0.0/manifest.json
    tiny-1.0.0/tiny-1.0.0-provider.oci.tar
    tiny-1.0.0/tiny-1.0.0-provider.oci.tar.sha256
    tiny-1.0.0/tiny-1.0.0.iso
    tiny-1.0.0/tiny-1.0.0.iso.sha256
    ");
    project.assert_store_sound();
}
#[test]
fn arm64_too() {
    let project = Project::bootable_for(&["amd64", "arm64"]);
    assert_snapshot!(project.build().all(), @r"
    exit 0
    --- stdout
    tiny 1.0.0
      debian  13
      pxk-e   1.32.3
    dist/tiny-1.0.0
           10.1 MiB  [SHORT]  tiny-1.0.0-amd64.iso
           10.1 MiB  [SHORT]  tiny-1.0.0-arm64.iso
            0.0 MiB  [SHORT]  tiny-1.0.0-provider.oci.tar
      provider image registry.example/edge/tiny:pxk-e-1.32.3-1.0.0
    time stamp 1714557600 (newest image configuration)
    --- stderr
    Gathering inputs
    Building the ISO for amd64
    Building the system with Kubernetes 1.32.3 for amd64
    Building the ISO for arm64
    Building the system with Kubernetes 1.32.3 for arm64
    Building the provider image
    ");
    assert_snapshot!(project.outputs().join("\n"), @r"
    tiny-1.0.0/manifest.json
    tiny-1.0.0/tiny-1.0.0-amd64.iso
    tiny-1.0.0/tiny-1.0.0-amd64.iso.sha256
    tiny-1.0.0/tiny-1.0.0-arm64.iso
    tiny-1.0.0/tiny-1.0.0-arm64.iso.sha256
    tiny-1.0.0/tiny-1.0.0-provider.oci.tar
    tiny-1.0.0/tiny-1.0.0-provider.oci.tar.sha256
    ");
}
